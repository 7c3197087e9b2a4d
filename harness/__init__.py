"""The judge: vocabulary, checks, judgement, reports and the pytest plugin of nnet-parity.

Importing it loads neither torch nor rpy2 nor pytest.
"""

from harness.case import Case, Contrast, verify
from harness.contract import Bounded, Contract
from harness.formulation import Formulation
from harness.layout import Layout
from harness.problem import Loss, Problem
from harness.race import Entry
from harness.recipe import Recipe
from harness.subject import Subject
from harness.trainer import Population
from harness.training import Trained
from harness.verdict import Status, Verdict

__all__ = [
    "Bounded",
    "Case",
    "Contract",
    "Contrast",
    "Entry",
    "Formulation",
    "Layout",
    "Loss",
    "Population",
    "Problem",
    "Recipe",
    "Status",
    "Subject",
    "Trained",
    "Verdict",
    "verify",
]
