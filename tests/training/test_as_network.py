"""Steps judged in the network's parameters, and sums of parameters of which only the sum is
identified.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cases.dual_formulations import Formulations
from cases.sine import ExtraBiasSine
from cases.sine_training import (
    by_hand,
    one_draw,
    random_points,
    sine_population,
    split_biases,
    update_never_zeroed,
    update_zeroed_before,
)
from cases.test_sine import BY_HAND, network, with_extra
from harness import Case, Contrast, Recipe, Status, Subject, Trained, Verdict
from harness.core.contract import Array
from harness.core.formulation import Formulation
from harness.core.report import Report
from harness.judging.cache import Cache
from harness.reporting.answers import list_answers
from harness.running.trial import run
from harness.training.as_network import describe_sums
from harness.training.trainer import Population
from reference import Crossed, numpy_net, starts
from tests.conftest import Approved

TANH, RELU = network("tanh"), network("relu")
POPULATION = sine_population(one_draw)
SGD = Recipe("sgd", 20, {"lr": 1e-3})
TWICE = {"b": 2, "b_w": 2}
S7 = with_extra(bias=True, extra=True)


def judged(trained: Trained, check: str = "step", dtype: str = "float64", **given: Any) -> Verdict:
    """The verdict on a model in training, against NumPy."""
    given = {"network": TANH, "problems": POPULATION} | given
    case = Case("as", subjects=[trained], references=[numpy_net], checks=[check], **given)
    return run(replace(case, dtypes=[dtype]).trials()[0], Cache(case, starts=3))


def in_network(factors: dict[str, float], model: Subject = S7, **how: Any) -> Trained:
    """A model under SGD, seen as the network."""
    how = {"start": split_biases} | how
    return Trained(model, SGD, "model", as_network=factors, **how)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("factors", "status"),
    [
        (TWICE, Status.PASS),
        ({}, Status.FAIL),
        ({"b": 2}, Status.FAIL),
        ({"b": 2, "b_w": 3}, Status.FAIL),
        ({"b": 2, "b_w": 2, "W1": 2}, Status.FAIL),
    ],
)
def test_two_biases_train_as_one_of_twice_the_rate(
    factors: dict[str, float], status: Status, dtype: str
) -> None:
    """And as one of no other rate; the weights as ever."""
    assert judged(in_network(factors), dtype=dtype).status is status


def test_a_difference_is_claimed_as_strictly() -> None:
    """Two biases do not train as one, and do train as one of twice the rate."""
    assert judged(in_network({}), expect="differs").status is Status.PASS
    assert judged(in_network(TWICE), expect="differs").status is Status.FAIL


class Detached(ExtraBiasSine):
    """S7 whose extra bias of the hidden layer gets no gradient."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden, extra = self.hidden, self.hidden.extra
        assert extra is not None
        z = nn.functional.linear(x, hidden.weight, hidden.bias) + extra.detach() + 0 * extra
        return self.output(torch.tanh(z))  # type: ignore[no-any-return]


def test_a_bias_that_does_not_learn_is_seen() -> None:
    """Its sum moves once as far."""
    detached = Subject(Detached, "Detached", S7.parameters)
    assert judged(in_network(TWICE, detached)).status is Status.FAIL
    assert judged(in_network({"b_w": 2}, detached)).status is Status.PASS


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_summands_far_larger_than_their_sum_are_inside(dtype: str) -> None:
    """Each is rounded by its own size."""

    def start(formulation: Formulation, count: int) -> Array:
        own, small = 1e4 * split_biases(formulation, count), starts.uniform()(formulation, count)
        for block in formulation.own.blocks:
            if block.name.endswith("weight"):
                own[:, block.places.ravel()] = small[:, block.places.ravel()]
        return own

    verdict = judged(in_network(TWICE, start=start), dtype=dtype)
    assert verdict.status is Status.PASS, verdict.why


def test_a_renamed_network_trains_as_the_network() -> None:
    """D6 by SGD and Adam, and not with a factor."""
    seed = Formulations(inputs=(2, 1), hidden=3, outputs=(1, 2), g="logistic", f="identity")

    def data(count: int) -> tuple[Array, Array]:
        rng = np.random.default_rng(1)
        x, y = rng.uniform(-1, 1, (8, 3)), rng.uniform(-1, 1, (8, 3))
        return np.tile(x, (count, 1, 1)), np.tile(y, (count, 1, 1))

    population = Population(data, quality=1.0, grid=np.zeros((1, 3)))
    model, asked = seed.same()[-1], {"network": seed.network, "problems": population}
    for recipe in (SGD, Recipe("adam", 20, {"lr": 0.01, "weight_decay": 0.1})):
        trained = Trained(model, recipe, start=starts.uniform(), as_network={})
        assert judged(trained, **asked).status is Status.PASS
    trained = Trained(model, SGD, start=starts.uniform(), as_network={"V1": 2})
    assert judged(trained, **asked).status is Status.FAIL


def test_what_cannot_be_seen_so_says_why(approved: Approved) -> None:
    """A factor for Adam or for no block, a network of which the model has no parameter, and other
    checks.
    """
    with approved.raises(ValueError):
        Trained(S7, Recipe("adam", 2), as_network=TWICE)
    approved(judged(in_network({"b1": 2})).why)
    approved(judged(by_hand_in_network(), network=RELU).why)
    approved(judged(in_network(TWICE), "gradient").why)


def by_hand_in_network() -> Trained:
    """S4, which has no biases, seen as a network with biases."""
    return Trained(BY_HAND[0], SGD, "by_hand", start=starts.normal(), as_network={})


def test_the_answer_says_that_only_the_sum_is_identified(approved: Approved) -> None:
    """And how far SGD moves it, before the example."""
    case = {"question": "A second bias: does training stay the same?", "expect": "differs"}
    verdict = judged(in_network({}), **case)
    (answer,) = list_answers(Report({}, [verdict]))[verdict.question]
    approved(answer.text, mask_figures=True)


def test_subjects_that_are_taken_otherwise_stand_behind_the_example(approved: Approved) -> None:
    """The evidence comes first; claims that hold name them together."""
    seed = Formulations(inputs=(2, 1), hidden=3, outputs=(1, 2), g="logistic", f="identity")
    contrast = Contrast("interaction", "interaction of the inputs", (1, -1, -1, 1))
    subjects = [seed.partial_concat(), seed.block_diagonal(), seed.sparse_blocks()]
    case = Case(
        "as",
        seed.network,
        subjects,
        [numpy_net],
        Crossed(seed=4),
        expect="differs",
        contrast=contrast,
        dtypes=["float64"],
    )
    cache = Cache(case)
    verdicts = [run(trial, cache) for trial in case.trials()]
    (answer,) = list_answers(Report({}, verdicts)).values()
    approved(answer[0].text, mask_figures=True)


def sums(means: Callable[[dict[str, Array]], dict[str, Any]], **how: Any) -> Formulation:
    """The formulation of S7's parameters by another meaning."""
    subject = Subject(partial(ExtraBiasSine, True, True), "Sums", means, **how)
    return subject.formulation(TANH)


def meaning(b: Callable[[Any, Any], Any], b_w: Any = lambda bias, extra: bias + extra) -> Any:
    """A meaning in which these functions make the biases."""
    return lambda p: {
        "W1": p["hidden.weight"],
        "b": b(p["hidden.bias"], p["hidden.extra"][0]),
        "W2": p["output.weight"],
        "b_w": b_w(p["output.bias"], p["output.extra"][0]),
    }


def test_sums_in_words(approved: Approved) -> None:
    """Two of the same rate, of two rates, with weight decay, under Adam, and without training."""
    both = sums(meaning(lambda bias, extra: bias + extra))
    half = sums(meaning(lambda bias, extra: bias + extra / 2))
    halves = sums(meaning(lambda b, extra: b + extra / 2, lambda b, extra: b + extra / 2))
    decaying = Recipe("sgd", 2, {"lr": 0.1, "weight_decay": 0.1})
    for formulation in (both, half, halves):
        approved(describe_sums("Sums", formulation, SGD))
    for recipe in (decaying, Recipe("adam", 2), None):
        assert describe_sums("Sums", both, recipe) == describe_sums("Sums", both)
    approved(describe_sums("Sums", both))


def test_one_sum_in_words(approved: Approved) -> None:
    """Of three."""
    layer = Subject(
        lambda x, w, a, b, c: x @ w.T + a + b + c,
        shapes={"w": (1, 1), "a": (1,), "b": (1,), "c": (1,)},
        parameters=lambda p: {"S1_w": p["w"], "b_w": p["a"] + p["b"] + p["c"]},
    )
    line = type(TANH)(1, 0, 1)
    approved(describe_sums("line", layer.formulation(line), SGD))


def test_what_is_identified_is_no_such_sum() -> None:
    """Parameters that are held at 0, and two that two different sums tell apart."""
    seed = Formulations(inputs=(2, 1), hidden=3, outputs=(1, 2), g="logistic", f="identity")
    assert all(describe_sums("D", each.formulation(seed.network)) == "" for each in seed.same())
    apart = Subject(
        lambda x, w, a: x,
        shapes={"w": (1, 1), "a": (1,)},
        parameters=lambda p: {"S1_w": p["w"] + p["a"], "b_w": p["a"] - p["w"][0]},
    )
    assert describe_sums("apart", apart.formulation(type(TANH)(1, 0, 1))) == ""


@pytest.mark.parametrize(
    ("iterate", "check"), [(update_zeroed_before, "step"), (update_never_zeroed, "gradient")]
)
def test_a_counterexample_of_training_says_what_it_is(
    iterate: Callable[..., None], check: str, approved: Approved
) -> None:
    """How far a step goes, or that it is the gradient."""
    population = sine_population(random_points)
    trained = by_hand("by_hand", iterate)
    verdict = judged(trained, check, network=RELU, problems=population, expect="differs")
    assert verdict.status is Status.PASS, verdict.why
    approved(verdict.why, mask_figures=True)
