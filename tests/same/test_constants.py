"""A constant that is rounded where it is made is no other function in that dtype."""

import pytest
import torch
from torch import Tensor, nn

from harness import Status, Verdict
from harness.judging.cache import Cache
from harness.running.trial import run
from harness.same.case import same
from tests.conftest import Approved


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.fc(x)) * 0.1


class Held(Scaled):
    """The factor is a tensor."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.fc(x)) * torch.tensor(0.1, dtype=x.dtype)


class Kept(Scaled):
    """The factor is a buffer, made in float32."""

    factor: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("factor", torch.tensor(0.1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.fc(x)) * self.factor


class Other(Scaled):
    """The factor is off by five roundings."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.fc(x)) * torch.tensor(0.10000003, dtype=x.dtype)


def judge(model: type[nn.Module], dtype: str) -> Verdict:
    case = same(model, Scaled, data=(6, 4), dtypes=[dtype], modes=["eval"])
    return run(case.trials()[0], Cache(case))


@pytest.mark.parametrize("model", [Held, Kept])
def test_a_rounded_constant_is_the_same_function(
    model: type[nn.Module], approved: Approved
) -> None:
    """In float32, and the verdict says so."""
    verdict = judge(model, "float32")
    assert verdict.status is Status.PASS
    approved(verdict.why, mask_figures=True)


@pytest.mark.parametrize(("model", "dtype"), [(Other, "float32"), (Kept, "float64")])
def test_another_constant_is_another_function(model: type[nn.Module], dtype: str) -> None:
    """By more than one rounding of its dtype, or made in float32 in a float64 model."""
    assert judge(model, dtype).status is Status.FAIL


class Cancelling(Scaled):
    """Adds a large number and takes it off again."""

    def forward(self, x: Tensor) -> Tensor:
        return ((torch.tanh(self.fc(x)) + 1000.0) - 1000.0) * 0.1


def judge_precision(model: type[nn.Module], reference: type[nn.Module]) -> Status:
    case = same(model, reference, data=(6, 4), dtypes=["float32"], modes=["eval"])
    cache = Cache(case)
    (trial,) = [one for one in case.trials() if one.check.startswith("precision-kept")]
    return run(trial, cache).status


@pytest.mark.parametrize(("model", "reference"), [(Held, Scaled), (Kept, Scaled), (Scaled, Kept)])
def test_a_rounded_constant_loses_no_bits(
    model: type[nn.Module], reference: type[nn.Module]
) -> None:
    """Operations lose bits; a constant is rounded before them."""
    assert judge_precision(model, reference) is Status.PASS


@pytest.mark.parametrize("reference", [Scaled, Kept])
def test_a_rounded_constant_excuses_no_bits(reference: type[nn.Module]) -> None:
    """A form that loses bits does so beside any reference."""
    assert judge_precision(Cancelling, reference) is Status.FAIL


class HeldTable(nn.Module):
    """A table of frequencies in float32, as a buffer."""

    table: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.register_buffer("table", make_table(8), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) * self.table.cos()


class ComputedTable(nn.Module):
    """The same table, computed in each call."""

    base = 10000.0

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) * make_table(8, self.base).to(x.dtype).cos()


class OtherTable(ComputedTable):
    """Another base, off by a part in a million."""

    base = 10000.01


def make_table(width: int, base: float = 10000.0) -> Tensor:
    return 1.0 / (base ** (torch.arange(width).float() / width))


TABLES = [(ComputedTable, HeldTable), (HeldTable, ComputedTable)]


@pytest.mark.parametrize(("model", "reference"), TABLES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_table_that_one_computes_and_the_other_holds_is_the_same(
    model: type[nn.Module], reference: type[nn.Module], dtype: str
) -> None:
    """As Hugging Face's rotary frequencies: float32 in both, whatever the dtype of the model."""
    case = same(model, reference, data=(4, 8), dtypes=[dtype], modes=["eval"])
    cache = Cache(case)
    assert {run(trial, cache).status for trial in case.trials()} == {Status.PASS}


def test_another_table_is_another_function() -> None:
    """Only the very numbers that the other model holds are allowed."""
    case = same(OtherTable, HeldTable, data=(4, 8), dtypes=["float64"], modes=["eval"])
    assert run(case.trials()[0], Cache(case)).status is Status.FAIL


class Bent(ComputedTable):
    def forward(self, x: Tensor) -> Tensor:
        return (self.fc(x) * make_table(8).to(x.dtype)).tanh()


class Cut(ComputedTable):
    """The gradient by x lacks one of two parts."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) * make_table(8).to(x.dtype) + x.detach()


class Whole(HeldTable):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) * self.table + x


class NotBent(HeldTable):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) * self.table


@pytest.mark.parametrize(("wrong", "right"), [(Bent, NotBent), (Cut, Whole)])
def test_a_table_in_float32_hides_no_mistake_beside_it(
    wrong: type[nn.Module], right: type[nn.Module], approved: Approved
) -> None:
    """The mistake is named, not the table; outputs that differ by its rounding agree."""
    case = same(wrong, right, data=(4, 8), dtypes=["float64"], modes=["eval"])
    approved(run(case.trials()[0], Cache(case)).why, mask_figures=True)
