"""Ports of classifications are judged by the fitted object: by probabilities, classes and loss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.core.contract import Array
from reference import fitted
from reference.r.nnet_reference import LIVE
from reference.rds.fit import FittedNet
from tests.conftest import Approved
from tests.fitted.made import CLASSES, DATA
from tests.fitted.ports import Port, judge_all, statuses
from tests.fitted.test_fitted import PASSES, made, matrix, numbers, rows_file
from tests.fitted.test_stored import judged, record

pytestmark = pytest.mark.usefixtures("live_r")
Change = Callable[[torch.Tensor], torch.Tensor]


class Classifier(Port):
    """A port whose outputs are a function of its logits, by default that of the fit."""

    def __init__(self, fit: FittedNet, change: Change | None = None, wts: Array | None = None):
        super().__init__(fit.topology, fit.wts if wts is None else wts)
        self.change = change

    def activate(self, z: torch.Tensor) -> torch.Tensor:
        return super().activate(z) if self.change is None else self.change(z)


def of_data(code: str) -> Array:
    """Numbers that R computes of the data."""
    found: Array = LIVE.eval_text(f"local({{ {DATA.replace('SEED', '1')}; {code} }})")
    return np.ascontiguousarray(found.T)


def labels() -> list[str]:
    """The classes of the rows."""
    return list(LIVE.eval_text(f"local({{ {DATA.replace('SEED', '1')}; as.character(d$f) }})"))


# the rows of each fit and its targets, as a user has them
GIVEN: dict[str, Callable[[Path], dict[str, Any]]] = {
    "softmax": lambda folder: {"x": rows_file(folder), "y": "f"},
    "class.ind": lambda folder: {"x": matrix(), "y": labels()},
    "unnamed": lambda folder: {"x": matrix(), "y": of_data("unname(nnet::class.ind(d$f))")},
    "size 0 softmax": lambda folder: {"x": rows_file(folder), "y": "f"},
    "binary": lambda folder: {"x": rows_file(folder), "y": "s"},
    "entropy": lambda folder: {"x": matrix(), "y": numbers()["u"]},
    "two entropies": lambda folder: {"x": matrix(), "y": of_data("unname(cbind(u, u^2))")},
    "censored": lambda folder: {
        "x": matrix(),
        "y": of_data("unname(cbind(d$f != 'u', d$f != 'v', 1))"),
    },
    "empty level": lambda folder: {"x": rows_file(folder), "y": "f"},
    "multinom": lambda folder: {"x": rows_file(folder), "y": "f", "encode": "columns"},
    "multinom binary": lambda folder: {"x": rows_file(folder), "y": "s"},
    "multinom counts": lambda folder: {
        "x": {"a": numbers()["a"]},
        "y": np.stack([np.arange(1, 31), np.arange(30, 0, -1), np.full(30, 2)], axis=1),
    },
    "multinom unnamed": lambda folder: {
        "x": {"a": numbers()["a"]},
        "y": np.stack([np.arange(1, 31), np.arange(30, 0, -1)], axis=1),
    },
    "multinom censored": lambda folder: {
        "x": {"a": numbers()["a"]},
        "y": of_data("unname(cbind(d$f != 'u', d$f != 'v', 1))"),
    },
    "multinom without intercept": lambda folder: {"x": rows_file(folder), "y": "f"},
    "multinom empty": lambda folder: {"x": rows_file(folder), "y": "f"},
}


@pytest.mark.parametrize("name", CLASSES)
def test_a_right_port_of_a_classification_passes(name: str, tmp_path: Path) -> None:
    """Probabilities, R's classes, the loss of labels or numbers, and the weights."""
    path, fit = made(tmp_path, CLASSES[name])
    given = GIVEN[name](tmp_path)
    found = judge_all(fitted(path, Classifier(fit), **given))
    assert statuses(found) == PASSES, [verdict.why for verdict in found]
    assert ("of R's class in" in found[0].why) == bool(fit.classes)


@pytest.mark.parametrize("name", ["softmax", "binary", "empty level", "multinom"])
def test_recorded_answers_have_the_classes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R's answers in a file judge as R does, its classes included; NumPy does without a file."""
    monkeypatch.chdir(tmp_path)
    path, fit = made(tmp_path, CLASSES[name])
    given = GIVEN[name](tmp_path)
    alone = judged(tmp_path, Classifier(fit), given)
    record(tmp_path, **given)
    live = judge_all(fitted(path, Classifier(fit), **given, name="port"))
    recorded = judged(tmp_path, Classifier(fit), given)
    assert statuses(live) == statuses(recorded) == statuses(alone) == PASSES
    assert [one.budget_used for one in live] == [one.budget_used for one in recorded]
    assert live[0].why == recorded[0].why
    assert fit.is_multinom == name.startswith("multinom")


def softmax_over_rows(z: torch.Tensor) -> torch.Tensor:
    return torch.softmax(z, dim=0)


MISTAKES: dict[str, tuple[str, Change]] = {
    "logits": ("softmax", lambda z: z),
    "log softmax": ("softmax", lambda z: torch.log_softmax(z, dim=1)),
    "sigmoid": ("softmax", torch.sigmoid),
    "shares of sigmoids": (
        "softmax",
        lambda z: torch.sigmoid(z) / torch.sigmoid(z).sum(dim=1, keepdim=True),
    ),
    "softmax twice": ("softmax", lambda z: torch.softmax(torch.softmax(z, dim=1), dim=1)),
    "softmax over all": ("softmax", lambda z: torch.softmax(z.ravel(), dim=0).reshape(z.shape)),
    "one-hot": ("softmax", lambda z: torch.eye(3, dtype=z.dtype)[z.argmax(dim=1)]),
    "class order": ("softmax", lambda z: torch.softmax(z, dim=1)[:, [1, 2, 0]]),
    "multinom's class order": ("multinom", lambda z: torch.softmax(z, dim=1)[:, [2, 1, 0]]),
    "multinom's logits": ("multinom", lambda z: z),
    "binary logits": ("binary", lambda z: z),
    "binary log": ("binary", torch.nn.functional.logsigmoid),
    "wrong level": ("binary", lambda z: torch.sigmoid(-z)),
    "sigmoid twice": ("binary", lambda z: torch.sigmoid(torch.sigmoid(z))),
    "tanh": ("binary", torch.tanh),
    "softmax of one": ("binary", lambda z: torch.softmax(z, dim=1)),
    "class for probability": ("binary", lambda z: (z > 0).to(z.dtype)),
    "two columns": (
        "binary",
        lambda z: torch.softmax(torch.cat([torch.zeros_like(z), z], dim=1), dim=1),
    ),
    "softmax of entropies": ("two entropies", lambda z: torch.softmax(z, dim=1)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_misreading_of_a_classifier_is_named(
    mistake: str, tmp_path: Path, approved: Approved
) -> None:
    """Its predictions fail, and the sentence says what the port gives."""
    name, change = MISTAKES[mistake]
    path, fit = made(tmp_path, CLASSES[name])
    found = judge_all(fitted(path, Classifier(fit, change), **GIVEN[name](tmp_path)))
    assert str(found[0].status) == "FAIL"
    assert str(found[2].status) in ("PASS", "FAIL")
    said = [line for line in found[0].why.splitlines() if "likely" in line or "shape" in line]
    approved(said, mask_figures=True)


def test_softmax_over_the_rows_is_named(tmp_path: Path, approved: Approved) -> None:
    """A row's prediction then depends on the rows beside it."""
    path, fit = made(tmp_path, CLASSES["softmax"])
    case = fitted(path, Classifier(fit, softmax_over_rows), **GIVEN["softmax"](tmp_path))
    approved([line for line in judge_all(case)[0].why.splitlines() if "likely" in line], True)


class Named(Classifier):
    """A port with classes() of its own."""

    def __init__(self, fit: FittedNet, answer: Callable[[list[str]], Any]) -> None:
        super().__init__(fit)
        self.answer, self.names = answer, fit.classes

    def classes(self, x: torch.Tensor) -> Any:
        p = self(x)
        places = (p[:, 0] > 0.5).long() if p.shape[1] == 1 else p.argmax(dim=1)
        return self.answer([self.names[place] for place in places.tolist()])


ORDER = {"u": "v", "v": "w", "w": "u"}
ANSWERS: dict[str, Callable[[list[str]], Any]] = {
    "another order": lambda names: [ORDER[name] for name in names],
    "one class": lambda names: ["u"] * len(names),
    "numbers": lambda names: torch.tensor(["uvw".index(name) + 1 for name in names]),
    "no names": lambda names: ["setosa"] * len(names),
    "one too few": lambda names: names[1:],
    "an error": lambda names: [][0],
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_classes_of_a_port_are_compared(
    answer: str, tmp_path: Path, approved: Approved
) -> None:
    """By name or number, with R's predict(type="class"); wrong ones fail though the probabilities
    are right.
    """
    path, fit = made(tmp_path, CLASSES["softmax"])
    given = GIVEN["softmax"](tmp_path)
    right = judge_all(fitted(path, Named(fit, lambda names: names), **given))
    assert statuses(right) == PASSES
    numbered = judge_all(
        fitted(path, Named(fit, lambda names: np.array(["uvw".index(n) for n in names])), **given)
    )
    assert statuses(numbered) == PASSES
    found = judge_all(fitted(path, Named(fit, ANSWERS[answer]), **given))
    assert str(found[0].status) in ("FAIL", "BROKEN")
    approved(found[0].why, mask_figures=True)


def test_r_mislabels_after_an_empty_level(tmp_path: Path, approved: Approved) -> None:
    """NNET's predict(type="class") says t for u; a port with the right names passes, one with R's
    names does not.
    """
    path, fit = made(tmp_path, CLASSES["empty level"])
    given = GIVEN["empty level"](tmp_path)
    predicted = f"unname(predict(readRDS({str(path)!r}), d, type = 'class'))"
    by_r = LIVE.eval_text(f"local({{ library(nnet); {DATA.replace('SEED', '1')}; {predicted} }})")
    assert set(by_r) <= {"t", "u", "v"}
    found = judge_all(fitted(path, Named(fit, lambda names: names), **given))
    assert statuses(found) == PASSES
    approved(found[0].why, mask_figures=True)
    wrong = {"u": "t", "v": "u", "w": "v"}
    found = judge_all(fitted(path, Named(fit, lambda names: [wrong[n] for n in names]), **given))
    assert str(found[0].status) == "FAIL"


def test_the_same_for_all_classes_is_the_same_function(tmp_path: Path, approved: Approved) -> None:
    """Weights of a softmax, or coefficients against another baseline, are equivalent; weights of
    one class alone are not.
    """
    path, fit = made(tmp_path, CLASSES["multinom without intercept"])
    rows = fit.wts.reshape(3, -1)
    given = GIVEN["multinom without intercept"](tmp_path)
    found = judge_all(fitted(path, Classifier(fit, wts=(rows - rows[2]).ravel()), **given))
    assert statuses(found) == PASSES
    approved(found[2].why, mask_figures=True)
    moved = rows.copy()
    moved[1] += 1e-6
    found = judge_all(fitted(path, Classifier(fit, wts=moved.ravel()), **given))
    assert [str(verdict.status) for verdict in found] == ["FAIL"] * 3


def test_a_loss_of_probabilities_that_round_to_one_is_open(
    tmp_path: Path, approved: Approved
) -> None:
    """R's clip makes the loss 184 there; a port that copies it is compared, one that does not
    rounds to 1 and is not.
    """
    fixed = "Wts = c(0, 1, 0, 0, 60), mask = rep(FALSE, 5)"
    path, fit = made(tmp_path, f"fit(x, 1 * (d$b > 2), size = 1, entropy = TRUE, {fixed})")
    y = (numbers()["b"] > 2).astype(float)
    smooth, clipped = Classifier(fit), Classifier(fit)
    clipped.clip = 15.0
    found = judge_all(fitted(path, clipped, x=matrix(), y=y))
    assert statuses(found) == PASSES
    found = judge_all(fitted(path, smooth, x=matrix(), y=y))
    assert str(found[1].status) == "UNDEFINED"
    approved(found[1].why)


def test_float32_is_judged_too(tmp_path: Path) -> None:
    """With the rounding of what it stores."""
    for name in ("softmax", "binary", "multinom"):
        path, fit = made(tmp_path, CLASSES[name])
        port = Classifier(fit).float()
        assert statuses(judge_all(fitted(path, port, **GIVEN[name](tmp_path)))) == PASSES


def test_targets_that_are_no_classes_are_told(tmp_path: Path, approved: Approved) -> None:
    """A label that the fit does not know, and another number of columns or rows."""
    path, fit = made(tmp_path, CLASSES["softmax"])
    rows = rows_file(tmp_path)
    for y in ("s", ["u", "v"], np.ones((30, 2)), "a"):
        found = judge_all(fitted(path, Classifier(fit), x=rows, y=y))
        assert str(found[1].status) == "BROKEN"
        approved(found[1].why)


def test_an_older_file_of_answers_is_read(tmp_path: Path) -> None:
    """It names no error and no classes, and its seal holds."""
    answers = Path(__file__).with_name("older_answers.json")
    wts = np.array([2.446332062330333, 5.235757938403183, 0.9011029731364072, 2.1138431137775506])

    def build() -> nn.Module:
        net = made(tmp_path, "fit(y ~ a, d, size = 1, linout = TRUE)")[1]
        return Port(net.topology, wts)

    found = judge_all(fitted(answers, build))
    assert statuses(found) == {"predictions": "PASS", "parameters": "PASS"}
