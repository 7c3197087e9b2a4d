"""Imports every module of this room, so that all rules (error bounds of torch operations) are in
the table. Import this module before you look up a rule.
"""

from harness.rules import activations as activations
from harness.rules import casts as casts
from harness.rules import elementwise as elementwise
from harness.rules import functions as functions
from harness.rules import moves as moves
from harness.rules import rectifiers as rectifiers
from harness.rules import slopes as slopes
from harness.rules import sums as sums
