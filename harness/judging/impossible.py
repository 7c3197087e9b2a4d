"""Finds the trials that can never be judged, because one side does not compute the quantity on any
machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.core.implementation import Limited
from harness.core.numpy_errors import users
from harness.core.problem import ORDER
from harness.core.report import name_reference
from harness.judging.case import ENDS, Trial


def mark_impossible(trials: Sequence[Trial]) -> list[Trial]:
    """Return copies of the trials of a case; a trial that can never be judged has the reason.

    The reason also names the references that can judge the same check.
    """
    reasons = [_find_reason(trial) for trial in trials]
    others: dict[tuple[str, str, str, str], list[str]] = {}
    for trial, reason in zip(trials, reasons, strict=True):
        if not reason:
            others.setdefault(_get_check(trial), []).append(name_reference(trial.against))
    marked = []
    for trial, reason in zip(trials, reasons, strict=True):
        if reason:
            able = list(dict.fromkeys(others.get(_get_check(trial), ())))
            verb = "checks" if len(able) == 1 else "check"
            instead = f"{' and '.join(able)} {verb} it" if able else "nobody here can check it"
            marked.append(replace(trial, impossible=f"{reason}; {instead}"))
        else:
            marked.append(trial)
    return marked


def _get_check(trial: Trial) -> tuple[str, str, str, str]:
    return trial.subject.name, trial.device, trial.dtype, trial.check


def _find_reason(trial: Trial) -> str:
    """Return the reason why a trial can never be judged; "" if there is none, or if it only shows
    when the trial runs.
    """
    if trial.case.judge is not None:
        return ""
    network, dtype, check = trial.case.network, trial.dtype, trial.check
    try:
        with users():
            if check in ENDS:
                return _find_first_lack((trial.subject, trial.reference), network, check, dtype)
            quantity = check if check in ORDER else "forward"
            own = trial.subject.network or network
            reason = _find_lack(trial.reference, own, quantity, dtype, "cpu")
            if trial.case.contrast and not reason:
                reason = _find_lack(trial.reference, network, quantity, dtype, "cpu")
            return reason or _find_lack(trial.subject, own, quantity, dtype, trial.device)
    except Exception:  # a user's object may raise anything: its trial shows the error
        return ""


def _find_first_lack(sides: Sequence[Any], network: Any, check: str, dtype: str) -> str:
    """Return the reason why the first of two trainers that cannot be used never can; "" if both
    can.
    """
    reasons = [_find_lack(side, network, check, dtype, "cpu") for side in sides]
    return next(filter(None, reasons), "")


def _find_lack(one: Any, network: Any, quantity: str, dtype: str, device: str) -> str:
    """Return the reason why an implementation can never have an answer; "" if it may have one, or
    if this is unknown.
    """
    if not isinstance(one, Limited):
        return ""
    return one.lacks(network, quantity, dtype, device) or ""
