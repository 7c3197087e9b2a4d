"""The judge: evaluates implementations, compares their answers within rounding bounds, and reports.
It knows no equation of any network.

Importing it loads neither torch nor rpy2 nor pytest.
"""

from harness.core.contract import Bounded as Bounded
from harness.core.contract import Contract as Contract
from harness.core.formulation import Formulation as Formulation
from harness.core.layout import Layout as Layout
from harness.core.loss import Loss as Loss
from harness.core.problem import Problem as Problem
from harness.core.recipe import Recipe as Recipe
from harness.core.verdict import Status as Status
from harness.core.verdict import Verdict as Verdict
from harness.foreign.computed import Computed as Computed
from harness.foreign.jax_models import jax_model as jax_model
from harness.foreign.onnx_models import onnx_model as onnx_model
from harness.judging.case import Case as Case
from harness.judging.case import Contrast as Contrast
from harness.judging.verification import verify as verify
from harness.pytorch.subject import Subject as Subject
from harness.racing.entry import Entry as Entry
from harness.running.check import check as check
from harness.running.result import Result as Result
from harness.running.result import VerdictFailed as VerdictFailed
from harness.same.case import same as same
from harness.training.trained import Trained as Trained
from harness.training.trained_by import TrainedBy as TrainedBy
from harness.training.trainer import Population as Population
