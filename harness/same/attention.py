"""Judges the answers of models with attention, whose fused kernels may lose more digits than its
steps.

A fused kernel computes the gradient of its softmax from the outputs, not from the probabilities. It
takes exp within 20 units in the last place (exp_u20 of torch's ATen/cpu/vec) and sums block by
block. The bounds of the single steps do not cover this. If an answer is outside, the model is run
once more with kernels of single steps, and that run decides.
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
    """Compare the answers of two models, each recorded and repeated in float64 (its shadow), and
    the subject's answers `ran` of a run without recording.

    `run` runs the subject once more. Also return the factor by which an answer is outside its bound
    with a fused attention kernel, if it is inside with single steps; else 0.
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
    """Do a run's operations include attention?"""
    return any(operation.functional == OF_ATTENTION for operation in run.operations)


def _find_worst(compared: Sequence[Compared]) -> float:
    return max((one.run_factor for one in compared), default=0.0)
