"""Judges the answers of models with fused kernels, which may lose more digits than their steps.

A fused kernel computes several operations at once, unseen by the recording. That of attention
computes the gradient of its softmax from the outputs, not from the probabilities. It takes exp
within 20 units in the last place (exp_u20 of torch's ATen/cpu/vec) and sums block by block. The
recurrent layers of oneDNN round at other places than their steps, so that a later operation may
take another branch. The bounds of the single steps do not cover this. If an answer is outside by a
small factor, the model is run once more with kernels of single steps, and that run decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from harness.matching.carry import Carry, Tensors
from harness.matching.compare import Compared, compare
from harness.shadow.shadow import Shadow
from harness.shadow.unfused import StepByStep, unfused

OF_ATTENTION = "aten::_safe_softmax"  # which nothing but attention calls
MOST = 64.0  # bounds: a larger error is no fused kernel's, see DECISIONS.md


def compare_as_run(
    subject: Shadow,
    reference: Shadow,
    carry: Carry,
    seed: int,
    run: Callable[[], Tensors],
    ran: Tensors,
    shift: Tensors | None = None,
) -> tuple[Sequence[Compared], float]:
    """Compare the answers of two models, each recorded and repeated in float64 (its shadow), and
    the subject's answers `ran` of a run without recording.

    `run` runs the subject once more. Also return the factor by which an answer is outside its bound
    with fused kernels, if it is inside with single steps; else 0. A model whose answers change from
    run to run is judged by the first. `shift` has the differences of the reference's
    answers from its shadow, where they are more than rounding: they are taken from the subject's.
    """

    def judge(answers: Tensors) -> list[Compared]:
        return compare(
            subject, reference, carry, torch.Generator().manual_seed(seed), answers, shift
        )

    compared = judge(ran)
    worst = _find_worst(compared)
    if worst <= 1 or worst > MOST:
        return compared, 0.0
    if not are_equal(run(), ran):  # not the kernels, but the model gives other answers
        return compared, 0.0
    with unfused(), StepByStep() as steps:
        again = run()
    attends = any(each.functional == OF_ATTENTION for each in subject.watched.run.operations)
    if not (steps.met_recurrent or attends):
        return compared, 0.0
    by_steps = judge(again)
    return (compared, 0.0) if _find_worst(by_steps) > 1 else (by_steps, worst)


def are_equal(answers: Tensors, others: Tensors) -> bool:
    """Are answers equal bit for bit? NaN is equal to NaN."""
    same = answers.keys() == others.keys()
    return same and all(
        torch.equal(answers[name].nan_to_num(), other.nan_to_num())
        for name, other in others.items()
    )


def _find_worst(compared: Sequence[Compared]) -> float:
    return max((one.run_factor for one in compared), default=0.0)
