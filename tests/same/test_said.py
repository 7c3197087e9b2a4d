"""What is said of two models in rarer cases: each sentence, where it is said."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _len_torch_dispatch_stack as count_watchers

from harness.core.finding import Located
from harness.core.verdict import Status
from harness.matching.respondent import Ask
from harness.matching.result import Outside, Result
from harness.same.case import same
from harness.same.sentences import describe_outside
from tests.conftest import Approved, Mine
from tests.mapping.test_mapping import by_numpy
from tests.same import models as m
from tests.same.models import DATA, Plain, judge

FAST: dict[str, Any] = {"dtypes": ["float64"], "modes": ["train"], "data": DATA}
FUNCTION, COMPUTED = "float64 same-function-train", "float64 well-computed-train"


def two_values(state: Any) -> dict[str, Tensor]:
    """A converter that gives a tied tensor two values."""
    made = dict(state)
    return made | {"b.weight": state["b.weight"] * 1, "c.weight": state["b.weight"] * 2}


class Near(m.Renamed):
    def forward(self, x: Tensor) -> Any:
        return self.net(x) * 1.0001


class Narrow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 7), nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Any:
        return self.second(self.first(x))


class KeepsGraph(Plain):
    def forward(self, x: Tensor) -> Any:
        if not hasattr(self, "kept"):
            self.kept = super().forward(x)
        return self.kept


class Complex(Plain):
    def forward(self, x: Tensor) -> Any:
        return torch.fft.fft(super().forward(x)).real


class Unruled(Plain):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x).detach().requires_grad_() * torch.special.bessel_j0(x[:, :3])


class OtherLabels(m.Labels):
    def forward(self, x: Tensor) -> Any:
        return 2 - super().forward(x)


class FirstColumns(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return x[:, :2].contiguous()


class NextColumns(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return x[:, 1:3].contiguous()


class WritesInputs(Plain):
    def forward(self, x: Tensor) -> Any:
        x.mul_(2)
        return super().forward(x)


class Drowned(Plain):
    def forward(self, x: Tensor) -> Any:
        return (super().forward(x) + 1e16) - 1e16


class Nothing(Plain):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x) * 0


class Shy(Plain):
    """Computes otherwise when nobody watches."""

    def forward(self, x: Tensor) -> Any:
        y = super().forward(x)
        return y if count_watchers() else y * 1.001


def half(state: Any) -> dict[str, Tensor]:
    """A converter that leaves a matrix with equal numbers."""
    return {**state, "b.weight": state["b.weight"][:1].expand(8, 8)}


class HalfReference(Plain):
    def hidden(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.a(x)) @ self.b.weight[0]
        return torch.tanh(h[:, None] + self.b.bias)


class MakesFloat32(Plain):
    """Its own start is in float32."""

    def hidden(self, x: Tensor) -> Tensor:
        return super().hidden(x) + torch.zeros(1, 8) @ torch.eye(8, dtype=x.dtype)


SAID: dict[str, tuple[Any, Any, dict[str, Any], str, Status]] = {
    "two values": (m.Tied, m.Tied, {"parameters": two_values}, FUNCTION, Status.BROKEN),
    "the rest by name": (
        Plain,
        Plain,
        {"parameters": {"a.bias": "a.bias"}},
        FUNCTION,
        Status.PASS,
    ),
    "nearest": (Near, Plain, {}, FUNCTION, Status.FAIL),
    "no shapes fit": (Narrow, Plain, {}, FUNCTION, Status.BROKEN),
    "keeps its graph": (KeepsGraph, Plain, {}, FUNCTION, Status.BROKEN),
    "a dtype of its own": (MakesFloat32, Plain, {}, FUNCTION, Status.BROKEN),
    "complex numbers": (Complex, Plain, {}, FUNCTION, Status.BROKEN),
    "no rule": (Unruled, Unruled, {}, FUNCTION, Status.VACUOUS),
    "no rule, no bound": (Unruled, Unruled, {}, COMPUTED, Status.VACUOUS),
    "labels": (OtherLabels, m.Labels, {}, FUNCTION, Status.FAIL),
    "only moves": (FirstColumns, NextColumns, {}, FUNCTION, Status.FAIL),
    "by NumPy": (Plain, Plain, {"parameters": by_numpy}, FUNCTION, Status.PASS),
    "writes inputs": (WritesInputs, WritesInputs, {}, FUNCTION, Status.PASS),
    "too wide": (Drowned, Plain, {}, FUNCTION, Status.VACUOUS),
    "nothing": (Nothing, Nothing, {}, FUNCTION, Status.VACUOUS),
    "no bound": (OtherLabels, m.Labels, {}, COMPUTED, Status.VACUOUS),
    "no precision": (
        OtherLabels,
        m.Labels,
        {},
        "float64 precision-kept-train",
        Status.VACUOUS,
    ),
    "as it ran": (Shy, Plain, {}, COMPUTED, Status.FAIL),
    "as you say": (
        m.ExtraMatrix,
        Plain,
        {"parameters": {"extra": 0.0}},
        FUNCTION,
        Status.PASS,
    ),
    "tied as you say": (
        m.Untied,
        m.Tied,
        {"parameters": {"c.weight": "b.weight"}},
        FUNCTION,
        Status.PASS,
    ),
    "a backward of its own": (m.OwnBackward, m.OwnBackward, {}, COMPUTED, Status.FAIL),
    "a backward as declared": (
        m.OwnBackward,
        m.OwnBackward,
        {"own_backward": "straight through"},
        COMPUTED,
        Status.PASS,
    ),
    "equal numbers": (Plain, HalfReference, {"parameters": half}, FUNCTION, Status.PASS),
}


@pytest.mark.parametrize("what", SAID)
def test_each_sentence_is_said(what: str, approved: Approved) -> None:
    """Maps, state, operations without a rule, whole numbers, exact ones, declared freedom."""
    model, reference, arguments, question, status = SAID[what]
    verdict = judge(same(model, reference, name="mine", **{**FAST, **arguments}))[question]
    assert verdict.status is status
    approved([verdict.why, verdict.caveat], mask_figures=True)


def test_an_operation_outside_its_bound_is_named(approved: Approved) -> None:
    """With its layer, its line and the draw."""
    located = Located("tanh", "hidden", "net.py:12", "h = torch.tanh(z)")
    asked = Result(Ask("drawn 1", {}, None))  # type: ignore[arg-type] # no batch is looked at
    approved(describe_outside(Outside(located, 5.0), asked, "float32"))


NO_SCRIPT = {
    "moves when it is copied": "class Mine(Theirs):\n    def forward(self, x):\n"
    '        return super().forward(x) * (1 if __name__ == "__main__" else 1.001)\n',
    "a function for one tensor": "class Mine(Theirs):\n    def forward(self, x):\n"
    "        return super().forward(x) * 1.001\n",
}
THEIRS = """
from harness import same


class Theirs(nn.Module):
    def __init__(self):
        super().__init__()
        self.out, self.norm = nn.Linear(3, 2), nn.BatchNorm1d(2)

    def forward(self, x):
        return self.norm(self.out(x))


"""


def failures(mine: Mine, *parts: str) -> list[str]:
    """Why there is no script of the failures of a file, in the first block of each."""
    mine.write(THEIRS, *parts)
    mine.pytest()
    found = [each for each in mine.results()["verdicts"] if each["status"] == "FAIL"]
    assert found
    return [str(each["finding"]["no_script"]) for each in found]


CASE = "test_same = verify(same(Mine, Theirs, dtypes=['float64'], modes=['train'], {rest}))\n"


def test_a_failure_without_a_script_says_why(mine: Mine, approved: Approved) -> None:
    """One that does not fail again, a map that is a function, large data, a buffer."""
    plain = NO_SCRIPT["a function for one tensor"]
    word = "data=(4, 3), parameters={'out.bias': lambda s: s['out.bias'] * 1}"
    slow = "class Mine(Theirs):\n    def __init__(self):\n        super().__init__()\n"
    slow += "        self.norm = nn.BatchNorm1d(2, momentum=0.3)\n"
    approved(
        [
            *failures(mine, NO_SCRIPT["moves when it is copied"], CASE.format(rest="data=(4, 3)")),
            *failures(mine, plain, CASE.format(rest=word)),
            *failures(mine, slow, CASE.format(rest="data=(4, 3)")),
        ]
    )


def test_large_data_has_no_script(mine: Mine, approved: Approved) -> None:
    """Unless it can be cut into rows."""
    forward = "class Mine(Theirs):\n    def forward(self, x, y):\n"
    body = forward + "        return super().forward(x) * 1.001 + y.mean()\n"
    theirs = THEIRS.replace("(self, x)", "(self, x, y)").replace(
        "self.norm(self.out(x))", "self.norm(self.out(x)) + y.mean()"
    )
    body = body.replace("super().forward(x) * 1.001 + y.mean()", "super().forward(x, y) * 1.001")
    mine.write(theirs, body, CASE.format(rest="data=((4, 3), (3000,))"))
    mine.pytest()
    (found,) = [each for each in mine.results()["verdicts"] if each["status"] == "FAIL"]
    approved(found["finding"]["no_script"])


WRITTEN = """
from harness import same


class Theirs(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(3, 2)

    def forward(self, x):
        return self.out(x)


class Mine(Theirs):
    def forward(self, x):
        z = self.out(x)
        return 0.5 * z + 0.5 * z.detach()


"""


def test_the_script_as_it_is_written(mine: Mine, approved: Approved) -> None:
    """Both classes, the data, the draw and the map; a gradient that differs."""
    mine.write(WRITTEN, CASE.format(rest="data=(3, 3)"))
    mine.pytest()
    (found,) = [each for each in mine.results()["verdicts"] if each["status"] == "FAIL"]
    approved((mine.pytester.path / found["alone"]).read_text(encoding="utf-8"), mask_figures=True)


DRAWN = """
from harness import same


class Theirs(nn.Module):
    def __init__(self):
        super().__init__()
        self.out, self.scale = nn.Linear(3, 2), nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return self.out(x) * (1 + self.scale**2)


class Mine(Theirs):
    def forward(self, x):
        return self.out(x) + 0 * self.scale


"""


def test_a_script_draws_the_parameters(mine: Mine, approved: Approved) -> None:
    """Of a failure that nobody sees as built."""
    mine.write(DRAWN, CASE.format(rest="data=(3, 3)"))
    mine.pytest()
    (found,) = [each for each in mine.results()["verdicts"] if each["status"] == "FAIL"]
    text = (mine.pytester.path / found["alone"]).read_text(encoding="utf-8")
    approved([found["where"], text[text.index("reference, model = build") :]], mask_figures=True)
