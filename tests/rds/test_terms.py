"""The columns that a formula makes, without R, are those of R's model.matrix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.core.contract import Array
from reference.r.nnet_reference import LIVE
from reference.r.session import RError
from reference.rds.contrasts import orthogonal_polynomials
from reference.rds.fit import FittedNet, Unsupported
from reference.rds.reading import read_fit
from reference.rds.rows import Column, Rows
from tests.conftest import Approved
from tests.fitted.made import make_fit

pytestmark = pytest.mark.usefixtures("live_r")
RNG = np.random.default_rng(3)
ROWS = Rows.of(
    {
        "l": ["TRUE", "FALSE", "FALSE", "TRUE", "FALSE", "TRUE"],
        "s": list("pqqpqp"),
        "o": [3.0, 1.0, 2.0, 2.0, 1.0, 3.0],
        "f": list("uvwwvu"),
        "b": RNG.uniform(1, 3, 6),
        "a": RNG.normal(size=6),
        "a b": RNG.normal(size=6),
        "a f": list("uvwuvw"),
    }
)
FORMULAS = {
    "numeric": "a + b",
    "factor": "a + f",
    "ordered": "o + b",
    "text": "s + a",
    "logical": "l + a",
    "crossed": "a * f",
    "interaction alone": "a + a:f",
    "two factors": "f * s",
    "factors alone": "f:s",
    "three": "a * f * l",
    "numbers crossed": "a * b",
    "I": "I(a^2) + I((a + b) / 2 - -a) + I(b^0.5) + I(2 * b^-1)",
    "functions": "log(b) + exp(a) + sqrt(b) + log(abs(a) + 1) + log1p(b) + expm1(a)",
    "logarithms": "log2(b) + log10(b)",
    "scale": "scale(a) + scale(b, scale = FALSE) + scale(log(b), center = FALSE)",
    "names that are none": "`a b` + log(`a b` + 9) + `a f`",
    "scale by numbers": "scale(a, center = 1, scale = 2) + b",
    "factor in the formula": "factor(o) + a",
    "no intercept": "a + b - 1",
}
CODED = {
    "sum": "fit(y ~ f + a, d, contrasts = list(f = 'contr.sum'), size = 1)",
    "matrix": "fit(y ~ f + a, d, contrasts = list(f = cbind(low = c(0, 1, 3), c(2, 1, 0.5))),"
    " size = 1)",
    "weights": "nnet::nnet(y ~ f + a, d, weights = b, size = 1, trace = FALSE)",
    "subset": "nnet::nnet(y ~ f + a, d, subset = f != 'v', size = 1, trace = FALSE)",
    "response in the middle": "fit(log(b + 2) ~ f + a, d, size = 1)",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fits")


def read(folder: Path, call: str) -> tuple[FittedNet, Path]:
    path = make_fit(folder / "fit.rds", call)
    return read_fit(path, LIVE), path


def ask(path: Path, rows: Rows, trust: bool = False) -> tuple[Array, Array]:
    columns: list[Column] = list(rows.columns.values())
    return LIVE.ask_fit(str(path), list(rows.columns), columns, None, trust)


def compare(folder: Path, call: str, rows: Rows) -> float:
    """The largest difference from R's model.matrix, in roundings of the largest number."""
    net, path = read(folder, call)
    assert net.terms is not None
    ours, (theirs, _) = net.terms.columns(rows), ask(path, rows)
    assert ours.shape == theirs.shape
    assert (np.isnan(ours) == np.isnan(theirs)).all()
    return float(np.nanmax(abs(ours - theirs)) / np.nanmax(abs(theirs)) * 2**53)


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
def test_columns_are_those_of_model_matrix(formula: str, folder: Path) -> None:
    """Bit for bit, from raw columns in another order; contr.poly within a rounding of R's."""
    worst = compare(folder, f"fit(y ~ {formula}, d, size = 1)", ROWS)
    assert worst <= ("o" in formula.replace("log", ""))


@pytest.mark.parametrize("call", CODED.values(), ids=CODED)
def test_what_else_a_call_of_nnet_says(call: str, folder: Path) -> None:
    """Contrasts by name and as a matrix, case weights, a subset without a level, any response."""
    rows = ROWS.part([0, 2, 3, 5]) if "subset" in call else ROWS
    assert compare(folder, call, rows) == 0


def test_contr_poly_is_r_s() -> None:
    """Up to 6 levels, within 6 roundings of 1; of more, R's own errors are larger."""
    for count in range(2, 7):
        theirs = LIVE.eval_text(f"stats::contr.poly({count})").T
        assert abs(orthogonal_polynomials(count) - theirs).max() < 6 * 2.0**-53
    theirs = LIVE.eval_text("stats::contr.poly(12)").T
    assert abs(orthogonal_polynomials(12) - theirs).max() > 99 * 2.0**-53
    assert abs(theirs.T @ theirs - np.eye(11)).max() < 1e-14


def test_a_row_with_a_missing_value_is_nan(folder: Path) -> None:
    """In R's inputs and ours, and in R's predictions: a number, a text, the log of -1."""
    rows = Rows.of({"a": [1, np.nan, 1, 1], "f": ["u", "v", None, "w"], "b": [1, 1, 1, -1.0]})
    call = "fit(y ~ a * f + log(b), d, size = 1)"
    assert compare(folder, call, rows) == 0
    net, path = read(folder, call)
    assert net.terms is not None
    inside = [False, True, True, True]
    assert np.isnan(net.terms.columns(rows)).all(axis=1).tolist() == inside
    assert np.isnan(ask(path, rows)[1][:, 0]).tolist() == inside


def test_raw_columns_are_named(folder: Path) -> None:
    """In the order of the formula, with the levels of those that have some."""
    net, _ = read(folder, "fit(log(y + 9) ~ I(b * a) + o + l + a, d, size = 1)")
    assert net.terms is not None
    assert net.terms.variables == ("b", "a", "o", "l")
    assert net.terms.levels == {"o": ("1", "2", "3"), "l": ("FALSE", "TRUE")}


WRONG: dict[str, Callable[[], Rows]] = {
    "unknown level": lambda: Rows.of({"a": [1.0, 2], "f": ["u", "z"], "l": ["TRUE", "TRUE"]}),
    "missing column": lambda: Rows.of({"a": [1.0], "f": ["u"]}),
    "texts": lambda: Rows.of({"a": ["x"], "f": ["u"], "l": ["TRUE"]}),
    "no logical": lambda: Rows.of({"a": [1.0], "f": ["u"], "l": ["yes"]}),
}


def test_rows_that_the_terms_cannot_take_are_refused(folder: Path, approved: Approved) -> None:
    """By a sentence that names the column; R refuses the same rows, but for its own logicals."""
    net, path = read(folder, "fit(y ~ a + f + l, d, size = 1)")
    assert net.terms is not None
    for name, make in WRONG.items():
        with approved.raises(ValueError):
            net.terms.columns(make())
        if name != "no logical":
            with pytest.raises(RError):
                ask(path, make())


REFUSED = {
    "poly": "poly(a, 2) + b",
    "spline": "splines::ns(b, df = 2)",
    "no intercept": "f - 1",
    "offset": "a + offset(b)",
    "own function": "triple(a) + b",
    "scale inside": "I(scale(a)^2)",
    "base of a logarithm": "log(b, 3)",
    "cut": "cut(a, c(-9, 0, 9))",
    "comparison": "I(a > 0) + b",
    "quotient": "I(a %/% 0.5)",
    "helmert": "h",
    "many levels": "many",
    "factor of a product": "factor(a > 0)",
    "text": 'I(a * as.numeric("2"))',
    "vector": "I(a + c(0))",
}


def test_terms_that_are_not_supported_are_named(folder: Path, approved: Approved) -> None:
    """The fit can be read, and R at hand predicts, if it is trusted; the columns are refused."""
    said = []
    for formula in REFUSED.values():
        before = "triple <- function(x) 3 * x; d$h <- d$f; contrasts(d$h) <- 'contr.helmert';"
        before += " d$many <- ordered(rep(1:10, 3))"
        net, path = read(folder, f"{{ {before}; fit(y ~ {formula}, d, size = 1) }}")
        assert net.terms is not None
        with pytest.raises(Unsupported) as error:
            net.terms.columns(ROWS)
        said.append(str(error.value))
        if formula not in ("h", "many"):
            assert ask(path, ROWS, trust=True)[1].shape == (6, 1)
    approved(said)


CHANGED = {
    "columns": "m$coefnames[1] <- 'z'",
    "levels": "m$xlevels <- NULL",
    "contrasts": "m$contrasts <- list(f = contr.sum)",
    "text": "attr(m$terms, 'predvars')[[3]] <- '1'",
    "unnamed": "attr(m$terms, 'predvars')[[3]] <- quote((function(x) x)(a))",
}


def test_terms_that_were_changed_are_refused(folder: Path, approved: Approved) -> None:
    """The parts of an object that was made by hand do not fit together."""
    said = []
    for change in CHANGED.values():
        path = make_fit(folder / "fit.rds", f"{{ m <- fit(y ~ a + f, d, size = 1); {change}; m }}")
        try:
            net = read_fit(path, LIVE)
            assert net.terms is not None
            net.terms.columns(ROWS)
        except ValueError as error:
            said.append(f"{type(error).__name__}: {error}")
        if "xlevels" not in change and "coefnames" not in change:
            with pytest.raises(RError) as refused:
                ask(path, ROWS)
            said.append(str(refused.value))
    approved(said)


HOSTILE = {
    "contrasts by name": "m$xlevels$f[1] <- RUN; m$contrasts$f <- 'file.create'",
    "class of the terms": "class(m$terms) <- c('lm', 'formula'); m$terms$call <- quote(EVIL)",
    "class of the fit": "m$call <- quote(EVIL); class(m) <- c('lm', 'nnet.formula', 'nnet')",
    "class of a part": "attr(m$terms, 'factors') <- structure(1, class = 'lm')",
    "class in a call": "attr(m$terms, 'predvars')[[3]] <- structure(quote(EVIL), class = 'lm')",
    "call in a call": "attr(m$terms, 'predvars')[[3]] <- quote(I(EVIL))",
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_fit_runs_nothing(change: str, folder: Path, approved: Approved) -> None:
    """R's methods and contrasts are not chosen by a file that is not trusted."""
    proof = folder / "hostile"
    change = change.replace("EVIL", f"file.create({str(proof)!r})")
    change = change.replace("RUN", f"{str(proof)!r}")
    path = make_fit(folder / "fit.rds", f"{{ m <- fit(y ~ a + f, d, size = 1); {change}; m }}")
    rows = Rows.of({"a": [1.0, 2.0], "f": [str(proof), "v"]})
    with approved.raises(RError):
        ask(path, rows)
    assert not proof.exists()


def test_contrasts_by_name_are_dangerous(folder: Path) -> None:
    """The first of the fits above calls a function with its levels where it is trusted."""
    proof = folder / "run"
    change = HOSTILE["contrasts by name"].replace("RUN", f"{str(proof)!r}")
    path = make_fit(folder / "fit.rds", f"{{ m <- fit(y ~ a + f, d, size = 1); {change}; m }}")
    before = LIVE.eval_text("getwd()")[0]
    LIVE.eval_text(f"setwd({str(folder)!r})")  # its other levels become files too
    ask(path, Rows.of({"a": [1.0, 2.0], "f": [str(proof), "v"]}), trust=True)
    LIVE.eval_text(f"setwd({before!r})")
    assert proof.exists()


def test_a_formula_of_a_file_that_is_not_trusted_runs_nothing(
    folder: Path, approved: Approved
) -> None:
    """Neither a function that it calls, nor one that the file itself holds by the name of R's."""
    proof = folder / "proof"
    evil = f"function(x) {{ file.create({str(proof)!r}); x }}"
    calls = f"{{ evil <- {evil}; fit(y ~ evil(a), d, size = 1) }}"
    hidden = f"{{ log <- {evil}; fit(y ~ log(b), d, size = 1) }}"
    paths = [make_fit(folder / f"{n}.rds", call) for n, call in enumerate((calls, hidden))]
    proof.unlink()
    for path in paths:
        net = read_fit(path, LIVE)
        assert net.terms is not None
        if path is paths[0]:
            with approved.raises(RError):
                ask(path, ROWS)
        else:
            assert net.terms.columns(ROWS).tobytes() == ask(path, ROWS)[0].tobytes()
    assert not proof.exists()
    ask(paths[1], ROWS, trust=True)
    assert proof.exists()
