"""Loads every rule of this room and of the rooms below. Import this module before you look up a
rule.
"""

from harness.composites import all as all_rules
from harness.kernels import bags as bags
from harness.kernels import convolution as convolution
from harness.kernels import distances as distances
from harness.kernels import indices as indices
from harness.kernels import places as places
from harness.kernels import pooling as pooling
from harness.kernels import products as products
from harness.kernels import resampling as resampling
from harness.kernels import running as running
from harness.kernels import spread as spread
from harness.kernels import weight_norm as weight_norm

__all__ = ["all_rules"]
