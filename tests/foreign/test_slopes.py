"""What a function gives as its loss and gradients is read strictly, and each mistake is said."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness import Case, Status
from harness.foreign.computed import Computed
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, numpy_net, probes
from tests.conftest import Approved

NETWORK = Network(2, 3, 2, "tanh")


def answer(p: Any, x: Any) -> Any:
    return np.tanh(x @ p["W1"].T + p["b"]) @ p["W2"].T + p["b_w"]


def empty(p: Any) -> dict[str, Any]:
    """Gradients of the right shapes."""
    return {name: np.zeros_like(block) for name, block in p.items()}


MISTAKES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "a loss alone": lambda p, x, t: 1.0,
    "a loss of two numbers": lambda p, x, t: (np.ones(2), empty(p)),
    "a list of gradients": lambda p, x, t: (1.0, np.zeros(3)),
    "one gradient missing": lambda p, x, t: (1.0, {"W1": np.zeros_like(p["W1"])}),
    "one gradient of another shape": lambda p, x, t: (1.0, empty(p) | {"W2": np.zeros(2)}),
    "by inputs of another shape": lambda p, x, t: (1.0, [empty(p), np.zeros(3)]),
    "by inputs that are no numbers": lambda p, x, t: (1.0, [empty(p), np.array(["a"])]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_slopes_is_said(name: str, approved: Approved) -> None:
    """The sentence says what was given, and what is expected."""
    subject = Computed(answer, slopes=MISTAKES[name])
    problems = probes(0, draws=2)
    case = Case("slopes", NETWORK, [subject], [numpy_net], problems, dtypes=["float64"])
    cache = Cache(case)
    verdict = next(run(trial, cache) for trial in case.trials() if trial.check == "loss")
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


@pytest.mark.parametrize("units", [0, 7])
def test_a_tanh_that_keeps_digits_of_1_is_told_what_to_write(
    units: int, approved: Approved
) -> None:
    """ONNX Runtime's Sigmoid is such a function; another is also off by units of roundoff."""

    def rounded(p: Any, x: Any) -> Any:
        h = np.tanh(x @ p["W1"].T + p["b"])
        h = h * (1 + units * 2.0**-53) + 4 * 2.0**-53 * np.sign(h)
        return h @ p["W2"].T + p["b_w"]

    case = Case("coarse", Network(1, 1, 1, "tanh"), [Computed(rounded)], [numpy_net], probes(0))
    verdict = run(case.trials()[0], Cache(case))
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_a_function_takes_no_steps(approved: Approved) -> None:
    """NumPy judges them."""
    subject = Computed(answer)
    approved(subject.cannot_answer(NETWORK, "step", "float64", "cpu"))
