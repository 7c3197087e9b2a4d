"""A fused kernel that loses more than its steps may is said, and is no false alarm."""

import random
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.core.verdict import Status
from harness.evaluating.data import Batch
from harness.matching.carry import ByName, Tensors
from harness.matching.compare import Compared
from harness.matching.fused import compare_as_run
from harness.matching.respondent import Ask
from harness.matching.result import Result
from harness.same.case import same
from harness.same.evidence import Evidence
from harness.same.sentences import describe_well_computed
from tests.conftest import Approved
from tests.same.models import judge
from tests.selfcheck.models import make_shadow, rewrite, run_unwatched
from tests.selfcheck.zoo.draw import draw

FAST: dict[str, Any] = {"dtypes": ["float64"], "modes": ["eval"]}


def test_steps_decide_where_fused_attention_is_outside() -> None:
    """Answers that are off by 1e-13 stand for those of a fused kernel; the steps are inside."""
    example = draw(12, 1287)
    net, _ = rewrite(example, random.Random("styles 12 1287"))
    mine, theirs = make_shadow(example, net), make_shadow(example, example.net)

    def run() -> Tensors:
        factor = 1 + 1e-13 * torch.backends.cuda.flash_sdp_enabled()
        return {name: factor * value for name, value in run_unwatched(example, net).items()}

    compared, fused = compare_as_run(mine, theirs, ByName(), 1287, run, run())
    assert fused > 1
    assert max(one.run_factor for one in compared) < 1


def test_a_model_that_errs_once_is_not_taken_for_a_fused_kernel() -> None:
    """It gives other answers in a second run with the same kernels."""
    example = draw(12, 1287)
    net, _ = rewrite(example, random.Random("styles 12 1287"))
    mine, theirs = make_shadow(example, net), make_shadow(example, example.net)
    ran = {name: value * (1 + 1e-13) for name, value in run_unwatched(example, net).items()}
    compared, fused = compare_as_run(
        mine, theirs, ByName(), 1287, lambda: run_unwatched(example, net), ran
    )
    assert fused == 0
    assert max(one.run_factor for one in compared) > 1


class Unlike(torch.nn.Module):
    """Another function where torch's kernels are fused; without attention, or far off."""

    def __init__(self, factor: float, attends: bool) -> None:
        super().__init__()
        self.factor, self.attends = factor, attends
        self.layer = torch.nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        if self.attends:
            y = torch.nn.functional.scaled_dot_product_attention(y, y, y)
        return y * self.factor if torch.backends.cuda.flash_sdp_enabled() else y


@pytest.mark.parametrize(("factor", "attends"), [(1.5, True), (1 + 1e-13, False)])
def test_a_fused_kernel_excuses_little(factor: float, attends: bool) -> None:
    """An error of many bounds is none of its, and a model without such kernels has none."""
    case = same(lambda: Unlike(factor, attends), lambda: Unlike(1.0, attends), data=(7, 5), **FAST)
    assert judge(case)["float64 well-computed-eval"].status is Status.FAIL


def test_a_fused_kernel_is_said(approved: Approved) -> None:
    """With how much it loses."""
    one = Compared("output", "same", actual=1.0, run_factor=0.1, run_resolution=1e-9)
    asked = Result(Ask("as built", {}, Batch((), {})), [one], fused=2.41)
    approved(describe_well_computed(Evidence([asked]), "float64"), mask_figures=True)
