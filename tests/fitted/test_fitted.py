"""A port, as it ships, is judged by a fitted object: what it predicts, claims and holds."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.core.contract import Array
from harness.core.verdict import Verdict
from reference import fitted
from reference.r.nnet_reference import LIVE
from reference.rds.fit import FittedNet
from reference.rds.reading import read_fit
from tests.conftest import Approved
from tests.fitted.made import CALLS, DATA, make_fit
from tests.fitted.ports import Port, Scaled, judge_all, misread, split, statuses

pytestmark = pytest.mark.usefixtures("live_r")
PASSES = {"predictions": "PASS", "value": "PASS", "parameters": "PASS"}
FAILS = {"predictions": "FAIL", "value": "FAIL", "parameters": "FAIL"}


@cache
def numbers(seed: int = 1) -> dict[str, Array]:
    """The columns of numbers of the data that R draws."""
    text = f"local({{ {DATA.replace('SEED', str(seed))}; cbind(d$a, d$b, d$y, u) }})"
    columns = LIVE.eval_text(text)
    return dict(zip(("a", "b", "y", "u"), columns, strict=True))


def matrix(seed: int = 1) -> Array:
    """The two columns that a matrix fit is given (R, 2)."""
    return np.stack([numbers(seed)["a"], numbers(seed)["b"]], axis=1)


def made(folder: Path, call: str, seed: int = 1) -> tuple[Path, FittedNet]:
    """A fit that R makes, and its file."""
    path = make_fit(folder / "fit.rds", call, seed=seed)
    return path, read_fit(path, LIVE)


def rows_file(folder: Path, change: Callable[[list[list[str]]], object] | None = None) -> Path:
    """A csv file of the data frame, after a change of its lines."""
    path = folder / "rows.csv"
    LIVE.eval_text(
        f"local({{ {DATA.replace('SEED', '1')}; d[] <- lapply(d, function(v) if (is.double(v))"
        f" sprintf('%.17g', v) else v); write.csv(d, {str(path)!r}, row.names = FALSE) }})"
    )
    with path.open(newline="") as file:
        lines = list(csv.reader(file))
    if change:
        change(lines)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return path


def first(verdicts: list[Verdict]) -> str:
    """What the verdict on the predictions says."""
    return verdicts[0].why


TARGETS: dict[str, Callable[[], Any]] = {
    "two outputs": lambda: np.stack([numbers()["y"], numbers()["a"]], axis=1),
    "logistic": lambda: numbers()["u"],
}


@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("formula", "skip")])
def test_a_right_port_of_a_matrix_fit_passes(name: str, tmp_path: Path) -> None:
    """Predictions, loss and weights, for each of nnet's options by squares."""
    path, fit = made(tmp_path, CALLS[name])
    weights = numbers()["b"] if name == "weights" else None
    y = TARGETS.get(name, lambda: numbers()["y"])()
    case = fitted(path, Port(fit.topology, fit.wts), x=matrix(), y=y, weights=weights)
    assert statuses(judge_all(case)) == PASSES


@pytest.mark.parametrize("y", [["y", "a"], ("y", "a")])
def test_targets_of_several_outputs_are_names_of_columns(y: Any, tmp_path: Path) -> None:
    """They are no inputs of a net that was fitted on a matrix; in another order they are others."""
    path, fit = made(tmp_path, CALLS["two outputs"])
    x = {"left": matrix()[:, 0], "right": matrix()[:, 1], "y": numbers()["y"], "a": numbers()["a"]}
    port = Port(fit.topology, fit.wts)
    assert statuses(judge_all(fitted(path, port, x=x, y=y))) == PASSES
    other = statuses(judge_all(fitted(path, port, x=x, y=list(y)[::-1])))
    assert other == {**PASSES, "value": "BROKEN"}


def _bias_last(hidden: Array, outputs: Array) -> tuple[Array, Array]:
    return np.roll(hidden, 1, axis=1), np.roll(outputs, 1, axis=1)


def _by_column(hidden: Array, outputs: Array) -> tuple[Array, Array]:
    return hidden.ravel().reshape(hidden.shape[::-1]).T, outputs


def _exchanged(hidden: Array, outputs: Array) -> tuple[Array, Array]:
    hidden = hidden.copy()
    hidden[[0, 1]] = hidden[[1, 0]]
    return hidden, outputs


def _transposed(hidden: Array, outputs: Array) -> tuple[Array, Array]:
    return np.hstack([hidden[:, :1], hidden[:, 1:].T]), outputs


def _skip_first(hidden: Array, outputs: Array) -> tuple[Array, Array]:
    inputs, units = hidden.shape[1] - 1, len(hidden)
    skip, rest = np.split(outputs[:, 1:], [inputs], axis=1)
    assert rest.shape[1] == units
    return hidden, np.hstack([outputs[:, :1], rest, skip])


def _without_last(hidden: Array, outputs: Array) -> tuple[Array, Array]:
    outputs = outputs.copy()
    outputs[-1, -1] = 0.0
    return hidden, outputs


KINDS: dict[str, tuple[Callable[[Array, Array], tuple[Array, Array]], str]] = {
    "units exchanged in one layer": (_exchanged, "exchanged in one layer only"),
    "bias last": (_bias_last, "bias is read last"),
    "by column": (_by_column, "read by column"),
    "transposed": (_transposed, "transposed"),
    "skip first": (_skip_first, "skip inputs are read before the hidden units"),
    "last dropped": (_without_last, "last weight is dropped"),
}
FITS = (
    "fit(x, d$y, size = 2, linout = TRUE, decay = 1e-3)",
    "fit(y ~ a + b + f, d, size = 3, linout = TRUE, skip = TRUE, decay = 1e-4)",
    "fit(y ~ a + f + s, d, size = 5, linout = TRUE, decay = 1e-2)",
)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("call", FITS)
def test_misreadings_are_caught_and_named(call: str, seed: int, tmp_path: Path) -> None:
    """Ten kinds of misreading, and the one of dummy columns, of three data sets and five seeds."""
    path, fit = made(tmp_path, call, seed)
    net = fit.topology
    rng = np.random.default_rng(seed)
    x: Any = matrix(seed)
    if fit.terms is not None:
        text = f"local({{ {DATA.replace('SEED', str(seed))}; as.character(d$f) }})"
        x = {**numbers(seed), "f": LIVE.eval_text(text), "s": ["p", "q"] * 15}
    wrong: dict[str, tuple[Array, str]] = {}
    for kind, (change, words) in KINDS.items():
        if kind == "transposed" and net.hidden != net.inputs:
            continue
        if kind == "skip first" and "skip" not in call:
            continue
        wrong[kind] = misread(fit, change), words
    wrong["another fit"] = rng.normal(size=len(fit.wts)), "another fit's"
    seven = np.array([float(f"{weight:.7g}") for weight in fit.wts])
    wrong["seven digits"] = seven, "7 significant digits"
    for kind, (wts, words) in wrong.items():
        verdicts = judge_all(fitted(path, Port(net, wts), x=x, y=numbers(seed)["y"]))
        assert statuses(verdicts) == FAILS, kind
        assert kind == "transposed" or words in first(verdicts), (kind, first(verdicts))
    right = Port(net, fit.wts)
    assert statuses(judge_all(fitted(path, right, x=x, y=numbers(seed)["y"]))) == PASSES
    if fit.terms is None:
        return

    def encode(rows: dict[str, Any]) -> Array:
        columns = [rows[name] for name in fit.columns if name in rows]
        texts = np.array(rows["f"])
        columns += [texts == "w", texts == "v"]  # R has v first
        if "s" in rows:
            columns.append(np.array(rows["s"]) == "q")
        return np.stack(columns, axis=1).astype(float)

    verdicts = judge_all(fitted(path, right, x=x, encode=encode))
    assert statuses(verdicts) == {"predictions": "FAIL", "parameters": "PASS"}
    assert "fv and fw stand in another order" in first(verdicts)


def test_hidden_units_may_be_numbered_otherwise(tmp_path: Path) -> None:
    """It is the same function, and the verdict on the weights says how they are numbered."""
    path, fit = made(tmp_path, CALLS["matrix"])

    def renumbered(hidden: Array, outputs: Array) -> tuple[Array, Array]:
        order = [2, 0, 1]
        return hidden[order], np.hstack([outputs[:, :1], outputs[:, 1:][:, order]])

    port = Port(fit.topology, misread(fit, renumbered))
    verdicts = judge_all(fitted(path, port, x=matrix(), y=numbers()["y"]))
    assert statuses(verdicts) == PASSES
    assert "renumbered (its 0 is R's 2, its 1 is R's 0, its 2 is R's 1)" in verdicts[2].why


def test_a_unit_may_be_turned_over(tmp_path: Path) -> None:
    """h(-z) = 1 - h(z): other weights, the same function."""
    path, fit = made(tmp_path, CALLS["matrix"])

    def turned(hidden: Array, outputs: Array) -> tuple[Array, Array]:
        hidden, outputs = hidden.copy(), outputs.copy()
        hidden[1] *= -1
        outputs[:, 0] += outputs[:, 2]
        outputs[:, 2] *= -1
        return hidden, outputs

    port = Port(fit.topology, misread(fit, turned))
    verdicts = judge_all(fitted(path, port, x=matrix(), y=numbers()["y"]))
    assert statuses(verdicts) == PASSES
    assert "hidden unit 1 turned over" in verdicts[2].why


def test_a_port_of_float32_passes_with_the_rounding_of_what_it_stores(tmp_path: Path) -> None:
    """How large that is stands in the verdict."""
    path, fit = made(tmp_path, CALLS["matrix"])
    port = Port(fit.topology, fit.wts, torch.float32)
    verdicts = judge_all(fitted(path, port, x=matrix(), y=numbers()["y"]))
    assert statuses(verdicts) == PASSES
    assert "stored in float32, a prediction may be off by" in first(verdicts)


def test_weights_of_float32_in_a_port_of_float64_are_declared_or_fail(tmp_path: Path) -> None:
    """Seven digits are lost in silence, unless `stored` says so."""
    path, fit = made(tmp_path, CALLS["matrix"])
    port = Port(fit.topology, fit.wts.astype(np.float32).astype(np.float64))
    given: dict[str, Any] = {"x": matrix(), "y": numbers()["y"]}
    verdicts = judge_all(fitted(path, port, **given))
    assert statuses(verdicts) == FAILS
    assert "went through float32" in first(verdicts)
    verdicts = judge_all(fitted(path, port, stored="float32", **given))
    assert statuses(verdicts) == PASSES
    assert "stored in float32, a prediction may be off by" in first(verdicts)


def scaled_fit(folder: Path) -> tuple[Path, FittedNet, Array, Array, str]:
    """A fit on scaled data, its centre and spread, and the R code that scales."""
    path, fit = made(folder, "fit(scale(x), d$y, size = 3, linout = TRUE, decay = 1e-3)")
    centre, spread = matrix().mean(axis=0), matrix().std(axis=0, ddof=1)
    texts = [", ".join(f"{number:.17g}" for number in some) for some in (centre, spread)]
    return path, fit, centre, spread, f"scale(x, c({texts[0]}), c({texts[1]}))"


def test_scaling_outside_of_nnet_is_brought_in_by_prepare(tmp_path: Path) -> None:
    """A port that scales raw rows passes; by a standard deviation over n it fails, and is named."""
    path, fit, centre, spread, prepare = scaled_fit(tmp_path)
    given: dict[str, Any] = {"x": matrix(), "y": numbers()["y"], "prepare": prepare}
    right = Scaled(fit.topology, fit.wts, centre, spread)
    verdicts = judge_all(fitted(path, right, **given))
    assert statuses(verdicts) == PASSES
    assert not verdicts[0].caveat
    wrong = Scaled(fit.topology, fit.wts, centre, matrix().std(axis=0))
    verdicts = judge_all(fitted(path, wrong, **given))
    assert statuses(verdicts) == {**FAILS, "parameters": "PASS"}
    assert "divides by n = 30" in first(verdicts)


def test_scaling_may_be_folded_into_the_weights(tmp_path: Path) -> None:
    """W / spread and b - W centre / spread are R's weights too, and the verdict says so."""
    path, fit, centre, spread, prepare = scaled_fit(tmp_path)
    port = Port(fit.topology, fit.wts)
    with torch.no_grad():
        folded = port.hidden.weight / torch.tensor(spread)
        port.hidden.bias.sub_(folded @ torch.tensor(centre))
        port.hidden.weight.copy_(folded)
    verdicts = judge_all(fitted(path, port, x=matrix(), y=numbers()["y"], prepare=prepare))
    assert statuses(verdicts) == PASSES
    assert "with the scaling folded into them" in verdicts[2].why


@pytest.mark.parametrize("count", [30, 10])
def test_predictions_of_r_s_own_pipeline_judge_raw_rows(count: int, tmp_path: Path) -> None:
    """Without a word on the scaling: of all rows, by which it was computed, or of a few."""
    path, fit, centre, spread, _ = scaled_fit(tmp_path)
    written = tmp_path / "predictions.csv"
    LIVE.eval_text(
        f"local({{ {DATA.replace('SEED', '1')}; p <- predict(readRDS({str(path)!r}), scale(x));"
        f" write.csv(p[seq_len({count}), , drop = FALSE], {str(written)!r}, row.names = FALSE) }})"
    )
    given: dict[str, Any] = {"x": matrix()[:count], "predictions": written}
    right = Scaled(fit.topology, fit.wts, centre, spread)
    verdicts = judge_all(fitted(path, right, **given))
    assert statuses(verdicts) == {"predictions": "PASS", "parameters": "PASS"}
    assert "digits" in first(verdicts)
    wrong = Scaled(fit.topology, fit.wts, centre, matrix().std(axis=0))
    assert judge_all(fitted(path, wrong, **given))[0].status == "FAIL"
    seven = np.array([float(f"{weight:.7g}") for weight in fit.wts])
    wrong = Scaled(fit.topology, seven, centre, spread)
    assert judge_all(fitted(path, wrong, **given))[0].status == "FAIL"


def test_what_is_not_judged_is_said(tmp_path: Path, approved: Approved) -> None:
    """Scaling before nnet() without y, prepare or predictions; columns that R made for the port."""
    path, fit = made(tmp_path, CALLS["matrix"])
    verdicts = judge_all(fitted(path, Port(fit.topology, fit.wts), x=matrix()))
    approved(verdicts[0].caveat)
    path, fit = made(tmp_path, CALLS["formula"])
    verdicts = judge_all(fitted(path, Port(fit.topology, fit.wts), x=rows_file(tmp_path), y="y"))
    assert statuses(verdicts) == PASSES
    approved(verdicts[0].caveat)
    verdicts = judge_all(fitted(path, Port(fit.topology, fit.wts)))
    assert statuses(verdicts) == {"predictions": "PASS", "parameters": "PASS"}
    assert "drawn rows, not your data" in first(verdicts)


def test_a_row_with_a_missing_value_has_no_prediction(tmp_path: Path, approved: Approved) -> None:
    """R's predict() gives NA: a port that gives a number for it is wrong."""
    path, fit = made(tmp_path, "fit(y ~ a + b, d, size = 2, linout = TRUE)")

    def lose(lines: list[list[str]]) -> None:
        lines[4][0] = "NA"

    class Filling(Port):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(torch.nan_to_num(x))

    rows = rows_file(tmp_path, lose)
    verdicts = judge_all(fitted(path, Port(fit.topology, fit.wts), x=rows))
    assert verdicts[0].status == "PASS"
    assert "your rows (29)" in first(verdicts)
    verdicts = judge_all(fitted(path, Filling(fit.topology, fit.wts), x=rows))
    approved(first(verdicts), mask_figures=True)


def test_a_level_that_the_fit_does_not_know_is_refused(tmp_path: Path, approved: Approved) -> None:
    """As R's predict() refuses it, with the row and the levels that it knows."""
    path, fit = made(tmp_path, CALLS["formula"])

    def rename(lines: list[list[str]]) -> None:
        lines[4][lines[0].index("f")] = "zz"

    verdicts = judge_all(fitted(path, Port(fit.topology, fit.wts), x=rows_file(tmp_path, rename)))
    assert verdicts[0].status == "BROKEN"
    approved(first(verdicts))


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    """A data.frame's columns may stand in another order: a formula fit takes them by name."""
    path, fit = made(tmp_path, "fit(y ~ a + b, d, size = 2, linout = TRUE)")
    table = {name: numbers()[name] for name in ("y", "b", "a")}
    verdicts = judge_all(fitted(path, Port(fit.topology, fit.wts), x=table, y="y"))
    assert statuses(verdicts) == PASSES


def test_rows_that_were_not_fitted_do_not_judge_the_value(
    tmp_path: Path, approved: Approved
) -> None:
    """Where R's own weights do not give fit$value on them: scaling, or weights, are missing."""
    path, fit, centre, spread, _ = scaled_fit(tmp_path)
    port = Scaled(fit.topology, fit.wts, centre, spread)
    verdicts = judge_all(fitted(path, port, x=matrix(), y=numbers()["y"]))
    assert statuses(verdicts) == {**PASSES, "predictions": "FAIL", "value": "BROKEN"}
    approved(verdicts[1].why, mask_figures=True)


def test_a_prepare_that_mixes_rows_is_refused(tmp_path: Path, approved: Approved) -> None:
    """scale(x) takes mean and spread of the rows that it is given, which are not those of
    training.
    """
    path, fit, centre, spread, _ = scaled_fit(tmp_path)
    port = Scaled(fit.topology, fit.wts, centre, spread)
    verdicts = judge_all(fitted(path, port, x=matrix(), prepare="scale(x)"))
    assert verdicts[0].status == "BROKEN"
    approved(first(verdicts))


class Random(nn.Module):
    """A port that has forgotten to load its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(2, 3).double(), nn.Linear(3, 1).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.sigmoid(self.hidden(x)))


class Wide(Random):
    """A port that gives two outputs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).expand(-1, 2)


class Counting(Port):
    """A port that is another one for a single row."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + (len(x) == 1)


def test_a_port_without_weights_of_its_own_is_told_so(tmp_path: Path, approved: Approved) -> None:
    """It has other weights each time it is built."""
    path, _ = made(tmp_path, CALLS["matrix"])
    verdicts = judge_all(fitted(path, Random, x=matrix()))
    assert {verdict.status for verdict in verdicts} == {"FAIL"}
    approved(first(verdicts))


def test_a_port_that_depends_on_the_other_rows_fails(tmp_path: Path, approved: Approved) -> None:
    """It is also asked on half of the rows, and row by row."""
    path, fit = made(tmp_path, CALLS["matrix"])
    verdicts = judge_all(fitted(path, Counting(fit.topology, fit.wts), x=matrix()))
    assert verdicts[0].status == "FAIL"
    approved(first(verdicts))


def test_a_failure_says_where_and_why(tmp_path: Path, approved: Approved) -> None:
    """The whole message, of each of the three checks."""
    path, fit = made(tmp_path, CALLS["matrix"])
    port = Port(fit.topology, misread(fit, _bias_last))
    verdicts = judge_all(fitted(path, port, x=matrix(), y=numbers()["y"]))
    approved([verdict.why for verdict in verdicts], mask_figures=True)


@pytest.mark.parametrize("clip", [15.0, None])
def test_a_port_may_copy_nnet_s_clip_or_not(clip: float | None, tmp_path: Path) -> None:
    """Beyond |z| = 15 nnet's logistic is exactly 0 or 1: either is right."""
    path, fit = made(tmp_path, CALLS["matrix"])
    port = Port(fit.topology, fit.wts)
    port.clip = clip
    x = 40 * matrix()
    verdicts = judge_all(fitted(path, port, x=x))
    assert verdicts[0].status == "PASS"
    wrong = Port(fit.topology, fit.wts)
    wrong.clip = 14.0
    assert judge_all(fitted(path, wrong, x=x))[0].status == "FAIL"


def test_weights_that_no_row_shows_are_compared(tmp_path: Path) -> None:
    """A column that is 0 in all rows hides its weights from predictions on them; drawn rows and
    the comparison of weights do not.
    """
    path, fit = made(tmp_path, "fit(cbind(x, 0), d$y, size = 2, linout = TRUE)")

    def changed(hidden: Array, outputs: Array) -> tuple[Array, Array]:
        hidden = hidden.copy()
        hidden[:, 3] += 1
        return hidden, outputs

    x = np.hstack([matrix(), np.zeros((30, 1))])
    port = Port(fit.topology, misread(fit, changed))
    verdicts = judge_all(fitted(path, port, x=x, y=numbers()["y"]))
    assert statuses(verdicts) == {"predictions": "FAIL", "value": "PASS", "parameters": "FAIL"}


def test_a_port_written_otherwise_is_judged_by_its_predictions(tmp_path: Path) -> None:
    """Where names and shapes tell no meaning of its parameters, these are not compared."""
    path, fit = made(tmp_path, CALLS["matrix"])

    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wts = nn.Parameter(torch.tensor(fit.wts))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hidden, out = self.wts[:9].reshape(3, 3), self.wts[9:]
            h = torch.sigmoid(hidden[:, 0] + x @ hidden[:, 1:].T)
            return (out[0] + h @ out[1:])[:, None]

    verdicts = judge_all(fitted(path, Flat, x=matrix(), y=numbers()["y"]))
    assert statuses(verdicts) == {**PASSES, "parameters": "ABSENT"}
    meaning = {"W1": lambda p: p["wts"][:9].reshape(3, 3)[:, 1:], "b": lambda p: p["wts"][:9:3]}
    meaning |= {"W2": lambda p: p["wts"][None, 10:], "b_w": lambda p: p["wts"][9:10]}
    case = fitted(path, Flat, x=matrix(), y=numbers()["y"], parameters=meaning)
    assert statuses(judge_all(case)) == PASSES


def test_splitting_is_that_of_nnet(tmp_path: Path) -> None:
    """The ports of these tests hold each unit's bias, and then its weights."""
    _, fit = made(tmp_path, CALLS["matrix"])
    hidden, outputs = split(fit.topology, fit.wts)
    h = 1 / (1 + np.exp(-(hidden[:, 0] + matrix() @ hidden[:, 1:].T)))
    assert np.allclose(outputs[:, 0] + h @ outputs[:, 1:].T, fit.fitted, rtol=1e-5)


def test_weights_that_no_prediction_shows_fail(tmp_path: Path) -> None:
    """A unit that is saturated on all rows may hold other weights, and predictions agree; put to
    other parameters, the port shows that they mean what their names say.
    """
    path, fit = made(tmp_path, CALLS["matrix"])
    hidden, outputs = split(fit.topology, fit.wts)
    hidden, outputs = hidden.copy(), outputs.copy()
    hidden[0] = [-40, 0.1, 0.1]
    wts = np.concatenate([hidden.ravel(), outputs.ravel()])
    text = ", ".join(f"{weight:.17g}" for weight in wts)
    fitted_so = f"fit(x, d$y, size = 3, linout = TRUE, mask = rep(FALSE, 13), Wts = c({text}))"
    path = make_fit(tmp_path / "saturated.rds", fitted_so)
    hidden[0] = [-50, 0.2, 0.2]
    port = Port(fit.topology, np.concatenate([hidden.ravel(), outputs.ravel()]))
    verdicts = judge_all(fitted(path, port, x=matrix()))
    assert statuses(verdicts) == {"predictions": "PASS", "parameters": "FAIL"}


def test_a_port_may_take_the_columns_of_the_formula(tmp_path: Path) -> None:
    """Though all raw columns are numbers: encode="columns" hands it those of model.matrix."""
    path, fit = made(tmp_path, "fit(y ~ a + log(b), d, size = 2, linout = TRUE)")
    port = Port(fit.topology, fit.wts)
    given: dict[str, Any] = {"x": numbers(), "y": "y"}
    assert statuses(judge_all(fitted(path, port, **given)))["predictions"] == "FAIL"
    verdicts = judge_all(fitted(path, port, encode="columns", **given))
    assert statuses(verdicts) == PASSES
    assert "how it makes them of raw rows is not judged" in verdicts[0].caveat


def test_a_formula_that_runs_other_code_needs_trust(tmp_path: Path, approved: Approved) -> None:
    """R's predict() evaluates the formula of the file."""
    path, fit = made(tmp_path, "fit(y ~ poly(a, 2), d, size = 2, linout = TRUE)")
    port = Port(fit.topology, fit.wts)
    given: dict[str, Any] = {"x": numbers(), "y": "y", "encode": "columns"}
    verdicts = judge_all(fitted(path, port, **given))
    assert verdicts[0].status == "BROKEN"
    approved(first(verdicts))
    assert statuses(judge_all(fitted(path, port, trust=True, **given))) == PASSES


def test_a_module_that_was_given_stays_as_it_is(tmp_path: Path) -> None:
    """Where names and shapes leave a choice, other parameters are tried: in a copy."""
    path, fit = made(tmp_path, "fit(cbind(x, d$a), d$y, size = 3, skip = TRUE, linout = TRUE)")
    port = Port(fit.topology, fit.wts, torch.float32)
    before = {name: tensor.clone() for name, tensor in port.state_dict().items()}
    x = np.stack([numbers()["a"], numbers()["b"], numbers()["a"]], axis=1)
    verdicts = judge_all(fitted(path, port, x=x, y=numbers()["y"]))
    assert statuses(verdicts) == PASSES
    for name, tensor in port.state_dict().items():
        assert tensor.dtype is torch.float32
        assert torch.equal(tensor, before[name])
