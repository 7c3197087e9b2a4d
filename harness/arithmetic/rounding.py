"""The unit roundoff and the constants from which bounds are computed."""

import numpy as np

from harness.core.contract import Array, Contract, Mask

ORACLE_BITS = 53  # the oracle computes in float64
ORACLE_ROUNDOFF = 2.0**-ORACLE_BITS
DIRECTED = 1 + 1e-9  # the bounds are themselves evaluated in round to nearest


def total_roundoff(contract: Contract) -> float:
    """Return the unit roundoff of a contract's dtype plus that of float64, in which bounds are
    computed.

    A contract is the arithmetic that an implementation promises.
    """
    return contract.roundoff + ORACLE_ROUNDOFF


def are_exact_factors(factor: Array | float) -> Mask:
    """Return a mask of the constants by which a multiplication does not round: 0 and powers
    of two.
    """
    mantissa = np.frexp(np.abs(factor))[0]
    exact: Mask = (mantissa == 0.5) | (mantissa == 0)
    return exact
