"""Devices: a class for each kind holds all that differs between them.

A new kind of device is a class here and a line in DEVICES; `nnet_parity/plugin.py` names it in the
help of pytest.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class Device:
    """A kind of device, and what holds on the CPU.

    `name` is what PyTorch calls it, `title` what a sentence calls it, and `backend` the name in
    `torch.backends` of what multiplies matrices of float32 there.
    """

    name = "cpu"
    title = "the CPU"
    backend = "mkldnn"

    def find_lack(self, index: str) -> str:
        """Return why the device of this index ("" for none) cannot be used here; "" if it can."""
        if index:
            return f"the CPU has no index, 'cpu:{index}' was asked for: write cpu"
        return ""

    def describe(self) -> dict[str, str]:
        """Describe the device for a report, by name."""
        return {}

    @contextmanager
    def hold_precision(self, device: str, dtype: str) -> Iterator[None]:
        """Multiply matrices of float32 in full precision while this lasts, of tf32 in TF32."""
        yield

    def precision_lines(self, dtype: str) -> list[str]:
        """Return the lines of a script that do the same for the rest of it."""
        return []

    def synchronize(self, device: str) -> None:
        """Wait until the device has finished. Call this before reading a clock."""

    def has_foreach(self) -> bool:
        """Do PyTorch's optimisers update all tensors of a group at once by default?"""
        return False

    def is_spoiled_by(self, error: str) -> bool:
        """Is the device unusable for the rest of this process after an error of this text?"""
        return False


class Cuda(Device):
    """A GPU of NVIDIA's."""

    name = "cuda"
    title = "CUDA"
    backend = "cuda"

    def find_lack(self, index: str) -> str:
        import torch

        if not torch.cuda.is_available():
            version = torch.version.cuda
            built = f"built for CUDA {version}" if version else "built without CUDA"
            return f"torch {torch.__version__}, {built}, sees no CUDA device"
        count = torch.cuda.device_count()
        if index and int(index) >= count:
            return f"there are {count} CUDA devices, 'cuda:{index}' is not among them"
        return ""

    def describe(self) -> dict[str, str]:
        import torch

        here = torch.cuda.is_available()
        return {"cuda": "available" if here else "not available: torch sees no CUDA device"}

    @contextmanager
    def hold_precision(self, device: str, dtype: str) -> Iterator[None]:
        """Set `allow_tf32`, and multiply to see whether it holds, since `fp32_precision` sets it
        too.

        Raises RuntimeError if products are still rounded to TF32.
        """
        import torch

        matmul = torch.backends.cuda.matmul
        before, matmul.allow_tf32 = matmul.allow_tf32, dtype == "tf32"
        try:
            one = torch.full((64, 64), 1 + 2.0**-12, device=device)
            if dtype != "tf32" and not bool((one @ torch.eye(64, device=device) == one).all()):
                raise RuntimeError("float32 products are rounded to TF32, though the switch is off")
            yield
        finally:
            matmul.allow_tf32 = before

    def precision_lines(self, dtype: str) -> list[str]:
        return [f"torch.backends.cuda.matmul.allow_tf32 = {dtype == 'tf32'}"]

    def synchronize(self, device: str) -> None:
        import torch

        torch.cuda.synchronize(device)

    def has_foreach(self) -> bool:
        return True

    def is_spoiled_by(self, error: str) -> bool:
        return "device-side assert" in error or "AcceleratorError" in error


DEVICES: dict[str, Device] = {device.name: device for device in (Device(), Cuda())}
KNOWN = tuple(DEVICES)


def kind_of(device: str) -> Device:
    """Return the kind of a device, "cuda:1" say. Raises ValueError for a name that is no device."""
    name, _, index = device.partition(":")
    if name not in DEVICES or (index and not index.isdigit()):
        raise ValueError(f"device {device!r} is not known, expected cpu, cuda or cuda:N")
    return DEVICES[name]


def lacking(device: str) -> str:
    """Return why a device cannot be used here, "" if it can. Raises ValueError for no device."""
    return kind_of(device).find_lack(device.partition(":")[2])


def here() -> list[str]:
    """The devices that this machine has."""
    return [device for device in KNOWN if not lacking(device)]


def chosen(asked: Sequence[str]) -> list[str]:
    """The devices asked for, each once, or those that this machine has.

    Raises ValueError for a name that is no device.
    """
    for device in asked:
        lacking(device)
    return list(dict.fromkeys(asked)) or here()


def describe_devices() -> dict[str, str]:
    """Describe the devices of this machine for a report, by name."""
    descriptions: dict[str, str] = {}
    for device in DEVICES.values():
        descriptions |= device.describe()
    return descriptions


def held_in(dtype: str) -> Any:
    """PyTorch's dtype for a contract's: numbers of TF32 are stored as float32."""
    import torch

    return torch.float32 if dtype == "tf32" else getattr(torch, dtype)
