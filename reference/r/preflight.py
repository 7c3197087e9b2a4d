"""Is everything here that R needs, and what mends it if not."""

import os
import shutil
from importlib import metadata

PIP = "RPY2_CFFI_MODE=ABI pip install rpy2==3.6.6 rpy2-rinterface==3.6.5 rpy2-robjects==3.6.6"


class RUnavailable(Exception):
    """R, nnet or rpy2 is missing or does not fit.

    `found` says what was found and what was expected, `mend` is the line that mends it, or "".
    """

    def __init__(self, found: str, mend: str = "") -> None:
        super().__init__(f"{found}. This mends it: {mend}" if mend else found)
        self.found, self.mend = found, mend


def what_is_missing(symptom: str) -> RUnavailable | None:
    """What this machine lacks, given what the worker said; None if nothing is seen to be missing
    and the worker said nothing.
    """
    has_r = bool(os.environ.get("R_HOME") or shutil.which("R"))
    rpy2 = [found.version for found in metadata.distributions(name="rpy2-rinterface")][:1]
    # Where R is found, pip asks it for its settings to build rpy2, which takes make.
    pip = PIP if shutil.which("make") or not has_r else f"apt-get install make && {PIP}"
    if not has_r or "r_home is None" in symptom:
        found, expected = (
            "R was not found: it is not on PATH and R_HOME is not set",
            "R 4.2 or newer with nnet",
        )
        mend = "apt-get install r-base-core r-cran-nnet make"
    elif not rpy2 or "No module named 'rpy2" in symptom:
        found, expected, mend = "R was found, rpy2 was not", "rpy2-rinterface 3.6.5", pip
    elif "R_getVar" in symptom:
        found = f"rpy2-rinterface {rpy2[0]} needs R 4.5 or newer (symbol R_getVar), this R is older"
        expected, mend = "rpy2-rinterface 3.6.5", pip
    elif "no package called" in symptom and "nnet" in symptom:
        found, expected, mend = (
            "R was found, its package nnet was not",
            "nnet 7.3",
            "apt-get install r-cran-nnet",
        )
    elif symptom:
        return RUnavailable(f"R did not start in its worker. It said: {symptom}")
    else:
        return None
    return RUnavailable(f"{found}. Expected {expected}", mend)
