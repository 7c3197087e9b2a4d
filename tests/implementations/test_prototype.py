"""A prototype in NumPy as a reference: bounded by its dtype, and told what is wrong with what it
gives.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import Case, Status, Verdict
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, Prototype, probes
from tests.conftest import Approved

NETWORK = Network((2, 3), 4, (1, 2), "relu")


class Port(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.W1, self.V1, self.b = (nn.Parameter(torch.ones(*s)) for s in ((4, 2), (4, 3), (4,)))
        self.W2, self.b_w, self.V2, self.b_v = (
            nn.Parameter(torch.ones(*s)) for s in ((1, 4), (1,), (2, 4), (2,))
        )

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.relu(x @ self.W1.T + y @ self.V1.T + self.b)
        return h @ self.W2.T + self.b_w, h @ self.V2.T + self.b_v


def forward(p: dict[str, Any], x: Any, y: Any) -> Any:
    """Both heads."""
    h = np.maximum(x @ p["W1"].T + y @ p["V1"].T + p["b"], 0)
    return h @ p["W2"].T + p["b_w"], h @ p["V2"].T + p["b_v"]


def slopes(p: dict[str, Any], x: Any, y: Any, s: Any, t: Any) -> Any:
    """By hand."""
    z = x @ p["W1"].T + y @ p["V1"].T + p["b"]
    h = np.maximum(z, 0)
    r, q = h @ p["W2"].T + p["b_w"] - s, h @ p["V2"].T + p["b_v"] - t
    e = 2 * (r @ p["W2"] + q @ p["V2"]) * (z > 0)
    gradients = {
        "W1": e.T @ x,
        "V1": e.T @ y,
        "b": e.sum(0),
        "W2": 2 * r.T @ h,
        "b_w": 2 * r.sum(0),
    }
    return (r**2).sum() + (q**2).sum(), {**gradients, "V2": 2 * q.T @ h, "b_v": 2 * q.sum(0)}


def verdicts(*given: Any, **more: Any) -> dict[str, Verdict]:
    """By check, in float64."""
    reference = Prototype("mine", *given, **more)
    case = Case(
        "prototype", NETWORK, [Port], [reference], probes(seed=0, draws=6), dtypes=["float64"]
    )
    cache = Cache(case)
    return {trial.check: run(trial, cache) for trial in case.trials()}


def test_a_right_prototype_is_inside_its_bounds(approved: Approved) -> None:
    """Outputs, loss and gradients pass; what it does not give is absent."""
    found = verdicts(forward, slopes)
    assert [found[check].status for check in ("forward", "loss", "gradient")] == [Status.PASS] * 3
    assert found["input_gradient"].status is Status.ABSENT
    approved(found["input_gradient"].why)
    assert found["forward"].source == "computed"


def test_one_that_gives_outputs_only_judges_these(approved: Approved) -> None:
    """Loss and gradients are absent, in a sentence."""
    found = verdicts(forward)
    assert found["forward"].status is Status.PASS
    assert found["loss"].status is found["gradient"].status is Status.ABSENT
    approved(found[check].why for check in ("loss", "gradient", "input_gradient"))


def test_a_prototype_in_float32_says_so(approved: Approved) -> None:
    """As float64 it is outside its bounds, as float32 inside, and it is named."""

    def single(p: dict[str, Any], x: Any, y: Any) -> Any:
        return forward(
            {name: np.float32(block) for name, block in p.items()}, np.float32(x), np.float32(y)
        )

    assert verdicts(single, dtype="float32")["forward"].status is Status.PASS
    wrong = verdicts(single)["forward"]
    assert wrong.status is Status.FAIL
    approved(wrong.why, mask_figures=True)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ((lambda p, x, y: 0, slopes), Status.FAIL),
        ((lambda p, x: 0, slopes), Status.BROKEN),
        ((forward, lambda p, *data: (np.zeros(2), {})), Status.FAIL),
        ((forward, lambda p, *data: (0.0, {})), Status.BROKEN),
        ((forward, lambda p, *data: (0.0, dict.fromkeys(p, np.ones(3)))), Status.FAIL),
    ],
    ids=["a number", "one input", "two losses", "no gradients", "gradients of other shapes"],
)
def test_what_a_prototype_may_not_give(given: Any, status: Status, approved: Approved) -> None:
    """What was found, what was expected."""
    found = verdicts(*given)["forward"]
    assert found.status is status
    approved(found.why)


def test_what_is_no_function_is_refused(approved: Approved) -> None:
    """When it is written."""
    with approved.raises(ValueError):
        Prototype("mine", 3)  # type: ignore[arg-type]
