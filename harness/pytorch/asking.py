"""Evaluates a subject or a reference at a problem."""

from collections.abc import Callable, Collection

import numpy as np

from harness.core.changed import changed
from harness.core.implementation import Implementation, Missing, Observation
from harness.core.problem import Problem
from harness.model.compiled import COMPILER, limited
from harness.model.devices import kind_of
from harness.model.module import Model
from harness.pytorch.subject import Subject


def ask_subject(
    subject: Subject,
    problem: Problem,
    dtype: str,
    device: str,
    build: Callable[[], Model | Missing],
    without: Collection[str] = (),
) -> Observation:
    """Return the subject's answers to a problem, and whether torch.compile compiled its model.

    `build` returns a new model, or one that was built earlier. The model is also called under other
    conditions, such as with inputs in another memory layout, unless `without` names the condition
    (see `earlier.CONDITIONS`).
    """
    with kind_of(device).hold_precision(device, dtype):
        live = build()
        with COMPILER.asking((subject, dtype, device)):
            observation = subject.observe(problem, dtype, device, live, without)
    return changed(observation, ran=COMPILER.says(subject.build if subject.shapes else live))


def ask(one: Implementation, problem: Problem, dtype: str, device: str) -> Observation:
    """Return an implementation's answers (outputs, loss, gradients, ...) to a problem, each
    converted to an array of float64.
    """
    with limited():  # it may be a PyTorch model
        observation = one.observe(problem, dtype, device)
    values = {}
    for quantity, value in observation.values.items():
        values[quantity] = np.asarray(value, np.float64)
    return changed(observation, values=values)
