"""Answers that nobody can watch are judged by the operations of the model that they must equal."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.same.unwatched import compare_unwatched
from harness.shadow.shadow import Shadow
from harness.shadow.watch import watch

GENERATOR = torch.Generator().manual_seed(0)


def make_model() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3), nn.Softmax(-1))


def compute(model: nn.Sequential, x: Tensor) -> np.ndarray:
    """Return the model's outputs by NumPy in float32, with sums in another order."""
    parameters = [each.detach().numpy() for each in model.parameters()]
    h = np.maximum(x.numpy()[:, ::-1] @ parameters[0][:, ::-1].T + parameters[1], 0)
    z = h @ parameters[2].T + parameters[3]
    p = np.exp(z - z.max(1, keepdims=True))
    return np.asarray(p / p.sum(1, keepdims=True))


@pytest.mark.parametrize(("scale", "outcome"), [(1.0, "same"), (1.0001, "differs")])
def test_the_same_operations_in_another_order_match(scale: float, outcome: str) -> None:
    """NumPy's float32 is within what the model's own operations may lose; a scale is not."""
    model, x = make_model(), torch.randn(20, 5, generator=GENERATOR)
    shadow = Shadow(watch(lambda: {"output": model(x)}, model), "float32")
    answers = {"output": torch.from_numpy(scale * compute(model, x))}
    (found,) = compare_unwatched(shadow, answers, GENERATOR)
    assert found.outcome == outcome
    assert math.isfinite(found.resolution)


def test_another_shape_is_no_match() -> None:
    """Nothing is broadcast."""
    model, x = make_model(), torch.randn(20, 5, generator=GENERATOR)
    shadow = Shadow(watch(lambda: {"output": model(x)}, model), "float32")
    (found,) = compare_unwatched(shadow, {"output": torch.zeros(3)}, GENERATOR)
    assert found.outcome == "shape"
