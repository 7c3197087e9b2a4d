"""Finds the part that R lacks on this machine (R, nnet or rpy2), and the command that
installs it.
"""

import os
import shutil
from importlib import metadata

from reference.r.startup import KEPT

PIP = "RPY2_CFFI_MODE=ABI pip install rpy2==3.6.6 rpy2-rinterface==3.6.5 rpy2-robjects==3.6.6"


class RUnavailable(Exception):
    """Raised if R, nnet or rpy2 is missing, or has an unsupported version.

    `found` describes the problem and names the expected version; `mend` is the command that solves
    it, or "".
    """

    def __init__(self, found: str, mend: str = "") -> None:
        super().__init__(f"{found}. This mends it: {mend}" if mend else found)
        self.found, self.mend = found, mend


def what_is_missing(symptom: str) -> RUnavailable | None:
    """Return the error that names the missing part of this machine; None if nothing seems to be
    missing.

    `symptom` is the error message of the worker, the process that failed to start R.
    """
    has_r = bool(os.environ.get("R_HOME") or shutil.which("R"))
    rpy2 = [each.version for each in metadata.distributions(name="rpy2-rinterface")]
    pip = PIP
    if has_r and not shutil.which("make"):  # pip asks R for its settings, and R asks make
        pip = f"apt-get install make && {PIP}"
    if not has_r or "r_home is None" in symptom:
        found = "R was not found: it is not on PATH and R_HOME is not set"
        expected = "R 4.2 or newer with nnet"
        mend = "apt-get install r-base-core r-cran-nnet make"
    elif "no libR:" in symptom:
        looked = symptom.partition("no libR: ")[2]
        found = f"R's library libR was not found ({looked}, and no lib/libR.so is in it)"
        expected = "an R that was built with --enable-R-shlib, and R_HOME unset or its home"
        mend = ""
    elif not rpy2 or "No module named 'rpy2" in symptom:
        found, expected, mend = "R was found, rpy2 was not", "rpy2-rinterface 3.6.5", pip
    elif "R_getVar" in symptom:
        found = f"rpy2-rinterface {rpy2[0]} needs R 4.5 or newer (symbol R_getVar), this R is older"
        expected, mend = "rpy2-rinterface 3.6.5", pip
    elif "no package called" in symptom and "nnet" in symptom:
        _, looked, detail = symptom.partition(" (libraries: ")
        found = f"R was found, its package nnet was not{looked}{detail}"
        expected, mend = "nnet 7.3", "apt-get install r-cran-nnet"
    elif symptom:
        set_here = [f"{name}={os.environ[name]}" for name in KEPT if os.environ.get(name)]
        given = f" with {', '.join(set_here)}" if set_here else ""
        return RUnavailable(f"R did not start in its worker{given}. It said: {symptom}")
    else:
        return None
    return RUnavailable(f"{found}. Expected {expected}", mend)
