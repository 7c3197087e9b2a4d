"""Right ports that failed and wrong ones that passed, as somebody found who tried to break this."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.core.contract import Array
from reference import fitted
from reference.fitted.object import FittedObject
from reference.fitted.stored import write
from reference.r.nnet_reference import LIVE
from reference.rds.fit import FittedNet
from reference.rds.reading import read_fit
from tests.conftest import Approved
from tests.fitted.ports import Port, Scaled, judge_all, statuses

pytestmark = pytest.mark.usefixtures("live_r")
ROWS = """
set.seed(1); d <- data.frame(a = runif(60, 20, 70), b = runif(60, 0, 5))
d$y <- sin(d$b) + 0.02 * d$a; lo <- sapply(d[1:2], min); w <- sapply(d[1:2], max) - lo
x <- scale(d[1:2], lo, w); fit <- function(...) nnet::nnet(..., trace = FALSE, maxit = 100)
"""


def ask_r(text: str, data: str = ROWS) -> Array:
    """What R answers, after it has drawn the data."""
    return np.asarray(LIVE.eval_text(f"local({{ {data}; {text} }})"), dtype=np.float64).T


def made(folder: Path, call: str, name: str = "fit", data: str = ROWS) -> tuple[Path, FittedNet]:
    """A fit, and its file."""
    path = folder / f"{name}.rds"
    ask_r(f"saveRDS({call}, {str(path)!r}); 1", data)
    return path, read_fit(path, LIVE)


def scaled_by_range(folder: Path) -> tuple[Path, FittedNet, Scaled]:
    """A fit on columns scaled to 0..1, with rows.csv, predictions.csv and a right port."""
    path, fit = made(folder, "fit(x, d$y, size = 3, linout = TRUE, decay = 1e-3)")
    write = "write.csv({}, {!r}, row.names = FALSE)"
    ask_r(f"{write.format('d', str(folder / 'rows.csv'))}; 1")
    predicted = f"predict(readRDS({str(path)!r}), x)"
    ask_r(f"{write.format(predicted, str(folder / 'predictions.csv'))}; 1")
    low, width = ask_r("rbind(lo, w)")
    return path, fit, Scaled(fit.topology, fit.wts, low, width)


class Folding(Scaled):
    """The same scaling as x times a factor, plus a shift."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return Port.forward(self, x * (1 / self.spread) - self.centre / self.spread)


class WithoutGradient(Scaled):
    """A port that computes under no_grad."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return super().forward(x)


def test_a_scaling_that_nobody_told_is_judged_by_the_port_s_derivatives(
    tmp_path: Path, approved: Approved
) -> None:
    """Rows and predictions of 15 digits, in ports of all kinds; wrong ones fail; what is not known
    is said.
    """
    path, fit, right = scaled_by_range(tmp_path)
    given: dict[str, Any] = {
        "x": tmp_path / "rows.csv",
        "y": "y",
        "predictions": tmp_path / "predictions.csv",
    }
    low, width = ask_r("rbind(lo, w)")
    folded = Port(fit.topology, fit.wts)
    with torch.no_grad():
        weight = folded.hidden.weight / torch.tensor(width)
        folded.hidden.bias.sub_(weight @ torch.tensor(low))
        folded.hidden.weight.copy_(weight)
    single = Scaled(fit.topology, fit.wts, low, width).float()
    for port in (right, Folding(fit.topology, fit.wts, low, width), folded, single):
        verdicts = judge_all(fitted(path, port, **given))
        assert statuses(verdicts)["predictions"] == "PASS", verdicts[0].why
        assert statuses(verdicts)["value"] == "ABSENT"
    approved([verdicts[0].caveat, verdicts[1].why])
    wrong = Scaled(fit.topology, fit.wts, low, width * (1 + 1e-9))
    assert judge_all(fitted(path, wrong, **given))[0].status == "FAIL"
    blind = WithoutGradient(fit.topology, fit.wts, low, width)
    verdicts = judge_all(fitted(path, blind, **given))
    assert verdicts[0].status == "ABSENT"
    approved(verdicts[0].why)


class ByHand(Scaled):
    """A port with a logistic of its own."""

    def logistic(self, z: torch.Tensor) -> torch.Tensor:
        return 1 / (1 + torch.exp(-z))


def test_what_nnet_s_clip_may_make_is_said(tmp_path: Path, approved: Approved) -> None:
    """Where neither the inputs of the network nor the port's logistic are known."""
    path, fit, _ = scaled_by_range(tmp_path)
    low, width = ask_r("rbind(lo, w)")
    rows = np.array([float(f"{weight:.8g}") for weight in fit.wts])
    port = ByHand(fit.topology, rows, low, width)
    given = {"x": tmp_path / "rows.csv", "y": "y", "predictions": tmp_path / "predictions.csv"}
    approved(judge_all(fitted(path, port, **given))[0].why, mask_figures=True)


def test_rows_without_a_target_are_left_out_of_the_loss(tmp_path: Path) -> None:
    """nnet's formula leaves them out; they are predicted."""
    data = "set.seed(3); d <- data.frame(a = runif(40), b = rnorm(40)); d$y <- d$a + d$b"
    data += "; d$y[4] <- NA"
    call = "nnet::nnet(y ~ a + b, d, size = 3, linout = TRUE, trace = FALSE)"
    path, fit = made(tmp_path, call, data=data)
    ask_r(f"write.csv(d, {str(tmp_path / 'na.csv')!r}, row.names = FALSE); 1", data)
    case = fitted(path, Port(fit.topology, fit.wts), x=tmp_path / "na.csv", y="y")
    assert set(statuses(judge_all(case)).values()) == {"PASS"}


def test_predictions_of_another_fit_are_not_taken_for_this_one(
    tmp_path: Path, approved: Approved
) -> None:
    """With prepare= they contradict R; without it the verdict says what is not known."""
    call = "fit(y ~ scale(a) + b, d, size = 3, linout = TRUE, decay = {})"
    path, _ = made(tmp_path, call.format("1e-2"))
    _, other = made(tmp_path, call.format("1e-3"), "other")
    other_file = str(tmp_path / "other.rds")
    given: dict[str, Any] = {
        "x": dict(zip("ab", ask_r("as.matrix(d[1:2])").T, strict=True)),
        "predictions": ask_r(f"predict(readRDS({other_file!r}), d)"),
        "encode": "columns",
    }
    port = Port(other.topology, other.wts)
    verdicts = judge_all(fitted(path, port, **given))
    assert "whether predictions= is of this fit is not judged" in verdicts[0].caveat
    verdicts = judge_all(fitted(path, port, **given, prepare="x"))
    assert verdicts[0].status == "BROKEN"
    approved(verdicts[0].why)


def test_an_encoder_that_looks_at_other_rows_is_refused(tmp_path: Path, approved: Approved) -> None:
    """It passes on the rows that it was written on, and on no single one."""
    path, fit, _ = scaled_by_range(tmp_path)

    def encode(rows: dict[str, Any]) -> Array:
        x = np.stack([rows["a"], rows["b"]], axis=1)
        return np.asarray((x - x.min(axis=0)) / np.ptp(x, axis=0))

    given = {
        "x": ask_r("as.matrix(d[1:2])"),
        "predictions": ask_r("fit(x, d$y, size = 1)$wts[1:60]"),
    }
    rows = dict(zip("ab", given["x"].T, strict=True))
    case = fitted(path, Port(fit.topology, fit.wts), x=rows, encode=encode)
    verdicts = judge_all(case)
    assert verdicts[0].status == "BROKEN"
    approved(verdicts[0].why)


@pytest.mark.parametrize("mean", [100, 10_000])
def test_a_column_with_a_large_mean_has_15_digits_too(mean: int, tmp_path: Path) -> None:
    """What these leave of a scaled column is more than of a small one."""
    data = f"set.seed(1); d <- data.frame(a = {mean} + runif(60), b = runif(60))"
    data += "; d$y <- sin(6 * d$a) + d$b"
    call = "nnet::nnet(y ~ scale(a) + b, d, size = 4, linout = TRUE, decay = 1e-4, trace = FALSE)"
    path, fit = made(tmp_path, call, data=data)
    ask_r(f"write.csv(d, {str(tmp_path / 'v.csv')!r}, row.names = FALSE); 1", data)
    port = Port(fit.topology, fit.wts)
    verdicts = judge_all(fitted(path, port, x=tmp_path / "v.csv", y="y", encode="columns"))
    assert set(statuses(verdicts).values()) == {"PASS"}


@pytest.mark.parametrize("write", ["round(p, 3)", "signif(p, 4)", "format(p, digits = 4)"])
def test_predictions_may_be_written_with_few_digits_or_decimals(write: str, tmp_path: Path) -> None:
    """They prove as much as they hold."""
    path, fit, right = scaled_by_range(tmp_path)
    text = f"p <- predict(readRDS({str(path)!r}), x); write.csv({write},"
    ask_r(f"{text} {str(tmp_path / 'few.csv')!r}, row.names = FALSE, quote = FALSE); 1")
    given = {"x": tmp_path / "rows.csv", "y": "y", "predictions": tmp_path / "few.csv"}
    assert judge_all(fitted(path, right, **given))[0].status == "PASS"
    low, width = ask_r("rbind(lo, w)")
    wrong = Scaled(fit.topology, np.roll(fit.wts, 1), low, width)
    assert judge_all(fitted(path, wrong, **given))[0].status == "FAIL"


LEVELS = """
set.seed(2)
d <- data.frame(a = rnorm(45), f = factor(rep(c("01", "02", "10"), 15)), i = rep(1:3, 15))
d$y <- d$a + (d$f == "02")
"""


def test_levels_are_drawn_though_the_rows_lack_them(tmp_path: Path) -> None:
    """An encoder that is wrong for a level that no row has fails; levels that look like numbers
    stay texts, and numbers that are levels stay numbers.
    """
    call = "nnet::nnet(y ~ a + f, d, size = 2, linout = TRUE, trace = FALSE)"
    path, fit = made(tmp_path, call, data=LEVELS)

    def encode(rows: dict[str, Any], third: str = "10") -> Array:
        f = np.array(rows["f"])
        return np.stack([rows["a"], f == "02", f == third], axis=1).astype(float)

    port = Port(fit.topology, fit.wts)
    rows = {"a": [0.5, -1.0, 2.0], "f": ["01", "02", "01"]}
    assert judge_all(fitted(path, port, x=rows, encode=encode))[0].status == "PASS"
    wrong = fitted(path, port, x=rows, encode=lambda some: encode(some, "03"))
    assert judge_all(wrong)[0].status == "FAIL"
    file = tmp_path / "levels.csv"
    file.write_text("a,f\n0.5,01\n-1,10\n")
    assert judge_all(fitted(path, port, x=file, encode=encode))[0].status == "PASS"
    call = "nnet::nnet(y ~ a + factor(i), d, size = 2, linout = TRUE, trace = FALSE)"
    path, fit = made(tmp_path, call, data=LEVELS)

    def encode_numbers(rows: dict[str, Any]) -> Array:
        return np.stack([rows["a"], rows["i"] == 2, rows["i"] == 3], axis=1).astype(float)

    port = Port(fit.topology, fit.wts)
    given = {"a": [0.5, -1.0, 2.0], "i": [1, 2, 3]}
    verdicts = judge_all(fitted(path, port, x=given, encode=encode_numbers))
    assert statuses(verdicts) == {"predictions": "PASS", "parameters": "PASS"}


def test_numbers_that_are_levels_are_not_handed_over_as_numbers(tmp_path: Path) -> None:
    """By default a port of a fit with a factor takes the columns of model.matrix, live and
    recorded.
    """
    call = "nnet::nnet(y ~ a + i, transform(d, i = factor(i)), size = 2, linout = TRUE, trace = F)"
    path, fit = made(tmp_path, call, data=LEVELS)
    given: dict[str, Any] = {"x": {"a": [0.5, -1.0, 2.0], "i": [1, 2, 3]}}
    case = fitted(path, Port(fit.topology, fit.wts), **given)
    verdicts = judge_all(case)
    assert statuses(verdicts) == {"predictions": "PASS", "parameters": "PASS"}
    assert "how it makes them of raw rows is not judged" in verdicts[0].caveat
    assert isinstance(case.problems, FittedObject)
    file = tmp_path / "answers.json"
    write(file, case.problems.record())
    verdicts = judge_all(fitted(file, Port(fit.topology, fit.wts)))
    assert statuses(verdicts) == {"predictions": "PASS", "parameters": "PASS"}


def test_drawn_rows_that_r_refuses_are_left_out(tmp_path: Path) -> None:
    """A formula may overflow beyond the user's rows."""
    data = "set.seed(1); d <- data.frame(a = runif(40, 0, 300), b = runif(40)); d$y <- d$b"
    call = "nnet::nnet(y ~ I(exp(a) / 1e120) + b, d, size = 2, linout = TRUE, trace = FALSE)"
    path, fit = made(tmp_path, call, data=data)
    rows = dict(zip("ab", ask_r("as.matrix(d[1:2])", data).T, strict=True))
    port = Port(fit.topology, fit.wts)
    assert judge_all(fitted(path, port, x=rows, encode="columns"))[0].status == "PASS"


def test_what_cannot_be_compared_is_said(tmp_path: Path, approved: Approved) -> None:
    """Targets that are all missing; predictions beyond the range of the dtype."""
    path, fit = made(tmp_path, "fit(d[1:2], d$y * 1e39, size = 2, linout = TRUE)")
    rows = ask_r("as.matrix(d[1:2])")
    port = Port(fit.topology, fit.wts)
    nothing = np.full(60, np.nan)
    said = [judge_all(fitted(path, port, x=rows, y=nothing))[1].why]
    single = Port(fit.topology, fit.wts, torch.float32)
    said.append(judge_all(fitted(path, single, x=rows))[0].why)
    approved(said, mask_figures=True)
