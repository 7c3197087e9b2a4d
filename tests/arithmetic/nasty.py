"""Nasty rows of logits, and every usual way in which softmax and its relatives are computed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from harness.core.contract import Array, Bounded, Contract

WIDTHS = 2, 3, 5, 17, 300
ERRORS = 0.0, 1e-12, 1e-6, 1e-3, 0.1, 2.0
TORCH = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True, eq=False)
class Rows:
    """Logits (R, K): the implementation's own, in its dtype, and known ones with their bounds."""

    own: Array
    known: Bounded  # (1, R, K)


@lru_cache
def stacks(dtype: str, seed: int = 0, rows: int = 6) -> tuple[Rows, ...]:
    """Rows of every width and error."""
    rng, contract = np.random.default_rng(seed), Contract(dtype)
    found = []
    for width in WIDTHS:
        for error in ERRORS:
            own = np.concatenate([make(rng, rows, width) for make in KINDS])
            own = contract.rounded(np.clip(own, -contract.largest / 4, contract.largest / 4))
            part = rng.choice([-1.0, 1.0], own.shape) * rng.choice([1.0, 0.5, 0.0], own.shape)
            value = own + error * part
            reach = np.maximum(abs(own - value), error * rng.choice([1.0, 1.0, 0.0], own.shape))
            found.append(Rows(own, Bounded(value[None], reach[None])))
    return tuple(found)


def _scaled(rng: np.random.Generator, rows: int, width: int) -> Array:
    """Of all sizes, from 1e-300 to 1e5."""
    scale = 10.0 ** rng.choice([-300, -30, -3, -1, 0, 0, 1, 1, 2, 5], (rows, 1))
    return np.asarray(rng.standard_normal((rows, width)) * scale)


def _shifted(rng: np.random.Generator, rows: int, width: int) -> Array:
    """Far from 0, beside each other."""
    return np.asarray(
        rng.standard_normal((rows, width)) + rng.choice([-300, -20, 40, 1e4], (rows, 1))
    )


def _tied(rng: np.random.Generator, rows: int, width: int) -> Array:
    """Whole numbers, the largest several times, or all alike."""
    return rng.integers(-1, 2, (rows, width)) * rng.choice([0.0, 1.0, 7.0], (rows, 1))


def _saturated(rng: np.random.Generator, rows: int, width: int) -> Array:
    """One class far above all others."""
    z = rng.standard_normal((rows, width))
    z[np.arange(rows), rng.integers(width, size=rows)] += rng.uniform(5, 60, rows)
    return z


def _vanishing(rng: np.random.Generator, rows: int, width: int) -> Array:
    """One class whose probability is about the smallest number of a dtype, or below it."""
    z = rng.uniform(-1, 1, (rows, width)) * rng.choice([0.0, 1.0], (rows, 1))
    gaps = [
        9.5,
        16.5,
        17.5,
        87.0,
        88.0,
        103.0,
        104.5,
        106.0,
        708.0,
        720.0,
        740.0,
        745.0,
        746.0,
        750.0,
    ]
    z[:, 0] = -rng.choice(gaps, rows) - rng.uniform(0, 1, rows)
    return z


KINDS = _scaled, _shifted, _tied, _saturated, _vanishing

Way = Callable[[Any], Any]


def _sum(x: Any) -> Any:
    return x.sum(-1, keepdims=True)


def _largest(z: Any) -> Any:
    return z.max(-1, keepdims=True) if isinstance(z, np.ndarray) else z.amax(-1, keepdim=True)


class Library:
    """The functions of NumPy or torch that are used here."""

    def __init__(self, functions: Any) -> None:
        self.exp, self.log, self.log1p = functions.exp, functions.log, functions.log1p
        self.maximum = functions.maximum

    def shifted(self, z: Any) -> Any:
        powers = self.exp(z - _largest(z))
        return powers / _sum(powers)

    def inverse(self, z: Any) -> Any:
        powers = self.exp(z - _largest(z))
        return powers * (1 / _sum(powers))

    def unshifted(self, z: Any) -> Any:
        powers = self.exp(z)
        return powers / _sum(powers)

    def log_shifted(self, z: Any) -> Any:
        moved = z - _largest(z)
        return moved - self.log(_sum(self.exp(moved)))

    def lse(self, z: Any) -> Any:
        return _largest(z) + self.log(_sum(self.exp(z - _largest(z))))

    def lse_unshifted(self, z: Any) -> Any:
        return self.log(_sum(self.exp(z)))


NUMPY, PYTORCH = Library(np), Library(torch)


def _of_both(name: str) -> Iterator[tuple[str, Way]]:
    yield f"numpy {name}", getattr(NUMPY, name)
    yield f"torch {name}", getattr(PYTORCH, name)


def ways_of_logsumexp(safe: bool) -> dict[str, Way]:
    """Every way of logsumexp; `safe` says that exp(z) neither over- nor underflows."""
    ways = dict(_of_both("lse"))
    ways["torch logsumexp"] = lambda z: torch.logsumexp(z, -1, keepdim=True)
    if safe:
        ways.update(_of_both("lse_unshifted"))
    return ways


def ways_of_log_softmax(safe: bool) -> dict[str, Way]:
    ways = dict(_of_both("log_shifted"))
    ways["torch log_softmax"] = lambda z: F.log_softmax(z, -1)
    for name, way in ways_of_logsumexp(safe).items():
        ways[f"{name}, subtracted"] = lambda z, way=way: z - way(z)
    return ways


def ways_of_softmax(safe: bool) -> dict[str, Way]:
    ways = {**dict(_of_both("shifted")), **dict(_of_both("inverse"))}
    ways["torch softmax"] = lambda z: F.softmax(z, -1)
    if safe:
        ways.update(_of_both("unshifted"))
    for name, way in ways_of_log_softmax(safe).items():
        functions = np if name.startswith("numpy") else torch
        ways[f"{name}, exp"] = lambda z, way=way, functions=functions: functions.exp(way(z))
    return ways


def ways_of_softplus(safe: bool) -> dict[str, Way]:
    """Every way of log(1 + exp(z)).

    Torch's softplus is z beyond a threshold, by default 20: then it is off by 2e-9, which float64
    shows.
    """
    ways: dict[str, Way] = {
        "torch softplus": lambda z: F.softplus(z, threshold=40 if z.dtype == torch.float64 else 20),
        "torch -logsigmoid": lambda z: -F.logsigmoid(-z),
        "torch bce": lambda z: F.binary_cross_entropy_with_logits(
            z, torch.zeros_like(z), reduction="none"
        ),
    }
    for name, f in (("numpy", NUMPY), ("torch", PYTORCH)):
        zero = np.zeros_like if name == "numpy" else torch.zeros_like
        ways[f"{name} log1p"] = lambda z, f=f, zero=zero: (
            f.maximum(z, zero(z)) + f.log1p(f.exp(-abs(z)))
        )
        if safe:
            ways[f"{name} log(1 + exp)"] = lambda z, f=f: f.log(1 + f.exp(z))
            ways[f"{name} log1p(exp)"] = lambda z, f=f: f.log1p(f.exp(z))
    return ways


def answers(ways: dict[str, Way], z: Array, dtype: str) -> Iterator[tuple[str, Array]]:
    """What each of the ways returns for numbers that the dtype holds."""
    in_torch = torch.from_numpy(np.array(z)).to(TORCH[dtype])
    for name, way in ways.items():
        if name.startswith("torch"):
            yield name, way(in_torch).to(torch.float64).numpy()
        elif dtype != "bfloat16":
            yield name, np.asarray(way(z.astype(dtype)), dtype=np.float64)
