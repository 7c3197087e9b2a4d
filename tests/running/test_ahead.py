"""A run of pytest whose trainers train in a fork: which do, and that nothing else changes."""

import os
from pathlib import Path
from typing import Any

import pytest

from harness.running import runner
from tests.conftest import Mine

CASE = """
import os
import random
import numpy as np
from nnet_parity import Population, Recipe, Trained, starts
from reference import scipy_lbfgsb


def note(model):
    with open("processes", "a") as file:
        file.write(f"{os.getpid()}\\n")


def data(count):
    x = np.tile(np.linspace(0, 10, 20)[:, None], (count, 1, 1))
    return x, np.sin(x)


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(1, 4), nn.Sigmoid(), nn.Linear(4, 1))


class Noisy(Net):
    def forward(self, x):
        return super().forward(x) * (1 + 0 * DRAW)


def train(model):
    how = {"start": starts.uniform(), "most": 2, "after": note}
    return Trained(model, Recipe("sgd", 5, {"lr": 1e-3}), **how)
"""
HOW = {
    "problems": "Population(data, grid=np.zeros((1, 1)))",
    "references": "[scipy_lbfgsb]",
    "checks": '["final"]',
    "dtypes": '["float64"]',
}


@pytest.fixture
def fit(mine: Mine, monkeypatch: pytest.MonkeyPatch) -> Mine:
    """A file with a case of training, on a machine where a fork is possible."""
    monkeypatch.setattr(runner, "can_fork", lambda: True)
    case = mine.case("test_fit", subjects="[train(Net)]", **HOW)
    mine.write(CASE, case)
    return mine


def read_processes(mine: Mine) -> set[bool]:
    """For each process that has trained the model, whether it was this one."""
    written = Path(mine.pytester.path, "processes").read_text(encoding="utf-8").split()
    return {int(each) == os.getpid() for each in written}


def read_fits(mine: Mine) -> list[dict[str, Any]]:
    """The fits in the report, without their times."""
    fits: list[dict[str, Any]] = mine.results()["fits"]
    for each in fits:
        del each["seconds"]
    return fits


def test_models_are_trained_in_a_fork_if_their_user_says_so(
    fit: Mine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an option or the ini file. The report has the same numbers."""
    fit.pytest().assert_outcomes(passed=1)
    assert read_processes(fit) == {True}
    fits = read_fits(fit)
    Path(fit.pytester.path, "processes").unlink()
    wait_for_forks(monkeypatch)
    fit.pytest("--parity-ahead").assert_outcomes(passed=1)
    assert read_processes(fit) == {False}
    assert read_fits(fit) == fits
    Path(fit.pytester.path, "processes").unlink()
    fit.pytest("-o", "parity_ahead=true").assert_outcomes(passed=1)
    assert read_processes(fit) == {False}


def wait_for_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process judge nothing before its fork has made all fits."""
    begin = runner.FittingFork.__init__

    def begin_and_wait(self: runner.FittingFork, *arguments: Any) -> None:
        begin(self, *arguments)
        while self._receive():
            pass

    monkeypatch.setattr(runner.FittingFork, "__init__", begin_and_wait)


@pytest.mark.parametrize("draw", ["torch.rand(1)", "random.random()", "np.random.rand()"])
def test_a_model_that_draws_is_trained_here_too(
    fit: Mine, monkeypatch: pytest.MonkeyPatch, draw: str
) -> None:
    """Its numbers follow those that were drawn before, in this process."""
    case = fit.case("test_fit", subjects="[train(Noisy)]", **HOW)
    fit.write(CASE.replace("DRAW", draw), case)
    wait_for_forks(monkeypatch)
    fit.pytest("--parity-ahead").assert_outcomes(passed=1)
    assert read_processes(fit) == {True, False}


@pytest.mark.parametrize(
    "option", ["--collect-only", "--setup-plan", "--parity-speed", "-k=nothing"]
)
def test_no_fork_is_made_for_nothing(
    fit: Mine, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    """Where no trial is judged, or a race needs the machine."""
    made: list[object] = []
    monkeypatch.setattr(runner, "FittingFork", lambda *arguments: made.append(arguments))
    fit.pytest(option, "--parity-ahead")
    assert not made
