"""R's nnet in a process of its own: its numbers are nnet's, and nothing that happens to R reaches
us.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reference.r.preflight import RUnavailable, what_is_missing
from reference.r.session import RCrashed, RError, RSession
from reference.r.startup import KEPT
from reference.r.topology import Topology
from tests.conftest import Approved

if missing := what_is_missing(""):
    pytest.skip(str(missing), allow_module_level=True)

Array = NDArray[np.float64]
ROOT = Path(__file__).parents[2]
SINE = Topology.dense(1, 4, 1, linear_outputs=True)
DUAL = Topology.dense(10, 10, 10, linear_outputs=False)
# Hidden units 5, 6 see inputs 1, 2 and feed output 9; hidden units 7, 8 see inputs 3, 4 and feed
# output 10.
BLOCKS = Topology(
    4, 4, 2, ((0, 1, 2), (0, 1, 2), (0, 3, 4), (0, 3, 4), (0, 5, 6), (0, 7, 8)), linear_outputs=True
)
# Two layers, an input that skips both, a bias that counts twice.
DEEP = Topology(
    2, 4, 1, ((0, 1, 2), (0, 1, 2), (0, 0, 3, 4), (0, 3), (0, 1, 5, 6)), linear_outputs=False
)


@pytest.fixture(scope="module")
def r() -> Iterator[RSession]:
    session = RSession()
    yield session
    session.close()


@pytest.fixture
def impatient() -> Iterator[RSession]:
    session = RSession(deadline=1.0)
    yield session
    session.close()


def draw(topology: Topology, draws: int, rows: int, scale: float = 1.0) -> list[Array]:
    """theta (D, T), inputs (D, R, I), targets (D, R, O), row weights (D, R)."""
    rng = np.random.default_rng(draws + rows)
    shapes = (
        (draws, topology.n_weights),
        (draws, rows, topology.inputs),
        (draws, rows, topology.outputs),
    )
    theta, x, y = (rng.normal(size=shape) for shape in shapes)
    return [scale * theta, x, y, rng.random((draws, rows))]


def by_hand(
    topology: Topology, theta: Array, x: Array, y: Array, weights: Array, decay: float
) -> tuple[Array, Array, Array]:
    """Value, outputs and gradient of any topology, unit by unit, draws at once; its logistic is not
    clipped.
    """
    starts = np.cumsum([0, *map(len, topology.connections)])
    first, first_output = 1 + topology.inputs, 1 + topology.inputs + topology.hidden
    units = [np.ones(x.shape[:2]), *np.moveaxis(x, 2, 0)]
    logistic = [True] * topology.hidden + [not topology.linear_outputs] * topology.outputs
    for sources, start, squash in zip(topology.connections, starts, logistic, strict=False):
        z = sum(theta[:, start + i, None] * units[source] for i, source in enumerate(sources))
        units.append(1 / (1 + np.exp(-z)) if squash else z)
    outputs = np.stack(units[first_output:], axis=2)
    value = (weights[:, :, None] * (outputs - y) ** 2).sum((1, 2)) + decay * (theta**2).sum(1)
    back = [np.zeros(x.shape[:2]) for _ in range(first_output)] + list(
        np.moveaxis(2 * (outputs - y), 2, 0)
    )
    gradient = 2 * decay * theta
    for unit in reversed(range(first, len(units))):
        sources, start = topology.connections[unit - first], starts[unit - first]
        delta = back[unit] * (units[unit] * (1 - units[unit]) if logistic[unit - first] else 1)
        for i, source in enumerate(sources):
            back[source] = back[source] + theta[:, start + i, None] * delta
            gradient[:, start + i] += (weights * delta * units[source]).sum(1)
    return value, outputs, gradient


@pytest.mark.parametrize(
    ("topology", "draws", "rows"),
    [(SINE, 7, 50), (DUAL, 5, 2), (BLOCKS, 6, 3), (DEEP, 4, 5), (SINE, 1, 1)],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_evaluate_is_the_formula(
    r: RSession, topology: Topology, draws: int, rows: int, weighted: bool
) -> None:
    """nnet's value, outputs and gradient are the formula's to a few ulps, with and without row
    weights and decay.
    """
    theta, x, y, weights = draw(topology, draws, rows)
    if weighted:
        found = r.evaluate(topology, theta, x, y, weights, decay=0.01)
        value, outputs, gradient = by_hand(topology, theta, x, y, weights, decay=0.01)
    else:
        found = r.evaluate(topology, theta, x, y)
        value, outputs, gradient = by_hand(topology, theta, x, y, np.ones_like(weights), decay=0.0)
    assert found.value.shape == (draws,)
    for got, expected in (
        (found.value, value),
        (found.outputs, outputs),
        (found.gradient, gradient),
    ):
        assert got.shape == expected.shape
        assert got.flags.c_contiguous
        np.testing.assert_allclose(got, expected, rtol=0, atol=16 * 2**-52 * np.abs(expected).max())


def test_draws_do_not_touch_each_other(r: RSession) -> None:
    """A draw's numbers are the same bits whether it is asked alone or in a stack of 1,024."""
    theta, x, y, _ = draw(SINE, 1024, 50)
    stack = r.evaluate(SINE, theta, x, y)
    for d in (0, 511, 1023):
        alone = r.evaluate(SINE, theta[d : d + 1], x[d : d + 1], y[d : d + 1])
        assert alone.value[0] == stack.value[d]
        assert (alone.gradient[0] == stack.gradient[d]).all()
        assert (alone.outputs[0] == stack.outputs[d]).all()


@pytest.mark.parametrize("linear", [False, True])
def test_the_logistic_is_clipped_beyond_15(r: RSession, linear: bool) -> None:
    """Beyond |z| = 15 hidden units, and logistic outputs, are exactly 0 or 1; at 15 they are not;
    linear ones never.
    """
    z = np.array([15.0, np.nextafter(15, 16), -15.0, np.nextafter(-15, -16), 700.0, -700.0])
    hidden = np.stack([z, 0 * z, 0 * z, 1 + 0 * z], axis=1)  # h = logistic(z), o = h
    nothing = np.zeros((6, 1, 1))
    h = r.evaluate(Topology.dense(1, 1, 1, True), hidden, nothing, nothing).outputs.ravel()
    assert 0 < 1 - h[0] < 4e-7
    assert 0 < h[2] < 4e-7
    assert h[[1, 3, 4, 5]].tolist() == [1.0, 0.0, 1.0, 0.0]
    output = np.stack([0 * z, 0 * z, z, 0 * z], axis=1)  # o = f(z)
    o = r.evaluate(Topology.dense(1, 1, 1, linear), output, nothing, nothing).outputs.ravel()
    assert (o == (z if linear else h)).all()


@pytest.mark.parametrize("seed", [0, 3])
def test_the_seeds_fit_is_rs_own(r: RSession, seed: int) -> None:
    """The fit of the sine is bit for bit what R itself, without Python, gets from the same call of
    nnet().
    """
    code = f"""x <- {{set.seed({seed}); sort(10*runif(50))}}; y <- sin(x)
      f <- nnet::nnet(x, y, size=4, maxit=10000, linout=TRUE, abstol=1.0e-8, reltol=1.0e-9,
        Wts=seq(0,1,by=1/12),
                      trace=FALSE)
      cat(sprintf("%a", c(x, y, f$wts, f$value, f$fitted.values, f$convergence)))"""
    run = subprocess.run(
        ["Rscript", "--vanilla", "-e", code], capture_output=True, text=True, check=True
    )
    x, y, weights, value, outputs, convergence = np.split(
        np.array(list(map(float.fromhex, run.stdout.split()))), np.cumsum([50, 50, 13, 1, 50])
    )
    start = np.arange(13) * (1 / 12)  # R's seq() multiplies too
    fit = r.fit(SINE, start, x[:, None], y[:, None], maxit=10000, abstol=1e-8, reltol=1e-9)
    assert (fit.weights == weights).all()
    assert fit.value == value
    assert fit.convergence == convergence
    assert (fit.outputs[:, 0] == outputs).all()


def test_mask_holds_weights(r: RSession) -> None:
    """A weight whose mask is False ends where it started, bit for bit; the others move."""
    (theta,), (x,), (y,), _ = draw(SINE, 1, 20)
    mask = np.arange(13) % 3 > 0
    fit = r.fit(SINE, theta, x, y, mask=mask)
    assert (fit.weights[~mask] == theta[~mask]).all()
    assert (fit.weights[mask] != theta[mask]).all()


def test_both_ways_to_fit_are_one_engine(r: RSession) -> None:
    """The block-diagonal topology fits as nnet() does whose cross connections are held at 0, bit
    for bit.
    """
    (theta,), (x,), (y,), (weights,) = draw(BLOCKS, 1, 20)
    dense = Topology.dense(4, 4, 2, linear_outputs=True)
    both = zip(dense.connections, BLOCKS.connections, strict=True)
    mask = np.array([source in block for full, block in both for source in full])
    padded = np.zeros(dense.n_weights)
    padded[mask] = theta
    by_nnet = r.fit(dense, padded, x, y, mask=mask, maxit=30, decay=1e-3, row_weights=weights)
    by_engine = r.fit(BLOCKS, theta, x, y, maxit=30, decay=1e-3, row_weights=weights)
    assert by_nnet.convergence == by_engine.convergence == 1  # maxit was reached
    assert by_nnet.value == by_engine.value
    assert (by_nnet.outputs == by_engine.outputs).all()
    assert (by_nnet.weights[mask] == by_engine.weights).all()
    assert not by_nnet.weights[~mask].any()
    held = r.fit(BLOCKS, theta, x, y, mask=np.zeros(18))
    assert (held.weights == theta).all()


def test_more_weights_than_nnet_allows_by_default(r: RSession) -> None:
    """Beyond nnet's default of 1,000 weights evaluate and fit still answer."""
    big = Topology.dense(40, 30, 1, linear_outputs=True)
    theta, x, y, _ = draw(big, 1, 2, scale=0.1)
    value = r.evaluate(big, theta, x, y).value[0]
    assert r.fit(big, theta[0], x[0], y[0], maxit=0).value == value


def test_versions(r: RSession) -> None:
    """versions() names R, nnet, rpy2 and the platform."""
    versions = r.versions()
    assert set(versions) == {"R", "nnet", "rpy2", "platform"}
    assert versions["nnet"].startswith("7.3-")


@pytest.mark.parametrize(
    "change",
    [
        {"theta": np.zeros((2, 12))},
        {"inputs": np.zeros((2, 5))},
        {"inputs": np.zeros((2, 0, 1))},
        {"targets": np.zeros((1, 5, 1))},
        {"targets": np.full((2, 5, 1), np.nan)},
        {"row_weights": -np.ones((2, 5))},
        {"decay": np.inf},
    ],
    ids=["theta", "two axes", "no rows", "other draws", "nan", "negative", "decay"],
)
def test_bad_data_is_refused(r: RSession, change: dict[str, Any], approved: Approved) -> None:
    """Wrong shapes, NaN and negative row weights are a ValueError here: what was found, what was
    expected.
    """
    good = {
        "theta": np.zeros((2, 13)),
        "inputs": np.zeros((2, 5, 1)),
        "targets": np.zeros((2, 5, 1)),
    }
    with approved.raises(ValueError):
        r.evaluate(SINE, **(good | change))


def test_settings_of_a_fit_are_numbers(r: RSession, approved: Approved) -> None:
    """Finite ones."""
    (theta,), (x,), (y,), _ = draw(SINE, 1, 5)
    with approved.raises(ValueError):
        r.fit(SINE, theta, x, y, decay=np.inf)


@pytest.mark.parametrize(
    ("units", "connections"),
    [((1, 1, 1), ((0, 1),)), ((1, 1, 1), ((0, 2), (0, 2))), ((1, 0, 2), ((0, 1), (0, 2)))],
    ids=["too few", "by itself", "by an output"],
)
def test_bad_topologies_are_refused(
    units: tuple[int, int, int], connections: tuple[tuple[int, ...], ...], approved: Approved
) -> None:
    """A unit without connections, fed by itself or fed by an output is refused before R hears of
    it.
    """
    with approved.raises(ValueError):
        Topology(*units, connections, linear_outputs=True)


def test_r_errors_arrive_as_rs_message(r: RSession) -> None:
    """What stop() says is the text of RError, and R goes on."""
    with pytest.raises(RError, match=r"^no such sine$"):
        r.eval_text("stop('no such sine')")
    assert r.eval_text("1 + 1").tolist() == [2.0]


def test_console_and_warnings_are_data(r: RSession, capfd: pytest.CaptureFixture[str]) -> None:
    """What R prints and warns of is kept, not shown, and NA is not a number."""
    value = r.eval_text("cat('a'); message('b'); warning('c'); c(1L, NA)")
    assert np.array_equal(value, [1, np.nan], equal_nan=True)
    assert r.console == "ab\n"
    assert r.warnings == ["c"]
    assert capfd.readouterr() == ("", "")


def test_threads_wait_for_each_other(r: RSession) -> None:
    """Four threads that ask one session at once each get their own answer."""
    found: dict[int, list[float]] = {}

    def ask(i: int) -> None:
        found[i] = [float(r.eval_text(f"{i} + {n}")[0]) for n in range(20)]

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: [float(i + n) for n in range(20)] for i in range(4)}


@pytest.mark.parametrize(
    "code",
    ["repeat {}", "quit(status = 7)", "tools::pskill(Sys.getpid(), 11)"],
    ids=["endless", "quit", "SIGSEGV"],
)
def test_a_crash_is_contained(impatient: RSession, code: str, approved: Approved) -> None:
    """An endless loop is asked once, quit() and SIGSEGV twice; RCrashed says so, and the next ask
    is answered.
    """
    with approved.raises(RCrashed, mask_figures="repeat" in code):
        impatient.eval_text(code)
    assert impatient.eval_text("2 * 21").tolist() == [42.0]


def test_what_was_asked_is_told_where_no_answer_comes(approved: Approved) -> None:
    """How large it was: of evaluations and of fits, which do not fit into the socket's memory."""
    hasty = RSession(deadline=1e-9)
    theta, x, y, _ = draw(SINE, 150, 40_000)  # half a second: the first look comes sooner
    with approved.raises(RCrashed, mask_figures=True):
        hasty.evaluate(SINE, theta, x, y)
    with approved.raises(RCrashed, mask_figures=True):
        hasty.fit(SINE, theta[0], x[0], y[0], maxit=2_000, reltol=0, abstol=0)
    hasty.close()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("whom", ["worker", "guard"])
def test_one_death_is_mended_unseen(whom: str, blow: signal.Signals) -> None:
    """A worker or a guard that dies or freezes, even while the worker is being written to, costs a
    restart and no error.
    """
    impatient = RSession(deadline=0.3)
    theta, x, y, _ = draw(DUAL, 1024, 2)
    before = impatient.evaluate(DUAL, theta, x, y)
    assert impatient._worker is not None
    guard, worker = impatient._worker.process.pid, impatient._worker.traces.pid
    os.kill(worker if whom == "worker" else guard, blow)
    assert (impatient.evaluate(DUAL, theta, x, y).gradient == before.gradient).all()
    if (whom, blow) == ("guard", signal.SIGSTOP):
        os.kill(guard, signal.SIGCONT)
    impatient.close()
    assert gone(guard)
    assert gone(worker)


PARENT = """
import sys, threading
from reference.r.session import RSession
session = RSession()
session.versions()
assert "rpy2" not in sys.modules
print(session._worker.process.pid, session._worker.traces.pid, flush=True)
if sys.argv[1] == "busy":
    session.eval_text("repeat {}")
"""


@pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="looks for processes in /proc, which is not here"
)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, None])
def test_r_dies_with_its_parent(how: signal.Signals | None) -> None:
    """A parent that is killed, interrupted or simply ends leaves no R behind, and has not imported
    rpy2.
    """
    command = [sys.executable, "-c", PARENT, "idle" if how is None else "busy"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = list(map(int, parent.stdout.readline().split()))
        if how is not None:
            time.sleep(0.1)
            parent.send_signal(how)
        parent.wait(10)
    patience = time.monotonic() + 60
    while not all(map(gone, pids)) and time.monotonic() < patience:
        time.sleep(0.02)
    assert all(map(gone, pids))


def test_the_users_startup_files_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither .Rprofile nor .Renviron of the working folder or of HOME changes what R computes."""
    (tmp_path / ".Rprofile").write_text("sum <- function(...) 42\n")
    (tmp_path / ".Renviron").write_text("MISCHIEF=1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    session = RSession()
    assert session.eval_text("list(sum(1, 2), Sys.getenv('MISCHIEF'))") == [3.0, [""]]
    session.close()


def sentence() -> str:
    with pytest.raises(RUnavailable) as unavailable:
        RSession().versions()
    return str(unavailable.value)


def test_what_is_missing_is_looked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """A session that found no R says so again without looking, and looks again after close()."""
    session = RSession()
    with monkeypatch.context() as without:
        without.setenv("PATH", str(tmp_path))
        without.delenv("R_HOME", raising=False)
        with approved.raises(RUnavailable) as first:
            session.eval_text("1")
    with pytest.raises(RUnavailable) as again:
        session.eval_text("1")
    assert str(again.value) == str(first.value)
    session.close()
    assert session.eval_text("1").tolist() == [1.0]
    session.close()


def test_r_missing_is_a_sentence(without_r: None, approved: Approved) -> None:
    """Without R on PATH the error says so and gives the line that installs it; what_is_missing()
    says the same.
    """
    assert str(what_is_missing("")) == sentence()
    approved(sentence())


def test_what_r_said_is_quoted_where_nothing_is_missing(
    monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Its last words, and the variables of R that it was given."""
    for name in KEPT:
        monkeypatch.delenv(name, raising=False)
    approved(str(what_is_missing("Fatal error: cannot allocate memory")))
    monkeypatch.setenv("R_ARCH", "foo")
    approved(str(what_is_missing("StopIteration: ")))


def test_nnet_missing_is_a_sentence(without_nnet: None, approved: Approved) -> None:
    """With R but without its package nnet the error says so and gives the line that installs it."""
    approved(sentence())


def test_rpy2_missing_is_a_sentence(
    without_rpy2: None, only: Callable[..., Path], approved: Approved
) -> None:
    """Without rpy2 the error gives the exact pip line, and make before it where pip would need
    it.
    """
    tools = only("R", "make")
    approved(sentence())
    (tools / "make").unlink()
    approved(sentence())


def test_rpy2_too_new_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """An rpy2 that needs a newer R is named with the exact pip line. (What rpy2-rinterface 3.6.7
    says to R 4.2.2.)
    """
    (tmp_path / "rpy2").mkdir()
    text = "symbol 'R_getVar' not found in library 'libR.so': libR.so: undefined symbol: R_getVar"
    (tmp_path / "rpy2" / "__init__.py").write_text(f"raise AttributeError({text!r})")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    approved(sentence())
