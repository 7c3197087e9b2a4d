"""The words that editors complete are those that are understood when a program runs."""

from collections.abc import Iterable
from typing import Any, get_args

import pytest

from harness.core.contract import PRECISION, Dtype
from harness.core.loss import ERRORS, REDUCTIONS, TARGETS, Error, Reduction, Targets
from harness.core.problem import QUANTITIES, STEP
from harness.core.recipe import OPTIMISERS, Optimiser
from harness.evaluating.given import MODES, Mode
from harness.judging.case import ENDS, Check
from harness.running import check
from reference.notation.activations import ACTIVATIONS, OUTPUTS, Activation, Output
from reference.probes.kinds import KINDS, Kind


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        (Dtype, PRECISION),
        (Error, ERRORS),
        (Reduction, REDUCTIONS),
        (Targets, TARGETS),
        (Optimiser, OPTIMISERS),
        (Mode, MODES),
        (Check, (*QUANTITIES, STEP, *ENDS)),
        (check.Mode, check.R_MODES),
        (Activation, ACTIVATIONS),
        (Output, OUTPUTS),
        (Kind, KINDS),
    ],
)
def test_types_and_programs_know_the_same_words(typed: Any, understood: Iterable[str]) -> None:
    """Each Literal has the words of the table that is asked when a program runs, in its order."""
    assert get_args(typed) == tuple(understood)
