"""Kinds of devices (CPU, CUDA): one class for each kind holds everything that is special to it.

To add a kind of device, write a class here, add it to DEVICES, and name it in the help text in
`nnet_parity/options.py`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter, process_time
from typing import Any


class Device:
    """A kind of device. This base class is the CPU; each other kind is a subclass.

    `name` is PyTorch's name for the kind, and `title` its name in sentences. `backend` is the
    module of `torch.backends` that sets the precision of float32 matrix products on such a device.
    `clock` is the kind of time by which speed is measured on it, "CPU" or "wall".
    """

    name = "cpu"
    title = "the CPU"
    backend = "mkldnn"
    clock = "CPU"

    def find_lack(self, index: str) -> str:
        """Return the reason why the device cannot be used on this machine; "" if it can.

        `index` is the text after the colon in "cuda:1"; "" if the device was named without one.
        """
        if index:
            return f"the CPU has no index, 'cpu:{index}' was asked for: write cpu"
        return ""

    def describe(self) -> dict[str, str]:
        """Return facts about the device for a report, by name."""
        return {}

    @contextmanager
    def hold_precision(self, device: str, dtype: str) -> Iterator[None]:
        """Multiply float32 matrices in full precision in this context; in TF32 if the dtype is
        tf32.
        """
        yield

    def precision_lines(self, dtype: str) -> list[str]:
        """Return the lines that make a script multiply matrices in the precision of
        `hold_precision`.
        """
        return []

    def synchronize(self, device: str) -> None:
        """Wait until the device has finished. Call this before reading a clock."""

    def read_clock(self, device: str) -> float:
        """Return the seconds of the clock that times work on the device: this process's CPU time,
        which other work on the machine does not lengthen.
        """
        return process_time()

    def has_foreach(self) -> bool:
        """Do PyTorch's optimisers update all tensors of a group at once by default on
        this device?
        """
        return False

    def is_spoiled_by(self, error: str) -> bool:
        """Does an error with this text leave the device unusable for the rest of the process?"""
        return False


class Cuda(Device):
    """An NVIDIA GPU."""

    name = "cuda"
    title = "CUDA"
    backend = "cuda"
    clock = "wall"

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
        """Set `allow_tf32` in this context, and multiply two matrices to check that the switch
        works.

        It may not work, since `fp32_precision` controls the same setting. Raises RuntimeError if
        products are rounded to TF32 although they must not be.
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

    def read_clock(self, device: str) -> float:
        """Return the time on the wall in seconds, once the device has finished: the CPU only waits
        for it.
        """
        self.synchronize(device)
        return perf_counter()

    def has_foreach(self) -> bool:
        return True

    def is_spoiled_by(self, error: str) -> bool:
        return "device-side assert" in error or "AcceleratorError" in error


DEVICES: dict[str, Device] = {device.name: device for device in (Device(), Cuda())}
KNOWN = tuple(DEVICES)


def kind_of(device: str) -> Device:
    """Return the kind of a device such as "cpu" or "cuda:1". Raises ValueError for an
    unknown name.
    """
    name, _, index = device.partition(":")
    if name not in DEVICES or (index and not index.isdigit()):
        raise ValueError(f"device {device!r} is not known, expected cpu, cuda or cuda:N")
    return DEVICES[name]


def lacking(device: str) -> str:
    """Return the reason why a device cannot be used on this machine; "" if it can.

    Raises ValueError for an unknown name.
    """
    return kind_of(device).find_lack(device.partition(":")[2])


def here() -> list[str]:
    """Return the names of the devices that this machine has."""
    return [device for device in KNOWN if not lacking(device)]


def chosen(asked: Sequence[str]) -> list[str]:
    """Return the devices of `asked` without repetitions; all devices of this machine if it is
    empty.

    Raises ValueError for an unknown name.
    """
    for device in asked:
        lacking(device)
    return list(dict.fromkeys(asked)) or here()


def describe_devices() -> dict[str, str]:
    """Return facts about this machine's devices for a report, by name."""
    descriptions: dict[str, str] = {}
    for device in DEVICES.values():
        descriptions |= device.describe()
    return descriptions


def held_in(dtype: str) -> Any:
    """Return the torch dtype that stores numbers of a dtype: float32 for "tf32", else the dtype of
    that name.
    """
    import torch

    return torch.float32 if dtype == "tf32" else getattr(torch, dtype)


def seed_torch(seed: int) -> None:
    """Seed torch's random numbers.

    Without an accelerator, only the CPU's generator is seeded: torch.manual_seed would also format
    a stack trace for each kind of accelerator.
    """
    import torch

    accelerators = getattr(torch, "accelerator", None)  # since torch 2.6
    if accelerators is None or accelerators.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)
