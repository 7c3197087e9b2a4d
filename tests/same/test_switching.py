"""train() and eval() that change weights themselves, as adapters that are merged do."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.core.verdict import Status, Verdict
from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import DATA, judge


def ask(model: Any, reference: Any, **more: Any) -> dict[str, Verdict]:
    """The verdicts on all questions, by dtype and check."""
    return judge(same(model, reference, **{"data": DATA, "draws": 1, **more}))


class Adapted(nn.Module):
    """A matrix and the product of two small ones."""

    factor = 0.5

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 5))
        self.a, self.b = nn.Parameter(torch.randn(2, 5)), nn.Parameter(torch.zeros(4, 2))

    def forward(self, x: Tensor) -> Any:
        return x @ self.weight.T + (x @ self.a.T @ self.b.T) * self.factor


class Merged(Adapted):
    """Adds the product to the matrix in eval(), and takes it off in train()."""

    merged = False

    def train(self, mode: bool = True) -> Any:
        super().train(mode)
        if mode is self.merged:
            sign = -1 if mode else 1
            self.weight.data += sign * self.factor * self.b @ self.a
            self.merged = not mode
        return self

    def forward(self, x: Tensor) -> Any:
        return x @ self.weight.T if self.merged else super().forward(x)


class MergedTwice(Merged):
    """Adds it twice."""

    def train(self, mode: bool = True) -> Any:
        merges = not mode and not self.merged
        super().train(mode)
        if merges:
            self.weight.data += self.factor * self.b @ self.a
        return self


@pytest.mark.parametrize("reference", [Adapted, Merged])
def test_weights_that_eval_merges_are_set_before(reference: Any, approved: Approved) -> None:
    """In float32 too, where merging rounds."""
    found = ask(Merged, reference)
    assert {verdict.status for verdict in found.values()} == {Status.PASS}
    approved(found["float64 same-function-eval"].caveat)


def test_the_other_way_round() -> None:
    found = ask(Adapted, Merged)
    assert {verdict.status for verdict in found.values()} == {Status.PASS}


def test_a_wrong_merge_fails_in_eval_alone() -> None:
    found = ask(MergedTwice, Adapted, dtypes=["float64"])
    failed = [name for name, verdict in found.items() if verdict.status is Status.FAIL]
    assert failed == ["float64 same-function-eval"]


def test_an_instance_that_has_merged_is_judged_as_it_trains() -> None:
    """Its state in train() is that of its state_dict."""
    model = Merged()
    torch.nn.init.normal_(model.b)
    found = ask(model.eval(), Adapted())
    assert {verdict.status for verdict in found.values()} == {Status.PASS}
