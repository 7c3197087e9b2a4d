"""A model that writes into its inputs is another one for its caller."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.core.verdict import Status, Verdict
from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import DATA, Plain, judge

INTEGERS = "integers -1..9 (4, 6)"


def ask(model: Any, reference: Any, data: Any = DATA) -> Verdict:
    """The verdict on the function in eval()."""
    case = same(model, reference, data=data, draws=1, dtypes=["float64"], modes=["eval"])
    return judge(case)["float64 same-function-eval"]


class Placed(Plain):
    """Adds a position to its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(5))

    def forward(self, x: Tensor) -> Any:
        return super().forward(x + self.position)


class PlacedThere(Placed):
    """Adds it in the memory of its inputs."""

    def forward(self, x: Tensor) -> Any:
        x += self.position
        return Plain.forward(self, x)


class PlacedTwice(Placed):
    """Answers as that, but leaves other numbers in its inputs."""

    def forward(self, x: Tensor) -> Any:
        answer = super().forward(x)
        x += 2 * self.position
        return answer


class PlacedUnseen(Placed):
    """Writes in a way that autograd does not see."""

    def forward(self, x: Tensor) -> Any:
        answer = super().forward(x)
        x.data.add_(1)
        return answer


class Masked(nn.Module):
    """An embedding in which -1 is no word."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.out = nn.Embedding(10, 4), nn.Linear(4, 2)

    def forward(self, i: Tensor) -> Any:
        known = (i >= 0).unsqueeze(-1)
        return self.out((self.words(i.clamp(min=0)) * known).sum(1))


class MaskedThere(Masked):
    def forward(self, i: Tensor) -> Any:
        known = (i >= 0).unsqueeze(-1)
        i[i < 0] = 0
        return self.out((self.words(i) * known).sum(1))


class Weighted(Plain):
    def forward(self, batch: dict[str, Tensor]) -> Any:
        return super().forward(batch["x"]) * batch["w"]


class WeightedAway(Plain):
    """Takes its inputs out of the caller's dict."""

    def forward(self, batch: dict[str, Tensor]) -> Any:
        return super().forward(batch.pop("x")) * batch.pop("w")


@pytest.mark.parametrize(
    ("model", "reference", "data"),
    [
        (PlacedThere, Placed, DATA),
        (PlacedUnseen, Placed, DATA),
        (MaskedThere, Masked, INTEGERS),
        (WeightedAway, Weighted, ({"x": DATA, "w": (7, 3)},)),
        (PlacedTwice, PlacedThere, DATA),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_caller_sees_other_inputs_after_the_call(
    model: Any, reference: Any, data: Any, approved: Approved
) -> None:
    verdict = ask(model, reference, data)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


@pytest.mark.parametrize(
    ("model", "reference", "data"),
    [(Placed, PlacedThere, DATA), (Masked, MaskedThere, INTEGERS)],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_reference_that_writes_where_the_model_does_not_is_noted(
    model: Any, reference: Any, data: Any, approved: Approved
) -> None:
    verdict = ask(model, reference, data)
    assert verdict.status is Status.PASS
    approved(verdict.caveat)


@pytest.mark.parametrize(
    ("model", "data"), [(PlacedThere, DATA), (MaskedThere, INTEGERS)], ids=["floats", "integers"]
)
def test_two_that_write_the_same_are_the_same(model: Any, data: Any) -> None:
    verdict = ask(model, model, data)
    assert verdict.status is Status.PASS
    assert "after the call" in verdict.why
