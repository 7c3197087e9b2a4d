"""Asks R as a case does, while something is wrong with R; `tests.robustness.r` runs it.

usage: python asks_r.py JSON, with {"code": R code to evaluate first, "signal": [number, "worker" or
"guard", when] to send, "then": what happens at the end}

Prints a line of JSON: `said` is what the code came to, `status` is "right", "wrong", or that of the
verdict, and `why` its sentence.
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np

import reference.r.process
from harness.core.formulation import Formulation
from harness.core.problem import Problem
from reference import Network, numpy_net
from reference.r.nnet_reference import RNnet
from reference.r.preflight import RUnavailable
from reference.r.session import RCrashed, RError, RSession

NETWORK = Network(2, 3, 1, "logistic")


def make_problem() -> Problem:
    """One draw, five rows, of a network with three hidden units."""
    rng = np.random.default_rng(0)
    formulation = Formulation.identity(NETWORK)
    own = rng.normal(size=(1, formulation.own.size))
    inputs, targets = rng.normal(size=(1, 5, 2)), rng.normal(size=(1, 5, 1))
    return Problem("random", formulation, own, inputs, targets)


def find_pids(session: RSession) -> tuple[int, int]:
    """The process ids of the guard and of the worker; 0 for a worker that has not begun."""
    worker = session._worker
    assert worker is not None
    guard = worker.process.pid
    children = Path(f"/proc/{guard}/task/{guard}/children")
    found = children.read_text().split() if children.exists() else []
    return guard, int(found[0]) if found else 0


def send_signal(session: RSession, number: int, to: str) -> None:
    """Send a signal to the guard or to the worker of a session."""
    guard, worker = find_pids(session)
    if to == "guard":
        os.kill(guard, number)
    elif worker:
        os.kill(worker, number)


def ask(session: RSession, code: str) -> str:
    """What R code comes to."""
    try:
        session.eval_text(code)
    except (RError, RCrashed, RUnavailable) as error:
        return f"{type(error).__name__}: {error}"
    return "answered"


def compare(session: RSession) -> tuple[str, str]:
    """Do R's numbers agree with NumPy's? The status of the verdict and its sentence if not."""
    problem, nnet = make_problem(), RNnet(r=session)
    if why := nnet.cannot_answer(NETWORK, "forward"):
        return "ABSENT", why
    found = nnet.observe(problem)
    if found.missing:
        return str(found.missing.status), found.missing.why
    expected = numpy_net.observe(problem).values
    for name, values in found.values.items():
        if not np.allclose(values, expected[name], rtol=1e-9, atol=1e-12):
            return "wrong", name
    return "right", ""


def main() -> None:
    asked = json.loads(sys.argv[1])
    reference.r.process.START = asked.get("start", 60.0)
    session = RSession(deadline=asked.get("deadline", 1.0))
    session.start()
    if "dies after" in asked:
        print(json.dumps({"said": "", "status": "right", "why": ""}), flush=True)
        time.sleep(asked["dies after"])
        os.kill(os.getpid(), signal.SIGKILL)
    number, to, when = asked.get("signal") or (0, "", "")
    if when == "starting":
        time.sleep(asked.get("after", 0.0))
        send_signal(session, number, to)
    elif number:
        session.versions()
        if when == "asking":
            threading.Timer(0.3, send_signal, (session, number, to)).start()
        else:
            send_signal(session, number, to)
    said = ask(session, asked["code"]) if asked.get("code") else ""
    try:
        status, why = compare(session)
    except RCrashed as error:
        status, why = "BROKEN", str(error)
    print(json.dumps({"said": said, "status": status, "why": why}), flush=True)
    if asked.get("then") == "killed":
        if asked.get("fork") and not os.fork():
            time.sleep(20)  # it holds all that its parent has open
            os._exit(0)
        if asked.get("last"):
            threading.Thread(target=ask, args=(session, asked["last"]), daemon=True).start()
            time.sleep(0.5)
        for stopped in asked.get("stopped", ()):
            send_signal(session, signal.SIGSTOP, stopped)
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
