"""The roundoff and the constants from which bounds are computed."""

from harness.core.contract import Contract

ORACLE_BITS = 53  # the oracle computes in float64
ORACLE_ROUNDOFF = 2.0**-ORACLE_BITS
DIRECTED = 1 + 1e-9  # the bounds are themselves evaluated in round to nearest


def total_roundoff(contract: Contract) -> float:
    """Return the unit roundoff of a contract plus the oracle's own."""
    return contract.roundoff + ORACLE_ROUNDOFF
