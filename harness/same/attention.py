"""Judges the answers of models with attention, whose fused kernels may lose more than its steps.

A fused kernel forms the slope of its softmax from the outputs, not from the probabilities, takes
exp within 20 units in the last place (exp_u20 of torch's ATen/cpu/vec) and sums block by block. The
bounds of the steps that are watched do not cover that. Where an answer is outside, the model is run
once more with the kernels of single steps, which decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from harness.same.compare import Carry, Compared, Tensors, compare
from harness.shadow.recording import Run
from harness.shadow.shadow import Shadow

OF_ATTENTION = "aten::_safe_softmax"  # which nothing but attention calls


def compare_as_run(
    subject: Shadow,
    reference: Shadow,
    carry: Carry,
    seed: int,
    run: Callable[[], Tensors],
    ran: Tensors,
) -> tuple[Sequence[Compared], float]:
    """Compare the answers of two evaluations, and those of the subject as it `ran`.

    `run` runs it once more. The second result is how many times an answer of fused attention is
    outside, if its steps are inside; else 0.
    """

    def judge(answers: Tensors) -> list[Compared]:
        return compare(subject, reference, carry, torch.Generator().manual_seed(seed), answers)

    compared = judge(ran)
    worst = _find_worst(compared)
    if worst <= 1 or not attends(subject.watched.run):
        return compared, 0.0
    with sdpa_kernel(SDPBackend.MATH):
        by_steps = judge(run())
    return (compared, 0.0) if _find_worst(by_steps) > 1 else (by_steps, worst)


def attends(run: Run) -> bool:
    """Is there attention among the operations of a run?"""
    return any(operation.functional == OF_ATTENTION for operation in run.operations)


def _find_worst(compared: Sequence[Compared]) -> float:
    return max((one.run_factor for one in compared), default=0.0)
