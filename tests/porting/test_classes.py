"""Ports of classifications predict what R predicts: probabilities, and classes by name."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.core.contract import Array
from harness.core.verdict import Status
from reference.porting.port import BASELINE, layers, write_model, write_weights
from reference.r.nnet_reference import LIVE
from reference.rds.fit import FittedNet
from reference.rds.reading import read_fit
from tests.conftest import Approved
from tests.fitted.made import CLASSES, DATA, make_fit
from tests.porting.test_port import judge, load, make_files

pytestmark = pytest.mark.usefixtures("live_r")
MATRICES = ("class.ind", "unnamed", "entropy", "two entropies", "censored")


def make_port(name: str, folder: Path) -> tuple[FittedNet, Any]:
    """A fit in fit.rds, and its written port."""
    net = read_fit(make_fit(folder / "fit.rds", CLASSES[name]), LIVE)
    (folder / "model.py").write_text(write_model(net, "fit.rds", False), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(write_weights(net))
    return net, load(folder)


def ask(folder: Path, code: str) -> Any:
    """What R says of the fit `m` and its data `d` and `x`."""
    data = DATA.replace("SEED", "1")
    path = str(folder / "fit.rds")
    return LIVE.eval_text(f"local({{ library(nnet); {data}; m <- readRDS({path!r}); {code} }})")


def inputs_of(net: FittedNet, module: Any, folder: Path) -> torch.Tensor:
    """The inputs of a port for all rows of the data."""
    if net.terms is None:
        return torch.tensor(np.ascontiguousarray(ask(folder, "unname(x)").T))
    rows = {}
    for name in net.terms.variables:
        column = ask(folder, f"if (is.numeric(d${name})) d${name} else as.character(d${name})")
        rows[name] = column
    made: torch.Tensor = module.columns(rows)
    return made


@pytest.mark.parametrize("name", CLASSES)
def test_a_classification_is_ported(name: str, tmp_path: Path) -> None:
    """Every error, nnet() and multinom(), by formula and by matrix: every verdict passes, with
    nnet's clip and without.
    """
    path = make_fit(tmp_path / "fit.rds", CLASSES[name])
    for smooth in (False, True):
        found = judge(make_files(path, smooth), smooth)
        assert [verdict.status for verdict in found] == [Status.PASS, Status.PASS], found


@pytest.mark.parametrize("name", CLASSES)
def test_probabilities_and_classes_are_r_s(name: str, tmp_path: Path) -> None:
    """forward() is predict(type="raw"), probabilities() has a column for each class, classes() are
    the names that R gives.
    """
    net, module = make_port(name, tmp_path)
    port, x = module.Port(), inputs_of(net, module, tmp_path)
    data = "d" if net.terms is not None else "x"
    raw = "'probs'" if net.is_multinom else "'raw'"
    predicted = ask(tmp_path, f"unname(as.matrix(predict(m, {data}, type = {raw})))")
    expected = np.atleast_2d(predicted.T)
    with torch.no_grad():
        found: Array = port(x).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    assert hasattr(port, "probabilities") == (name != "two entropies")
    assert hasattr(port, "classes") == bool(net.classes)
    if name == "two entropies":
        return
    of_classes = port.probabilities(x).detach().numpy()
    assert of_classes.shape == (30, max(2, found.shape[1]))
    np.testing.assert_allclose(of_classes.sum(axis=1), 1.0)
    if not net.classes:
        return
    labels = ask(tmp_path, f"as.character(predict(m, {data}, type = 'class'))")
    shift = {"t": "u", "u": "v", "v": "w"} if name == "empty level" else {}
    assert port.classes(x) == [shift.get(label, label) for label in labels]
    x[0] = torch.nan
    assert port.classes(x)[0] is None


def test_a_tie_is_not_guessed_in_silence(tmp_path: Path) -> None:
    """R draws one of the classes within 1e-5 of the largest; the port warns of such rows."""
    _, module = make_port("softmax", tmp_path)
    port = module.Port()
    with torch.no_grad():
        for parameter in port.parameters():
            parameter.zero_()
        port.output.bias[:] = torch.tensor([1.0, 1.0 + 5e-6, 0.0])
    with pytest.warns(UserWarning, match="2 rows have a tie, in which R draws the class"):
        assert port.classes(torch.zeros(2, 2, dtype=torch.float64)) == ["v", "v"]
    with torch.no_grad():
        port.output.bias[1] = 1.0 + 2e-5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert port.classes(torch.zeros(2, 2, dtype=torch.float64)) == ["v", "v"]


def test_one_half_is_the_first_class(tmp_path: Path) -> None:
    """As in R, where a class of two is the second one beyond one half."""
    _, module = make_port("binary", tmp_path)
    port = module.Port()
    with torch.no_grad():
        for parameter in port.parameters():
            parameter.zero_()
    assert port.classes(torch.zeros(1, 2, dtype=torch.float64)) == ["p"]


@pytest.mark.parametrize("name", ["softmax", "binary", "multinom"])
def test_what_is_written_of_a_classification(name: str, tmp_path: Path, approved: Approved) -> None:
    """The module, with its classes, and what is said of the first class of multinom()."""
    net, _ = make_port(name, tmp_path)
    text = (tmp_path / "model.py").read_text().partition("def number")[0]
    approved(text.replace(net.digest, "<digest>"))
    if name == "multinom":
        assert BASELINE in " ".join(text.replace("#", " ").split())
        approved(BASELINE)


def test_the_weights_of_multinom_are_its_coefficients(tmp_path: Path) -> None:
    """The intercept is the bias, and the first class has zeros."""
    net, _ = make_port("multinom", tmp_path)
    held = layers(net)
    assert set(held) == {"output.weight", "output.bias"}
    coefficients = ask(tmp_path, "coef(m)").T
    np.testing.assert_array_equal(held["output.bias"], [0, *coefficients[:, 0]])
    np.testing.assert_array_equal(held["output.weight"][1:], coefficients[:, 1:])


def test_names_of_classes_cannot_become_code(tmp_path: Path) -> None:
    """Hostile levels stay texts."""
    evil = '"""\\n\\u2028import os; os.abort()\\n")'
    labels = f"c('{evil}', 'v', 'CLASSES')"
    call = f"fit(e ~ a, transform(d, e = factor(f, labels = {labels})), size = 1)"
    net = read_fit(make_fit(tmp_path / "fit.rds", call), LIVE)
    (tmp_path / "model.py").write_text(write_model(net, "fit.rds", False), encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(write_weights(net))
    assert net.classes == load(tmp_path).CLASSES


@pytest.mark.parametrize("name", ["binary", "entropy", "two entropies"])
def test_a_port_of_an_entropy_has_logits(name: str, tmp_path: Path) -> None:
    """Their logistic function is what forward() gives, and a loss of logits trains every weight."""
    net, module = make_port(name, tmp_path)
    port = module.Port()
    x = torch.tensor(np.random.default_rng(1).uniform(0, 2, (9, net.topology.inputs)))
    logits = port.logits(x)
    assert torch.equal(torch.sigmoid(logits), port(x))
    torch.nn.BCEWithLogitsLoss()(logits, torch.zeros_like(logits)).backward()
    assert all((parameter.grad != 0).all() for parameter in port.parameters())
