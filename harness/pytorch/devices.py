"""All that differs between devices: whether one is here and why not, its precision switches, its
errors.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

KNOWN = ("cpu", "cuda")


def lacking(device: str) -> str:
    """Why a device cannot be used here; "" when it can. Raises ValueError for a name that is no
    device.
    """
    kind, _, index = device.partition(":")
    if kind not in KNOWN or (index and not index.isdigit()):
        raise ValueError(f"device {device!r} is not known, expected cpu, cuda or cuda:N")
    import torch  # it takes seconds

    if kind == "cpu":
        return "" if not index else f"the CPU has no index, {device!r} was asked for: write cpu"
    if not torch.cuda.is_available():
        built = (
            f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        )
        return f"torch {torch.__version__}, {built}, sees no CUDA device"
    if index and int(index) >= torch.cuda.device_count():
        return f"there are {torch.cuda.device_count()} CUDA devices, {device!r} is not among them"
    return ""


def here() -> list[str]:
    """The devices that this machine has."""
    return [device for device in KNOWN if not lacking(device)]


def chosen(asked: Sequence[str]) -> list[str]:
    """The devices asked for, each once, or those that this machine has; ValueError for a name that
    is no device.
    """
    for device in asked:
        lacking(device)
    return list(dict.fromkeys(asked)) or here()


def held_in(dtype: str) -> Any:
    """PyTorch's dtype of what a contract calls so: TF32 is how float32 is multiplied."""
    import torch

    return torch.float32 if dtype == "tf32" else getattr(torch, dtype)


@contextmanager
def ieee(device: str, dtype: str = "") -> Iterator[None]:
    """Matrix products in full precision while this lasts, or for tf32 in what CUDA makes of it.

    Two switches write one state (`allow_tf32` and `fp32_precision`), so it is probed by arithmetic,
    not believed, and restored. Raises RuntimeError where products are rounded to TF32 all the same.
    """
    import torch

    if not device.startswith("cuda"):
        yield
        return
    matmul = torch.backends.cuda.matmul
    before, matmul.allow_tf32 = matmul.allow_tf32, dtype == "tf32"
    try:
        one = torch.full((64, 64), 1 + 2.0**-12, device=device)
        if dtype != "tf32" and not bool((one @ torch.eye(64, device=device) == one).all()):
            raise RuntimeError("float32 products are rounded to TF32, though the switch is off")
        yield
    finally:
        matmul.allow_tf32 = before


def settled(device: str) -> None:
    """Wait until a device has done what it was told: a clock is read after this, never before."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize(device)


def loops(device: str) -> dict[str, bool]:
    """How an optimiser goes through its tensors, said rather than left to what torch prefers on a
    device.
    """
    return {"foreach": device.startswith("cuda")}


def poisoned(why: str, device: str) -> bool:
    """Is a device unusable for the rest of this process after this error? The CPU never is,
    whatever an error says.
    """
    return device != "cpu" and ("device-side assert" in why or "AcceleratorError" in why)
