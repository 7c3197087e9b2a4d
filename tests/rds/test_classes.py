"""Classifications by nnet() and multinom() are read, by R and without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reference.r.nnet_reference import LIVE
from reference.rds.fit import FittedNet
from reference.rds.reading import Mode, read_fit
from tests.conftest import Approved
from tests.fitted.made import CLASSES, make_fit
from tests.rds.test_reading import CHANGE, check_same

pytestmark = pytest.mark.usefixtures("live_r")
MODES: tuple[Mode, ...] = ("r", "rdata")
EXPECTED = {
    "softmax": ("softmax", ("u", "v", "w"), ("u", "v", "w")),
    "class.ind": ("softmax", ("u", "v", "w"), ("u", "v", "w")),
    "unnamed": ("softmax", (), ()),
    "size 0 softmax": ("softmax", ("u", "v", "w"), ("u", "v", "w")),
    "binary": ("entropy", ("p", "q"), ("p", "q")),
    "entropy": ("entropy", ("0", "1"), ("0", "1")),
    "two entropies": ("entropy", (), ("0", "1")),
    "censored": ("censored", ("k", "l", "m"), ("k", "l", "m")),
    "empty level": ("softmax", ("u", "v", "w"), ("t", "u", "v", "w")),
    "multinom": ("softmax", ("u", "v", "w"), ("u", "v", "w")),
    "multinom binary": ("entropy", ("p", "q"), ("p", "q")),
    "multinom counts": ("softmax", ("k", "l", "m"), ("k", "l", "m")),
    "multinom unnamed": ("softmax", ("1", "2"), ("1", "2")),
    "multinom censored": ("censored", ("k", "l", "m"), ("k", "l", "m")),
    "multinom without intercept": ("softmax", ("u", "v", "w"), ("u", "v", "w")),
    "multinom empty": ("softmax", ("u", "v", "w"), ("u", "v", "w")),
}


def read_both(path: Path) -> FittedNet:
    """The fit in a file, which R and rdata must read alike."""
    by_r, by_rdata = (read_fit(path, LIVE, mode) for mode in MODES)
    check_same(by_r, by_rdata)
    return by_r


@pytest.mark.parametrize("name", CLASSES)
def test_a_classification_is_read(name: str, tmp_path: Path) -> None:
    """Its error, the classes of its outputs, and R's own levels; both ways of reading agree."""
    net = read_both(make_fit(tmp_path / "fit.rds", CLASSES[name]))
    assert (net.error, net.classes, net.lev) == EXPECTED[name]
    assert net.topology.linear_outputs == (net.error != "entropy")
    assert net.is_multinom == name.startswith("multinom")


def test_the_outputs_are_named_by_their_classes(tmp_path: Path) -> None:
    """By class; one output of two classes is the probability of the second."""
    responses = {}
    for name in ("softmax", "binary", "entropy", "multinom binary", "unnamed"):
        path = make_fit(tmp_path / "fit.rds", CLASSES[name])
        responses[name] = read_fit(path, LIVE).responses
    assert responses == {
        "softmax": ("u", "v", "w"),
        "binary": ("P(q)",),
        "entropy": ("y1",),
        "multinom binary": ("P(q)",),
        "unnamed": ("y1", "y2", "y3"),
    }


def test_the_intercepts_of_multinom_are_biases(tmp_path: Path) -> None:
    """R's coefficients, below a row of zeros for the first class; the column of ones is gone."""
    path = make_fit(tmp_path / "fit.rds", CLASSES["multinom"])
    net = read_both(path)
    coefficients = LIVE.eval_text(f"t(coef(readRDS({str(path)!r})))").T
    rows = net.wts.reshape(3, -1)
    assert net.has_ones
    assert not rows[0].any()
    np.testing.assert_array_equal(rows[1:], coefficients.T)
    assert "(Intercept)" not in net.columns
    assert net.decay.tolist() == [0.01] * net.topology.n_weights
    without = make_fit(tmp_path / "fit.rds", CLASSES["multinom without intercept"])
    net = read_both(without)
    assert not net.has_ones
    assert not net.wts.reshape(3, -1)[:, 0].any()
    assert net.columns == ("a", "b")


REFUSED = {
    "an offset": "nnet::multinom(s ~ a + offset(b), d, trace = FALSE)",
    "offsets": "nnet::multinom(f ~ a + offset(cbind(a, b, a)), d, trace = FALSE)",
    "no inputs": "nnet::multinom(f ~ 1, d, trace = FALSE)",
    "biases": "nnet::multinom(f ~ a, d, trace = FALSE, Wts = rep(2, 9))",
    "hidden units": "change(class = c('multinom', 'nnet'), terms = y ~ a, coefnames = c('a', 'b'))",
    "entropy and linear": "change(entropy = TRUE, nsunits = 4)",
    "two errors": "change(entropy = TRUE, softmax = TRUE)",
    "softmax of one": "change(softmax = TRUE, nsunits = 4)",
    "censored alone": "change(censored = TRUE)",
    "no flag": "change(softmax = 'yes')",
}


def test_a_classification_that_is_not_supported_is_refused(
    tmp_path: Path, approved: Approved
) -> None:
    """In a sentence that says what is expected, the same by R and without it."""
    said = []
    for call in REFUSED.values():
        path = make_fit(tmp_path / "fit.rds", f"{{ {CHANGE}{call} }}")
        sentences = []
        for mode in MODES:
            with pytest.raises(ValueError, match=path.name) as error:
                read_fit(path, LIVE, mode)
            sentences.append(f"{type(error.value).__name__}: {error.value}")
        assert sentences[0] == sentences[1]
        said.append(sentences[0])
    approved(said)
