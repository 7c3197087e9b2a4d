"""A function of NumPy arrays as a reference: bounded by its dtype, and told what is wrong with what
it gives.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import Case, Computed, Status, Subject, Verdict
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, numpy_net, probes, r_nnet
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
    answer, *slopes = given
    reference = Computed(answer, "mine", *slopes, **{"dtype": "float64", **more})
    case = Case(
        "prototype", NETWORK, [Port], [reference], probes(seed=0, draws=6), dtypes=["float64"]
    )
    cache = Cache(case)
    return {trial.check: run(trial, cache) for trial in case.trials()}


def test_a_right_function_is_inside_its_bounds(approved: Approved) -> None:
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


def test_a_function_in_float32_says_so(approved: Approved) -> None:
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
        ((forward, lambda p, *data: (0.0, {})), Status.FAIL),
        ((forward, lambda p, *data: (0.0, dict.fromkeys(p, np.ones(3)))), Status.FAIL),
    ],
    ids=["a number", "one input", "two losses", "no gradients", "gradients of other shapes"],
)
def test_what_a_function_may_not_give(given: Any, status: Status, approved: Approved) -> None:
    """What was found, what was expected."""
    found = verdicts(*given)
    bad = found["loss" if found["forward"].status is Status.PASS else "forward"]
    assert bad.status is status
    approved(bad.why)


def test_what_is_no_function_is_refused(approved: Approved) -> None:
    """When it is written."""
    with approved.raises(ValueError):
        Computed(3, "mine")  # type: ignore[arg-type]


FIRST = Network(3, 4, 2, "tanh")


def compute(p: dict[str, Any], x: Any) -> Any:
    return np.tanh(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]


def differentiate(p: dict[str, Any], x: Any, t: Any) -> Any:
    """By hand, by parameters and by the inputs."""
    h = np.tanh(x @ p["W1"] + p["b1"])
    r = h @ p["W2"] + p["b2"] - t
    e = 2 * r @ p["W2"].T * (1 - h**2)
    slopes = {"W1": x.T @ e, "b1": e.sum(0), "W2": 2 * h.T @ r, "b2": 2 * r.sum(0)}
    return (r**2).sum(), (slopes, e @ p["W1"].T)


TURNED = {"W1": (3, 4), "b1": (4,), "W2": (4, 2), "b2": (2,)}


class First(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def test_a_function_is_a_subject_with_weights_of_its_own_shapes(live_r: None) -> None:
    """Every quantity passes in both dtypes against live R, NumPy and a PyTorch model, and in the
    other direction.
    """
    mine = Computed(compute, "mine", differentiate, TURNED)
    torchs, references = Subject(First), [r_nnet, numpy_net, Subject(First)]
    case = Case("first", FIRST, [mine], references, probes(seed=0, draws=6))
    back = Case("back", FIRST, [torchs], [mine], probes(seed=0, draws=6))
    for asked in (case, back):
        cache = Cache(asked)
        found = [run(trial, cache) for trial in asked.trials()]
        statuses = {v.status for v in found}
        absent = {(v.reference, v.check) for v in found if v.status is Status.ABSENT}
        assert statuses <= {Status.PASS, Status.ABSENT}, [v.why for v in found]
        assert absent <= {("r_nnet", "input_gradient")}


def test_a_function_in_one_dtype_is_not_judged_in_another(approved: Approved) -> None:
    """The trial says in which it computes; as a reference it answers in its own."""
    mine = Computed(compute, "mine", shapes=TURNED, dtype="float32")
    case = Case("first", FIRST, [mine, First], [numpy_net, mine], probes(seed=0, draws=4))
    case = replace(case, checks=["forward"])
    cache, found = Cache(case), {}
    for trial in case.trials():
        found[trial.id] = run(trial, cache)
    assert {v.status for v in found.values()} == {Status.PASS, Status.ABSENT}
    absent = [key for key, v in found.items() if v.status is Status.ABSENT]
    assert absent == [
        "mine-cpu-float64-forward-vs-numpy_net",
        "mine-cpu-float64-forward-vs-mine",
    ]
    approved(found[absent[0]].why)


def test_on_another_device_it_is_absent(approved: Approved) -> None:
    """NumPy's arrays are on the CPU."""
    mine = Computed(compute, "mine", shapes=TURNED)
    approved(str(mine.cannot_answer(FIRST, "forward", "float32", "cuda")))


@pytest.mark.parametrize(
    "given",
    [
        {"dtype": "bfloat16"},
        {"parameters": {"W1": "W1.T"}},
        {"parameters": 3},
        {"logistic_clip": -1},
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_are_refused(given: Any, approved: Approved) -> None:
    """In a sentence, where they are written."""
    with approved.raises((TypeError, ValueError)):
        Computed(compute, "mine", **given)


def test_a_model_whose_parameters_add_up_is_no_reference_for_others(approved: Approved) -> None:
    """Of a sum its two parts cannot be told."""
    shapes = {**TURNED, "more": (4,)}
    means = {
        "W1": "W1.T",
        "b": lambda own: own["b1"] + own["more"],
        "W2": "W2.T",
        "b_w": "b2",
    }
    mine = Computed(compute, "mine", shapes=shapes, parameters=means)
    case = Case("first", FIRST, [First], [mine], probes(seed=0, draws=4), checks=["forward"])
    verdict = run(case.trials()[0], Cache(case))
    assert verdict.status is Status.BROKEN
    approved(verdict.why)
