"""Ports that are written of a fit predict what R predicts, and each mistake in one is seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load as loads
from safetensors.numpy import save

from harness.core.contract import NNET_CLIP, Array
from harness.core.verdict import Status, Verdict
from harness.waiting.progress import silent
from reference.fitted.given import Given
from reference.fitted.object import FittedObject
from reference.fitted.stored import dump
from reference.porting.certificate import SCALING, Certificate, clipped_share
from reference.porting.port import write_model, write_test, write_weights
from reference.porting.running import judge_port
from reference.r.nnet_reference import LIVE
from reference.rds.fit import FittedNet
from reference.rds.reading import read_fit
from reference.rds.rows import Rows
from tests.conftest import Approved
from tests.fitted.made import CALLS, make_fit

pytestmark = pytest.mark.usefixtures("live_r")
ROCK = """{
rock <- datasets::rock
area1 <- rock$area / 10000; peri1 <- rock$peri / 10000
rock1 <- data.frame(perm = rock$perm, area1, peri1, shape = rock$shape)
set.seed(1)
nnet::nnet(log(perm) ~ area1 + peri1 + shape, rock1, size = 3, decay = 1e-3, linout = TRUE,
           skip = TRUE, maxit = 1000, trace = FALSE) }"""
FORMULA = (
    "fit(y ~ a * f + o + s + l + log(b) + I(a^2 / b) + scale(a) + sqrt(b) + exp(a) + expm1(b), d,"
    " size = 2)"
)


def load(folder: Path) -> Any:
    """The module model.py of a folder."""
    spec = spec_from_file_location("model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(net: FittedNet, folder: Path, smooth: bool = False) -> Any:
    """Write a port into a folder, and load it."""
    (folder / "model.py").write_text(write_model(net, "fit.rds", smooth), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(write_weights(net))
    return load(folder)


def predict(module: Any, inputs: Array) -> Array:
    with torch.no_grad():
        found: Array = module.Port()(torch.tensor(inputs, dtype=torch.float64)).numpy()
    return found


def ask(path: Path, rows: Rows) -> tuple[Array, Array]:
    """R's inputs of the net and predictions for raw rows."""
    return LIVE.ask_fit(str(path), list(rows.columns), list(rows.columns.values()), None, False)


def make_files(path: Path, smooth: bool = False, rows: Rows | None = None) -> dict[str, Any]:
    """The files of a port, R's answers among them."""
    stored = FittedObject(path, Given(rows)).record()
    net = read_fit(path, LIVE)
    return {
        "model.py": write_model(net, "fit.rds", smooth),
        "model.safetensors": write_weights(net),
        "predictions.json": dump(stored),
    }


def judge(files: dict[str, Any], smooth: bool = False) -> list[Verdict]:
    """The verdicts on predictions and parameters."""
    clip = None if smooth else NNET_CLIP
    return list(judge_port(files, "predictions.json", {"clip": clip}, silent))


def draw_call(number: int) -> str:
    """A call of nnet() with squares: its inputs, outputs and options are drawn."""
    rng = np.random.default_rng(number)
    size = int(rng.integers(0, 5))
    options = [f"size = {size}", f"linout = {'TRUE' if rng.random() < 0.6 else 'FALSE'}"]
    skip = size == 0 or rng.random() < 0.4
    options.append(f"skip = {'TRUE' if skip else 'FALSE'}")
    inputs, outputs = 2, int(rng.integers(1, 3))
    weights = size * (inputs + 1) + outputs * (1 + size + inputs * skip)
    if rng.random() < 0.4:
        options.append(f"decay = seq(0, 0.1, length.out = {weights})")
    if rng.random() < 0.4:
        options.append("weights = d$b")
    if rng.random() < 0.4:
        options.append(f"mask = rep(c(TRUE, TRUE, FALSE), length.out = {weights})")
    if rng.random() < 0.5:
        options.append(f"Wts = {rng.uniform(0.1, 12):.3f} * rnorm({weights}), maxit = 1")
    y = "cbind(u, u^2)" if outputs == 2 else "u"
    made = f"nnet::nnet(x, {y}, {', '.join(options)}, trace = FALSE)"
    return made if "maxit" in made else made.replace("trace", "maxit = 50, trace")


@pytest.mark.parametrize("number", range(20))
def test_ports_of_drawn_calls_predict_what_r_does(number: int, tmp_path: Path) -> None:
    """Skip, no hidden layer, decay, case weights, masks, linear and logistic outputs."""
    for smooth in (False, True):
        path = make_fit(tmp_path / "fit.rds", draw_call(number), seed=number)
        found = judge(make_files(path, smooth), smooth)
        assert [verdict.status for verdict in found] == [Status.PASS, Status.PASS]


def test_the_rock_example_of_nnet_is_ported(tmp_path: Path) -> None:
    """`?nnet`'s own call, with skip and decay."""
    predictions, parameters = judge(make_files(make_fit(tmp_path / "fit.rds", ROCK)))
    assert predictions.status is parameters.status is Status.PASS
    assert predictions.budget_used is not None
    assert predictions.budget_used < 0.5


@pytest.mark.parametrize("call", [FORMULA, CALLS["formula"], "fit(y ~ f:s + a - l, d, size = 1)"])
def test_columns_of_a_port_are_r_s(call: str, tmp_path: Path) -> None:
    """From raw columns by name: factors, interactions, functions, scale(); a missing value is
    NaN.
    """
    path = make_fit(tmp_path / "fit.rds", call)
    net = read_fit(path, LIVE)
    rows = Rows.of(
        {
            "a": [0.5, -1.25, np.nan, 2.0],
            "b": [1.0, 2.5, 3.0, 0.1],
            "f": ["u", "v", "w", None],
            "o": [1, 2, 3, 1],
            "s": ["p", "q", "p", "q"],
            "l": ["TRUE", "FALSE", "TRUE", "TRUE"],
        }
    )
    module = write(net, tmp_path)
    raw = rows.lists()
    made = module.columns(raw).numpy()
    inputs, outputs = ask(path, rows)
    used = ~np.isnan(inputs).any(axis=1)
    np.testing.assert_allclose(made[used], inputs[used], rtol=0, atol=2.0**-53)
    assert np.isnan(made[~used]).any(axis=1).all()
    with torch.no_grad():
        predicted = module.Port()(torch.tensor(made)).numpy()
    assert (np.isnan(predicted) == np.isnan(outputs)).all()
    with pytest.raises(ValueError, match="is no level that R knows"):
        module.columns(raw | {"f": ["z"] * 4, "s": ["z"] * 4})


MISTAKES: dict[str, Callable[[Any], Any]] = {
    "units exchanged": lambda w: w["hidden.weight"].__setitem__([0, 1], w["hidden.weight"][[1, 0]]),
    "bias forgotten": lambda w: w["output.bias"].fill(0),
    "seven digits": lambda w: w["hidden.weight"].__imul__(1 + 1e-7),
    "inputs exchanged": lambda w: w["hidden.weight"].__setitem__(
        slice(None), w["hidden.weight"][:, ::-1].copy()
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_weights_is_seen(mistake: Callable[[Any], Any], tmp_path: Path) -> None:
    """The same module with other weights fails."""
    files = make_files(make_fit(tmp_path / "fit.rds", CALLS["matrix"]))
    weights = {name: value.copy() for name, value in loads(files["model.safetensors"]).items()}
    mistake(weights)
    found = judge(files | {"model.safetensors": save(weights)})
    assert [verdict.status for verdict in found] == [Status.FAIL, Status.FAIL]


def test_the_clip_is_what_the_contract_says(tmp_path: Path) -> None:
    """Beyond 15 a clipped port equals R exactly, and has no gradient; a smooth one has."""
    call = "fit(x, d$y, size = 1, linout = TRUE, Wts = c(0, 1, 0, 0, 1), mask = rep(FALSE, 5))"
    path = make_fit(tmp_path / "fit.rds", call)
    net = read_fit(path, LIVE)
    inputs = np.array([[15.0, 0.0], [15.0 + 2**-40, 0.0], [-16.0, 0.0]])
    assert ask(path, Rows.of(inputs))[1][1:].ravel().tolist() == [1.0, 0.0]
    for smooth in (False, True):
        module = write(net, tmp_path, smooth).Port()
        x = torch.tensor(inputs, requires_grad=True)
        y = module(x)
        y.sum().backward()
        assert x.grad is not None
        assert (y[1:].ravel().tolist() == [1.0, 0.0]) == (not smooth)
        assert bool((x.grad[1:, 0] == 0).all()) == (not smooth)
        assert x.grad[0, 0] > 0


def test_what_is_written(tmp_path: Path, approved: Approved) -> None:
    """The module of a matrix fit in 42 lines, that of a formula, and their tests."""
    for call, smooth in ((CALLS["matrix"], False), (FORMULA, True)):
        net = read_fit(make_fit(tmp_path / "fit.rds", call), LIVE)
        source = write_model(net, "fit.rds", smooth)
        assert call != CALLS["matrix"] or source.count("\n") <= 42
        approved(source.replace(net.digest, "<digest>"))
        approved(write_test(net, "../fit.rds", smooth, "port of fit"))


def test_columns_of_other_lengths_are_refused(tmp_path: Path) -> None:
    """No row is dropped in silence."""
    net = read_fit(make_fit(tmp_path / "fit.rds", "fit(y ~ a + b, d, size = 1)"), LIVE)
    with pytest.raises(ValueError, match="shorter"):
        write(net, tmp_path).columns({"a": [1.0, 2.0], "b": [1.0]})


def test_texts_of_the_object_cannot_become_code(tmp_path: Path) -> None:
    """Hostile names of columns and levels, and a hostile call, stay texts."""
    evil = '"""\\n\\u2028import os; os.abort()\\n"'
    call = (
        f"{{ d$f <- factor(d$f, labels = c('{evil}', 'v', 'class'));"
        f" d$`a b\"'` <- d$a; d$rows <- d$b; m <- fit(y ~ f + `a b\"'` + rows, d, size = 1);"
        f" m$call <- quote(f({evil[3:]!r})); m }}"
    )
    net = read_fit(make_fit(tmp_path / "fit.rds", call), LIVE)
    module = write(net, tmp_path)
    made = module.columns({"a b\"'": [1.0], "rows": [2.0], "f": ["v"]})
    assert made.tolist() == [[1.0, 0.0, 1.0, 2.0]]


def test_a_port_that_cannot_run_is_told(tmp_path: Path, approved: Approved) -> None:
    """How safetensors is installed."""
    files = make_files(make_fit(tmp_path / "fit.rds", CALLS["matrix"]))
    without = "raise ModuleNotFoundError(\"No module named 'safetensors'\")"
    with approved.raises(ValueError):
        judge(files | {"model.py": without})


def test_a_certificate_says_what_came_out(tmp_path: Path, approved: Approved) -> None:
    """A port that is right, one that is wrong, one that is not NaN where R is, and a net that gives
    no evidence.
    """
    path = make_fit(tmp_path / "fit.rds", "fit(y ~ a + b, d, size = 3, linout = TRUE)")
    net = read_fit(path, LIVE)
    files = make_files(path, rows=Rows.of({"a": [1, 3, 5], "b": [2, 4, np.nan]}))
    source = files["model.py"]
    wrong = source.replace("return self.output(", "return 1 + self.output(")
    filled = source.replace("self.hidden(x)", "self.hidden(torch.nan_to_num(x))")
    zeros = "fit(x, d$y, size = 1, Wts = rep(0, 5), mask = rep(FALSE, 5), linout = TRUE)"
    nothing = make_files(make_fit(tmp_path / "zero.rds", zeros))
    asked = [files | {"model.py": each} for each in (source, wrong, filled)]
    for place, each in enumerate([*asked, nothing]):
        certificate = Certificate(
            *("fit.rds", "<digest>", net.call, "2-3-1", "model.Port", "R", "my.csv"),
            verdicts=judge(each),
            clipped=clipped_share(net, np.array([[1.0, 2.0], [np.nan, 3.0]])),
            caveats=(SCALING,),
            versions={"R": "9.9.9"},
            date="2026-01-01",
        )
        assert certificate.passes == (place == 0)
        held = json.loads(certificate.to_json({"model.py": "00"}))
        assert held["passes"] == certificate.passes
        assert [verdict["check"] for verdict in held["verdicts"]] == ["predictions", "parameters"]
        approved(certificate.to_markdown(), mask_figures=True)


def test_the_share_beyond_the_clip_is_of_units_and_rows(tmp_path: Path) -> None:
    """One of two units in one of two rows; a row with a missing value does not count."""
    call = "fit(x, d$y, size = 2, Wts = c(0, 1, 0, 0, 0, 1, 0, 1, 1), mask = rep(FALSE, 9))"
    net = read_fit(make_fit(tmp_path / "fit.rds", call), LIVE)
    inputs = np.array([[16.0, 0.0], [1.0, 15.0], [np.nan, 99.0]])
    assert clipped_share(net, inputs) == 0.25
    assert clipped_share(net, inputs[2:]) == 0.0
