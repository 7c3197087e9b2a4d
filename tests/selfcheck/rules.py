"""Audits the rules of rounding: torch's kernels on nasty numbers against their bounds.

usage: python -m tests.selfcheck.rules [--calls N] [--seed S] [--only NAME] [--dtype DTYPE]

Each call of an operation is made in a dtype, and repeated in float64 from the same numbers. The
difference is within the bound of the rule, or the call is outside. Prints for each operation and
dtype how many numbers were compared, how many were outside, and the share of the bound used: the
median over calls of the largest, and the largest of all.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch
from torch import Tensor

from harness.kernels import all as _rules  # noqa: F401
from harness.rules.precision import precision_of
from harness.rules.registry import REPEATED, Call, Error, bind, bound_errors, make_sound
from harness.rules.schemas import HIDDEN_WRITES
from tests.selfcheck import rule_kernel_calls as _kernels  # noqa: F401
from tests.selfcheck import rule_loss_calls as _losses  # noqa: F401
from tests.selfcheck import rule_sum_calls as _sums  # noqa: F401
from tests.selfcheck.rule_calls import MAKERS
from tests.selfcheck.rule_draws import Draws
from tests.support import HELD

LACKING = ("not implemented for", "only support", "Mixed", "Could not run")


@dataclass
class Audit:
    """What was found of one operation in one dtype."""

    compared: int = 0
    outside: int = 0
    calls: int = 0
    endless: int = 0  # numbers whose bound is infinite
    shares: list[float] = field(default_factory=list)
    worst: str = ""


def widen(given: Any) -> Any:
    """Return arguments in float64."""
    if isinstance(given, Tensor):
        return given.double().clone() if given.is_floating_point() else given.clone()
    if isinstance(given, torch.dtype) and given.is_floating_point:
        return torch.float64
    return given


@dataclass
class Answer:
    """A call's results: of the kernel, in float64, and how far they may be apart."""

    call: Call
    found: Sequence[Any]
    errors: Sequence[Error]


def try_call(make: Any, draws: Draws) -> Answer | None:
    """Make a call; None if torch has no kernel for it."""
    try:
        return answer(*make(draws))
    except (NotImplementedError, RuntimeError) as error:
        if any(each in str(error) for each in LACKING):
            return None
        raise


def answer(operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Answer:
    """Make a call and its repetition."""
    wide = [widen(each) for each in args]
    more = {name: widen(value) for name, value in kwargs.items()}
    kept = [_keep(each) for each in args]
    found = operation(*kept, **kwargs)
    listed = list(found) if isinstance(found, tuple | list) else [found]
    name = operation._schema.name
    written = bind(operation, kept, kwargs)
    listed += [written[each] for each in HIDDEN_WRITES.get(name, ())]
    exact = REPEATED.get(name, operation)(*wide, **more)
    results = list(exact) if isinstance(exact, tuple | list) else [exact]
    call = Call(name, bind(operation, wide, more), results)
    dtypes = [str(each.dtype) for each in listed if each is not None and each.is_floating_point()]
    errors = bound_errors(call, precision_of(dtypes[0].removeprefix("torch.")))
    assert errors is not None, f"{name} has no rule"
    return Answer(call, listed, [None if each is None else make_sound(each) for each in errors])


def _keep(given: Any) -> Any:
    """Return an argument that a kernel may write to."""
    if isinstance(given, Tensor):
        return given.clone(memory_format=torch.preserve_format)
    return given


def compare(audit: Audit, made: Answer, what: str) -> None:
    """Add the results of a call to an audit."""
    audit.calls += 1
    largest = 0.0
    for found, exact, error in zip(made.found, made.call.results, made.errors, strict=False):
        if found is None or exact is None or not found.is_floating_point() or not found.numel():
            continue
        assert found.shape == exact.shape, f"{what}: {found.shape}, not {exact.shape}"
        shares, endless = measure(found, exact, error)
        audit.compared += shares.numel()
        audit.outside += int((shares > 1).sum())
        audit.endless += endless
        if float(shares.max()) > max(largest, 1.0) and float(shares.max()) > max(
            audit.shares, default=0.0
        ):
            place = int(shares.argmax())
            numbers = [each.reshape(-1)[place].item() for each in (found, exact)]
            audit.worst = f"{what}: {numbers[0]!r}, not {numbers[1]!r}"
        largest = max(largest, float(shares.max()))
    audit.shares.append(largest)


def measure(found: Tensor, exact: Tensor, error: Error) -> tuple[Tensor, int]:
    """Return the share of its bound that each number uses, and how many bounds are infinite."""
    apart = abs(found.double() - exact)
    right = (found.double() == exact) | (found.isnan() & exact.isnan()) | exact.isnan()
    if error is None:
        return torch.where(right, 0.0, torch.inf), 0
    assert error.shape == exact.shape, f"a bound of {error.shape} for {exact.shape}"
    assert not bool((error < 0).any()), "a bound is negative"
    endless = error.isinf()
    shares = torch.where(right | endless, 0.0, apart / error)
    return shares.nan_to_num(nan=torch.inf), int((endless & exact.isfinite()).sum())


def audit_rules(
    calls: int, seed: int, only: str, dtypes: Sequence[str]
) -> Iterator[tuple[str, str, Audit]]:
    """Yield the audit of each operation in each dtype."""
    for name, make in MAKERS.items():
        if only not in name:
            continue
        for dtype in dtypes:
            audit = Audit()
            for number in range(calls):
                made = try_call(make, Draws(seed + number, getattr(torch, dtype)))
                if made is None:
                    break
                what = f"seed {seed + number}"
                compare(audit, made, what)
            yield name, dtype, audit


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.selfcheck.rules")
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--dtype", choices=HELD)
    given = parser.parse_args(argv)
    dtypes = [given.dtype] if given.dtype else list(HELD)
    outside: dict[str, int] = defaultdict(int)
    for name, dtype, audit in audit_rules(given.calls, given.seed, given.only, dtypes):
        if not audit.calls:
            continue
        shares = [share for share in audit.shares if share > 0] or [0.0]
        print(
            f"{name:40} {dtype:9} {audit.compared:8,} numbers {audit.outside:6,} outside"
            f" {audit.endless:6,} endless {median(shares):8.2g} {max(shares):8.2g} {audit.worst}"
        )
        outside[dtype] += audit.outside
    print(dict(outside))
    return int(sum(outside.values()) > 0)


if __name__ == "__main__":
    sys.exit(main())
