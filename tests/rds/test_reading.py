"""What nnet() returned is read from a file, by R and without it, and nothing in the file runs."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reference.r.nnet_reference import LIVE
from reference.r.session import RError
from reference.rds import stream, without_r
from reference.rds.fit import FittedNet, Unsupported
from reference.rds.reading import Mode, read_fit
from reference.rds.terms import FormulaTerms
from tests.conftest import Approved
from tests.fitted.made import CALLS, make_fit

pytestmark = pytest.mark.usefixtures("live_r")
MODES: tuple[Mode, ...] = ("r", "rdata")
OPTIONS = {
    "gzip": "",
    "xz": ', compress = "xz"',
    "bzip2": ', compress = "bzip2"',
    "plain": ", compress = FALSE",
    "ascii": ", ascii = TRUE",
    "version 2": ", version = 2",
}


def same(left: Any, right: Any) -> bool:
    """Are two fields of a fit equal, numbers bit for bit?"""
    if isinstance(left, np.ndarray):
        return bool(left.shape == right.shape and left.tobytes() == right.tobytes())
    if isinstance(left, FormulaTerms):
        return (left.names(), left.levels, left.variables, left.products) == (
            right.names(),
            right.levels,
            right.variables,
            right.products,
        )
    return bool(left == right)


def check_same(left: FittedNet, right: FittedNet) -> None:
    for field in fields(FittedNet):
        if field.name not in ("versions", "digest"):
            assert same(getattr(left, field.name), getattr(right, field.name)), field.name


@pytest.mark.parametrize("name", CALLS)
def test_both_ways_read_the_same(name: str, tmp_path: Path) -> None:
    """R and rdata give every field of a fit alike, and the weights are R's own."""
    path = make_fit(tmp_path / "fit.rds", CALLS[name])
    by_r, by_rdata = (read_fit(path, LIVE, mode) for mode in MODES)
    check_same(by_r, by_rdata)
    assert by_r.digest == by_rdata.digest
    assert by_r.wts.tobytes() == LIVE.eval_text(f"readRDS({str(path)!r})$wts").tobytes()


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_every_format_of_saverds_is_read(options: str, tmp_path: Path) -> None:
    """Compressed or not, as text, and of the older version: the same fit. R's texts have 16 digits
    of a number.
    """
    plain = read_fit(make_fit(tmp_path / "plain.rds", CALLS["formula"]), LIVE)
    path = make_fit(tmp_path / "fit.rds", CALLS["formula"], options)
    by_r, by_rdata = (read_fit(path, LIVE, mode) for mode in MODES)
    check_same(by_r, by_rdata)
    if "ascii" in options:
        np.testing.assert_allclose(by_r.wts, plain.wts, rtol=1e-15)
    else:
        check_same(by_r, plain)


def test_what_a_fit_holds(tmp_path: Path) -> None:
    """Decay is expanded, skip inputs and logistic outputs are in the topology, names are R's."""
    net = {}
    for name in ("matrix", "skip", "size 0", "decay", "logistic", "two outputs", "mask"):
        net[name] = read_fit(make_fit(tmp_path / f"{name}.rds", CALLS[name]), LIVE)
    assert net["matrix"].columns == ("x1", "x2")
    assert net["matrix"].responses == ("y1",)
    assert net["two outputs"].responses == ("first", "second")
    assert net["matrix"].topology.is_dense
    assert net["skip"].topology.connections[-1] == (0, 3, 4, 1, 2)
    assert net["size 0"].topology.connections == ((0, 1, 2),)
    assert net["decay"].decay.tolist() == np.linspace(0, 0.1, 9).tolist()
    assert net["matrix"].decay.tolist() == [0.0] * 13
    assert not net["logistic"].topology.linear_outputs
    assert net["mask"].wts[1] == 2.0
    assert net["matrix"].fitted.shape == net["matrix"].residuals.shape == (30, 1)


def test_a_fit_with_its_environment_is_read(tmp_path: Path) -> None:
    """A fit made in a function carries what stood there: big data, a promise that would fail."""
    path = tmp_path / "fit.rds"
    LIVE.eval_text(
        "local({ make <- function(x, never) { big <- rnorm(1e5); help <- function(z) z + 1\n"
        "for (i in 1:5) help(i); nnet::nnet(y ~ a, x, size = 1, trace = FALSE) }\n"
        f"saveRDS(make(data.frame(a = 1:9 / 9, y = 1:9 / 9), stop()), {str(path)!r}) }})"
    )
    assert path.stat().st_size > 500_000
    check_same(read_fit(path, LIVE, "r"), read_fit(path, LIVE, "rdata"))


CHANGE = (
    "m <- fit(x, d$y, size = 1); change <- function(..., class = 'nnet')"
    " structure(utils::modifyList(unclass(m), list(...)), class = class); "
)
CALLED = [
    "nnet.formula(formula = y ~ a * f + I(a^2) - 1, data = d[1:3, ], size = 2L, Wts = c(1, -0.5))",
    'f(x$a, `odd name`, -x, !TRUE, (a + b)/2, 1e-05, 1e+05, 0.1, NULL, "q\\"", a %in% b, x[[1]])',
    "f(1:3, NA, Inf, TRUE, 123456.789, stats::predict(m), y ~ ., x[, 2])",
]


@pytest.mark.parametrize("text", CALLED)
def test_a_call_is_written_as_r_writes_it(text: str, tmp_path: Path) -> None:
    """On one line; names that are no names stand in backticks."""
    path = make_fit(tmp_path / "fit.rds", f"{{ {CHANGE}change(call = quote({text})) }}")
    for mode in MODES:
        assert read_fit(path, LIVE, mode).call == text


def list_bad(folder: Path) -> Iterator[tuple[str, Path]]:
    """Give files that hold no fit of nnet's squares, each with its name."""
    saved = {
        "lm": "lm(y ~ a, d)",
        "list": "list(wts = 1)",
        "several": 'structure(list(model = list(fit(x, d$y, size = 1))), class = "avNNet")',
        "summary": "summary(fit(x, d$y, size = 1))",
        "NULL": "NULL",
        "number": "3",
        "function": "function(x) x",
        "train": 'structure(list(finalModel = fit(x, d$y, size = 1)), class = "train")',
        "few weights": "change(wts = m$wts[-1])",
        "NaN weight": "change(wts = m$wts * NA)",
        "texts": 'change(wts = "1")',
        "decay": "change(decay = c(0, 0))",
        "nconn": "change(nconn = rev(m$nconn))",
        "nconn down": "change(nconn = c(0, 0, 0, 0, 7, 5))",
        "nconn short": "change(nconn = c(0, 0, 0, 0, 3, 4))",
        "conn": "change(conn = m$conn + 9)",
        "huge": "change(n = c(2^30, 2^30, 1))",
        "halves": "change(n = c(0.5, 1, 1))",
        "nsunits": "change(nsunits = 1)",
        "fitted": "change(fitted.values = cbind(1, 2))",
        "residuals": "change(residuals = cbind(1))",
        "no terms": "change(class = c('nnet.formula', 'nnet'), coefnames = c('a', 'b'))",
        "no names": "change(class = c('nnet.formula', 'nnet'))",
    }
    for name, call in saved.items():
        yield name, make_fit(folder / f"{name}.rds", f"{{ {CHANGE}{call} }}")


def test_a_file_without_a_fit_is_refused(tmp_path: Path, approved: Approved) -> None:
    """By a sentence that names the file and says what to do, the same by R and without it."""
    said = []
    for _, path in list_bad(tmp_path):
        sentences = []
        for mode in MODES:
            with pytest.raises(ValueError, match=path.name) as error:
                read_fit(path, LIVE, mode)
            sentences.append(f"{type(error.value).__name__}: {error.value}")
        assert sentences[0] == sentences[1]
        said.append(sentences[0])
    approved(said)


def xdr(*parts: int | float | bytes) -> bytes:
    """R's binary format of version 2: a header, and then integers, doubles and bytes."""
    content = b"X\n" + struct.pack(">3i", 2, 0x40202, 0x20300)
    for part in parts:
        if isinstance(part, bytes):
            content += part
        else:
            content += struct.pack(">d" if isinstance(part, float) else ">i", part)
    return content


def symbol(name: bytes) -> bytes:
    return struct.pack(">3i", 1, 0x40009, len(name)) + name


def promise(path: Path) -> bytes:
    """A promise, never forced, of file.create(path) in the global environment."""
    text = str(path).encode()
    argument = struct.pack(">5i", 2, 16, 1, 0x40009, len(text)) + text + struct.pack(">i", 254)
    call = struct.pack(">i", 6) + symbol(b"file.create") + argument
    return struct.pack(">3i", 5 | 0x400, 253, 252) + call


def in_a_fit(value: bytes) -> bytes:
    """A list of class nnet whose `n` this value is."""
    text = struct.pack(">4i", 16, 1, 0x40009, 1) + b"n"
    names = struct.pack(">i", 2 | 0x400) + symbol(b"names") + text
    text = struct.pack(">4i", 16, 1, 0x40009, 4) + b"nnet"
    kind = struct.pack(">i", 2 | 0x400) + symbol(b"class") + text
    return xdr(19 | 0x300, 1, value, names, kind, 254)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wrap", [xdr, in_a_fit], ids=["alone", "inside"])
def test_a_promise_in_a_file_is_not_forced(
    wrap: Callable[[bytes], bytes], mode: Mode, tmp_path: Path
) -> None:
    """R before 4.4 runs its code as soon as it is looked up; here nobody looks."""
    path, proof = tmp_path / "fit.rds", tmp_path / "proof"
    path.write_bytes(wrap(promise(proof)))
    with pytest.raises(ValueError, match="promise"):
        read_fit(path, LIVE, mode)
    if wrap is xdr:
        with pytest.raises(RError):
            LIVE.ask_fit(str(path), ["a"], [np.ones(1)])
    assert not proof.exists()


def test_the_promise_would_run(tmp_path: Path) -> None:
    """The file of the test above is dangerous: R before 4.4 runs it when it is used."""
    if LIVE.versions()["R"] >= "4.4":
        pytest.skip("R refuses such a file")
    path, proof = tmp_path / "fit.rds", tmp_path / "proof"
    path.write_bytes(xdr(promise(proof)))
    LIVE.eval_text(f"local({{ x <- readRDS({str(path)!r}); length(x) }})")
    assert proof.exists()


def damaged(folder: Path) -> dict[str, bytes]:
    """Contents of files that are damaged or hostile, by name."""
    whole = make_fit(folder / "whole.rds", CALLS["formula"], ", compress = FALSE").read_bytes()
    deep = struct.pack(">2i", 19, 1) * 100_000
    return {
        "empty": b"",
        "text": b"no fit at all",
        "saved": gzip.compress(b"RDX3\nX\n"),
        "compressed twice": gzip.compress(gzip.compress(whole)),
        "cut": whole[: len(whole) // 2],
        "cut gzip": gzip.compress(whole)[:-200],
        "cut bzip2": bz2.compress(whole)[:-200],
        "cut xz": lzma.compress(whole)[:-200],
        "broken gzip": gzip.compress(whole)[:100] + b"x" * 1000,
        "broken bzip2": bz2.compress(whole)[:100] + b"x" * 1000,
        "long texts": xdr(16, 2**31 - 1),
        "long list": xdr(19, 2**31 - 1),
        "long numbers": xdr(14, 2**31 - 1, 1.0),
        "negative": xdr(14, -5),
        "long sequence": in_a_fit(sequence(1e9)),
        "deep": xdr(deep),
        "byte code": xdr(21, 2**31 - 1, 13, 0),
        "version 9": b"X\n" + struct.pack(">3i", 9, 0, 0),
        "unknown code": xdr(99),
    }


def sequence(length: float) -> bytes:
    """The sequence 1:length as R holds it, by its length."""
    state = struct.pack(">2i3d", 14, 3, length, 1.0, 1.0)
    about = struct.pack(">i", 2) + symbol(b"compact_intseq")
    about += struct.pack(">i", 2) + symbol(b"base") + struct.pack(">4i", 2, 13, 1, 13)
    return struct.pack(">i", 238) + about + struct.pack(">i", 254) + state + struct.pack(">i", 254)


def test_a_damaged_file_is_refused(tmp_path: Path, approved: Approved) -> None:
    """By both ways, in a sentence, at once and without much memory."""
    said = []
    for name, content in damaged(tmp_path).items():
        path = tmp_path / f"{name}.rds"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=path.name) as error:
            read_fit(path, LIVE, "rdata")
        said.append(str(error.value))
        with pytest.raises(ValueError, match=path.name):
            read_fit(path, LIVE, "r")
    approved(said)


def test_what_r_refuses_of_a_file_is_told(tmp_path: Path, approved: Approved) -> None:
    """A vector that R could make without memory, and a call that is nested too deeply."""
    path = tmp_path / "fit.rds"
    path.write_bytes(in_a_fit(sequence(1e9)))
    with approved.raises(ValueError):
        read_fit(path, LIVE, "r")
    nested = "Reduce(function(a, b) call('f', a), 1:500, 1)"
    make_fit(path, f"{{ {CHANGE}change(call = {nested}) }}")
    with approved.raises(ValueError):
        read_fit(path, LIVE, "r")
    with approved.raises(RError):
        LIVE.ask_fit(str(make_fit(path, "3")), ["a"], [np.ones(1)])


def test_rows_that_do_not_fit_a_matrix_are_refused(tmp_path: Path, approved: Approved) -> None:
    """Texts, too few columns, and texts that `prepare` made; a row with a missing value is NaN."""
    path = str(make_fit(tmp_path / "fit.rds", CALLS["matrix"]))
    numbers, texts = np.array([1.0, np.nan]), ["p", None]
    for columns, prepare in (
        ([numbers, texts], None),
        ([numbers], None),
        ([numbers, numbers], "cbind('a', x)"),
    ):
        with approved.raises(RError):
            LIVE.ask_fit(path, list("ab")[: len(columns)], columns, prepare)
    inputs, outputs = LIVE.ask_fit(path, ["a", "b"], [numbers, np.ones(2)], "2 * x")
    assert inputs[0].tolist() == [2.0, 2.0]
    assert np.isfinite(outputs[0]).all()
    assert np.isnan(inputs[1]).all()
    assert np.isnan(outputs[1]).all()


def test_a_small_file_that_decompresses_to_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Before it is decoded, by its size and by the size that it grows to."""
    monkeypatch.setattr(stream, "MOST_BYTES", 1 << 22)
    monkeypatch.setattr(stream, "AT_ONCE", 1 << 18)
    path = tmp_path / "fit.rds"
    for packed in (gzip.compress(bytes(1 << 23)), bz2.compress(bytes(1 << 23)), bytes(1 << 23)):
        path.write_bytes(packed)
        with approved.raises(ValueError):
            read_fit(path, LIVE)


def test_a_file_of_many_values_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Each takes more memory than bytes in the file."""
    monkeypatch.setattr(without_r, "MOST_OBJECTS", 100)
    path = make_fit(tmp_path / "fit.rds", CALLS["formula"])
    with approved.raises(ValueError):
        read_fit(path, LIVE, "rdata")


def test_what_is_no_file_is_refused(tmp_path: Path, approved: Approved) -> None:
    """A folder, a pipe that nobody writes, a name without a file."""
    os.mkfifo(tmp_path / "pipe")
    for name in (".", "pipe", "missing.rds"):
        with approved.raises(ValueError):
            read_fit(tmp_path / name, LIVE)


def test_without_r_and_rdata_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_r: None, approved: Approved
) -> None:
    """The name of the extra; where R is demanded, why there is none."""
    path = tmp_path / "fit.rds"
    path.write_bytes(xdr(254))
    with approved.raises(ValueError):
        read_fit(path, LIVE)
    with approved.raises(Unsupported):
        read_fit(path, LIVE, "r")
    for name in ("rdata.parser", "rdata.parser._xdr"):
        monkeypatch.setitem(sys.modules, name, None)
    with approved.raises(Unsupported):
        read_fit(path, LIVE)
    with approved.raises(ValueError):
        read_fit(path, LIVE, "both")  # type: ignore[arg-type]
