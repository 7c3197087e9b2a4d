"""Bad input ends in a sentence: what was found, what was expected, and what to do."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Mine
from torch import nn

from harness import Case, Contract, Contrast, Layout, Loss, Problem, Status, Subject
from harness.formulation import Formulation
from harness.mapping import HOW
from harness.memo import Memo
from harness.trial import run
from reference import Network, NumpyNet, OnData, numpy_net, probes

SINE = Network(inputs=1, hidden=4, outputs=1, activation="logistic")
HAS = "its parameters are hidden.weight (4, 1), hidden.bias (4,), output.weight (1, 4), output.bias (1,)"


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
    right = {"network": SINE, "subjects": [SineNet], "references": [numpy_net], "problems": probes(seed=0, draws=2)}
    return Case("sine", **{**right, **given})


def broken(**given: Any) -> str:
    """What is said of the first trial of a case, which must be BROKEN, after its heading."""
    asked = case(**given)
    verdict = run(asked.trials()[0], Memo(asked))
    assert verdict.status is Status.BROKEN
    heading, _, sentence = verdict.why.partition("\n")
    assert heading.startswith("sine: ")
    return re.sub(r" \(at \w+\.py:\d+\)", "", sentence)  # where: a test of its own


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
    arrays = [there if given is None else given for given, there in zip((own, inputs, targets), right, strict=True)]
    return Problem("mine", Formulation.identity(SINE), *arrays)


def halved() -> Formulation:
    """The network's parameters, of which the hidden weights are half of the own ones."""
    return Formulation.from_meaning(SINE.layout, SINE, lambda p: {**p, "W1": p["W1"] / 2})


def with_one(value: float, *shape: int) -> np.ndarray:
    """Ones and one other number."""
    array = np.ones(shape)
    array.ravel()[-1] = value
    return array


DATA: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: problem(own=np.ones((2, 12))),
        "mine: theta has shape (2, 12), expected (draws, 13), no axis empty: one vector of parameters a draw",
    ),
    (
        lambda: problem(own=np.ones(13)),
        "mine: theta has shape (13,), expected (draws, 13), no axis empty: one vector of parameters a draw",
    ),
    (
        lambda: problem(own=np.float64(1)),
        "mine: theta has shape (), expected (draws, 13), no axis empty: one vector of parameters a draw",
    ),
    (
        lambda: problem(np.ones((0, 13)), np.ones((0, 3, 1)), np.ones((0, 3, 1))),
        "mine: theta has shape (0, 13), expected (draws, 13), no axis empty: one vector of parameters a draw",
    ),
    (
        lambda: problem(inputs=np.ones((2, 3, 2))),
        "mine: inputs has shape (2, 3, 2), expected (2, rows, 1), no axis empty: rows of inputs (1,)",
    ),
    (
        lambda: problem(inputs=np.ones((3, 1))),
        "mine: inputs has shape (3, 1), expected (2, rows, 1), no axis empty: rows of inputs (1,)",
    ),
    (
        lambda: problem(targets=np.ones((2, 3))),
        "mine: targets has shape (2, 3), expected (2, 3, 1), no axis empty: a target for each output (1,)",
    ),
    (
        lambda: problem(targets=np.ones((2, 1, 1))),
        "mine: targets has shape (2, 1, 1), expected (2, 3, 1), no axis empty: a target for each output (1,)",
    ),
    (
        lambda: problem(own=with_one(np.nan, 2, 13)),
        "mine: theta holds nan at (1, 12), expected finite numbers: choose other parameters",
    ),
    (
        lambda: problem(inputs=with_one(np.nan, 2, 3, 1)),
        "mine: inputs holds nan at (1, 2, 0), expected finite numbers: mend the data, or drop that row",
    ),
    (
        lambda: problem(targets=with_one(-np.inf, 2, 3, 1)),
        "mine: targets holds -inf at (1, 2, 0), expected finite numbers: mend the data, or drop that row",
    ),
    (
        lambda: Problem("mine", halved(), np.ones((1, 13)), *[np.ones((1, 3, 1))] * 2, Loss(decay=0.1)),
        "mine: the loss has decay 0.1, which penalises the network's parameters; this formulation's own are not those "
        "renamed, expected no decay: judge it without",
    ),
    (
        lambda: OnData([1.0], [[2.0]])(Formulation.identity(SINE)),
        "inputs of shape (1,) were given, expected (rows, width): for one column write inputs[:, None]",
    ),
    (lambda: Loss("max"), "reduction 'max' is not known, expected 'sum' or 'mean'"),
    (
        lambda: Contract("float8"),
        "dtype 'float8' has no contract, expected one of float64, float32, tf32, bfloat16, float16",
    ),
    (
        lambda: probes(kinds=["edge"]),
        "probes of kind 'edge' are not known, expected some of exact, few-term, saturated, random, unusual",
    ),
    (lambda: probes(kinds="exact"), "probes of kinds 'exact' were asked for, expected a list: ['exact']"),
    (lambda: probes(draws=0), "probes of 0 draws and 5 rows were asked for, expected at least one of each"),
    (lambda: probes(rows=-1), "probes of 30 draws and -1 rows were asked for, expected at least one of each"),
    (
        lambda: Network(1, 4, 1, "sigmoid"),
        "activation 'sigmoid' is not known, expected one of relu, tanh, logistic, identity; "
        "sigmoid is called logistic here",
    ),
    (
        lambda: Network(1, 4, 1, output="linear"),
        "output 'linear' is not known, expected one of relu, tanh, logistic, identity",
    ),
    (lambda: Network(0, 4, 1), "inputs is 0, expected one to 3 whole numbers from 1"),
    (lambda: Network((), 4, 1), "inputs is (), expected one to 3 whole numbers from 1"),
    (lambda: Network(1.5, 4, 1), "inputs is 1.5, expected one to 3 whole numbers from 1"),
    (lambda: Network(1, 4, (1, 2, 3, 4)), "outputs is (1, 2, 3, 4), expected one to 3 whole numbers from 1"),
    (lambda: Network(1, -4, 1), "hidden is -4, expected a whole number, at least 1"),
    (lambda: Network(1, (4,), 1), "hidden is (4,), expected a whole number, at least 1"),
    (lambda: Network(1, 4, 1, to_hidden=np.ones((1, 4))), "to_hidden has shape (1, 4), expected (4, 1)"),
    (lambda: Network(1, 4, 1, to_output=np.ones(4)), "to_output has shape (4,), expected (1, 4)"),
    (
        lambda: Layout.of_shapes({"w": (2,), "b": ()}).join({"w": [1, 2], "v": 1}),
        "blocks w, v were given, expected w, b; missing b (write 0 for a block that is held at zero); unknown v",
    ),
    (lambda: Layout.of_shapes({"w": (2,)}).join({"w": [1, 2, 3]}), "block w has shape (3,), expected (2,)"),
]


@pytest.mark.parametrize(("make", "sentence"), DATA, ids=[sentence[:50] for _, sentence in DATA])
def test_data_that_is_none_of_the_kind(make: Callable[[], Any], sentence: str) -> None:
    """A ValueError, where the value is made."""
    with pytest.raises(ValueError, match=r".") as error:
        make()
    assert str(error.value) == sentence


def test_what_numpy_makes_an_array_of_is_data() -> None:
    """Lists, and widths that are NumPy's numbers."""
    assert problem([[1.0] * 13] * 2, [[[1.0]] * 3] * 2, [[[1.0]] * 3] * 2).draws == 2
    assert Network(np.int64(1), np.int64(4), (np.int64(1),)).inputs == (1,)


CASES: list[tuple[dict[str, Any], str]] = [
    ({"subjects": []}, "case 'sine' has no subjects, expected at least one: no evidence is not a pass"),
    ({"references": []}, "case 'sine' has no references, expected at least one: no evidence is not a pass"),
    ({"dtypes": []}, "case 'sine' has no dtypes, expected at least one: no evidence is not a pass"),
    ({"checks": []}, "case 'sine' has no checks, expected at least one: no evidence is not a pass"),
    (
        {"subjects": SineNet},
        "case 'sine': subjects is <class 'test_messages.SineNet'>, expected a list: subjects=[...]",
    ),
    ({"dtypes": "float32"}, "case 'sine': dtypes is 'float32', expected a list: dtypes=[...]"),
    ({"checks": "forward"}, "case 'sine': checks is 'forward', expected a list: checks=[...]"),
    ({"network": None}, "case 'sine': network is None, expected a Network (from reference import Network)"),
    ({"problems": None}, "case 'sine': problems is None, expected probes(...), or a function of a formulation"),
    ({"problems": []}, "case 'sine': problems is [], expected probes(...), or a function of a formulation"),
    (
        {"contrast": Contrast("c", "c", (1, -1), head=3)},
        "case 'sine': contrast is of head 3, the network has 1 head: expected 0 to 0",
    ),
    (
        {"references": [NumpyNet]},
        "case 'sine' names the reference <class 'reference.numpy_net.NumpyNet'>, which is not known: "
        "expected r_nnet, numpy_net (from reference import r_nnet, numpy_net), or an object like them",
    ),
    (
        {"references": ["r_nnet"]},
        "case 'sine' names the reference 'r_nnet', which is not known: expected r_nnet, numpy_net "
        "(from reference import r_nnet, numpy_net), or an object like them",
    ),
    (
        {"checks": ["forward", "hessian"]},
        "case 'sine': check 'hessian' is not known, expected forward or loss or gradient or input_gradient",
    ),
    (
        {"dtypes": ["float8"]},
        "case 'sine': dtype 'float8' is not known, expected float64 or float32 or tf32 or bfloat16 or float16",
    ),
    ({"expect": "same"}, "case 'sine': expect 'same' is not known, expected equal or differs"),
    ({"subjects": [SineNet, SineNet]}, "case 'sine' has two subjects called 'SineNet', expected a name for each"),
    ({"references": [numpy_net] * 2}, "case 'sine' has two references called 'numpy_net', expected a name for each"),
    (
        {"subjects": [SineNet()]},
        "subject SineNet is an object, expected an nn.Module class or a factory of one: "
        "every trial builds its own, so write the class, or `lambda: MyModel(...)`",
    ),
    (
        {"subjects": ["SineNet"]},
        "subject str is an object, expected an nn.Module class or a factory of one: "
        "every trial builds its own, so write the class, or `lambda: MyModel(...)`",
    ),
]


@pytest.mark.parametrize(("given", "sentence"), CASES, ids=[sentence[:60] for _, sentence in CASES])
def test_a_case_that_asks_for_what_is_not_there(given: dict[str, Any], sentence: str) -> None:
    """A ValueError or TypeError before anything runs."""
    with pytest.raises((ValueError, TypeError)) as error:
        case(**given).trials()
    assert str(error.value) == sentence


def test_an_iterator_is_no_list() -> None:
    """It would be empty the second time."""
    with pytest.raises(TypeError, match=r"^case 'sine': subjects is .*, expected a list: subjects=\[\.\.\.\]$"):
        case(subjects=iter([SineNet])).trials()


SUBJECTS: list[tuple[Any, str]] = [
    (
        means(b=None),
        "SineNet: blocks W1, W2, b_w were given, expected W1, b, W2, b_w; missing b "
        f"(write 0 for a block that is held at zero); {HAS}",
    ),
    (
        means(V1=lambda p: 0),
        f"SineNet: blocks W1, b, W2, b_w, V1 were given, expected W1, b, W2, b_w; unknown V1; {HAS}",
    ),
    (means(W1=lambda p: p["hidden.weight"].T), f"SineNet: block W1 has shape (1, 4), expected (4, 1); {HAS}"),
    (means(W1=lambda p: p["weight"]), f"SineNet: no parameter is called 'weight'; {HAS}"),
    (means(b=lambda p: 0), f"SineNet: parameter hidden.bias has no meaning: it reaches no block of the network; {HAS}"),
    *(
        (
            means(W1=meaning),
            f"SineNet: the meaning of the parameters is not an affine map: use sums, slices and constants only; {HAS}",
        )
        for meaning in (
            lambda p: p["hidden.weight"] ** 2,
            lambda p: abs(p["hidden.weight"]),
            lambda p: p["hidden.weight"] * np.nan,
            lambda p: p["hidden.weight"] / 0,
            lambda p: np.exp(p["hidden.weight"]),
        )
    ),
    (
        means(W1=lambda p: p["hidden.weight"][9]),
        f"SineNet: its parameters raised IndexError: index 9 is out of bounds for axis 0 with size 4; {HAS}",
    ),
    (
        means(W1=lambda p: p["hidden.weight"].t()),
        f"SineNet: its parameters raised AttributeError: 'numpy.ndarray' object has no attribute 't'; {HAS}",
    ),
    (
        Subject(SineNet, parameters=lambda p: None),
        f"SineNet: None was given, expected a dict with W1, b, W2, b_w; {HAS}",
    ),
    (
        Subject(SineNet, held={"hiden.bias": 1}),
        "SineNet: held: blocks hidden.weight, hidden.bias, output.weight, output.bias, hiden.bias were given, "
        f"expected hidden.weight, hidden.bias, output.weight, output.bias; unknown hiden.bias; {HAS}",
    ),
    (
        Subject(SineNet, held={"hidden.bias": [1, 1, 1]}),
        f"SineNet: held: block hidden.bias has shape (3,), expected (4,); {HAS}",
    ),
    (
        nn.Identity,
        "Identity: which parameter is which block is not clear from names and shapes (no parameter has the shape of W1 "
        "(4, 1); no parameter has the shape of b (4,); no parameter has the shape of W2 (1, 4); no parameter has the "
        "shape of b_w (1,)); the network's blocks are W1 (4, 1), b (4,), W2 (1, 4), b_w (1,); "
        f'write parameters={{"W1": ..., ...}}, where a block is {HOW}; its parameters are none',
    ),
    (Subject(raising(RuntimeError("no weights")), name="f"), "f raised RuntimeError: no weights"),
    (
        Subject(function, name="f"),
        "f raised TypeError: function() missing 1 required positional argument: 'x' (for a function, give `shapes`)",
    ),
    (
        Sized,
        "Sized raised TypeError: Sized.__init__() missing 1 required positional argument: 'width' "
        "(for a class, write lambda: Sized(...))",
    ),
    (Subject(lambda: None, name="f"), "f gave NoneType, expected an nn.Module (for a function, give `shapes`)"),
    (
        Subject(function, name="f", shapes={"W1": (4, 1), "b": (4,), "W2": (1, 4), "b_w": (1,)}),
        "forward was not answered: f raised TypeError: function() got an unexpected keyword argument 'W1'",
    ),
    (
        Subject(other_every_time(), name="f"),
        "forward was not answered: f raised RuntimeError: "
        "output with shape [1, 1] doesn't match the broadcast shape [4, 1]",
    ),
    (SilentNet, "forward was not answered: SilentNet raised AssertionError"),
]


@pytest.mark.parametrize(("subject", "sentence"), SUBJECTS)
def test_a_subject_that_does_not_fit(subject: Any, sentence: str) -> None:
    """Its trials are BROKEN, and say what it has and what it should mean."""
    assert broken(subjects=[subject]) == sentence


def test_parameters_that_could_be_either_block() -> None:
    """Equal shapes and other names tell nothing: the sentence lists both, and what to write."""

    class Square(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.one(torch.tanh(self.two(x)))

    unclear = (
        "Square: which parameter is which block is not clear from names and shapes (W1 (4, 4) may be one.weight or "
        "two.weight; b (4,) may be one.bias or two.bias; W2 (4, 4) may be one.weight or two.weight; b_w (4,) may be "
        "one.bias or two.bias); the network's blocks are W1 (4, 4), b (4,), W2 (4, 4), b_w (4,); "
    )
    has = "its parameters are one.weight (4, 4), one.bias (4,), two.weight (4, 4), two.bias (4,)"
    assert broken(network=Network(4, 4, 4), subjects=[Square]) == (
        f"{unclear}of 16 ways that fit this one makes the network compute what the model does: "
        "unless that is the mistake, write "
        f'parameters={{"W1": "two.weight", "b": "two.bias", "W2": "one.weight", "b_w": "one.bias"}}; {has}'
    )
    assert broken(network=Network(4, 4, 4, "logistic"), subjects=[Square]) == (
        f"{unclear}none of 16 ways that fit makes the network compute what the model does; write "
        f'parameters={{"W1": ..., ...}}, where a block is {HOW}; {has}'
    )


@pytest.mark.parametrize(
    ("problems", "sentence"),
    [
        (raising(RuntimeError("no file")), "its problems raised RuntimeError: no file"),
        (lambda formulation: 3, "its problems are 3, expected a list of problems"),
        (lambda formulation: [3], "its problems are [3], expected a list of problems"),
        (lambda formulation: [], "its probes made no problem, expected at least one: choose other kinds"),
        (lambda formulation: [problem(own=np.ones((2, 12)))], DATA[0][1]),
    ],
)
def test_problems_of_ones_own_that_are_none(problems: Any, sentence: str) -> None:
    """BROKEN too."""
    assert broken(problems=problems) == sentence


@pytest.mark.parametrize(
    ("loss", "found"),
    [(lambda outputs, targets: outputs, "loss of shape (4, 1)"), (lambda outputs, targets: 1.0, "float as its loss")],
)
def test_a_loss_that_is_no_number(loss: Any, found: str) -> None:
    """A failure, like outputs of the wrong shape."""
    asked = case(subjects=[Subject(SineNet, loss=loss)], checks=["loss"])
    verdict = run(asked.trials()[0], Memo(asked))
    assert verdict.status is Status.FAIL
    assert verdict.why.partition("\n")[2] == (
        f"loss was not answered: SineNet gave a {found}, expected a tensor of shape (): a single number"
    )


def test_a_contrast_of_other_rows_than_there_are() -> None:
    """BROKEN, with both numbers."""
    why = broken(contrast=Contrast("c", "change", (1, -1)), expect="differs")
    assert "2 rows" in why
    assert "4" in why


def test_an_object_is_no_subject() -> None:
    """Where it is made, under the name that it was given."""
    with pytest.raises(TypeError) as error:
        Subject(SineNet(), name="f")
    assert str(error.value) == (
        "subject f is an object, expected an nn.Module class or a factory of one: "
        "every trial builds its own, so write the class, or `lambda: MyModel(...)`"
    )


# In a run of pytest


def test_at_collection_it_is_one_sentence_at_the_users_line(mine: Mine) -> None:
    """No traceback, and pytest's exit code for a run that it interrupted."""
    mine.write_sine(references='["r_nnet"]')
    result = mine.pytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED == 2
    path = mine.pytester.path / "test_mine.py"
    sentence = (
        f"{path}:{mine.line_of('test_sine =')}: case 'sine-1-4-1' names the reference 'r_nnet', which is not known: "
        "expected r_nnet, numpy_net (from reference import r_nnet, numpy_net), or an object like them"
    )
    start = next(number for number, line in enumerate(result.outlines) if "ERROR collecting test_mine.py" in line)
    assert result.outlines[start + 1] == sentence
    assert result.outlines[start + 2].startswith("====")


def test_at_run_time_it_is_a_failure_like_others(mine: Mine) -> None:
    """BROKEN, with its heading and the line that runs it again; told once, and then where it was told."""
    mine.write_sine(subjects="[lambda: None]", dtypes='["float64"]')
    result = mine.pytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    said = {
        "forward": "<lambda> gave NoneType, expected an nn.Module (for a function, give `shapes`)",
        "loss": "as <lambda>-cpu-float64-forward-vs-numpy_net says",
    }
    for quantity, sentence in said.items():
        lines = [
            f"sine-1-4-1: <lambda> (cpu, float64) against NumPy {np.__version__} (float64)",
            sentence,
            f"  again: pytest 'test_mine.py::test_sine[<lambda>-cpu-float64-{quantity}-vs-numpy_net]'",
        ]
        assert "\n".join(lines) in result.stdout.str()
    assert {verdict["status"] for verdict in mine.results()["verdicts"]} == {"BROKEN"}


def test_a_case_without_verify_is_not_passed_over(mine: Mine) -> None:
    """No evidence is not a pass."""
    mine.write_sine()
    mine.write(mine.text.replace("verify(Case(", "(Case("))
    result = mine.pytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.re_match_lines([r".*test_sine is a Case, .*verify\(Case"])


def test_only_a_case_can_be_verified(mine: Mine) -> None:
    """At the user's line, without a traceback."""
    mine.write_sine()
    mine.write(mine.text, "test_other = verify(SineNet)")
    result = mine.pytest()
    result.stdout.re_match_lines([r".*verify\(\) .*SineNet.*expected a Case.*"])
    assert "harness/plugin.py" not in result.stdout.str()
