"""Random numbers of torch under a seed, which leave the caller's random numbers as they were."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def seeded(seed: int, devices: Sequence[Any] = ()) -> Iterator[None]:
    """Seed torch's random numbers in this context; those of the CPU and of these CUDA devices go on
    after it as if nothing had been drawn.

    Without an accelerator, only the CPU's generator is seeded: torch.manual_seed would also format
    a stack trace for each kind of accelerator, and keep it.
    """
    import torch

    accelerators = getattr(torch, "accelerator", None)  # since torch 2.6
    with torch.random.fork_rng(devices=devices):
        if accelerators is None or accelerators.is_available():
            torch.manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)
        yield
