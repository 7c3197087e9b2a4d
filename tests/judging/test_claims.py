"""Claimed differences: wrong models, wrong references and other meanings are no counterexamples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import Case, Computed, Contrast, Status, Subject, Verdict
from harness.core.report import Report, default_question
from harness.judging.cache import Cache
from harness.reporting.answers import list_answers
from harness.running.trial import run
from reference import Crossed, Network, NumpyNet, numpy_net, probes
from tests.conftest import Approved

DUAL = Network((3, 2), 4, (2, 2), "tanh")
SEEN = np.repeat(np.eye(2), 4, axis=0) @ np.repeat(np.eye(2), (3, 2), axis=1)
APART = Network((3, 2), 8, (2, 2), "tanh", to_hidden=SEEN)
INTERACTION = Contrast("interaction", "interaction of the inputs", (1, -1, -1, 1))


class Dual(nn.Module):
    """The two-headed network itself, its parameters named as the blocks."""

    def __init__(self) -> None:
        super().__init__()
        for block in DUAL.layout.blocks:
            self.register_parameter(block.name, nn.Parameter(torch.zeros(block.places.shape)))

    def hidden(self, x1: Tensor, x2: Tensor) -> Tensor:
        return torch.tanh(x1 @ self.W1.T + x2 @ self.V1.T + self.b)

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        h = self.hidden(x1, x2)
        return h @ self.W2.T + self.b_w, h @ self.V2.T + self.b_v


class SideBySide(Dual):
    """[W2 V2] on [h; h]: a real difference."""

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        both = self.hidden(x1, x2) @ (self.W2 + self.V2).T
        return both + self.b_w, both + self.b_v


class SharedBias(Dual):
    """One bias for all hidden units: a real difference, which vanishes where all are equal."""

    def hidden(self, x1: Tensor, x2: Tensor) -> Tensor:
        return torch.tanh(x1 @ self.W1.T + x2 @ self.V1.T + self.b[:1])


class HeadsExchanged(Dual):
    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        h = self.hidden(x1, x2)
        return h @ self.V2.T + self.b_v, h @ self.W2.T + self.b_w


class UnitsShuffled(Dual):
    """W2 reads the hidden units in another order."""

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        h = self.hidden(x1, x2)
        return h[:, [2, 0, 3, 1]] @ self.W2.T + self.b_w, h @ self.V2.T + self.b_v


class BiasesShuffled(Dual):
    def hidden(self, x1: Tensor, x2: Tensor) -> Tensor:
        return torch.tanh(x1 @ self.W1.T + x2 @ self.V1.T + self.b[[3, 0, 1, 2]])


class ColumnOrder(Dual):
    """W1 filled column by column, as R does."""

    def hidden(self, x1: Tensor, x2: Tensor) -> Tensor:
        return torch.tanh(x1 @ self.W1.reshape(3, 4) + x2 @ self.V1.T + self.b)


class BiasSubtracted(Dual):
    def hidden(self, x1: Tensor, x2: Tensor) -> Tensor:
        return torch.tanh(x1 @ self.W1.T + x2 @ self.V1.T - self.b)


class Constant(Dual):
    """The hidden layer is multiplied by 0."""

    def hidden(self, x1: Tensor, x2: Tensor) -> Tensor:
        return 0 * super().hidden(x1, x2)


class OneHeadConstant(Dual):
    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        o1, o2 = super().forward(x1, x2)
        return o1, 0 * o2 + self.b_v


class Zero(Dual):
    """Its outputs are buffers that were never filled."""

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        o1, o2 = super().forward(x1, x2)
        return torch.zeros_like(o1), torch.zeros_like(o2)


class Parameterless(Dual):
    """It ignores its parameters."""

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        return x1[:, :2] + 0 * self.b_w, x2 + 0 * self.b_w


class NotANumber(Dual):
    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        o1, o2 = super().forward(x1, x2)
        return o1 + 1, o2 * float("nan")


MEANT_OTHERWISE = [UnitsShuffled, BiasesShuffled, ColumnOrder, BiasSubtracted]
ACCIDENTS = [Constant, OneHeadConstant, Zero, Parameterless, NotANumber]
BY_NAME = {block.name: block.name for block in DUAL.layout.blocks}


def claim(
    subject: Any, reference: Any = numpy_net, contrast: Contrast | None = None, network: Any = DUAL
) -> Verdict:
    """The verdict on a claimed difference, or on a contrast."""
    problems = Crossed(seed=0) if contrast else probes(seed=0, draws=5)
    case = Case(
        "claimed",
        network,
        [subject],
        [reference],
        problems,
        expect="differs",
        contrast=contrast,
        dtypes=["float64"],
    )
    return run(case.trials()[0], Cache(case))


def as_it_is(p: dict[str, Any]) -> dict[str, Any]:
    return p


@pytest.mark.parametrize("words", [None, BY_NAME, as_it_is], ids=["none", "dict", "function"])
def test_exchanged_heads_are_no_difference(words: Any, approved: Approved) -> None:
    """Heads taken for each other fail, however the assumed meaning was written."""
    verdict = claim(Subject(HeadsExchanged, parameters=words))
    assert verdict.status is Status.FAIL
    approved(verdict.why)


@pytest.mark.parametrize("model", MEANT_OTHERWISE)
def test_a_difference_of_meaning_is_none(model: Any, approved: Approved) -> None:
    """Parameters in another order, or negated, fail."""
    verdict = claim(model)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


@pytest.mark.parametrize("model", ACCIDENTS)
def test_an_accident_is_no_counterexample(model: Any, approved: Approved) -> None:
    """Outputs that never change with inputs or parameters fail, and so do those that are NaN."""
    verdict = claim(model)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


@pytest.mark.parametrize("model", [SideBySide, SharedBias])
def test_a_real_difference_says_what_was_asked(model: Any, approved: Approved) -> None:
    """It passes, and says whether it could come from the order of parameters."""
    verdict = claim(model)
    assert verdict.status is Status.PASS
    approved(verdict.why, mask_figures=True)


def test_another_order_is_not_tried_where_parameters_are_summed(approved: Approved) -> None:
    """Two biases that add up cannot be exchanged, and the pass says that no order was tried."""

    class TwoBiases(SharedBias):
        def __init__(self) -> None:
            super().__init__()
            self.extra = nn.Parameter(torch.zeros(4))

        def hidden(self, x1: Tensor, x2: Tensor) -> Tensor:
            return torch.tanh(x1 @ self.W1.T + x2 @ self.V1.T + (self.b + self.extra)[:1])

    def means(p: dict[str, Any]) -> dict[str, Any]:
        return {**{name: p[name] for name in BY_NAME}, "b": p["b"] + p["extra"]}

    verdict = claim(Subject(TwoBiases, parameters=means))
    assert verdict.status is Status.PASS
    approved(verdict.why, mask_figures=True)


def wrong_numbers(p: dict[str, Any], x1: Any, x2: Any) -> Any:
    """The network with its second head one too large."""
    h = np.tanh(x1 @ p["W1"].T + x2 @ p["V1"].T + p["b"])
    return h @ p["W2"].T + p["b_w"], h @ p["V2"].T + p["b_v"] + 1


def interacting(p: dict[str, Any], x1: Any, x2: Any) -> Any:
    """Outputs with an interaction that no equation has."""
    both = x1[:, :2] * x2
    return x1 @ p["W1"][:2].T + both, x1 @ p["W1"][2:].T + both


def test_a_difference_that_comes_from_the_reference_fails(approved: Approved) -> None:
    """A reference outside its own bounds is named, with its worst number."""
    verdict = claim(Dual, Computed(wrong_numbers, "mine", dtype="float64"))
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_an_undeclared_clip_is_a_difference(approved: Approved) -> None:
    """A reference that leaves its clip undeclared on purpose differs; the pass names the clip."""
    network = Network(1, 4, 1, "logistic")

    class Sine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.output = nn.Linear(1, 4), nn.Linear(4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.output(torch.sigmoid(self.hidden(x)))

    hiding = NumpyNet(logistic_clip=15.0, declare_clip=False)
    case = Case(
        "clip",
        network,
        [Sine],
        [hiding],
        probes(seed=0, kinds=["saturated"]),
        expect="differs",
        dtypes=["float64"],
    )
    verdict = run(case.trials()[0], Cache(case))
    assert verdict.status is Status.PASS
    approved(verdict.why, mask_figures=True)


def test_a_model_of_its_own_network_must_be_it(approved: Approved) -> None:
    """A model that is not the larger network that it is said to be differs from nothing."""
    verdict = claim(Subject(SideBySide, network=Network((3, 2), 4, (2, 2), "tanh")))
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


# Contrasts


def apart(x1: Tensor, x2: Tensor, **p: Tensor) -> tuple[Tensor, Tensor]:
    """A network of twice the hidden units, each of which sees one group of inputs."""
    z = torch.cat([x1 @ p["w"].T, x2 @ p["v"].T], dim=1) + p["b"]
    h = torch.tanh(z)
    return h @ p["w2"].T + p["bw"], h @ p["v2"].T + p["bv"]


def apart_constant(x1: Tensor, x2: Tensor, **p: Tensor) -> tuple[Tensor, Tensor]:
    return apart(0 * x1, 0 * x2, **p)


def apart_nan(x1: Tensor, x2: Tensor, **p: Tensor) -> tuple[Tensor, Tensor]:
    o1, o2 = apart(x1, x2, **p)
    return o1 * float("nan"), o2


def apart_without_second(x1: Tensor, x2: Tensor, **p: Tensor) -> tuple[Tensor, Tensor]:
    return apart(x1, 0 * x2, **p)


def apart_linear(x1: Tensor, x2: Tensor, **p: Tensor) -> tuple[Tensor, Tensor]:
    """The activation is left out, so nothing interacts."""
    h = torch.cat([x1 @ p["w"].T, x2 @ p["v"].T], dim=1) + p["b"]
    return h @ p["w2"].T + p["bw"], h @ p["v2"].T + p["bv"]


SHAPES = {"w": (4, 3), "v": (4, 2), "b": (8,), "w2": (2, 8), "bw": (2,), "v2": (2, 8), "bv": (2,)}


def means_apart(p: dict[str, Any]) -> dict[str, Any]:
    W1 = np.concatenate([p["w"], np.zeros((4, 3))])
    V1 = np.concatenate([np.zeros((4, 2)), p["v"]])
    return {"W1": W1, "V1": V1, "b": p["b"], "W2": p["w2"], "b_w": p["bw"], "V2": p["v2"]} | {
        "b_v": p["bv"]
    }


def of_apart(model: Any, network: Any = APART, means: Any = means_apart) -> Subject:
    return Subject(model, shapes=SHAPES, parameters=means, network=network)


def test_a_contrast_of_a_right_model_passes() -> None:
    """The model is its own network, uses both inputs, and has no interaction."""
    assert claim(of_apart(apart), contrast=INTERACTION).status is Status.PASS


@pytest.mark.parametrize("model", [apart_constant, apart_nan, apart_without_second, apart_linear])
def test_a_contrast_of_a_wrong_model_fails(model: Any, approved: Approved) -> None:
    """A model that is not the network that it is said to be shows nothing about its family."""
    verdict = claim(of_apart(model), contrast=INTERACTION)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_a_contrast_of_an_unused_input_fails(approved: Approved) -> None:
    """A model whose declared meaning leaves an input out has no interaction for nothing."""

    def first(x1: Tensor, x2: Tensor, **p: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(x1 @ p["W1"].T + p["b"])
        return h @ p["W2"].T + p["b_w"], h @ p["V2"].T + p["b_v"]

    shapes = {block.name: block.places.shape for block in DUAL.layout.blocks if block.name != "V1"}
    verdict = claim(Subject(first, shapes=shapes, parameters={"V1": 0}), contrast=INTERACTION)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_a_contrast_of_a_wrong_reference_fails(approved: Approved) -> None:
    """The network's contrast must come from its equations."""
    verdict = claim(of_apart(apart), Computed(interacting, "mine", dtype="float64"), INTERACTION)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_a_contrast_needs_the_widths_of_the_case(approved: Approved) -> None:
    """A subject's own network has the inputs and outputs of the case's network."""
    wider = Network((3, 2), 4, (2, 3), "tanh")
    verdict = claim(of_apart(apart), contrast=INTERACTION, network=wider)
    assert verdict.status is Status.BROKEN
    approved(verdict.why)


def test_a_contrast_is_seen_in_most_draws(approved: Approved) -> None:
    """Data on which the network's contrast is nearly always 0 are refused."""

    def rarely(formulation: Any) -> list[Any]:
        (problem,) = Crossed(seed=0)(formulation)
        inputs = problem.inputs.copy()
        inputs[3:, :, 3:] = inputs[3:, :1, 3:]
        return [replace(problem, inputs=inputs)]

    def first_only(x1: Tensor, x2: Tensor, **p: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(x1 @ p["W1"].T + p["b"])
        return h @ p["W2"].T + p["b_w"], h @ p["V2"].T + p["b_v"]

    shapes = {block.name: block.places.shape for block in DUAL.layout.blocks if block.name != "V1"}
    case = Case(
        "rarely",
        DUAL,
        [Subject(first_only, shapes=shapes, parameters={"V1": 0})],
        [numpy_net],
        rarely,
        expect="differs",
        contrast=Contrast("change", "change with the second inputs", (1, 0, -1, 0)),
        dtypes=["float64"],
    )
    verdict = run(case.trials()[0], Cache(case))
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


# As which network a subject was judged


def equal(subject: Subject, network: Network, check: str = "forward") -> Verdict:
    """The verdict on a subject that is claimed to compute the network."""
    case = Case("equal", network, [subject], [numpy_net], probes(seed=0, draws=5), checks=[check])
    return run(case.trials()[0], Cache(case))


class Shared(nn.Module):
    """One layer gives both heads."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(self.hidden(x))
        return self.out(h), self.out(h)


class Siamese(nn.Module):
    """One weight matrix for both inputs, and no bias."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.out = nn.Linear(3, 3, bias=False), nn.Linear(3, 2)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return self.out(torch.tanh(self.left(x1) + self.left(x2)))


class WithoutBias(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(3, 3, bias=False), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.hidden(x)))


TIED = {"W2": "out.weight", "V2": "out.weight", "b_w": "out.bias", "b_v": "out.bias"}


def means_shared_bias(p: dict[str, Any]) -> dict[str, Any]:
    return {"W1": p["left.weight"], "V1": p["left.weight"], "b": 0} | {
        "W2": p["out.weight"],
        "b_w": p["out.bias"],
    }


def as_taken() -> dict[str, tuple[Subject, Network]]:
    """Right subjects that are less, or more, than the network of the case."""
    held = {"W1": np.eye(4, 3), "b": np.ones(4)}
    return {
        "tied": (Subject(Shared, parameters=TIED), Network(3, 4, (2, 2))),
        "tied and constant": (
            Subject(Siamese, parameters=means_shared_bias),
            Network((3, 3), 3, 2),
        ),
        "constant in part": (
            Subject(
                lambda x1, x2, **p: apart(x1, x2, **p),
                "apart",
                parameters=means_apart,
                shapes=SHAPES,
            ),
            Network((3, 2), 8, (2, 2)),
        ),
        "of its own": (of_apart(apart), DUAL),
        "of its own, as wide": (Subject(Dual, network=Network((3, 2), 4, (2, 2))), DUAL),
        "held": (Subject(Dual, held=held), DUAL),
        "whole": (Subject(Dual), DUAL),
    }


@pytest.mark.parametrize("name", as_taken())
def test_a_pass_says_as_what_a_subject_was_taken(name: str, approved: Approved) -> None:
    """A network of its own, ties, constants and held parameters are named in pass and answer."""
    verdict = equal(*as_taken()[name])
    assert verdict.status is Status.PASS
    assert bool(verdict.taken_as) is (name != "whole")
    (answer,) = list_answers(Report({}, [verdict]))[default_question([verdict])]
    approved([verdict.why, answer.text], mask_figures=True)


def test_a_counterexample_names_the_network_of_a_subject(approved: Approved) -> None:
    """The answer says as which network of its own a subject was judged."""
    verdict = claim(of_apart(apart), contrast=INTERACTION)
    (answer,) = list_answers(Report({}, [verdict]))[default_question([verdict])]
    approved([verdict.why, answer.text], mask_figures=True)


@pytest.mark.parametrize(
    ("model", "network"),
    [
        (Shared, Network(3, 4, (2, 2))),
        (Siamese, Network((3, 3), 3, 2)),
        (WithoutBias, Network(3, 3, 3)),
    ],
)
def test_a_doubtful_meaning_is_offered_as_a_mistake(
    model: Any, network: Network, approved: Approved
) -> None:
    """A layer that is called twice, or a missing bias, is likely a mistake, and said to be one."""
    with approved.raises(ValueError):
        Subject(model).formulation(network)
