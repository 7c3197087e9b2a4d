"""Loads every rule of this room and of `rules`. Import this module before you look up a rule."""

from harness.composites import batch_norm as batch_norm
from harness.composites import binary_losses as binary_losses
from harness.composites import class_losses as class_losses
from harness.composites import losses as losses
from harness.composites import margin_losses as margin_losses
from harness.composites import norms as norms
from harness.composites import softmax as softmax
from harness.rules import all as rules

__all__ = [
    "batch_norm",
    "binary_losses",
    "class_losses",
    "losses",
    "margin_losses",
    "norms",
    "rules",
    "softmax",
]
