"""Parameters that are said to stay in a range: one that leaves it is found after any step."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cases import stacks
from cases.sine_training import one_draw, sine_population
from harness import Case, Recipe, Status, Trained, Verdict
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, gradient_descent, starts
from tests.conftest import Approved

NET = Network(1, 4, 1, "tanh")
POPULATION = sine_population(one_draw)
REACH = 0.7  # not a number of float32


class Tanh(nn.Sequential):
    """A right model."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))


def clamp(model: Any, reach: float = REACH) -> None:
    """Keep every parameter between -reach and reach."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.clamp_(-reach, reach)


def clamp_often(every: int) -> Callable[[Any], None]:
    """Clamp, but leave one step of so many out."""
    calls = []

    def after(model: Any) -> None:
        calls.append(model)
        if len(calls) % every:
            clamp(model)

    return after


def judged(trained: Trained, check: str = "final", dtype: str = "float64") -> Verdict:
    """The verdict on a trainer."""
    reference: Any = gradient_descent(1e-3, 2)
    how: dict[str, Any] = {"checks": [check], "dtypes": [dtype]}
    case = Case("range", NET, [trained], [reference], POPULATION, **how)
    return run(case.trials()[0], Cache(case, starts=3))


ADAM = Recipe("adam", 40, {"lr": 0.05})
CLAMPED = Trained(Tanh, ADAM, "clamped", start=starts.uniform(), after=clamp, stays=(-REACH, REACH))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_parameters_that_are_clamped_stay(dtype: str) -> None:
    """To a bound that the dtype rounds."""
    assert judged(CLAMPED, dtype=dtype).status is Status.PASS


@pytest.mark.parametrize(
    "after",
    [None, clamp_often(7), lambda model: clamp(model, REACH * (1 + 1e-9))],
    ids=["never", "one step not", "to another bound"],
)
def test_a_parameter_that_leaves_its_range_fails(after: Any, approved: Approved) -> None:
    """Never clamped, not after every step, or to a bound that is wider by 1e-9."""
    verdict = judged(replace(CLAMPED, after=after))
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_a_range_may_be_that_of_some_tensors(approved: Approved) -> None:
    """The others may go anywhere; a tensor that the model has not is named."""
    free = replace(CLAMPED, after=None)
    assert judged(replace(free, stays={"0.weight": (-9, 9)})).status is Status.PASS
    verdict = judged(replace(free, stays={"0.weight": (-9, 9), "2.bias": (5, np.inf)}))
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)
    verdict = judged(replace(free, stays={"3.weight": (-9, 9)}))
    assert verdict.status is Status.BROKEN
    approved(verdict.why)


def test_a_stack_stays_in_its_range_too(approved: Approved) -> None:
    """Every copy of it."""
    stack = stacks.module(torch.tanh, "0", "2")
    free = replace(CLAMPED, after=None, stacked=stack)
    assert judged(replace(free, stays=(-9, 9))).status is Status.PASS
    verdict = judged(free)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_a_state_outside_is_found_where_states_are_judged(approved: Approved) -> None:
    """Its losses are right, and its range is not."""
    verdict = judged(replace(CLAMPED, after=None), "final")
    assert verdict.status is Status.FAIL
    case = Case(
        "states",
        NET,
        [replace(CLAMPED, after=None)],
        [Trained(Tanh, ADAM).subject],
        POPULATION,
        checks=["loss"],
        dtypes=["float64"],
    )
    verdict = run(case.trials()[0], Cache(case, starts=3))
    assert verdict.status is Status.BROKEN
    approved(verdict.why, mask_figures=True)


@pytest.mark.parametrize("stays", [1.0, (1, -1), {"0.weight": 3}, ("a", "b")])
def test_a_range_that_is_none_says_so(stays: Any, approved: Approved) -> None:
    """Said when it is written."""
    with approved.raises(TypeError):
        replace(CLAMPED, stays=stays)
