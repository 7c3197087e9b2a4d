"""The judge: vocabulary, checks, judgement, reports and the pytest plugin of nnet-parity.

Importing it loads neither torch nor rpy2 nor pytest.
"""

from harness.case import Case, Contrast, verify
from harness.contract import Bounded, Contract
from harness.formulation import Formulation
from harness.layout import Layout
from harness.problem import Loss, Problem
from harness.subject import Subject
from harness.verdict import Status, Verdict

__all__ = [
    "Bounded",
    "Case",
    "Contract",
    "Contrast",
    "Formulation",
    "Layout",
    "Loss",
    "Problem",
    "Status",
    "Subject",
    "Verdict",
    "verify",
]
