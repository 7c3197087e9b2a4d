"""Traced to its first operation is an output, once; gradients are only if no output differs."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.core.verdict import Status
from harness.matching import placing
from harness.same.case import same
from tests.same.models import judge


class Net(nn.Module):
    """Four layers, and so eight gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.pass_on(layer(x))
        return x

    def pass_on(self, x: Tensor) -> Tensor:
        return torch.tanh(x)


class Sine(Net):
    """Another function."""

    def pass_on(self, x: Tensor) -> Tensor:
        return torch.sin(x)


class Halved(Net):
    """The same function, with other gradients."""

    def pass_on(self, x: Tensor) -> Tensor:
        y = torch.tanh(x)
        return y / 2 + y.detach() / 2


class Cut(Sine):
    """Another function, with no gradients."""

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[3](super().forward(x).detach())


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the answers that are traced, in turn."""
    names: list[str] = []
    find = placing.find_first

    def spy(subject: Any, reference: Any, differs: Any, *more: Any) -> Any:
        names.append(differs.answer)
        return find(subject, reference, differs, *more)

    monkeypatch.setattr(placing, "find_first", spy)
    return names


def ask(model: Any) -> str:
    """Why a model that differs fails, at three points."""
    case = same(model, Net, data=(4, 3), dtypes=["float64"], modes=["eval"])
    verdict = judge(case)["float64 same-function-eval"]
    assert verdict.status is Status.FAIL
    return verdict.why


def test_an_output_that_differs_is_traced_once(traced: list[str]) -> None:
    """And no gradient, and at no other point."""
    assert "first operation that differs: sin" in ask(Sine)
    assert traced == ["output"]


def test_of_gradients_alone_a_few_are_traced(traced: list[str]) -> None:
    """Where the outputs agree: the first three of nine."""
    ask(Halved)
    assert traced == [
        "gradient by x",
        "gradient of layers.0.weight",
        "gradient of layers.0.bias",
    ]


def test_a_gradient_that_is_lacking_is_traced_beside_the_output(traced: list[str]) -> None:
    """It is what the verdict shows."""
    assert "detach" in ask(Cut)
    assert sorted(traced) == ["gradient by x", "output"]


def test_what_is_looked_for_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As progress, before each answer that is traced."""
    said: list[str] = []
    tracer = placing.Tracer(said.append)
    assert tracer.find(None, None, []) == {}  # type: ignore[arg-type] # nothing is read
    assert not said
    monkeypatch.setattr(placing, "Pool", lambda *_: None)
    monkeypatch.setattr(placing, "list_numbers", lambda _: [])
    monkeypatch.setattr(placing, "find_first", lambda *_: [])
    side: Any = type("Side", (), {"replay": None})
    tracer.find(side, side, [placing.Compared("output", "differs")])
    assert set(said) == {"looking for the first operation that differs"}
