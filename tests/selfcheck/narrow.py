"""Models in sixteen bits, and on hardware that rounds the factors of products, judged layer by
layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness import Contract, Loss
from harness.calling.observing import observe
from harness.comparing.evidence import TOO_WIDE
from harness.core.contract import PRECISION
from harness.core.problem import QUANTITIES
from harness.judging.narrowing import narrow_problems
from reference.mistakes.catalogue import OPERATORS
from tests.selfcheck import planted
from tests.selfcheck.corpus import Case
from tests.support import used

NARROW = ("bfloat16", "float16", "tf32")
KINDS = ("exact", "few-term", "saturated", "random", "unusual")
QUICK = ("few-term", "random")  # on which mistakes are asked
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")


def fewer_bits(x: torch.Tensor, bits: int) -> torch.Tensor:
    """The nearest numbers of so many significand bits."""
    fraction, exponent = torch.frexp(x)
    return torch.ldexp((fraction * 2.0**bits).round(), exponent - bits).to(x.dtype)


class Tf32(TorchDispatchMode):
    """Products of matrices as hardware computes them that rounds their factors to 11 bits, forward
    and backward.
    """

    def __torch_dispatch__(
        self, called: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if called.overloadpacket.__name__ in PRODUCTS:
            args = (*args[:-2], *(fewer_bits(factor, PRECISION["tf32"][1]) for factor in args[-2:]))
        return called(*args, **(kwargs or {}))


@dataclass
class Narrow:
    """What came of a narrow dtype: verdicts on ports without a mistake, and on those with a
    structural one.

    `evident` are the quantities of all stacks whose bound is narrow enough somewhere to be
    evidence, of `quantities`; `seen` of `numbers` that a port keeps for a row were found among what
    it computes.
    """

    networks: int = 0
    elements: int = 0
    false: int = 0
    largest: float = 0.0
    quantities: int = 0
    evident: int = 0
    numbers: int = 0
    seen: int = 0
    tried: int = 0
    caught: int = 0

    def judge(self, case: Case, dtype: str, every: int) -> None:
        """A port without a mistake, and those with structural ones that change its outputs by more
        than 1 %.
        """
        self._right(case, dtype)
        right = _answers(case, dtype, planted.RIGHT)
        structural = [
            one
            for one in OPERATORS
            if not one.sized and one.spoils == "forward" and planted.plants(one)
        ]
        for fault in [one for one in structural if one.fits(case.network)][::every]:
            wrong = _answers(case, dtype, planted.planted(fault, case.network))
            if all(_apart(a[0], b[0]) < 0.01 for a, b in zip(right, wrong, strict=True)):
                continue
            self.tried += 1
            self.caught += any(share.max() > 1 for *_, share in wrong)

    def _right(self, case: Case, dtype: str) -> None:
        contract = Contract(dtype)
        for problem, observed in _observed(case, dtype, planted.RIGHT):
            bounds = case.network.oracle(problem, contract, observed.seen)
            alarmed = np.zeros(problem.draws, dtype=bool)
            for quantity in QUANTITIES:
                answer, bound = observed.values[quantity], bounds[quantity]
                share = used(answer, bound, contract.largest)
                alarmed |= share > 1
                self.largest = max(self.largest, float(share.max()))
                self.elements += answer.size
                sizes = [
                    abs(part).reshape(problem.draws, -1).max(axis=1)
                    for part in (bound.value, bound.error)
                ]
                self.quantities += bool(sizes[0].any())
                self.evident += bool(((sizes[0] > 0) & (sizes[1] <= TOO_WIDE * sizes[0])).any())
            self.networks += problem.draws
            self.false += int(alarmed.sum())
            assert observed.seen is not None
            seen, numbers, _ = case.network.stages(problem, contract, observed.seen)
            self.seen, self.numbers = self.seen + seen, self.numbers + numbers

    def record(self) -> dict[str, Any]:
        """As the file holds it."""
        return {**vars(self), "largest": round(self.largest, 4)}


def _observed(
    case: Case, dtype: str, mistake: planted.Mistake, kinds: Sequence[str] = KINDS
) -> list[tuple[Any, Any]]:
    """The problems of these kinds, without decay, as the dtype holds them, and what a port
    answers.
    """
    port = planted.subject(case.network, Loss(), mistake)
    asked = [
        problem
        for problem in planted.asked(case)
        if not problem.loss.has_decay and problem.kind in kinds
    ]
    live: Any = port.live(asked[0].formulation, dtype)
    with Tf32() if dtype == "tf32" else nullcontext():
        return [
            (problem, observe(live, problem, stagewise=True))
            for problem in narrow_problems(asked, Contract(dtype))
        ]


def _answers(case: Case, dtype: str, mistake: planted.Mistake) -> list[tuple[Any, Any]]:
    """The outputs of each stack, and how much of its bound each draw uses: what is no answer is
    infinitely off.
    """
    contract, found = Contract(dtype), []
    for problem, observed in _observed(case, dtype, mistake, QUICK):
        answer = observed.values.get("forward", np.full((problem.draws, 1), np.inf))
        if "forward" in observed.values:
            bound = case.network.oracle(problem, contract, observed.seen)["forward"]
            found.append((answer, used(answer, bound, contract.largest)))
        else:
            found.append((answer, answer[:, 0]))
    return found


def _apart(a: Any, b: Any) -> float:
    """How far answers are apart at most, relative to the largest of the first."""
    if a.shape != b.shape:
        return np.inf
    with np.errstate(invalid="ignore"):
        return float(np.nanmax(abs(a - b)) / max(abs(a).max(), 1e-300))


def narrow(some: Sequence[Case], every: int) -> dict[str, Narrow]:
    """Every narrow dtype on these cases, and on each the mistakes, or every other one, every third,
    ...
    """
    found = {dtype: Narrow() for dtype in NARROW}
    for case in some:
        for dtype, one in found.items():
            one.judge(case, dtype, every)
    return found
