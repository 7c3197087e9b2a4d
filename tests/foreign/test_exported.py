"""Programs of torch.export as subjects: they are judged as the modules that they are made of."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness import Case, Status, Subject
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, numpy_net, probes
from tests.conftest import Approved

NETWORK = Network(1, 8, 1, "logistic")


class Sine(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(1, 8), nn.Sigmoid(), nn.Linear(8, 1))


class Other(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))


def export(build: Any = Sine, rows: Any = None) -> Any:
    """A program for any number of rows, or for five."""
    shapes = ({0: rows},) if rows is not None else None
    return torch.export.export(build(), (torch.ones(5, 1),), dynamic_shapes=shapes)


def dynamic(build: Any = Sine) -> Any:
    return export(build, torch.export.Dim("rows"))


def judge(subject: Any, **given: Any) -> list[Any]:
    case = Case("exported", NETWORK, [subject], [numpy_net], probes(0, draws=4), **given)
    cache = Cache(case)
    return [run(trial, cache) for trial in case.trials()]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Subject(dynamic, "a factory"),
        lambda: Subject(dynamic(), "a program"),
        lambda: Subject(lambda: dynamic().module(), "its module"),
        dynamic,
    ],
    ids=["factory", "program", "module", "bare program"],
)
def test_an_exported_program_is_judged(make: Any) -> None:
    """Outputs, loss and gradients in both dtypes, as of any module."""
    assert {verdict.status for verdict in judge(make())} == {Status.PASS}


def test_its_weights_stay_as_they_are() -> None:
    """Trials set the parameters of modules of their own."""
    program = dynamic()
    before = {name: value.clone() for name, value in program.state_dict.items()}
    judge(Subject(program, "a program"), checks=["forward"])
    for name, value in program.state_dict.items():
        assert value.dtype == torch.float32
        assert torch.equal(value, before[name])


def test_a_fixed_number_of_rows_is_explained(approved: Approved) -> None:
    """With what to write where it is exported."""
    verdict = judge(Subject(export, "fixed"), checks=["forward"])[0]
    assert verdict.status is Status.BROKEN
    approved(verdict.why)


def wrong() -> Any:
    return dynamic(Other)


def test_a_wrong_one_fails_with_a_script(tmp_path: Path, approved: Approved) -> None:
    """The script exports it again."""
    case = Case("exported", NETWORK, [Subject(wrong)], [numpy_net], probes(0, draws=4))
    verdict = run(case.trials()[0], Cache(case), folder=tmp_path)
    assert verdict.status is Status.FAIL
    assert verdict.alone
    # a program's lines are numbered by the process
    lines = [line for line in verdict.why.splitlines() if "eval_with_key" not in line]
    approved(lines, mask_figures=True)
