"""Whatever a user's file raises, gives or sets: a verdict or one sentence, and a run that goes on
to its report.
"""

from __future__ import annotations

import inspect
import json
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.core.numpy_errors import ours, users
from harness.model.errors import raised
from harness.model.tensors import to_plain
from harness.text.harmless import exact, shown
from nnet_parity.report_folder import OLDER
from tests.conftest import RIGHT, Approved, Mine

HOSTILE = """
import sys

import numpy as np

from harness import Computed, Population, Recipe, Trained
from harness.model.errors import WrongAnswer
from reference import Equations, Stated, scipy_bfgs


class Text(str):
    def say(self, *_):
        raise RuntimeError("no text")

    __str__ = __repr__ = __format__ = splitlines = __getitem__ = __iter__ = say


class Mute:
    def say(self):
        raise OSError("no words")

    __str__ = __repr__ = say


class Raised(Mute, Exception):
    pass


class Value(Mute, ValueError):
    pass


class Type(Mute, TypeError):
    pass


class Key(Mute, KeyError):
    pass


class Number(Exception):
    def __str__(self):
        return 5


class OddText(Exception):
    def __str__(self):
        return Text("said")


class Endless(Exception):
    def __str__(self):
        return str(self)


class Loud(Exception):
    def __str__(self):
        return "x" * 1_000_000


class Exits(Exception):
    def __str__(self):
        sys.exit(0)


class Untraced(Exception):
    @property
    def __traceback__(self):
        raise RuntimeError("no traceback")


class Traced(Exception):
    __traceback__ = 5


class Faceless(Exception):
    @property
    def __class__(self):
        raise RuntimeError("no class")


class Posing(Exception):
    __class__ = WrongAnswer

    def __str__(self):
        return "is right"


Meta = type("Meta", (type,), {"__name__": property(lambda cls: 1 / 0)})


class Nameless(Exception, metaclass=Meta):
    pass


class Outside(Mute, BaseException):
    pass


class Two(ValueError):
    def __init__(self, one, two):
        super().__init__(one, two)


def boom(*_, **__):
    raise KIND


def data(draws):
    x = np.tile(np.linspace(0, 1, 9)[:, None], (draws, 1, 1))
    return x, np.sin(x)


class Boom(SineNet):
    forward = boom


NETWORK = Network(inputs=1, hidden=4, outputs=1, activation="logistic")
MANY = probes(seed=0, draws=2)
FEW = probes(seed=0, draws=2, kinds=["exact", "random"])
ASKED = {"network": NETWORK, "references": [numpy_net], "problems": FEW}
ASKED |= {"dtypes": ["float64"], "checks": ["forward"]}
GRID = np.array([0.5, 0, 1])[:, None]
POPULATION = Population(data, quality=0.01, grid=GRID)
LEARNS = {"problems": POPULATION, "references": [scipy_bfgs], "checks": ["final"]}


def case(name, **given):
    return verify(Case(name, **{**ASKED, "subjects": [SineNet], **given}))


def learning(name, problems=None, answer=None, **given):
    subject = Trained(SineNet, Recipe("adam", 2, {"lr": 0.01}), **{"most": 1, **given})
    asked = {**LEARNS, "problems": problems} if problems else LEARNS
    return case(name, subjects=[subject], answer=answer, question="Who learns?", **asked)


"""
RIGHT_AT_LAST = "test_last = case('last')\n"

# Exceptions, whatever they say of themselves, and where they are raised.

KINDS = (
    "Raised()",
    "Value()",
    "Type()",
    "Key()",
    "Number()",
    "OddText()",
    "Endless()",
    "Loud()",
    "Exits()",
    "Untraced()",
    "Traced()",
    "Faceless()",
    "Posing()",
    "Nameless()",
    "Outside()",
    "Two(1, 2)",
    "StopIteration",
    "GeneratorExit",
    "MemoryError",
    "ExceptionGroup('two', [Raised(), Value()])",
    "pytest.skip.Exception('mine')",
    "UnicodeDecodeError('utf-8', b'x', 0, 1, 'mine')",
)
PLACES = {
    "forward": "case('forward', subjects=[Boom])",
    "loss": "case('loss', subjects=[Subject(SineNet, loss=boom)], checks=['loss'])",
    "build": "case('build', subjects=[Subject(boom)])",
    "parameters": "case('parameters', subjects=[Subject(SineNet, parameters=boom)])",
    "maker": "case('maker', problems=boom)",
    "prototype": "case('prototype', references=[Computed(boom, 'prototype', dtype='float64')])",
    "stated": "case('stated', references=[Stated('stated', boom, 0.1, 'why')])",
    "reference": (
        "case('reference', references=[type('R', (type(numpy_net),), {'observe': boom})()])"
    ),
    "title": "case('title', references=[type('R', (type(numpy_net),), {'title': boom})()])",
    "absent": (
        "case('absent', references=[type('R', (type(numpy_net),), {'cannot_answer': boom})()])"
    ),
    "contract": (
        "case('contract', references=[type('R', (type(numpy_net),), {'contract': boom})()])"
    ),
    "data": "learning('data', Population(boom, quality=0.01, grid=GRID))",
    "start": "learning('start', start=boom)",
    "floor": "learning('floor', floor=boom)",
    "iterate": "learning('iterate', iterate=boom)",
    "before": "learning('before', before=boom)",
    "after": "learning('after', after=boom)",
    "stacked": "learning('stacked', stacked=boom)",
}


def asked_in(mine: Mine, kind: str, text: str, forward: str = RIGHT) -> pytest.RunResult:
    """A run of a file with the hostile classes and some cases, and of one case that is right, which
    comes last.
    """
    mine.write(
        "import pytest\n",
        SINE.format(forward=forward),
        HOSTILE.replace("KIND", kind),
        text,
        RIGHT_AT_LAST,
    )
    result = mine.pytest("--parity-starts=2")
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    return result


SINE = """
class SineNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(1, 4)
        self.output = nn.Linear(4, 1)

    def forward(self, x):
        {forward}


"""


def said_of(mine: Mine) -> dict[str, tuple[str, str]]:
    """Status and sentence of each trial, by its case; the last case passes, and nobody else
    does.
    """
    report = mine.results()
    assert report["complete"]
    found = {
        verdict["case"]: (verdict["status"], _short(verdict["why"]))
        for verdict in report["verdicts"]
    }
    assert found.pop("last")[0] == "PASS"
    return found


def _short(why: str) -> str:
    """A sentence without its last lines, and without words of PyTorch's."""
    return re.sub(r"\n  (again|alone): .*|(?<=raised NotImplementedError): .*", "", why)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_raised_is_broken(mine: Mine, kind: str, approved: Approved) -> None:
    """By a model, a loss, data, a reference, a trainer: a sentence each, in the report, which is
    complete.
    """
    names = PLACES if kind in ("Raised()", "Faceless()") else ("forward", "maker", "start")
    places = {name: PLACES[name] for name in names}
    asked_in(mine, kind, "\n".join(f"test_{name} = {text}" for name, text in places.items()) + "\n")
    found = said_of(mine)
    assert list(found) == list(places)
    assert {status for status, _ in found.values()} == {"BROKEN"}
    approved([f"{name}: {why}" for name, (_, why) in found.items()])


@pytest.mark.parametrize("kind", ["Raised()", "Faceless()"])
def test_an_answer_that_raises_is_told(mine: Mine, kind: str, approved: Approved) -> None:
    """In the case's own words the report says so."""
    text = "test_answer = learning('answer', answer=boom)\n"
    result = asked_in(mine, kind, text)
    assert result.ret == 0
    approved(mine.results()["said"]["Who learns?"])


@pytest.mark.parametrize("kind", [KINDS[0], *KINDS[8:13]])
def test_a_network_that_raises_is_a_sentence_at_collection(
    mine: Mine, kind: str, approved: Approved
) -> None:
    """Its forward pass is looked at when its file is imported."""
    result = asked_in(mine, kind, "OWN = Equations('own', 1, 1, {'W': (1, 1)}, boom)\n")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    approved([line for line in result.outlines if line.startswith(("E   ValueError", "ERROR "))])


def test_data_that_raise_when_they_are_drawn_fail_the_run(mine: Mine, approved: Approved) -> None:
    """Every trial has its verdict, the next case too, and what the report lacks is said."""
    text = "def twice(draws):\n    return data(draws) if draws > 1 else boom()\n\n\n"
    text += "test_twice = learning('twice', Population(twice, quality=0.01, grid=GRID), most=2)\n"
    result = asked_in(mine, "Raised()", text)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert {verdict["status"] for verdict in mine.results()["verdicts"]} == {"PASS"}
    approved([line for line in result.outlines if "lacks" in line])


# What a model or a loss gives.

LIARS = """
class Shaped(torch.Tensor):
    @property
    def shape(self):
        return torch.Size((self.numel(), 1))


class Unshaped(torch.Tensor):
    @property
    def shape(self):
        raise ValueError("no shape")


class Flat(torch.Tensor):
    shape = ()


class Liar(torch.Tensor):
    @classmethod
    def __torch_function__(cls, called, types, args=(), kwargs=None):
        if called.__name__ in ("equal", "allclose", "isfinite", "all", "is_complex"):
            return True
        if called.__name__ in ("detach", "clone", "__get__"):
            with torch._C.DisableTorchFunctionSubclass():
                return (args[0] / 2).as_subclass(torch.Tensor)
        return super().__torch_function__(called, types, args, kwargs or {})


class Stepping(torch.Tensor):
    requires_grad = False

    def backward(self, *_):
        pass


class Elsewhere(torch.Tensor):
    @staticmethod
    def __new__(cls, held):
        return torch.Tensor._make_wrapper_subclass(cls, held.shape, dtype=held.dtype)

    @classmethod
    def __torch_dispatch__(cls, called, types, args=(), kwargs=None):
        return cls(torch.zeros(5, 1, dtype=torch.float64))


class Wrapping(torch.Tensor):
    @staticmethod
    def __new__(cls, held):
        make = torch.Tensor._make_wrapper_subclass
        return make(cls, held.shape, dtype=held.dtype, requires_grad=False)

    def __init__(self, held):
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, called, types, args=(), kwargs=None):
        given = [each.held if type(each) is Wrapping else each for each in args]
        found = called(*given, **(kwargs or {}))
        return cls(found) if isinstance(found, torch.Tensor) else found


class Posing:
    __class__ = torch.Tensor
    shape = (5, 1)


class Unclassed:
    @property
    def __class__(self):
        raise RuntimeError("no class")

    def __repr__(self):
        return "Unclassed()"


class Names(dict):
    def values(self):
        raise Raised


"""
OUTPUTS = {  # what forward gives of the right outputs y, and what comes of it
    "y.T.as_subclass(Shaped)": "FAIL",
    "y.as_subclass(Shaped)": "PASS",
    "y.as_subclass(Unshaped)": "PASS",
    "(2 * y).as_subclass(Liar)": "FAIL",
    "y.as_subclass(Liar)": "PASS",
    "(0 * y / 0).as_subclass(Liar)": "FAIL",
    "y.half().as_subclass(Liar)": "FAIL",
    "Elsewhere(y)": "FAIL",
    "Wrapping(y.detach())": "FAIL",
    "Posing()": "FAIL",
    "Unclassed()": "FAIL",
    "Mute()": "FAIL",
    "[Mute(), y]": "FAIL",
    "Text('text')": "FAIL",
    "{Mute(): y}": "PASS",
    "Names(y=y)": "BROKEN",
    "y.detach().numpy()": "FAIL",
    "nn.Parameter(y)": "FAIL",
    "y.to_sparse()": "FAIL",  # where an output is exactly 0, its gradient is lost
    "y.to('meta')": "BROKEN",
    "torch.Tensor": "FAIL",
    "(y for _ in [1])": "FAIL",
    "[[y]]": "FAIL",
    "self": "FAIL",
    "y + 0j": "FAIL",
}
LOSSES = {  # what the loss gives of the right one, l
    "(2 * l).as_subclass(Liar)": "FAIL",
    "l.as_subclass(Liar)": "PASS",
    "l.expand(1).as_subclass(Flat)": "FAIL",
    "l.as_subclass(Stepping)": "PASS",
    "l.detach().as_subclass(Stepping)": "FAIL",
    "l.to('meta')": "BROKEN",
    "l + 0j": "FAIL",
    "l.to_sparse()": "PASS",
    "Wrapping(l.detach())": "FAIL",
    "l.detach().numpy()": "FAIL",
    "Mute()": "FAIL",
    "Unclassed()": "FAIL",
    "None": "FAIL",
}


def test_outputs_are_judged_by_their_numbers(mine: Mine, approved: Approved) -> None:
    """Not by what a subclass says of its shape, of equality, or of being finite; what is no tensor
    is told.
    """
    cases = [
        f"class Net{n}(SineNet):\n    def forward(self, x):\n        y = super().forward(x)\n"
        f"        return {expression}\n\n\n"
        f"test_{n} ="
        f" case({expression!r}, subjects=[Net{n}], problems=MANY, checks=['gradient'])\n"
        for n, expression in enumerate(OUTPUTS)
    ]
    asked_in(mine, "Raised()", LIARS + "\n".join(cases))
    found = said_of(mine)
    assert {expression: status for expression, (status, _) in found.items()} == OUTPUTS
    approved([f"{expression}: {why}" for expression, (_, why) in found.items()], mask_figures=True)


@pytest.mark.parametrize("check", ["loss", "gradient", "input_gradient"])
def test_losses_are_judged_by_their_numbers(mine: Mine, check: str, approved: Approved) -> None:
    """And gradients by PyTorch's own backward(), whatever a subclass makes of that."""
    cases = [
        f"def loss{n}(o, t):\n    l = ((o - t) ** 2).sum()\n    return {expression}\n\n\ntest_{n} ="
        f" case({expression!r}, subjects=[Subject(SineNet, loss=loss{n})], problems=MANY,"
        f" checks=[{check!r}])\n"
        for n, expression in enumerate(LOSSES)
    ]
    asked_in(mine, "Raised()", LIARS + "\n".join(cases))
    found = said_of(mine)
    expected = LOSSES | ({"l.detach().as_subclass(Stepping)": "PASS"} if check == "loss" else {})
    assert {expression: status for expression, (status, _) in found.items()} == expected
    approved([f"{expression}: {why}" for expression, (_, why) in found.items()], mask_figures=True)


def test_a_reference_is_judged_by_its_numbers(mine: Mine) -> None:
    """Not by arrays of its own class, whose differences are 0: what it gives is wrong, and the
    trial fails.
    """
    text = """
class Near(np.ndarray):
    def __array_ufunc__(self, called, method, *given, **_):
        plain = [np.asarray(each) for each in given]
        return 0 * plain[0] if called is np.subtract else getattr(called, method)(*plain)


class Own(type(numpy_net)):
    name = "own"

    def observe(self, problem, dtype, device):
        found = super().observe(problem, dtype, device)
        return type(found)({name: (2 * value).view(Near) for name, value in found.values.items()})


test_near = case("near", references=[Own()])
"""
    asked_in(mine, "Raised()", text)
    assert said_of(mine)["near"][0] == "FAIL"


MODULES = {  # what a class of a model says, and what comes of it
    "def named_parameters(self, *a, **k): raise Raised": "BROKEN",
    "def parameters(self, *a, **k): raise Raised": "BROKEN",
    "def parameters(self, *a, **k): return iter(['x'])": "BROKEN",
    "def named_parameters(self, *a, **k): return iter([('x', 'y')])": "BROKEN",
    "def named_parameters(self, *a, **k): "
    "return iter([(Mute(), nn.Parameter(torch.zeros(4, 1)))])": ("BROKEN"),
    "def named_buffers(self, *a, **k): raise Raised": "BROKEN",
    "def named_modules(self, *a, **k): raise Raised": "BROKEN",
    "def to(self, *a, **k): raise Raised": "BROKEN",
    "def to(self, *a, **k): pass": "BROKEN",
    "def train(self, *a): raise Raised": "BROKEN",
    "def eval(self): pass": "BROKEN",
    "def __call__(self, *a): raise Raised": "BROKEN",
    "__class__ = property(lambda self: 1 / 0)": "PASS",
    "def __repr__(self): raise Raised": "PASS",
    "def forward(self, x): return self(x)": "BROKEN",
    "def forward(self, x): raise RuntimeError('device-side assert, AcceleratorError')": "BROKEN",
}


def test_a_module_that_answers_oddly_is_broken(mine: Mine, approved: Approved) -> None:
    """In whatever method, and its neighbours are judged all the same: no error makes the CPU
    unusable.
    """
    cases = [
        f"class Net{n}(SineNet):\n    {text}\n\n\ntest_{n} = case({text!r}, subjects=[Net{n}])\n"
        for n, text in enumerate(MODULES)
    ]
    asked_in(mine, "Raised()", "\n".join(cases))
    found = said_of(mine)
    assert {text: status for text, (status, _) in found.items()} == MODULES
    # Python says so or not, by which call is the first beyond its limit
    depth = " while calling a Python object"
    texts = [f"{text}: {why.replace(depth, '')}" for text, (_, why) in found.items()]
    approved(texts, mask_figures=True)


def test_a_wrong_model_whose_attributes_cannot_be_read_fails(mine: Mine) -> None:
    """They are looked at for a hint, and left out of it."""
    text = "class Odd(SineNet):\n    def __init__(self):\n        super().__init__()\n"
    text += (
        "        self.first = torch.zeros(1, device='meta')\n        vars(self)['second'] ="
        " Unclassed()\n\n"
    )
    text += "    def forward(self, x):\n        return (1 + 1e-9) * super().forward(x)\n\n\n"
    asked_in(mine, "Raised()", LIARS + text + "test_odd = case('odd', subjects=[Odd])\n")
    status, why = said_of(mine)["odd"]
    assert (status, "float64 rounding bound" in why) == ("FAIL", True)


# What cannot be asked at all.

CASES = (
    "network=Mute()",
    "network=Unclassed()",
    "subjects=[Mute()]",
    "subjects=Mute()",
    "subjects=[Unclassed()]",
    "references=[Mute()]",
    "references=[Unclassed()]",
    "problems=Mute()",
    "checks=[Mute()]",
    "dtypes=[Mute()]",
    "question=Mute()",
    "subjects=[Subject(SineNet, name=Mute())]",
    "contrast=Mute()",
    "expect=Mute()",
    "references=[type('R', (type(numpy_net),), {'name': property(boom)})()]",
    "subjects=[type('S', (), {'__getattr__': boom, '__call__': boom})()]",
    "subjects=[__import__('unittest.mock').mock.MagicMock()]",
)
REFUSED = (
    "Subject(SineNet, parameters=Mute())",
    "Trained(SineNet, Recipe('adam', Mute()))",
    "Trained(SineNet, Recipe('adam', 2, {'lr': Mute()}))",
    "Trained(SineNet, Recipe('adam', 2), most=Mute())",
    "Trained(SineNet, Recipe('adam', 2), start=Mute())",
    "Trained(SineNet, Recipe('adam', 2), says=Mute())",
    "Population(data, quality=Mute(), grid=GRID)",
    "Population(data, quality=float('nan'), grid=GRID)",
    "Population(data, quality=1, grid=GRID, table=5)",
    "Population(data, quality=1, grid=GRID, marks={Mute(): 1})",
    "Computed(Mute(), 'p')",
    "Stated('s', boom, Mute(), 'why')",
)


@pytest.mark.parametrize("kind", ["Raised()", "Key()", "Exits()", "Untraced()"])
def test_a_case_of_what_is_none_is_one_sentence_at_collection(
    mine: Mine, kind: str, approved: Approved
) -> None:
    """One at its line, and the cases beside it are collected."""
    cases = CASES if kind == "Raised()" else CASES[-3:-1]
    for n, text in enumerate(cases):
        mine.write(
            "import pytest\n", SINE.format(forward=RIGHT), HOSTILE.replace("KIND", kind), LIARS
        )
        (mine.pytester.path / f"test_{n:02}.py").write_text(
            f"{mine.text}test_it = case('it', {text})\n"
        )
    (mine.pytester.path / "test_mine.py").write_text(mine.text + RIGHT_AT_LAST)
    result = mine.pytest("--continue-on-collection-errors")
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert "Traceback" not in result.stdout.str()
    result.assert_outcomes(passed=1, errors=len(cases))
    said = [line for line in result.outlines if re.match(r"/.*test_\d+\.py:\d+: ", line)]
    assert len(said) == len(cases)
    told = [re.sub(r"id='\d+'", "id=...", line.partition(": ")[2]) for line in said]
    approved([f"{text}: {line}" for text, line in zip(cases, told, strict=True)])


def test_what_is_refused_when_it_is_made_is_a_sentence(mine: Mine, approved: Approved) -> None:
    """A repr that raises does not take its place."""
    told = (
        "for number, make in enumerate([{}]):\n    try:\n        print(make())\n    except"
        " Exception as error:\n"
    )
    told = (
        told.format(", ".join(f"lambda: {text}" for text in REFUSED))
        + "        print('said:', error)\n"
    )
    text = told.replace("lambda: case(Mute()), lambda: verify(Mute()), ", "")
    result = asked_in(mine, "Raised()", text)
    assert result.ret == 0
    approved([line for line in mine.pytest("-s").outlines if line.startswith("said:")])


# What a user's file sets.

STATES = {
    "nothing": "",
    "errors raise": "np.seterr(all='raise')",
    "errors are called": "np.seterrcall(boom)\nnp.seterr(all='call')",
    "warnings are errors": "import warnings\nwarnings.simplefilter('error')",
    "arrays print otherwise": (
        "np.set_printoptions(precision=1, threshold=1, formatter={'all': boom})"
    ),
    "numbers print as they did": "np.set_printoptions(legacy='1.13')",
    "errors raise within a model": (
        "class SineNet(SineNet):\n    def forward(self, x):\n"
        "        np.seterr(all='raise')\n        return super().forward(x)\n"
    ),
}


@pytest.fixture
def untouched() -> Iterator[None]:
    """NumPy's state as it was, whatever a file sets."""
    with np.errstate(), np.printoptions():
        call = np.geterrcall()
        yield
        np.seterrcall(call)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("state", STATES)
def test_what_a_file_sets_changes_no_verdict_and_no_sentence(
    mine: Mine, state: str, approved: Approved
) -> None:
    """A right model passes, a wrong one fails as it does elsewhere, what cannot be asked is told;
    with any state.
    """
    text = (
        STATES[state]
        + """


class Wrong(SineNet):
    def forward(self, x):
        return 2 * super().forward(x)


ALL = ["forward", "loss", "gradient", "input_gradient"]
test_right = case("right", checks=ALL, problems=probes(seed=0, draws=3))
test_wrong = case("wrong", subjects=[Wrong])
test_odd = case("odd", problems=lambda formulation: np.array([[1 / 3, 1e-300]]))
test_scaled = case("scaled", subjects=[Subject(SineNet, parameters={"W1": np.full((4, 1), 1 / 3)})])
test_learns = learning("learns")
"""
    )
    asked_in(mine, "Raised()", text)
    verdicts = mine.results()["verdicts"]
    right = [verdict["status"] for verdict in verdicts if verdict["case"] in ("right", "learns")]
    assert right == ["PASS"] * 5
    told = [
        verdict["why"].partition("\n")[2] for verdict in verdicts if verdict["status"] != "PASS"
    ]
    assert len(told) == 3
    approved(told, mask_figures=True)  # of every state the same (see the next test)


def test_of_every_state_the_sentences_are_the_same() -> None:
    """They stand seven times in the approved file, once for each."""
    text = (Path(__file__).parent / "__snapshots__/test_broken.ambr").read_text(encoding="utf-8")
    of_states = re.findall(r"# name: test_what_a_file_sets_[^\n]*\n(.*?)# ---", text, re.DOTALL)
    assert len(of_states) == len(STATES)
    assert len(set(of_states)) == 1


@pytest.mark.usefixtures("untouched")
def test_a_users_code_runs_in_the_users_state() -> None:
    """What it has set holds in it, not around it; what it changes there holds afterwards."""
    np.seterr(all="raise")
    seen = []
    with ours():
        seen.append(np.geterr()["over"])
        with users():
            seen.append(np.geterr()["over"])
            with ours():
                seen.append(np.geterr()["over"])
            np.seterr(over="warn")
        with users(quiet=True):
            seen += [np.geterr()["over"], np.geterr()["under"]]
        seen.append(np.geterr()["over"])
    seen += [np.geterr()["over"], np.geterr()["under"]]
    assert seen == ["ignore", "raise", "ignore", "ignore", "raise", "ignore", "warn", "raise"]
    with users():
        assert np.geterr()["over"] == "warn"


def test_a_prototype_that_catches_errors_raises_them(mine: Mine) -> None:
    """Its author lets NumPy raise, and answers what overflows: so it is asked too."""
    text = """
np.seterr(over="raise")


def caught(blocks, x):
    try:
        return outputs(blocks, x)
    except FloatingPointError:
        with np.errstate(over="ignore"):
            return outputs(blocks, x)
    finally:
        np.testing.assert_equal(np.geterr()["over"], "raise")


def outputs(blocks, x):
    return 1 / (1 + np.exp(-x @ blocks["W1"].T - blocks["b"])) @ blocks["W2"].T + blocks["b_w"]


test_caught = case("caught", references=[Computed(caught, "caught", dtype="float64")])
"""
    with np.errstate():
        asked_in(mine, "Raised()", text)
    assert [verdict["status"] for verdict in mine.results()["verdicts"]] == ["PASS"] * 2


# Reports that cannot be written, and those of other runs.

SET_LIMIT = """
import resource

def pytest_sessionfinish():
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
"""
FILES = {
    "index.html": "<!DOCTYPE html><title>nnet-parity: of another run",
    "report.md": "# nnet-parity\nof another run",
    "results.json": '{"schema": "nnet-parity/results/1", "of": "another run"}',
}


def left(place: Path) -> list[str]:
    """What lies in the folder, where the older report is now."""
    assert {path.name: path.read_text() for path in (place / OLDER).glob("[!.]*")} == FILES
    return sorted(path.name for path in place.iterdir() if path.name != OLDER)


def older(mine: Mine, folder: str = "build/report") -> Path:
    """The folder of a report of another run, as small as a report may be."""
    place = mine.pytester.path / folder
    place.mkdir(parents=True)
    for name, text in FILES.items():
        (place / name).write_text(text)
    return place


@contextmanager
def without_room(mine: Mine) -> Iterator[None]:
    """From the end of the run on no file may grow beyond four kilobytes."""
    mine.pytester.makeconftest(SET_LIMIT)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("passes", [True, False])
def test_a_report_that_cannot_be_written_leaves_none_of_another_run(
    mine: Mine, passes: bool
) -> None:
    """The run fails with one sentence, whether its trials do or not."""
    place = older(mine)
    with without_room(mine):
        result = asked_in(
            mine, "Raised()", "" if passes else "test_first = case('first', subjects=[Boom])\n"
        )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    said = (
        "report not written to build/report: [Errno 27] File too large; choose a folder with"
        " --parity-report-dir"
    )
    assert said in result.outlines
    assert left(place) == []


ANOTHER_ENDS = """
import shutil

def pytest_runtestloop():
    shutil.copytree("build/report/older-report", "build/report", dirs_exist_ok=True)
"""


def test_the_report_of_another_run_is_said_to_be_of_another(mine: Mine, approved: Approved) -> None:
    """Where another run has ended meanwhile, and this one cannot write its own."""
    older(mine)
    with without_room(mine):
        mine.pytester.makeconftest(SET_LIMIT + ANOTHER_ENDS)
        result = asked_in(mine, "Raised()", "")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    approved([line for line in result.outlines if "report" in line and "nnet-parity" not in line])


@pytest.mark.parametrize("option", ["--no-summary", "--no-header", "-q", "-qq"])
def test_a_report_is_written_whatever_the_terminal_shows(mine: Mine, option: str) -> None:
    """It takes the older one's place, and a failure to write it fails the run, where no line says
    so too.
    """
    place = older(mine)
    mine.write(SINE.format(forward=RIGHT), HOSTILE, RIGHT_AT_LAST)
    assert mine.pytest(option).ret == 0
    assert mine.results()["complete"]
    assert sorted(path.name for path in place.iterdir()) == list(FILES)
    with without_room(mine):
        assert mine.pytest(option).ret == pytest.ExitCode.TESTS_FAILED
    assert [path.name for path in place.iterdir()] == [OLDER]


def test_a_report_that_cannot_be_made_is_a_sentence(mine: Mine, approved: Approved) -> None:
    """Whatever goes wrong with it, here what a reference of one's own calls its version."""
    text = (
        "class Own(type(numpy_net)):\n    name = 'own'\n\n    def versions(self):\n        return"
        " {'own': 5}\n\n\n"
    )
    older(mine)
    result = asked_in(mine, "Raised()", text + "test_own = case('own', references=[Own()])\n")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    approved(
        [re.sub(r":\d+\)", ":<line>)", line) for line in result.outlines if "not written" in line]
    )
    assert left(mine.pytester.path / "build/report") == []


ENDS = {  # how a run of ours ends without a verdict: further text, options, its exit code
    "a case that is none": (
        "test_none = case('none', network=5)\n",
        [],
        pytest.ExitCode.INTERRUPTED,
    ),
    "a failure before": ("", ["-x", "test_first.py", "test_mine.py"], pytest.ExitCode.TESTS_FAILED),
    "pytest breaks": ("", ["-p", "breaking"], pytest.ExitCode.INTERNAL_ERROR),
    "pytest breaks early": (
        "",
        ["-p", "breaking_early", "test_mine.py"],
        pytest.ExitCode.INTERNAL_ERROR,
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_run_that_judges_nothing_leaves_no_older_report(
    mine: Mine, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its place is one that says that it is not complete."""
    text, options, code = ENDS[end]
    older(mine)
    monkeypatch.syspath_prepend(mine.pytester.path)
    mine.pytester.makepyfile(test_first="def test_first():\n    assert False\n")
    mine.pytester.makepyfile(
        breaking="def pytest_runtest_protocol():\n    raise RuntimeError('mine')\n"
    )
    mine.pytester.makepyfile(
        breaking_early="def pytest_itemcollected():\n    raise RuntimeError('mine')\n"
    )
    mine.write("import pytest\n", SINE.format(forward=RIGHT), HOSTILE, RIGHT_AT_LAST, text)
    assert mine.pytest(*options).ret == code
    report = mine.results()
    assert (report["complete"], report["verdicts"]) == (False, [])


@pytest.mark.parametrize(
    "options", [["-k", "first"], ["--collect-only"], ["--setup-plan"], ["test_first.py"]]
)
def test_a_run_that_asks_nothing_of_ours_leaves_the_report(mine: Mine, options: list[str]) -> None:
    """Where it deselects all trials, or runs none."""
    place = older(mine)
    mine.pytester.makepyfile(test_first="def test_first():\n    pass\n")
    mine.write(SINE.format(forward=RIGHT), HOSTILE, RIGHT_AT_LAST)
    assert mine.pytest(*options).ret == 0
    assert {path.name: path.read_text() for path in place.iterdir()} == FILES


def test_a_model_that_goes_elsewhere_leaves_its_script_where_it_is_told(mine: Mine) -> None:
    """The script of its failure is in the folder of reports, seen from where pytest was started."""
    text = "class Gone(SineNet):\n    def forward(self, x):\n        __import__('os').chdir('/')\n"
    text += "        return 2 * super().forward(x)\n\n\ntest_gone = case('gone', subjects=[Gone])\n"
    asked_in(mine, "Raised()", text)
    [path] = [verdict["alone"] for verdict in mine.results()["verdicts"] if verdict["alone"]]
    assert path == "build/report/reproducers/gone-forward.py"
    assert (mine.pytester.path / path).exists()


# The parts.


def test_an_object_is_text_whatever_it_says() -> None:
    """Cut, and its class where it says nothing; only Ctrl-C gets through."""

    class Odd:
        def __init__(self, say: Any) -> None:
            self.say = say

        def __repr__(self) -> str:
            return self.say()  # type: ignore[no-any-return]

    def stop() -> str:
        raise KeyboardInterrupt

    class Text(str):
        __slots__ = ()

        def __getitem__(self, index: Any) -> str:
            raise RuntimeError("no text")

    assert shown(Odd(lambda: "x" * 100), 5) == "xxxxx"
    assert shown("a'b") == '"a\'b"'
    assert type(shown(Odd(lambda: Text("text")))) is str
    for say in (lambda: 5, lambda: sys.exit(0), lambda: 1 / 0):
        assert shown(Odd(say)) == "<Odd>"
    with pytest.raises(KeyboardInterrupt):
        shown(Odd(stop))
    assert type(exact(Text("text"))) is str
    with pytest.raises(TypeError, match="descriptor"):
        exact(5)  # type: ignore[arg-type]


def test_where_a_users_file_raises_is_told() -> None:
    """Not where Python's own or an installed package does, nor this project."""
    with pytest.raises(ValueError, match="Expecting property name") as found:
        json.loads("{")
    line = inspect.getsourcelines(test_where_a_users_file_raises_is_told)[1] + 3
    assert raised(found.value).endswith(f" (at test_broken.py:{line})")


def test_a_tensor_is_taken_out_of_what_holds_it() -> None:
    """With its graph; what PyTorch does not hold is none."""
    x = torch.ones(2, requires_grad=True)

    class Doubled(torch.Tensor):
        @classmethod
        def __torch_function__(
            cls, called: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            return 7

    found = to_plain((3 * x).as_subclass(Doubled))
    assert type(found) is torch.Tensor
    found.sum().backward()
    assert torch.equal(x.grad, torch.full((2,), 3.0))  # type: ignore[arg-type]
    assert to_plain(x) is x
    assert torch.equal(to_plain(torch.eye(2).to_sparse()), torch.eye(2))
    for other in (None, 5, np.ones(2), torch.Tensor, torch.float64, [x]):
        assert to_plain(other) is None
