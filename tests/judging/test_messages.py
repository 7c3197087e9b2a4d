"""Bad input ends in a sentence: what was found, what was expected, and what to do."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness import Case, Contract, Contrast, Layout, Loss, Problem, Status, Subject
from harness.core.formulation import Formulation
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, NumpyNet, OnData, numpy_net, probes
from tests.conftest import Approved, Mine, at_collection

SINE = Network(inputs=1, hidden=4, outputs=1, activation="logistic")


class SineNet(nn.Module):
    """A right model."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(1, 4)
        self.output = nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As the network."""
        result: torch.Tensor = self.output(torch.sigmoid(self.hidden(x)))
        return result


def case(**given: Any) -> Case:
    """A right case, but for what is given."""
    right = {
        "network": SINE,
        "subjects": [SineNet],
        "references": [numpy_net],
        "problems": probes(seed=0, draws=2),
    }
    return Case("sine", **{**right, **given})


def broken(**given: Any) -> str:
    """What is said of the first trial of a case, which must be BROKEN, after its heading."""
    asked = case(**given)
    verdict = run(asked.trials()[0], Cache(asked))
    assert verdict.status is Status.BROKEN
    heading, _, sentence = verdict.why.partition("\n")
    assert heading.startswith("sine: ")
    return sentence


def means(**blocks: Any) -> Subject:
    """SineNet with a meaning that is right but for these blocks; None leaves one out."""

    def meaning(p: dict[str, Any]) -> dict[str, Any]:
        right = zip(("W1", "b", "W2", "b_w"), p.values(), strict=True)
        found = {**dict(right), **{name: block(p) for name, block in blocks.items() if block}}
        return {name: block for name, block in found.items() if blocks.get(name, block) is not None}

    return Subject(SineNet, parameters=meaning)


class SilentNet(SineNet):
    """It raises, and does not say why."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Not as the network."""
        raise AssertionError


class Sized(SineNet):
    """Its constructor takes an argument."""

    def __init__(self, width: int) -> None:
        super().__init__()


def function(x: Any) -> Any:
    """No module."""
    return x


def raising(error: Exception) -> Callable[..., Any]:
    """Something of a user's that raises."""

    def raise_it(*_: Any) -> Any:
        raise error

    return raise_it


def other_every_time() -> Callable[[], nn.Module]:
    """A factory whose second module has other parameters."""
    built: list[nn.Module] = []

    def build() -> nn.Module:
        built.append(SineNet())
        if len(built) > 1:
            built[-1].hidden = nn.Linear(1, 1)
        return built[-1]

    return build


def problem(own: Any = None, inputs: Any = None, targets: Any = None) -> Problem:
    """A right problem of two draws and three rows, but for what is given."""
    right = (np.ones((2, 13)), np.ones((2, 3, 1)), np.ones((2, 3, 1)))
    arrays = [
        there if given is None else given
        for given, there in zip((own, inputs, targets), right, strict=True)
    ]
    return Problem("mine", Formulation.identity(SINE), *arrays)


def halved() -> Formulation:
    """The network's parameters, of which the hidden weights are half of the own ones."""
    return Formulation.from_meaning(SINE.layout, SINE, lambda p: {**p, "W1": p["W1"] / 2})


def with_one(value: float, *shape: int) -> np.ndarray:
    """Ones and one other number."""
    array = np.ones(shape)
    array.ravel()[-1] = value
    return array


DATA: dict[str, Callable[[], Any]] = {
    "theta-narrow": lambda: problem(own=np.ones((2, 12))),
    "theta-flat": lambda: problem(own=np.ones(13)),
    "theta-number": lambda: problem(own=np.float64(1)),
    "theta-of-no-draws": lambda: problem(np.ones((0, 13)), np.ones((0, 3, 1)), np.ones((0, 3, 1))),
    "inputs-wide": lambda: problem(inputs=np.ones((2, 3, 2))),
    "inputs-flat": lambda: problem(inputs=np.ones((3, 1))),
    "targets-flat": lambda: problem(targets=np.ones((2, 3))),
    "targets-of-fewer-rows": lambda: problem(targets=np.ones((2, 1, 1))),
    "theta-nan": lambda: problem(own=with_one(np.nan, 2, 13)),
    "inputs-nan": lambda: problem(inputs=with_one(np.nan, 2, 3, 1)),
    "targets-infinite": lambda: problem(targets=with_one(-np.inf, 2, 3, 1)),
    "decay-of-other-parameters": lambda: Problem(
        "mine", halved(), np.ones((1, 13)), *[np.ones((1, 3, 1))] * 2, Loss(decay=0.1)
    ),
    "data-flat": lambda: OnData([1.0], [[2.0]])(Formulation.identity(SINE)),
    "data-of-another-width": lambda: OnData([[1.0, 2.0]], [[2.0]])(Formulation.identity(SINE)),
    "data-nan": lambda: OnData([[1.0], [np.nan]], [[1.0], [2.0]])(Formulation.identity(SINE)),
    "reduction": lambda: Loss("max"),
    "contract-dtype": lambda: Contract("float8"),
    "kind": lambda: probes(kinds=["edge"]),
    "kinds-no-list": lambda: probes(kinds="exact"),
    "no-draws": lambda: probes(draws=0),
    "negative-rows": lambda: probes(rows=-1),
    "activation": lambda: Network(1, 4, 1, "sigmoid"),
    "output-activation": lambda: Network(1, 4, 1, output="linear"),
    "no-inputs": lambda: Network(0, 4, 1),
    "inputs-empty": lambda: Network((), 4, 1),
    "inputs-fraction": lambda: Network(1.5, 4, 1),
    "four-outputs": lambda: Network(1, 4, (1, 2, 3, 4)),
    "hidden-negative": lambda: Network(1, -4, 1),
    "hidden-tuple": lambda: Network(1, (4,), 1),
    "to-hidden-shape": lambda: Network(1, 4, 1, to_hidden=np.ones((1, 4))),
    "to-output-shape": lambda: Network(1, 4, 1, to_output=np.ones(4)),
    "blocks-missing-and-unknown": lambda: Layout.of_shapes({"w": (2,), "b": ()}).join(
        {"w": [1, 2], "v": 1}
    ),
    "block-shape": lambda: Layout.of_shapes({"w": (2,)}).join({"w": [1, 2, 3]}),
}


@pytest.mark.parametrize("make", DATA.values(), ids=DATA)
def test_data_that_is_none_of_the_kind(make: Callable[[], Any], approved: Approved) -> None:
    """A ValueError, where the value is made."""
    with approved.raises(ValueError):
        make()


def test_what_numpy_makes_an_array_of_is_data() -> None:
    """Lists, and widths that are NumPy's numbers."""
    assert problem([[1.0] * 13] * 2, [[[1.0]] * 3] * 2, [[[1.0]] * 3] * 2).draws == 2
    assert Network(np.int64(1), np.int64(4), (np.int64(1),)).inputs == (1,)


CASES: dict[str, dict[str, Any]] = {
    "no-subjects": {"subjects": []},
    "no-references": {"references": []},
    "no-dtypes": {"dtypes": []},
    "no-checks": {"checks": []},
    "subjects-no-list": {"subjects": SineNet},
    "dtypes-no-list": {"dtypes": "float32"},
    "checks-no-list": {"checks": "forward"},
    "no-network": {"network": None},
    "no-problems": {"problems": None},
    "problems-a-list": {"problems": []},
    "contrast-head": {"contrast": Contrast("c", "c", (1, -1), head=3)},
    "reference-a-class": {"references": [NumpyNet]},
    "reference-a-name": {"references": ["r_nnet"]},
    "reference-a-model": {"references": [SineNet]},
    "check": {"checks": ["forward", "hessian"]},
    "dtype": {"dtypes": ["float8"]},
    "expect": {"expect": "same"},
    "subjects-twice": {"subjects": [SineNet, SineNet]},
    "references-twice": {"references": [numpy_net] * 2},
    "subject-an-object": {"subjects": [SineNet()]},
    "subject-a-name": {"subjects": ["SineNet"]},
}


@pytest.mark.parametrize("given", CASES.values(), ids=CASES)
def test_a_case_that_asks_for_what_is_not_there(given: dict[str, Any], approved: Approved) -> None:
    """A ValueError or TypeError before anything runs."""
    with approved.raises((ValueError, TypeError)):
        case(**given).trials()


def test_an_iterator_is_no_list(approved: Approved) -> None:
    """It would be empty the second time."""
    with approved.raises(TypeError):
        case(subjects=iter([SineNet])).trials()


SUBJECTS: dict[str, Any] = {
    "a-block-missing": means(b=None),
    "a-block-unknown": means(V1=lambda p: 0),
    "a-block-turned": means(W1=lambda p: p["hidden.weight"].T),
    "a-parameter-unknown": means(W1=lambda p: p["weight"]),
    "a-parameter-without-meaning": means(b=lambda p: 0),
    "squared": means(W1=lambda p: p["hidden.weight"] ** 2),
    "absolute": means(W1=lambda p: abs(p["hidden.weight"])),
    "times-nan": means(W1=lambda p: p["hidden.weight"] * np.nan),
    "over-zero": means(W1=lambda p: p["hidden.weight"] / 0),
    "exponential": means(W1=lambda p: np.exp(p["hidden.weight"])),
    "an-index-beyond": means(W1=lambda p: p["hidden.weight"][9]),
    "a-method-of-torch": means(W1=lambda p: p["hidden.weight"].t()),
    "meaning-none": Subject(SineNet, parameters=lambda p: None),
    "held-unknown": Subject(SineNet, held={"hiden.bias": 1}),
    "held-shape": Subject(SineNet, held={"hidden.bias": [1, 1, 1]}),
    "no-parameters": nn.Identity,
    "build-raises": Subject(raising(RuntimeError("no weights")), name="f"),
    "a-function": Subject(function, name="f"),
    "a-class-with-arguments": Sized,
    "build-gives-none": Subject(lambda: None, name="f"),
    "a-function-of-others": Subject(
        function, name="f", shapes={"W1": (4, 1), "b": (4,), "W2": (1, 4), "b_w": (1,)}
    ),
    "other-every-time": Subject(other_every_time(), name="f"),
    "raises-without-words": SilentNet,
}


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_a_subject_that_does_not_fit(subject: Any, approved: Approved) -> None:
    """Its trials are BROKEN, and say what it has and what it should mean."""
    approved(broken(subjects=[subject]))


def test_parameters_that_could_be_either_block(approved: Approved) -> None:
    """Equal shapes and other names tell nothing: the sentence lists both, and what to write."""

    class Square(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.one(torch.tanh(self.two(x)))

    approved(broken(network=Network(4, 4, 4), subjects=[Square]))
    approved(broken(network=Network(4, 4, 4, "logistic"), subjects=[Square]))


PROBLEMS: dict[str, Any] = {
    "raise": raising(RuntimeError("no file")),
    "a-number": lambda formulation: 3,
    "a-list-of-numbers": lambda formulation: [3],
    "none": lambda formulation: [],
    "too-narrow": lambda formulation: [problem(own=np.ones((2, 12)))],
}


@pytest.mark.parametrize("problems", PROBLEMS.values(), ids=PROBLEMS)
def test_problems_of_ones_own_that_are_none(problems: Any, approved: Approved) -> None:
    """BROKEN too."""
    approved(broken(problems=problems))


@pytest.mark.parametrize(
    "loss",
    [lambda outputs, targets: outputs, lambda outputs, targets: 1.0],
    ids=["outputs", "a float"],
)
def test_a_loss_that_is_no_number(loss: Any, approved: Approved) -> None:
    """A failure, like outputs of the wrong shape."""
    asked = case(subjects=[Subject(SineNet, loss=loss)], checks=["loss"])
    verdict = run(asked.trials()[0], Cache(asked))
    assert verdict.status is Status.FAIL
    approved(verdict.why.partition("\n")[2])


def test_a_contrast_of_other_rows_than_there_are(approved: Approved) -> None:
    """BROKEN, with both numbers."""
    approved(broken(contrast=Contrast("c", "change", (1, -1)), expect="differs"))


def test_an_object_is_no_subject(approved: Approved) -> None:
    """Where it is made, under the name that it was given."""
    with approved.raises(TypeError):
        Subject(SineNet(), name="f")


# In a run of pytest


def test_at_collection_it_is_one_sentence_at_the_users_line(mine: Mine, approved: Approved) -> None:
    """No traceback, and pytest's exit code for a run that it interrupted."""
    mine.write_sine(references='["r_nnet"]')
    result = mine.pytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED == 2
    said = at_collection(result)
    assert said.startswith(f"{mine.pytester.path / 'test_mine.py'}:{mine.line_of('test_sine =')}: ")
    approved(said)


def test_at_run_time_it_is_a_failure_like_others(mine: Mine, approved: Approved) -> None:
    """BROKEN, with its heading and the line that runs it again; told once, and then where it was
    told.
    """
    mine.write_sine(subjects="[lambda: None]", dtypes='["float64"]')
    result = mine.pytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    found = {verdict["check"]: verdict for verdict in mine.results()["verdicts"]}
    assert found["forward"]["why"] in result.stdout.str()
    for quantity in ("forward", "loss"):
        approved(found[quantity]["why"])
    assert {verdict["status"] for verdict in found.values()} == {"BROKEN"}


def test_a_case_without_verify_is_not_passed_over(mine: Mine, approved: Approved) -> None:
    """No evidence is not a pass."""
    mine.write_sine()
    mine.write(mine.text.replace("verify(Case(", "(Case("))
    result = mine.pytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    approved(at_collection(result))


def test_only_a_case_can_be_verified(mine: Mine, approved: Approved) -> None:
    """At the user's line, without a traceback."""
    mine.write_sine()
    mine.write(mine.text, "test_other = verify(SineNet)")
    approved(at_collection(mine.pytest()))
