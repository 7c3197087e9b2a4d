"""same() in a user's test file: trials, sentences, a script that fails again."""

import subprocess
from typing import Any

import pytest
import torch

from harness.core.verdict import Status
from harness.same.case import same
from tests.conftest import Approved, Mine, screen_of
from tests.same import models as m
from tests.same.models import DATA, judge

MODELS = """
from harness import same


class Original(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(3, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.out(torch.sigmoid(self.hidden(x)))


class Refactored(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 6), nn.Sigmoid(), nn.Linear(6, 2))

    def forward(self, x):
        return {output}


"""
CASE = "test_same = verify(same(Refactored, Original, data=(5, 3), dtypes=['float64']))\n"


def test_a_refactor_that_is_the_same_passes(mine: Mine, approved: Approved) -> None:
    """A trial for each question in each mode; the screen says what was assumed."""
    mine.write(MODELS.format(output="self.net(x)"), CASE)
    result = mine.pytest()
    result.assert_outcomes(passed=6)
    approved(screen_of(result), mask_figures=True)


@pytest.mark.parametrize("change", ["{} * 1.000001", "{}.relu()", "{} + 0 * x.sum() + self.lost"])
def test_a_script_fails_as_the_trial_does(mine: Mine, warm_python: str, change: str) -> None:
    """It has both classes, the data and the draw, and needs only torch and NumPy."""
    text = MODELS.replace(
        "super().__init__()\n        self.net",
        "super().__init__()\n        self.lost = 0.5\n        self.net",
    )
    mine.write(text.format(output=change.format("self.net(x)")), CASE)
    result = mine.pytest()
    result.assert_outcomes(passed=2, failed=1, skipped=2)
    for verdict in mine.results()["verdicts"]:
        if verdict["status"] == "FAIL" and not verdict["follows"]:
            path = mine.pytester.path / verdict["alone"]
            ended = subprocess.run([warm_python, str(path)], capture_output=True, text=True)
            assert (ended.returncode, ended.stdout.endswith("fails again\n")) == (1, True)
            assert "harness" not in path.read_text(encoding="utf-8").replace("nnet-parity", "")


def test_a_gradient_that_differs_has_a_script(mine: Mine) -> None:
    """A detached layer gives the right outputs and other gradients."""
    output = "self.net[2](torch.sigmoid(self.net[0](x) * 0.5 + self.net[0](x).detach() * 0.5))"
    mine.write(MODELS.format(output=output), CASE)
    result = mine.pytest()
    result.assert_outcomes(passed=2, failed=1, skipped=2)
    failed = [each for each in mine.results()["verdicts"] if each["status"] == "FAIL"]
    assert [bool(each["alone"]) for each in failed] == [True, False]


def test_wrong_arguments_are_refused(approved: Approved) -> None:
    """In a sentence, when the case is made."""
    wrong: list[dict[str, Any]] = [
        {"dtypes": ["tf32"]},
        {"modes": ["test"]},
        {"draws": -1},
        {"memory": 0},
        {"precision_lost": 3},
        {"own_backward": 3},
        {"reference_dtype": "half"},
    ]
    for arguments in wrong:
        with approved.raises((ValueError, TypeError)):
            same(m.Plain, m.Plain, data=DATA, **arguments)
    with approved.raises(TypeError):
        same(3, m.Plain, data=DATA)


BROKEN: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "data of another width": (m.Plain, m.Plain, {"data": (7, 4)}),
    "a list for a tuple": (m.OneInput, m.TwoInputs, {"data": [(7, 5), (7, 3)]}),
    "words": (m.Plain, m.Plain, {"data": "some numbers"}),
    "no module": (lambda: 3, m.Plain, {"data": DATA}),
    "no batches": (m.Plain, m.Plain, {"data": []}),
    "a function that raises": (m.Plain, m.Plain, {"data": lambda generator: 1 / 0}),
    "an object": (m.Plain, m.Plain, {"data": object()}),
    "parameters": (m.Plain, m.Plain, {"data": DATA, "parameters": 3}),
    "an unknown name": (m.Plain, m.Plain, {"data": DATA, "parameters": {"z": "a.weight"}}),
    "an unknown source": (m.Plain, m.Plain, {"data": DATA, "parameters": {"a.weight": "z"}}),
    "a wrong shape": (m.Plain, m.Plain, {"data": DATA, "parameters": {"a.weight": "b.weight"}}),
    "parts that do not join": (
        m.Plain,
        m.Plain,
        {"data": DATA, "parameters": {"a.weight": ["b.weight", "o.weight"]}},
    ),
    "a converter that raises": (m.Plain, m.Plain, {"data": DATA, "parameters": lambda s: s["z"]}),
    "a converter that gives a list": (m.Plain, m.Plain, {"data": DATA, "parameters": list}),
    "nothing fits": (m.WrongWiring, m.Renamed, {"data": DATA}),
    "targets": (m.Plain, m.Plain, {"data": [DATA, DATA], "targets": [1], "loss": abs}),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_cannot_be_compared_is_said(what: str, approved: Approved) -> None:
    """Every trial is BROKEN, and a sentence says why."""
    model, reference, arguments = BROKEN[what]
    case = same(model, reference, dtypes=["float64"], modes=["eval"], name="mine", **arguments)
    found = judge(case)
    assert {verdict.status for verdict in found.values()} == {Status.BROKEN}
    approved(next(iter(found.values())).why)


def test_too_large_a_comparison_is_refused(approved: Approved) -> None:
    """With its size and the limit."""
    case = same(m.Plain, m.Plain, data=(2000, 5), memory=0.01)
    found = judge(case)
    assert {verdict.status for verdict in found.values()} == {Status.ABSENT}
    approved(next(iter(found.values())).why, mask_figures=True)


def test_too_many_parameters_are_refused_before_they_are_copied(approved: Approved) -> None:
    """However few numbers an evaluation computes."""

    def wide() -> torch.nn.Module:
        return torch.nn.Linear(1000, 1000)

    found = judge(same(wide, wide, data=(1, 1000), memory=0.01))
    assert {verdict.status for verdict in found.values()} == {Status.ABSENT}
    approved(next(iter(found.values())).why, mask_figures=True)


def test_compiled_is_compared_with_eager_by_the_eager_operations() -> None:
    """A module that torch.compile wraps is named after the module inside, and is copied."""
    torch.manual_seed(0)
    model = m.Plain()
    case = same(torch.compile(model, backend="eager"), model, data=DATA, dtypes=["float32"])
    assert case.subjects[0].name == "Plain-compiled"
    assert {verdict.status for verdict in judge(case).values()} == {Status.PASS}


def test_a_reference_in_another_dtype() -> None:
    """A bfloat16 model is the same function as its float32 reference, well computed."""
    model = m.Plain().bfloat16()
    found = judge(same(model, m.Plain, data=DATA, reference_dtype="float32"))
    assert {name.partition(" ")[0] for name in found} == {"bfloat16"}
    assert {verdict.status for verdict in found.values()} == {Status.PASS}


def test_two_modules_with_other_numbers_are_told(approved: Approved) -> None:
    """They are judged with those of the reference, unless each is to keep its own."""
    torch.manual_seed(0)
    case = same(m.Plain(), m.Plain(), data=DATA, dtypes=["float64"], modes=["eval"])
    verdict = judge(case)["float64 same-function-eval"]
    assert verdict.status is Status.PASS
    approved(verdict.caveat)
    torch.manual_seed(0)
    case = same(
        m.Plain(),
        m.Plain(),
        data=DATA,
        dtypes=["float64"],
        modes=["eval"],
        parameters="as built",
    )
    verdict = judge(case)["float64 same-function-eval"]
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_a_loss_with_targets_gives_the_gradients() -> None:
    """A function, a class or a module of torch.nn; targets are drawn in words, or given."""
    labels: dict[str, Any] = {"targets": "integers 0..2 (7)", "data": DATA, "dtypes": ["float64"]}
    for loss in (torch.nn.CrossEntropyLoss, torch.nn.functional.cross_entropy):
        found = judge(same(m.Renamed, m.Plain, loss=loss, modes=["train"], **labels))
        assert {verdict.status for verdict in found.values()} == {Status.PASS}
        assert "output, loss, " in found["float64 same-function-train"].why
