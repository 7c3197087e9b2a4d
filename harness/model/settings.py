"""PyTorch's global settings: read when a case is verified, and set again when its models are built
or evaluated.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from harness.model.devices import DEVICES

Settings = Mapping[str, Any]  # by the name of the switch


class Switch(NamedTuple):
    """One global setting of torch.

    `default` is its default value, `read` returns the present value, `assign` sets a value, and
    `line` writes the line of a script that sets a value.
    """

    default: Any
    read: Callable[[Any], Any]
    assign: Callable[[Any, Any], Any]
    line: Callable[[Any], str]


def _autocast(device: str) -> Switch:
    return Switch(
        False,
        lambda torch: torch.is_autocast_enabled(device),
        lambda torch, value: torch.set_autocast_enabled(device, value),
        lambda value: f"torch.set_autocast_enabled({device!r}, {value})",
    )


# that multiply matrices of float32 in another precision, if they are told to
BACKENDS = tuple(dict.fromkeys(device.backend for device in DEVICES.values()))


def _read_precision(torch: Any) -> Any:
    """Return the precision of float32 matrix products: one word such as "highest" for all backends,
    or a tuple with one word for each backend.

    It is a tuple if it was set through `fp32_precision`, the setting of torch 2.9 and later.
    """
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return tuple(getattr(torch.backends, name).matmul.fp32_precision for name in BACKENDS)


def _write_precision(torch: Any, value: Any) -> None:
    if isinstance(value, str):
        torch.set_float32_matmul_precision(value)
        return
    for backend, precision in zip(BACKENDS, value, strict=True):
        getattr(torch.backends, backend).matmul.fp32_precision = precision


def _precision_lines(value: Any) -> str:
    if isinstance(value, str):
        return f"torch.set_float32_matmul_precision({value!r})"
    lines = []
    for backend, precision in zip(BACKENDS, value, strict=True):
        lines.append(f"torch.backends.{backend}.matmul.fp32_precision = {precision!r}")
    return "\n".join(lines)


SWITCHES = {
    "default dtype": Switch(
        "torch.float32",
        lambda torch: str(torch.get_default_dtype()),
        lambda torch, value: torch.set_default_dtype(getattr(torch, value.removeprefix("torch."))),
        lambda value: f"torch.set_default_dtype({value})",
    ),
    "default device": Switch(
        "cpu",
        lambda torch: str(torch.empty(0).device),  # sooner than torch.get_default_device()
        lambda torch, value: torch.set_default_device(None if value == "cpu" else value),
        lambda value: f"torch.set_default_device({value!r})",
    ),
    "deterministic": Switch(
        0,
        lambda torch: torch.get_deterministic_debug_mode(),
        lambda torch, value: torch.set_deterministic_debug_mode(value),
        lambda value: f"torch.set_deterministic_debug_mode({value})",
    ),
    **{f"autocast on {device.title}": _autocast(device.name) for device in DEVICES.values()},
    "matmul precision": Switch("highest", _read_precision, _write_precision, _precision_lines),
}


def read_settings() -> Settings:
    """Return the present settings by name; the defaults if torch is not imported."""
    torch = sys.modules.get("torch")
    if torch is None:
        return {name: switch.default for name, switch in SWITCHES.items()}
    return {name: switch.read(torch) for name, switch in SWITCHES.items()}


@contextmanager
def hold_settings(settings: Settings) -> Iterator[None]:
    """Use these settings in this context, with gradients switched on; restore the former ones after
    it.
    """
    import torch

    before = read_settings()
    try:
        with torch.inference_mode(False):  # which switches gradients on
            _write(settings, before)
            yield
    finally:
        _write(before, read_settings())


def _write(settings: Settings, now: Settings) -> None:
    """Set the settings that differ from the present ones, `now`: some take long to set."""
    import torch

    for name, value in settings.items():
        if value != now[name]:
            SWITCHES[name].assign(torch, value)


def settings_lines(settings: Settings) -> list[str]:
    """Return the lines of a script that assign all settings other than their defaults."""
    lines = []
    for name, value in settings.items():
        switch = SWITCHES[name]
        if value != switch.default:
            lines.append(switch.line(value))
    return lines
