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
    return sentence


def means(**blocks: Any) -> Subject:
    """SineNet with a meaning that is right but for these blocks; None leaves one out."""

    def meaning(p: dict[str, Any]) -> dict[str, Any]:
        right = zip(("W1", "b", "W2", "b_w"), p.values(), strict=True)
        found = {**dict(right), **{name: block(p) for name, block in blocks.items() if block}}
        return {name: block for name, block in found.items() if blocks.get(name, block) is not None}

    return Subject(SineNet, means=meaning)


class SilentNet(SineNet):
    """It raises, and does not say why."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Not as the network."""
        raise AssertionError


def function(x: Any) -> Any:
    """No module."""
    return x


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
        "mine: theta has shape (2, 12), expected (2, 13): one vector of 13 parameters a draw, none of them empty",
    ),
    (
        lambda: problem(inputs=np.ones((2, 3, 2))),
        "mine: inputs has shape (2, 3, 2), expected (2, 3, 1): rows of inputs (1,), none of them empty",
    ),
    (
        lambda: problem(targets=np.ones((2, 3))),
        "mine: targets has shape (2, 3), expected (2, 3, 1): one target for each row and output (1,), "
        "none of them empty",
    ),
    (
        lambda: problem(targets=np.ones((2, 1, 1))),
        "mine: targets has shape (2, 1, 1), expected (2, 3, 1): one target for each row and output (1,), "
        "none of them empty",
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
    (lambda: Loss("max"), "reduction 'max' is not known, expected 'sum' or 'mean'"),
    (lambda: Contract("float16"), "dtype 'float16' has no contract, expected one of float64, float32"),
    (
        lambda: probes(kinds=["edge"]),
        "probes of kind 'edge' are not known, expected some of exact, few-term, saturated, random, unusual",
    ),
    (
        lambda: Network(1, 4, 1, "sigmoid"),
        "activation 'sigmoid' is not known, expected one of relu, tanh, logistic, identity",
    ),
    (
        lambda: Network(1, 4, 1, output="linear"),
        "output 'linear' is not known, expected one of relu, tanh, logistic, identity",
    ),
    (lambda: Network(0, 4, 1), "inputs is (0,), expected one to 3 widths of at least 1"),
    (lambda: Network((), 4, 1), "inputs is (), expected one to 3 widths of at least 1"),
    (lambda: Network(1, 4, (1, 2, 3, 4)), "outputs is (1, 2, 3, 4), expected one to 3 widths of at least 1"),
    (lambda: Network(1, -4, 1), "hidden is (-4,), expected one to 3 widths of at least 1"),
    (lambda: Network(1, 4, 1, to_hidden=np.ones((1, 4))), "to_hidden has shape (1, 4), expected (4, 1)"),
    (lambda: Network(1, 4, 1, to_output=np.ones(4)), "to_output has shape (4,), expected (1, 4)"),
    (
        lambda: Layout.of_shapes({"w": (2,), "b": ()}).join({"w": [1, 2], "v": 1}),
        "blocks w, v were given, expected w, b; missing b (write 0 for a block that is held at zero); unknown v",
    ),
    (lambda: Layout.of_shapes({"w": (2,)}).join({"w": [1, 2, 3]}), "block w has shape (3,), expected (2,)"),
]


@pytest.mark.parametrize(("make", "sentence"), DATA, ids=[sentence[:40] for _, sentence in DATA])
def test_data_that_is_none_of_the_kind(make: Callable[[], Any], sentence: str) -> None:
    """A ValueError, where the value is made."""
    with pytest.raises(ValueError, match=r".") as error:
        make()
    assert str(error.value) == sentence


def defect(why: str, *values: Any) -> Any:
    """A case that is not yet told well, and what is said of it now."""
    return pytest.param(*values, marks=pytest.mark.xfail(reason=why), id=why[:40])


@pytest.mark.parametrize(
    ("make", "pattern"),
    [
        defect(
            "has shape (0, 13), expected (0, 13)",
            lambda: problem(np.ones((0, 13)), np.ones((0, 3, 1)), np.ones((0, 3, 1))),
            r"mine: theta has shape \(0, 13\), expected (?!\(0, 13\))",
        ),
        defect(
            "expected (13, 13)",
            lambda: problem(own=np.ones(13)),
            r"mine: theta has shape \(13,\), expected (?!\(13, 13\))",
        ),
        defect("IndexError", lambda: problem(own=np.float64(1)), "mine: theta has shape"),
        defect("expected (2, 0, 1)", lambda: problem(inputs=np.ones((3, 1))), "mine: inputs .*expected (?!.* 0,)"),
        defect("own holds nan: drop that row", lambda: problem(own=with_one(np.nan, 2, 13)), "mine: theta holds nan"),
        defect("expected (2, 0, 1)", lambda: OnData([1.0], [2.0])(Formulation.identity(SINE)), r".*\[:, None\]"),
        defect("expected (0, 13)", lambda: probes(draws=0)(Formulation.identity(SINE)), "draws"),
        defect("IndexError", lambda: probes(rows=0)(Formulation.identity(SINE)), "rows"),
        defect("negative dimensions are not allowed", lambda: probes(rows=-1)(Formulation.identity(SINE)), "rows"),
        defect("probes of kind 'e' are not known", lambda: probes(kinds="exact"), "probes .*'exact'.*expected a list"),
        defect("'<' not supported", lambda: Network(1, (4,), 1), "hidden is"),
        defect("'float' object is not iterable", lambda: Network(1.5, 4, 1), "inputs is"),
        defect("hidden is (0,), expected one to 3", lambda: Network(1, 0, 1), "hidden is 0, expected at least 1"),
    ],
)
def test_data_of_which_too_little_is_said(make: Callable[[], Any], pattern: str) -> None:
    """A ValueError, where the value is made, that names it and what to do."""
    with pytest.raises(ValueError, match=f"^{pattern}"):
        make()


@pytest.mark.xfail(reason="AttributeError: 'list' object has no attribute 'shape'")
def test_lists_are_data_too() -> None:
    """What NumPy makes an array of."""
    assert problem([[1.0] * 13] * 2, [[[1.0]] * 3] * 2, [[[1.0]] * 3] * 2).draws == 2


@pytest.mark.xfail(reason="TypeError: 'numpy.int64' object is not iterable")
def test_numbers_of_numpy_are_widths_too() -> None:
    """As in Network(np.int64(1), 4, 1)."""
    assert Network(np.int64(1), np.int64(4), (np.int64(1),)).inputs == (1,)


CASES: list[tuple[dict[str, Any], str]] = [
    ({"subjects": []}, "case 'sine' has no subjects, expected at least one: no evidence is not a pass"),
    ({"references": []}, "case 'sine' has no references, expected at least one: no evidence is not a pass"),
    ({"dtypes": []}, "case 'sine' has no dtypes, expected at least one: no evidence is not a pass"),
    (
        {"references": ["r_nnet"]},
        "case 'sine' names the reference 'r_nnet', which is not known: expected r_nnet, numpy_net "
        "(from reference import r_nnet, numpy_net), or an object like them",
    ),
    (
        {"checks": ["forward", "hessian"]},
        "case 'sine': check 'hessian' is not known, expected forward or loss or gradient or input_gradient",
    ),
    ({"dtypes": ["float16"]}, "case 'sine': dtype 'float16' is not known, expected float64 or float32"),
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


@pytest.mark.parametrize(("given", "sentence"), CASES, ids=[sentence[:40] for _, sentence in CASES])
def test_a_case_that_asks_for_what_is_not_there(given: dict[str, Any], sentence: str) -> None:
    """A ValueError or TypeError before anything runs."""
    with pytest.raises((ValueError, TypeError)) as error:
        case(**given).trials()
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"checks": []}, id="no checks: nothing is collected, without a word"),
        pytest.param({"subjects": SineNet}, id="no list: 'type' object is not iterable"),
        pytest.param({"references": numpy_net}, id="no list: 'NumpyNet' object is not iterable"),
        pytest.param({"dtypes": "float32"}, id="no list: dtype 'f' is not known"),
        pytest.param({"checks": "forward"}, id="no list: check 'f' is not known"),
        pytest.param({"references": [NumpyNet]}, id="a class: absent() missing 1 required positional argument"),
        pytest.param({"network": None}, id="no network: 'NoneType' object has no attribute 'layout'"),
        pytest.param({"contrast": Contrast("c", "c", (1, -1), head=3)}, id="no such head: argmax of an empty sequence"),
        pytest.param({"problems": None}, id="no problems: 'NoneType' object is not iterable"),
    ],
)
@pytest.mark.xfail(reason="not looked at by Case._validate")
def test_a_case_that_is_not_one(given: dict[str, Any]) -> None:
    """Is refused before anything runs, in a sentence that names the case and the argument."""
    with pytest.raises((ValueError, TypeError)) as error:
        case(**given).trials()
    argument = next(iter(given)).removesuffix("s")
    assert re.match(rf"case 'sine'.*{argument}.*expected", str(error.value))
    assert not re.search("'f'", str(error.value))


MEANINGS: list[tuple[Any, str]] = [
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
    (
        means(W1=lambda p: p["hidden.weight"] ** 2),
        f"SineNet: the meaning of the parameters is not an affine map: use sums, slices and constants only; {HAS}",
    ),
    (
        means(b=lambda p: 0),
        f"SineNet: parameter hidden.bias[0] has no meaning: it reaches no block of the network; {HAS}",
    ),
    (Subject(lambda: None, name="f"), "f gave NoneType, expected an nn.Module (for a function, give `parameters`)"),
    (
        Subject(function, name="f", parameters={"W1": (4, 1), "b": (4,), "W2": (1, 4), "b_w": (1,)}),
        "forward was not answered: f raised TypeError: function() got an unexpected keyword argument 'W1'",
    ),
]


@pytest.mark.parametrize(("subject", "sentence"), MEANINGS, ids=[sentence[:40] for _, sentence in MEANINGS])
def test_a_subject_that_does_not_fit(subject: Any, sentence: str) -> None:
    """Its trials are BROKEN, and say what it has and what it should mean."""
    assert broken(subjects=[subject]) == sentence


def test_parameters_that_could_be_either_block() -> None:
    """Equal shapes and other names tell nothing: the sentence lists both, and what to write."""

    class Square(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

    assert broken(network=Network(4, 4, 4), subjects=[Square]) == (
        "Square: which parameter is which block is not clear from names or shapes; the network's blocks are "
        'W1 (4, 4), b (4,), W2 (4, 4), b_w (4,); write means=lambda p: {"W1": p["one.weight"], ...}; '
        "its parameters are one.weight (4, 4), one.bias (4,), two.weight (4, 4), two.bias (4,)"
    )


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


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        defect(
            "RuntimeError ends in a traceback",
            {"subjects": [Subject(raising(RuntimeError("no weights")), name="f")]},
            "f raised RuntimeError: no weights",
        ),
        defect(
            "the name of the exception is missing",
            {"subjects": [Subject(raising(ValueError("no weights")), name="f")]},
            "f raised ValueError: no weights",
        ),
        defect(
            "a function without parameters: function() missing 1 required positional argument: 'x'",
            {"subjects": [Subject(function, name="f")]},
            "f .*`parameters`",
        ),
        defect("IndexError ends in a traceback", {"subjects": [means(W1=lambda p: p["hidden.weight"][9])]}, "SineNet"),
        defect("AttributeError, traceback", {"subjects": [means(W1=lambda p: p["hidden.weight"].t())]}, "SineNet"),
        defect(
            "RuntimeWarning, or a wrong verdict: NaN > bound is False",
            {"subjects": [means(W1=lambda p: p["hidden.weight"] * np.nan)]},
            "SineNet: .*affine",
        ),
        defect(
            "RuntimeWarning: overflow encountered in exp, at 2^200",
            {"subjects": [means(W1=lambda p: np.exp(p["hidden.weight"]))]},
            "SineNet: .*affine",
        ),
        defect("'NoneType' object is not iterable", {"subjects": [Subject(SineNet, means=lambda p: None)]}, "SineNet"),
        defect("held is not looked at", {"subjects": [Subject(SineNet, held={"hiden.bias": 1})]}, "SineNet: .*held"),
        defect(
            "block hidden.bias has shape (3,): whose?",
            {"subjects": [Subject(SineNet, held={"hidden.bias": [1, 1, 1]})]},
            "SineNet: .*held",
        ),
        defect("its parameters are .", {"subjects": [nn.Identity]}, ".*its parameters are none"),
        defect("RuntimeError ends in a traceback", {"problems": raising(RuntimeError("no file"))}, ".*no file"),
        defect("'int' object is not iterable", {"problems": lambda formulation: 3}, ".*expected a list of problems"),
        defect("AttributeError", {"problems": lambda formulation: [3]}, ".*expected a list of problems"),
        defect("'Problem' object is not callable", {"problems": [problem()]}, ".*expected .*formulation"),
        defect(
            "SineNet the loss has shape (5, 1)",
            {"subjects": [Subject(SineNet, loss=lambda o, t: o)], "checks": ["loss"]},
            "loss was not answered: (?!SineNet the loss)",
        ),
        defect(
            "'float' object has no attribute 'shape'",
            {"subjects": [Subject(SineNet, loss=lambda o, t: 1.0)], "checks": ["loss"]},
            "loss was not answered: (?!.*attribute).*float",
        ),
        defect(
            "SineNet.forward() missing 1 required positional argument: 'x'",
            {"subjects": [Subject(SineNet(), name="f")]},
            "f .*object, expected an nn.Module class",
        ),
        ({"subjects": [Subject(other_every_time(), name="f")]}, "forward was not answered: f raised RuntimeError: "),
        defect("AssertionError: with nothing behind it", {"subjects": [SilentNet]}, ".*raised AssertionError$"),
    ],
)
def test_what_a_user_wrote_may_do_anything(given: dict[str, Any], sentence: str) -> None:
    """It is BROKEN, or FAIL for a shape, and the sentence says who raised what."""
    asked = case(**given)
    verdict = run(asked.trials()[0], Memo(asked))
    assert verdict.status.fails
    assert re.fullmatch(f"{sentence}.*", verdict.why.partition("\n")[2])


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
    """BROKEN, with its heading and the line that runs it again."""
    mine.write_sine(subjects="[lambda: None]", dtypes='["float64"]')
    result = mine.pytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    trial = "<lambda>-cpu-float64-loss-vs-numpy_net"
    lines = [
        f"sine-1-4-1: <lambda> (cpu, float64) against NumPy {np.__version__} (float64)",
        "<lambda> gave NoneType, expected an nn.Module (for a function, give `parameters`)",
        f'  again: pytest "test_mine.py::test_sine[{trial}]"',
    ]
    assert "\n".join(lines) in result.stdout.str()
    assert {verdict["status"] for verdict in mine.results()["verdicts"]} == {"BROKEN"}


@pytest.mark.xfail(reason="nothing is collected, without a word")
def test_a_case_without_verify_is_not_passed_over(mine: Mine) -> None:
    """No evidence is not a pass."""
    mine.write_sine()
    mine.write(mine.text.replace("verify(Case(", "(Case("))
    result = mine.pytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.re_match_lines([r".*test_sine is a Case, .*verify\(Case"])


@pytest.mark.xfail(reason="AttributeError: type object 'SineNet' has no attribute 'trials'")
def test_only_a_case_can_be_verified(mine: Mine) -> None:
    """At the user's line, without a traceback."""
    mine.write_sine()
    mine.write(mine.text, "test_other = verify(SineNet)")
    result = mine.pytest()
    result.stdout.re_match_lines([r".*verify\(\) .*SineNet.*expected a Case.*"])
    assert "harness/plugin.py" not in result.stdout.str()
