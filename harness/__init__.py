"""The judge: vocabulary, checks, judgement, reports and the pytest plugin of nnet-parity.

Importing it loads neither torch nor rpy2 nor pytest.
"""

from harness.case import Case as Case
from harness.case import Contrast as Contrast
from harness.contract import Bounded as Bounded
from harness.contract import Contract as Contract
from harness.formulation import Formulation as Formulation
from harness.layout import Layout as Layout
from harness.problem import Loss as Loss
from harness.problem import Problem as Problem
from harness.race import Entry as Entry
from harness.recipe import Recipe as Recipe
from harness.subject import Subject as Subject
from harness.trainer import Population as Population
from harness.training import Trained as Trained
from harness.verdict import Status as Status
from harness.verdict import Verdict as Verdict
from harness.verification import verify as verify
