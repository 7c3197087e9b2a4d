"""Models that have a dtype written in are judged in the dtypes in which they run."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.core.verdict import Status, Verdict
from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import judge

DATA = (4, 3, 5)  # steps, rows and inputs
FUNCTION = "same-function-eval"


class Steps(nn.Module):
    """A recurrent model that begins in the dtype of its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.GRUCell(5, 8), nn.Linear(8, 2)

    def start(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[1], 8)

    def forward(self, x: Tensor) -> Any:
        h = self.start(x)
        for each in x:
            h = self.cell(each, h)
        return self.out(h)


class StepsFromFloat32(Steps):
    def start(self, x: Tensor) -> Tensor:
        return torch.zeros(x.shape[1], 8)


class StepsFromFloat64(Steps):
    def start(self, x: Tensor) -> Tensor:
        return torch.zeros(x.shape[1], 8, dtype=torch.float64)


class Layer(nn.Module):
    """The same as one layer, under other names."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.out = nn.GRU(5, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Any:
        return self.out(self.rnn(x, torch.zeros(1, x.shape[1], 8))[0][-1])


class NumpyTable(Steps):
    """Its table is an array of NumPy, in float64."""

    table = np.linspace(0.5, 1, 8)

    def start(self, x: Tensor) -> Tensor:
        return super().start(x) + torch.from_numpy(self.table)


class OffBy1e6(StepsFromFloat32):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x) * 1.000001


class TrainsWithNoise(Steps):
    """Its noise is in float32."""

    def start(self, x: Tensor) -> Tensor:
        return torch.randn(x.shape[1], 8) if self.training else super().start(x)


def ask(model: Any, reference: Any, **more: Any) -> dict[str, Verdict]:
    """The verdicts in eval() by dtype and check."""
    return judge(same(model, reference, **{"data": DATA, "modes": "eval", **more}))


BOTH = [
    (StepsFromFloat32, Steps),
    (Steps, StepsFromFloat32),
    (StepsFromFloat32, StepsFromFloat32),
    (StepsFromFloat32, Layer),
]


@pytest.mark.parametrize(("model", "reference"), BOTH)
def test_float32_that_is_written_in_is_judged_in_float32(
    model: Any, reference: Any, approved: Approved
) -> None:
    """And float64, which nobody named, is not applicable, with the line."""
    found = ask(model, reference)
    assert {each.status for name, each in found.items() if "float32" in name} == {Status.PASS}
    wide = [each for name, each in found.items() if "float64" in name]
    assert {each.status for each in wide} == {Status.ABSENT}
    assert not any(each.applicable for each in wide)
    approved([*dict.fromkeys(each.why for each in wide)])


def test_a_fault_beside_float32_that_is_written_in_is_found() -> None:
    assert ask(OffBy1e6, Steps)[f"float32 {FUNCTION}"].status is Status.FAIL


def test_a_dtype_that_is_named_must_run(approved: Approved) -> None:
    found = ask(StepsFromFloat32, Steps, dtypes=["float64", "float32", "bfloat16"])
    broken = [found[f"{dtype} {FUNCTION}"] for dtype in ("float64", "bfloat16")]
    assert {each.status for each in broken} == {Status.BROKEN}
    assert found[f"float32 {FUNCTION}"].status is Status.PASS
    approved([each.why for each in broken])


def test_the_reference_may_run_in_a_dtype_of_its_own() -> None:
    """In float32, whatever the model runs in."""
    found = ask(Steps, StepsFromFloat32, reference_dtype="float32")
    assert {each.status for each in found.values()} == {Status.PASS}


@pytest.mark.parametrize(
    ("model", "reference"), [(StepsFromFloat64, Steps), (NumpyTable, NumpyTable)]
)
def test_float64_that_is_written_in_is_judged_in_float64(
    model: Any, reference: Any, approved: Approved
) -> None:
    found = ask(model, reference)
    assert found[f"float64 {FUNCTION}"].status is Status.PASS
    assert not found[f"float32 {FUNCTION}"].applicable
    approved(found[f"float32 {FUNCTION}"].why)


def test_only_the_mode_that_does_not_run_is_left_out() -> None:
    """Noise in float32 is drawn in train() alone."""
    found = ask(TrainsWithNoise, TrainsWithNoise, modes=("train", "eval"))
    assert found["float64 same-function-eval"].status is Status.PASS
    assert not found["float64 same-function-train"].applicable
    assert found["float32 same-function-train"].status is Status.PASS


def test_what_runs_in_no_dtype_is_broken() -> None:
    """Which is no matter of dtypes."""
    found = ask(lambda: nn.Linear(4, 2), Steps)
    assert {each.status for each in found.values()} == {Status.BROKEN}
