"""Foreign models that are wrong: each fails, and the likely mistake is said."""

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import Case, Computed, Status, Verdict
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, numpy_net, probes
from tests.conftest import Approved

NETWORK = Network(3, 4, 2, "tanh")
STALE = {
    "W1": np.full((4, 3), 0.5),
    "b": np.full(4, 0.25),
    "W2": np.full((2, 4), -0.5),
    "b_w": np.full(2, 0.75),
}
BUFFER: dict[tuple[int, ...], Any] = {}
CAPTURED: dict[str, Any] = {}
SEEN: set[bytes] = set()


def right(p: Any, x: Any) -> Any:
    return np.tanh(x @ p["W1"].T + p["b"]) @ p["W2"].T + p["b_w"]


def with_stale_weights(p: Any, x: Any) -> Any:
    return right({name: block.astype(x.dtype) for name, block in STALE.items()}, x)


def with_one_stale_weight(p: Any, x: Any) -> Any:
    return right({**p, "W1": STALE["W1"].astype(x.dtype)}, x)


def with_captured_weights(p: Any, x: Any) -> Any:
    CAPTURED.setdefault(str(x.dtype), p)
    return right(CAPTURED[str(x.dtype)], x)


def in_float32(p: Any, x: Any) -> Any:
    narrow = {name: np.float32(block) for name, block in p.items()}
    return right(narrow, np.float32(x)).astype(x.dtype)


def of_float32(p: Any, x: Any) -> Any:
    return right(p, x).astype(np.float32)


def in_a_shared_buffer(p: Any, x: Any) -> Any:
    outputs = right(p, x)
    buffer = BUFFER.setdefault(outputs.shape, np.empty_like(outputs))
    buffer[:] = outputs
    return buffer


def in_its_input(p: Any, x: Any) -> Any:
    outputs = right(p, x)
    x[:] = 0
    return outputs


def broadcast(p: Any, x: Any) -> Any:
    return right(p, x)[:1]


def of_integers(p: Any, x: Any) -> Any:
    return np.rint(right(p, x)).astype(np.int64)


def once(p: Any, x: Any) -> Any:
    """As a library does that keeps what it was asked, and gives it back doubled."""
    key = x.tobytes() + p["W1"].tobytes()
    known = key in SEEN
    SEEN.add(key)
    return right(p, x) * (1 + known)


def in_rows(p: Any, x: Any) -> Any:
    """As a C library does that reads memory in C's order."""
    return right(p, np.frombuffer(x.tobytes("A"), x.dtype).reshape(x.shape))


def without_b(p: Any, x: Any) -> Any:
    return np.tanh(x @ p["W1"].T) @ p["W2"].T + p["b_w"]


def coarse(p: Any, x: Any) -> Any:
    """A tanh that is off by 12 units of roundoff."""
    h = np.tanh(x @ p["W1"].T + p["b"])
    return (h * (1 + 12 * 2.0**-53)) @ p["W2"].T + p["b_w"]


WRONG = [
    with_stale_weights,
    with_one_stale_weight,
    with_captured_weights,
    in_float32,
    of_float32,
    in_a_shared_buffer,
    in_its_input,
    broadcast,
    of_integers,
    once,
    in_rows,
    without_b,
]


def judge(
    answer: Callable[..., Any], draws: int = 6, network: Network = NETWORK, **given: Any
) -> Verdict:
    """The verdict on its outputs in float64."""
    subject = Computed(answer, **given)
    case = Case("foreign", network, [subject], [numpy_net], probes(0, draws=draws))
    return run(case.trials()[0], Cache(case))


def test_the_right_one_passes() -> None:
    """So that what is wrong with the others is what they change."""
    assert judge(right).status is Status.PASS


@pytest.mark.parametrize("answer", WRONG, ids=lambda answer: answer.__name__)
def test_a_wrong_one_fails_and_the_mistake_is_said(
    answer: Callable[..., Any], approved: Approved
) -> None:
    """The element and the likely cause, or the rule that its answer breaks."""
    verdict = judge(answer)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_coarse_functions_are_a_matter_of_the_contract(approved: Approved) -> None:
    """The line to write is offered, and with it the model passes."""
    narrow = Network(1, 1, 1, "tanh")
    verdict = judge(coarse, 40, narrow)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)
    assert judge(coarse, 40, narrow, exp_ulp=4.0).status is Status.PASS


def test_its_script_runs_without_torch(tmp_path: Path) -> None:
    """It fails again in a Python that cannot import torch, and has the function's own source."""
    case = Case("foreign", NETWORK, [Computed(without_b)], [numpy_net], probes(0, draws=6))
    cache, trial = Cache(case), case.trials()[0]
    verdict = run(trial, cache, folder=tmp_path)
    assert verdict.alone, verdict.why
    text = Path(verdict.alone).read_text()
    imported = [
        alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import)
        for alias in node.names
    ]
    assert "torch" not in imported
    assert "def without_b" in text
    blocked = f"import sys; sys.modules['torch'] = None; exec(open({verdict.alone!r}).read())"
    ended = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (1, "fails again"), ended.stderr


def test_shapes_of_another_network_are_said(approved: Approved) -> None:
    """In a sentence with the blocks of both, and not as an error of ours."""
    shapes = {"W1": (3, 7), "b1": (7,), "W2": (7, 2), "b2": (2,)}
    mine = Computed(lambda p, x: x @ p["W1"] @ p["W2"], "mine", shapes=shapes)
    case = Case("foreign", NETWORK, [Computed(right)], [mine, numpy_net], probes(0, draws=6))
    trial = next(each for each in case.trials() if each.reference.name == "mine")
    approved(run(trial, Cache(case)).why)
