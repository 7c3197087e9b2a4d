"""Which own parameter is which block: said, told by names and shapes, or tried; never guessed into
a pass.
"""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from harness import Case, Layout, Status, Subject
from harness.judging.cache import Cache
from harness.pytorch.parameters import Unclear, map_blocks, meaning
from harness.pytorch.trying import TRIED, candidate_mappings
from harness.running.trial import run
from reference import Network, numpy_net, probes
from tests.conftest import Approved

SINE = Network(1, 4, 1, "tanh")
OWN = {"hidden.weight": (4, 1), "hidden.bias": (4,), "output.weight": (1, 4), "output.bias": (1,)}


class SineNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(1, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(torch.tanh(self.hidden(x)))


def status(subject: Any, network: Network = SINE, check: str = "forward") -> tuple[Status, str]:
    """What comes of a check of it, and what is said."""
    case = Case(
        "mapped",
        network,
        [subject],
        [numpy_net],
        probes(seed=0, draws=6),
        checks=[check],
        dtypes=["float64"],
    )
    verdict = run(case.trials()[0], Cache(case))
    return verdict.status, verdict.why


WORDS: dict[str, dict[str, Any]] = {
    "name": {"W1": "hiden.weight"},
    "bracket": {"W1": "hidden.weight[", "b": "hidden.bias"},
    "index": {"b": "hidden.bias[9]"},
    "shape": {"W1": "output.weight"},
    "joined": {"b": ["hidden.bias", "output.bias"]},
    "block": {"W9": "hidden.weight"},
    "function": {"W1": lambda p: p["hidden.weight"]},
    "constant": {"W1": 0},
}


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_words_that_do_not_fit_are_answered_in_a_sentence(
    words: dict[str, Any], approved: Approved
) -> None:
    """What was found, what was expected; and the parameters that there are."""
    found, why = status(Subject(SineNet, parameters=words))
    assert found is Status.BROKEN
    approved(why)


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"W1": "hidden.weight"},
        {"W1": "hidden.weight[:, 0:1]", "b": "hidden.bias[:]"},
        {
            "W2": "output.weight",
            "b_w": lambda p: p["output.bias"],
            "W1": "hidden.weight",
            "b": "hidden.bias",
        },
        {
            "W1": lambda p: p["hidden.weight"] * 1.0,
            "b": ["hidden.bias"],
            "W2": "output.weight",
            "b_w": "output.bias",
        },
    ],
)
def test_words_that_say_the_same_pass(words: dict[str, Any]) -> None:
    """Some blocks, all of them, parts that are the whole, functions."""
    assert status(Subject(SineNet, parameters=words))[0] is Status.PASS


def test_a_wrong_meaning_is_no_pass(approved: Approved) -> None:
    """Words that fit by shape are judged like any claim, and the ones that are right are
    offered.
    """
    square = Network(3, 3, 3, "tanh")

    class Square(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.c = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.c(torch.tanh(self.a(x)))

    wrong = {"W1": "c.weight", "b": "c.bias", "W2": "a.weight", "b_w": "a.bias"}
    assert status(Subject(Square, parameters=wrong), square)[0] is Status.FAIL
    found, why = status(
        Subject(Square, parameters={"W1": "a.weight", "W2": "c.weight.T", "b": "a.bias"}), square
    )
    assert found is Status.FAIL
    approved(why, mask_figures=True)


def test_the_weight_of_a_layer_b_is_not_the_bias_b() -> None:
    """Layers are called `a` and `b`, and so is the block of the hidden biases; with a bias of its
    own beside it, `b.weight` is no bias.
    """

    class Short(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(1, 4), nn.Linear(4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(torch.tanh(self.a(x)))

    assert status(Subject(Short))[0] is Status.PASS


def test_a_bias_left_out_fails_until_it_is_said(approved: Approved) -> None:
    """It is judged as one that the model ignores; said to be 0, what is left is the network."""

    def build() -> nn.Module:
        return nn.Sequential(nn.Linear(1, 4, bias=False), nn.Tanh(), nn.Linear(4, 1))

    found, why = status(Subject(build, "NoBias"))
    assert found is Status.FAIL
    approved(why, mask_figures=True)
    assert status(Subject(build, "NoBias"), check="gradient")[0] is Status.FAIL
    assert status(Subject(build, "NoBias", parameters={"b": 0}))[0] is Status.PASS


def test_a_parameter_of_no_block_is_not_passed_over(approved: Approved) -> None:
    """One more than the network has is a doubt, never ignored."""

    class More(SineNet):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(7))

    found, why = status(More)
    assert found is Status.BROKEN
    approved(why)


def test_a_single_way_is_told_as_that(approved: Approved) -> None:
    """Two biases in one parameter, where only one cut fits."""

    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.u, self.v = nn.Parameter(torch.rand(4, 6)), nn.Parameter(torch.rand(2, 4))
            self.biases = nn.Parameter(torch.rand(6))

        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(x @ self.u.T + self.biases[2:]) @ self.v.T + self.biases[:2]

    found, why = status(Joined, Network(6, 4, 2, "tanh"))
    assert found is Status.BROKEN
    approved(why)


def test_ways_are_tried_up_to_a_number(approved: Approved) -> None:
    """Many parameters of one shape: the search ends, and says how many it tried."""
    network = Network((4, 4), 4, (4, 4), "tanh")
    own = Layout.of_shapes({f"m{i}": (4, 4) for i in range(4)} | {f"v{i}": (4,) for i in range(3)})
    with approved.raises(Unclear):
        map_blocks(own, network, {})
    assert len(candidate_mappings(own, network, {})) == TRIED


@st.composite
def models(draw: st.DrawFn) -> tuple[Network, Subject]:
    """A right model of a random network whose matrices stand in any of the ways in which people
    write them.
    """
    inputs, hidden, outputs = (draw(st.integers(1, 4)) for _ in range(3))
    turned = draw(st.booleans())
    ones = draw(st.booleans())
    names = draw(st.permutations(["u", "v", "w", "x"]))

    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            made = []
            for rows, columns in ((hidden, inputs), (outputs, hidden)):
                whole = torch.rand(rows, columns + 1)
                parts = [whole] if ones else [whole[:, 1:], whole[:, 0]]
                made += [
                    nn.Parameter((part.T if turned and part.ndim == 2 else part).clone())
                    for part in parts
                ]
            for name, parameter in zip(names, made, strict=False):
                setattr(self, name, parameter)
            self.made = [name for name, _ in zip(names, made, strict=False)]

        def layer(self, x: Tensor, *named: str) -> Tensor:
            weight, *bias = (getattr(self, name) for name in named)
            weight = weight.T if turned else weight
            return x @ weight[:, 1:].T + weight[:, 0] if ones else x @ weight.T + bias[0]

        def forward(self, x: Tensor) -> Tensor:
            first, second = self.made[: len(self.made) // 2], self.made[len(self.made) // 2 :]
            return self.layer(torch.tanh(self.layer(x, *first)), *second)

    return Network(inputs, hidden, outputs, "tanh"), Subject(Written)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(models())
def test_a_right_model_is_understood_or_its_meaning_proposed(made: tuple[Network, Subject]) -> None:
    """However its matrices stand: it passes, or what is proposed passes."""
    network, subject = made
    found, why = status(subject, network)
    if found is Status.PASS:
        return
    proposed = why.partition("parameters=")[2].partition("}")[0] + "}"
    words = eval(proposed)  # what a user would paste
    assert status(Subject(subject.build, parameters=words), network)[0] is Status.PASS, why


def test_what_a_block_may_be_in_words() -> None:
    """By name, turned, a part, joined, a constant, a function."""
    p = {"m": np.arange(6.0).reshape(2, 3), "v": np.arange(2.0), "b.T": np.arange(3.0)}
    network = Network(3, 2, 2)
    read = meaning(
        {"W1": "m", "b": ["v[0:1]", "v[1:]"], "W2": 0.5, "b_w": lambda p: p["m"][:, 1]}, network
    )(p)
    assert np.array_equal(read["W1"], p["m"])
    assert np.array_equal(read["b"], [0, 1])
    assert (read["W2"], list(np.asarray(read["b_w"]))) == (0.5, [1, 4])
    turned = meaning({"W1": "m.T", "b": "m[1]", "W2": "m[:, -1]", "b_w": "b.T"}, network)(p)
    assert [np.asarray(turned[name]).tolist() for name in ("b", "W2", "b_w")] == [
        [3, 4, 5],
        [2, 5],
        [0, 1, 2],
    ]
    assert np.array_equal(turned["W1"], p["m"].T)


@pytest.mark.parametrize(
    "change",
    [
        np.round,
        np.abs,
        np.square,
        lambda w: np.maximum(w, 0),
        lambda w: np.where(abs(w) < 0.5, 0, w),
        np.float16,
    ],
    ids=["round", "abs", "square", "maximum", "pruned", "float16"],
)
def test_a_meaning_that_is_not_affine_is_refused(change: Any, approved: Approved) -> None:
    """Wherever it stands, and whatever it leaves alone."""
    said = set()
    for block, name in (("W1", "hidden.weight"), ("b_w", "output.bias")):
        words = {block: lambda p, name=name: change(p[name])}
        rest = {
            "W1": "hidden.weight",
            "b": "hidden.bias",
            "W2": "output.weight",
            "b_w": "output.bias",
        }
        with np.errstate(over="ignore"):
            found, why = status(Subject(SineNet, parameters=rest | words))
        assert found is Status.BROKEN
        said.add(why)
    approved(said)


class Turned(nn.Module):
    """It multiplies from the left, by a square matrix of a name that tells nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(x @ self.first.weight + self.first.bias))


def test_a_difference_that_another_meaning_takes_away_is_none(approved: Approved) -> None:
    """Told by shapes alone, a model that differs by what its parameters were taken for is no
    counterexample.
    """
    network = Network(3, 3, 1, "tanh")
    case = Case(
        "differs", network, [Turned], [numpy_net], probes(seed=0, draws=6), expect="differs"
    )
    verdict = run(case.trials()[0], Cache(case))
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_no_meaning_is_offered_that_does_not_mend_it(approved: Approved) -> None:
    """A model that is wrong in the loss, or beyond a cap, is not told that its parameters mean what
    they do.
    """

    class Capped(SineNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).clamp(max=1.5)

    for subject, check in (
        (Capped, "forward"),
        (Subject(SineNet, loss=lambda o, t: 0.7 * ((o - t) ** 2).sum()), "loss"),
    ):
        found, why = status(subject, check=check)
        assert found is Status.FAIL
        assert "parameters=" not in why
        approved(why, mask_figures=True)


@pytest.mark.parametrize(
    "parameters", [["hidden.weight"], {1: 0}, 3], ids=["list", "number", "no dict"]
)
def test_what_are_no_words_is_refused(parameters: Any, approved: Approved) -> None:
    """When it is written."""
    with approved.raises(TypeError):
        Subject(SineNet, parameters=parameters)


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64])
def test_parameters_that_are_no_real_numbers_are_refused(
    dtype: torch.dtype, approved: Approved
) -> None:
    """What is cut to real numbers in silence would be another model."""

    class Odd(SineNet):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(1, dtype=dtype), requires_grad=False)

    found, why = status(Odd)
    assert found is Status.BROKEN
    approved(why)


class Reordered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.output, self.hidden = nn.Linear(4, 1), nn.Linear(1, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(torch.tanh(self.hidden(x)))


def test_a_model_with_other_parameters_is_a_reference_at_the_same_theta() -> None:
    """Its parameters are read by what they mean, not by position, and so are its gradients."""
    case = Case("two", SINE, [SineNet], [Subject(Reordered)], probes(seed=0, draws=6))
    cache = Cache(case)
    found = [run(trial, cache) for trial in case.trials() if trial.dtype == "float64"]
    assert {verdict.status for verdict in found} == {Status.PASS}


def test_a_model_whose_parameters_add_up_is_a_reference_for_its_own_only(
    approved: Approved,
) -> None:
    """Of a sum its two parts cannot be told."""

    class Summed(Reordered):
        def __init__(self) -> None:
            super().__init__()
            self.more = nn.Parameter(torch.zeros(4))

    summed = Subject(
        Summed,
        parameters={"W1": "hidden.weight", "b": lambda own: own["hidden.bias"] + own["more"]},
    )
    case = Case("two", SINE, [SineNet], [summed], probes(seed=0, draws=6))
    verdict = run(case.trials()[0], Cache(case))
    assert verdict.status is Status.BROKEN
    approved(verdict.why)
