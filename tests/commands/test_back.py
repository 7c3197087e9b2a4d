"""`nnet-parity back` writes the weights of a port into a copy of the fitted object."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save, save_file
from safetensors.torch import save_file as save_torch

from harness import cli as command
from harness.core.contract import Array
from reference import fitted
from reference.porting.port import write_model, write_weights
from reference.r.nnet_reference import LIVE
from reference.rds.fit import FittedNet
from reference.rds.reading import Mode, read_fit
from reference.rds.rows import Rows
from reference.returning.returned import check_written
from reference.returning.stream import Stream
from tests.conftest import Approved
from tests.fitted.made import CALLS, CLASSES, DATA, make_fit
from tests.fitted.ports import judge_all
from tests.porting.test_port import load

pytestmark = pytest.mark.usefixtures("live_r")
Back = Callable[..., tuple[int, str]]
MODES: tuple[Mode, ...] = ("r", "rdata")


@pytest.fixture
def back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Back:
    """The verb, in a folder of its own, found as it is where the project is installed."""
    entry = EntryPoint("back", "reference.commands.back:back", command.GROUP)
    monkeypatch.setattr(command, "entry_points", lambda group: [entry])
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        try:
            code = command.main(["back", *arguments])
        except SystemExit as left:
            code = int(left.code or 0)
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def port_fit(call: str) -> FittedNet:
    """A fit in fit.rds, and the weights of its port in model.safetensors."""
    bare = f"{{ m <- {call}; if (!is.null(m$terms)) environment(m$terms) <- globalenv(); m }}"
    net = read_fit(make_fit(Path("fit.rds").absolute(), bare), LIVE)
    Path("model.safetensors").write_bytes(write_weights(net))
    return net


def change_weights(factor: float = 1.25) -> None:
    """Other weights in model.safetensors, as training would leave them."""
    weights = load_file("model.safetensors")
    rng = np.random.default_rng(3)
    for array in weights.values():
        array *= factor + 0.01 * rng.normal(size=array.shape)
    save_file(weights, "model.safetensors")


def ask(code: str) -> Any:
    """What R says, with `old` and `new` the two objects and `d` the data."""
    files = "".join(
        f"{name} <- readRDS({str(Path(file).absolute())!r}); "
        for name, file in (("old", "fit.rds"), ("new", "new.rds"))
    )
    data = DATA.replace("SEED", "1")
    return LIVE.eval_text(f"local({{ library(nnet); {data}; {files} {code} }})")


FITS = {**CALLS, **CLASSES}
# fitted on a matrix, which predict() takes as one
MATRICES = ("matrix", "two outputs", "logistic", "size 0", "decay", "weights", "mask", "class.ind")
MATRICES += ("unnamed", "entropy", "two entropies", "censored")


@pytest.mark.parametrize("name", FITS)
def test_untouched_weights_are_a_copy(name: str, back: Back) -> None:
    """R predicts the same bit for bit, since the file is the same."""
    port_fit(FITS[name])
    code, said = back("model.safetensors", "fit.rds", "-o", "new.rds")
    assert code == 0, said
    assert Path("new.rds").read_bytes() == Path("fit.rds").read_bytes()


BY_BYTES = ("matrix", "skip", "softmax", "binary", "multinom", "multinom binary")
ASKED = [(name, True) for name in FITS] + [(name, False) for name in BY_BYTES]


@pytest.mark.parametrize(("name", "by_r"), ASKED)
def test_r_predicts_with_other_weights(
    name: str,
    by_r: bool,
    back: Back,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the equations give at the weights of the module; print() and summary() work; the
    numbers of the old weights are NA.
    """
    net = port_fit(FITS[name])
    change_weights()
    path = os.environ["PATH"]
    if not by_r:
        request.getfixturevalue("without_r")
    code, said = back("model.safetensors", "fit.rds", "-o", "new.rds")
    assert code == 0, said
    if not by_r:
        monkeypatch.setenv("PATH", path)
        LIVE.close()
    x = "x" if name in MATRICES else "d"
    kind = ", type = 'probs'" if "multinom" in name else ""
    predicted = np.atleast_2d(ask(f"as.matrix(predict(new, {x}{kind}))").T)
    module = forward(net, load_file("model.safetensors"), inputs_of(net, x))
    np.testing.assert_allclose(predicted.reshape(module.shape), module, rtol=1e-12, atol=1e-15)
    assert np.isnan(ask("new$value"))[0]
    assert np.isnan(ask("c(new$fitted.values, new$residuals)")).all()
    assert "nnet-parity back" in ask("attr(new, 'nnet_parity')")[0]
    assert ask("is.null(new$Hessian)")[0]
    ask("capture.output(print(new)); capture.output(str(new))")
    if "multinom" not in name:
        ask("capture.output(print(summary(new)))")
    else:
        assert np.isnan(ask("c(new$deviance, new$AIC)")).all()
    if net.lev and name not in ("two entropies",):
        ask(f"predict(new, {x}, type = 'class')")


def inputs_of(net: FittedNet, x: str) -> Array:
    """The inputs of a net for all rows of the data."""
    if x == "x":
        return np.ascontiguousarray(ask("unname(x)").T)
    found: Array = ask(
        "m <- model.matrix(delete.response(old$terms), d, contrasts.arg = old$contrasts);"
        " unname(m[, colnames(m) != '(Intercept)', drop = FALSE])"
    ).T
    return found


def forward(net: FittedNet, weights: dict[str, Array], x: Array) -> Array:
    """The outputs of a port with these weights, in NumPy."""
    source = x
    if "hidden.weight" in weights:
        source = logistic(x @ weights["hidden.weight"].T + weights["hidden.bias"])
    z = source @ weights["output.weight"].T + weights["output.bias"]
    if "skip.weight" in weights:
        z = z + x @ weights["skip.weight"].T
    if net.error in ("softmax", "censored"):
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True))
    return z if net.topology.linear_outputs else logistic(z)


def logistic(z: Array) -> Array:
    """nnet's, which is exactly 0 or 1 beyond 15."""
    return np.where(abs(z) > 15, z > 0, 1 / (1 + np.exp(-z)))


# public data of R: the call, the rows that it was given and the names of their targets
WHOLE = {
    "iris": ("nnet(Species ~ ., iris, size = 2, decay = 5e-4, maxit = 200)", "iris", "Species"),
    "rock": (
        "nnet(perm ~ area1 + peri1 + shape, rock1, size = 3, decay = 1e-3, linout = TRUE,"
        " skip = TRUE, maxit = 500)",
        "rock1 <- data.frame(perm = log(rock$perm), area1 = rock$area / 10000,"
        " peri1 = rock$peri / 10000, shape = rock$shape)",
        "perm",
    ),
    "infert": (
        "nnet(case ~ spontaneous + induced + age, infert, size = 2, entropy = TRUE, decay = 0.01)",
        "infert",
        "case",
    ),
    "multinom": ("multinom(Species ~ Petal.Length + Sepal.Width, iris)", "iris", "Species"),
    "counts": (
        "multinom(cbind(low, mid) ~ a, counts)",
        "counts <- data.frame(a = 1:9 / 9, low = 1:9, mid = c(3, 1, 4, 1, 5, 9, 2, 6, 5))",
        "low,mid",
    ),
    "infert factor": (
        "nnet(case ~ spontaneous + age, infert1, size = 1, decay = 0.1, weights = parity)",
        "infert1 <- transform(infert, case = factor(case, labels = c('no', 'yes')))",
        "case",
    ),
}


def make_whole(name: str) -> str:
    """A fit of public data in fit.rds, its rows in rows.csv; return the names of their targets."""
    call, rows, targets = WHOLE[name]
    folder = str(Path.cwd())
    call = call.removesuffix(")") + ", trace = FALSE)"
    LIVE.eval_text(
        f"local({{ library(nnet); library(datasets); set.seed(1)\n"
        f"rows <- {{ {rows} }}; fit <- {call}\n"
        f"environment(fit$terms) <- globalenv(); saveRDS(fit, file.path({folder!r}, 'fit.rds'))\n"
        f"write.csv(rows, file.path({folder!r}, 'rows.csv'), row.names = FALSE) }})"
    )
    return targets


@pytest.mark.parametrize("name", WHOLE)
def test_r_computes_what_follows_from_the_weights(name: str, back: Back) -> None:
    """From the rows that were fitted: the loss and fitted values of the new weights, and those of
    the old ones if they come back.
    """
    targets = make_whole(name)
    net = read_fit("fit.rds", LIVE)
    Path("model.safetensors").write_bytes(write_weights(net))
    change_weights(1.1)
    asked = ["--x", "rows.csv", "--y", targets]
    if name == "infert factor":
        asked += ["--weights", "parity"]
    code, said = back("model.safetensors", "fit.rds", "-o", "new.rds", *asked)
    assert code == 0, said
    kind = ", type = 'probs'" if net.is_multinom else ""
    rows = f"rows <- read.csv({str(Path('rows.csv').absolute())!r})"
    fitted = ask(f"{rows}; as.numeric(predict(new, rows{kind}))")
    np.testing.assert_allclose(ask("as.numeric(new$fitted.values)"), fitted, rtol=1e-12)
    assert ask("new$value")[0] > net.value
    assert ask("is.null(new$deviance) || new$deviance == 2 * new$value")[0]
    assert np.isfinite(ask("new$residuals")).all()
    Path("fit.rds").rename("older.rds")
    Path("new.rds").rename("fit.rds")
    Path("model.safetensors").write_bytes(write_weights(net))
    code, said = back("model.safetensors", "fit.rds", "-o", "new.rds", "--force", *asked)
    assert code == 0, said
    assert ask("new$value")[0] == pytest.approx(net.value, rel=1e-12)
    np.testing.assert_allclose(ask("unname(new$fitted.values)").T, net.fitted, rtol=1e-12)
    np.testing.assert_allclose(
        ask("unname(as.matrix(new$residuals))").T, net.residuals, rtol=1e-12, atol=1e-14
    )


def train_port(net: FittedNet) -> tuple[Any, Any]:
    """Train the port of a fit by a step of torch on the rows, save its weights, and return both."""
    folder = Path("port")
    folder.mkdir()
    (folder / "model.py").write_text(write_model(net, "fit.rds", smooth=False))
    (folder / "model.safetensors").write_bytes(write_weights(net))
    made = load(folder)
    module, x = made.Port(), made.columns(Rows.of("rows.csv").lists())
    module(x).square().sum().backward()
    torch.optim.SGD(module.parameters(), lr=1e-3).step()
    save_torch(module.state_dict(), "model.safetensors")
    return made, module


@pytest.mark.parametrize("name", WHOLE)
def test_r_predicts_what_a_trained_port_does(name: str, back: Back, approved: Approved) -> None:
    """From the fit to a port, a step of torch, and back: within the bounds of rounding, on the rows
    that were fitted and on drawn ones; the loss of the older weights is not compared.
    """
    targets = make_whole(name)
    net = read_fit("fit.rds", LIVE)
    made, module = train_port(net)
    code, said = back("model.safetensors", "fit.rds", "-o", "new.rds")
    assert code == 0, said
    y = targets if "," not in targets else None
    found = judge_all(fitted("new.rds", module, x="rows.csv", y=y, encode=made.columns))
    assert [str(verdict.status) for verdict in (found[0], found[-1])] == ["PASS", "PASS"]
    if y is not None:
        assert str(found[1].status) == "ABSENT"
        approved(found[1].why)


def test_what_is_said(back: Back, approved: Approved) -> None:
    """How many weights differ, and what became of the numbers that follow from them."""
    make_whole("multinom")
    net = read_fit("fit.rds", LIVE)
    Path("model.safetensors").write_bytes(write_weights(net))
    _, said = back("model.safetensors", "fit.rds", "-o", "new.rds")
    approved(said)
    change_weights()
    asked = ("model.safetensors", "fit.rds", "-o", "new.rds", "--force")
    _, said = back(*asked)
    approved(said)
    approved(ask("attr(new, 'nnet_parity')"))
    _, said = back(*asked, "--x", "rows.csv", "--y", "Species")
    approved(said, mask_figures=True)
    approved(ask("attr(new, 'nnet_parity')"))
    approved(back("--help")[1])


def test_the_loss_is_said_to_have_its_decay(back: Back, approved: Approved) -> None:
    """A loss that holds a penalty is not that which a user sees fall while training."""
    make_whole("iris")
    net = read_fit("fit.rds", LIVE)
    Path("model.safetensors").write_bytes(write_weights(net))
    change_weights()
    asked = ("model.safetensors", "fit.rds", "-o", "new.rds", "--x", "rows.csv", "--y", "Species")
    code, said = back(*asked)
    assert code == 0, said
    approved(said, mask_figures=True)


def test_what_is_said_without_r(back: Back, approved: Approved, request: Any) -> None:
    """That R would compute what is NA, and what cannot be replaced in bytes."""
    port_fit(CLASSES["multinom"])
    change_weights()
    make_fit(Path("twice.rds").absolute(), f"{{ m <- {CALLS['matrix']}; m$copy <- m$wts; m }}")
    make_fit(Path("ascii.rds").absolute(), CALLS["matrix"], ", ascii = TRUE")
    make_fit(
        Path("hessian.rds").absolute(),
        f"{{ m <- {CALLS['matrix']}; m$Hessian <- 1; m$more <- list(Hessian = 2); m }}",
    )
    request.getfixturevalue("without_r")
    code, said = back("model.safetensors", "fit.rds", "-o", "new.rds")
    assert code == 0
    approved(said)
    for name in ("twice", "ascii", "hessian"):
        net = read_fit(f"{name}.rds", LIVE)
        Path("model.safetensors").write_bytes(write_weights(net))
        change_weights()
        code, said = back("model.safetensors", f"{name}.rds", "-o", f"new-{name}.rds")
        assert code == 2
        assert not Path(f"new-{name}.rds").exists()
        approved(said)


def test_what_cannot_be_brought_back_is_told(back: Back, approved: Approved) -> None:
    """By a sentence and 2, and nothing is written: other tensors, weights that are not finite, a
    file that is there, another fit, other rows.
    """
    make_whole("iris")
    net = read_fit("fit.rds", LIVE)
    right = write_weights(net)
    Path("there.rds").write_bytes(b"mine")
    Path("few.csv").write_text("\n".join(Path("rows.csv").read_text().splitlines()[:99]) + "\n")
    Path("other.csv").write_text(Path("rows.csv").read_text().replace("5.1,", "4.1,"))
    Path("level.csv").write_text(Path("rows.csv").read_text().replace("setosa", "other"))
    Path("model.safetensors").write_bytes(right)
    whole = load_file("model.safetensors")
    change_weights()
    changed = Path("model.safetensors").read_bytes()
    files: dict[str, bytes] = {"right": changed, "text": b"no tensors", "cut": right[:-8]}
    for name, tensors in {
        "names": {"fc.weight": whole["hidden.weight"], "fc.bias": whole["hidden.bias"]},
        "transposed": whole | {"output.weight": np.ascontiguousarray(whole["output.weight"].T)},
        "not finite": whole | {"output.bias": whole["output.bias"] * np.nan},
        "integers": {name: part.astype(int) for name, part in whole.items()},
    }.items():
        files[name] = save(tensors)
    files["other fit"] = save(whole, {"fit": "0" * 64})
    for name, content in files.items():
        Path(f"{name}.safetensors").write_bytes(content)
    asked = [(f"{name}.safetensors", "-o", "new.rds") for name in files if name != "right"]
    for options in (
        ("-o", "there.rds"),
        ("-o", "new.rds", "--x", "rows.csv"),
        ("-o", "new.rds", "--x", "few.csv", "--y", "Species"),
        ("-o", "new.rds", "--x", "other.csv", "--y", "Species"),
        ("-o", "new.rds", "--x", "level.csv", "--y", "Species"),
        ("-o", "new.rds", "--x", "rows.csv", "--y", "Sepal.Length,Petal.Length"),
        ("-o", "new.rds", "--x", "rows.csv", "--y", "Specis"),
    ):
        asked.append(("right.safetensors", *options))
    asked.append(("none.safetensors", "-o", "new.rds"))
    for weights, *options in asked:
        code, said = back(weights, "fit.rds", *options)
        assert code == 2, said
        approved(said.replace(net.digest[:12], "<digest>"))
    assert not Path("new.rds").exists()
    assert Path("there.rds").read_bytes() == b"mine"
    assert back("other fit.safetensors", "fit.rds", "-o", "there.rds", "--force")[0] == 0
    assert Path("there.rds").read_bytes() != b"mine"
    port_fit("{ m <- fit(x, d$y, size = 1); m$conn <- m$conn[c(1, 3, 2, 4, 5)]; m }")
    approved(back("right.safetensors", "fit.rds", "-o", "new.rds")[1])
    port_fit(CALLS["matrix"])
    change_weights()
    Path("texts.csv").write_text("a,b,y\n1,2,p\n")
    asked = ("-o", "new.rds", "--x", "texts.csv", "--y", "y")
    approved(back("model.safetensors", "fit.rds", *asked)[1])


def test_the_first_class_of_multinom_stays_at_zero(back: Back, approved: Approved) -> None:
    """Training moves it: the same is taken off all classes, so that coef() is right; biases that
    multinom() does not have are refused.
    """
    net = port_fit(CLASSES["multinom"])
    weights = load_file("model.safetensors")
    moved = {name: array + 0.5 for name, array in weights.items()}
    save_file(moved, "model.safetensors")
    assert back("model.safetensors", "fit.rds", "-o", "new.rds")[0] == 0
    np.testing.assert_allclose(ask("coef(new)"), ask("coef(old)"), atol=1e-14)
    assert net.classes == ("u", "v", "w")
    port_fit(CLASSES["multinom without intercept"])
    change_weights()
    weights = load_file("model.safetensors")
    save_file(weights | {"output.bias": np.array([0.0, 1.0, 2.0])}, "model.safetensors")
    code, said = back("model.safetensors", "fit.rds", "-o", "other.rds")
    assert code == 2
    approved(said)


def test_weights_of_float32_are_taken(back: Back) -> None:
    """Each as the double that it is."""
    net = port_fit(CALLS["matrix"])
    weights = load_file("model.safetensors")
    save_file(
        {name: part.astype(np.float32) for name, part in weights.items()}, "model.safetensors"
    )
    assert back("model.safetensors", "fit.rds", "-o", "new.rds")[0] == 0
    found = read_fit("new.rds", LIVE)
    assert found.wts.tolist() == net.wts.astype(np.float32).tolist()


def test_what_was_brought_back_is_brought_back_again(back: Back) -> None:
    """The copy is a fit as any other: it is read, by R and without it, and takes other weights."""
    port_fit(CLASSES["softmax"])
    change_weights()
    assert back("model.safetensors", "fit.rds", "-o", "new.rds")[0] == 0
    for mode in MODES:
        assert np.isnan(read_fit("new.rds", LIVE, mode).value)
    Path("new.rds").rename("fit.rds")
    change_weights()
    assert back("model.safetensors", "fit.rds", "-o", "new.rds")[0] == 0


def test_a_hostile_object_runs_nothing(back: Back) -> None:
    """Neither its formula nor its classes: the weights are written, and nothing is evaluated."""
    proof = Path("proof").absolute()
    evil = f"evil <- function(x) {{ file.create({str(proof)!r}); x }}"
    port_fit(f"{{ {evil}; fit(y ~ evil(a), d, size = 1) }}")
    proof.unlink()
    change_weights()
    assert back("model.safetensors", "fit.rds", "-o", "new.rds")[0] == 0
    rows = "a,y\n1,2\n"
    Path("rows.csv").write_text(rows)
    asked = ("--x", "rows.csv", "--y", "y")
    assert back("model.safetensors", "fit.rds", "-o", "new2.rds", *asked)[0] == 2
    assert not proof.exists()


def test_what_a_written_file_must_hold(tmp_path: Path, approved: Approved) -> None:
    """The weights, bit for bit; an attribute is added where attributes end."""
    path = make_fit(tmp_path / "fit.rds", CALLS["matrix"])
    net = read_fit(path, LIVE)
    check_written(path.read_bytes(), net, net.wts, LIVE)
    with approved.raises(ValueError):
        check_written(path.read_bytes(), net, np.nextafter(net.wts, 9), LIVE)
    with approved.raises(ValueError):
        Stream(b"X\n no attributes").add_attribute("nnet_parity", "note")
