"""R as a recording has it: sessions that note what R answers, give it again, or say why nobody
answers.
"""

import os
import re
from abc import ABC, abstractmethod
from hashlib import sha256
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.shell import path_word, shell_line
from reference.r.preflight import RUnavailable
from reference.r.recording import ANSWERS, CODE, Ask, Recording, What, read
from reference.r.session import RCrashed, RError, RSession
from reference.r.topology import Array, Evaluation, Fit

# units in the last place of the largest: as far as two C libraries, or NumPys, may be apart
NEAR = 8
STATES = "the states of a training run are this machine's own numbers, which no recording holds"


class RStale(RError):
    """A recording that does not answer what is asked now: what has changed, and the line that
    records again.
    """


class _Asks(ABC):
    """`evaluate`, `fit` and `optim` as RSession offers them; all arguments, defaults too, make one
    ask.
    """

    def evaluate(self, *given: Any, **named: Any) -> Evaluation:
        """As RSession has it."""
        return Evaluation(**self._answered("evaluate", given, named))

    def fit(self, *given: Any, **named: Any) -> Fit:
        """As RSession has it; what it took is not known."""
        return self._fit("fit", given, named)

    def optim(self, *given: Any, **named: Any) -> Fit:
        """As RSession has it; what it took is not known."""
        return self._fit("optim", given, named)

    def _fit(self, what: What, given: Any, named: Any) -> Fit:
        found = self._answered(what, given, named)
        return Fit(
            found["weights"],
            float(found["value"]),
            found["outputs"],
            int(found["convergence"]),
            np.nan,
        )

    def _answered(self, what: What, given: Any, named: Any) -> dict[str, Array]:
        bound = signature(getattr(RSession, what)).bind(None, *given, **named)
        bound.apply_defaults()
        _, topology, *arguments = bound.arguments.items()
        arrays = {
            name: np.array(value, np.float64, order="C")
            for name, value in arguments
            if value is not None
        }
        return dict(self._answer(Ask(what, topology[1], arrays, {})).answer)

    @abstractmethod
    def _answer(self, asked: Ask) -> Ask:
        """The same with what R answered."""


class Recorder(_Asks):
    """Another session, live or recorded, whose answers are noted."""

    def __init__(self, session: Any) -> None:
        self.session, self.source, self.provenance, self.starts = (
            session,
            session.source,
            session.provenance,
            None,
        )
        self.noted: dict[str, Ask] = {}

    def versions(self) -> dict[str, str]:
        """Of the session."""
        return dict(self.session.versions())

    def _answer(self, asked: Ask) -> Ask:
        if asked.key not in self.noted:
            try:
                found = vars(getattr(self.session, asked.what)(asked.topology, **asked.arguments))
            # what is asked and has no answer is never left out in silence
            except RUnavailable as error:
                raise RError(str(error)) from None
            answer = {name: np.asarray(found[name], np.float64) for name in ANSWERS[asked.what]}
            if not all(np.isfinite(array).all() for array in answer.values()):
                raise RError(
                    f"gave what is not finite to {_named(asked)}, which a recording does not hold"
                )
            self.noted[asked.key] = Ask(asked.what, asked.topology, asked.arguments, answer)
        return self.noted[asked.key]


class Recorded(_Asks):
    """The answers of a recording; RStale for what it does not hold, RUnavailable for what it nearly
    holds.
    """

    source = "recorded"

    def __init__(self, recording: Recording, path: Path, file: str) -> None:
        self.recording, self.starts = recording, recording.facts.starts
        self.provenance = f"recorded {recording.facts.date}"
        self._name, self._again = os.path.relpath(path), _record_line(file)

    def versions(self) -> dict[str, str]:
        """Those of R when it was recorded, and when that was."""
        return {**self.recording.facts.versions, "recorded": self.recording.facts.date}

    def _answer(self, asked: Ask) -> Ask:
        changed = "R's code (nnet.R) has changed since" if self.recording.facts.code != CODE else ""
        if not changed and (found := self.recording.answers.get(asked.key)):
            return found
        if not changed and (apart := self._nearly(asked)):
            raise RUnavailable(
                f"this machine computes {apart} than the one that recorded R, and the recording is"
                " of those bits: judge this where R is"
            )
        then = self.recording.facts.versions.get("numpy", "")
        other = (
            f" (NumPy was {then}, is {np.__version__}: it may draw otherwise)"
            if then != np.__version__
            else ""
        )
        changed = changed or f"its case asks for what was not recorded: {_named(asked)}{other}"
        since = f"{self._name} of {self.recording.facts.date} is stale: {changed}"
        raise RStale(f"{since}. On a machine with R: {self._again} --intent fix")

    def _nearly(self, asked: Ask) -> str:
        """In what an ask that was recorded differs from this one, where that is the last bits of
        some numbers only.
        """
        for other in self.recording.asks:
            shapes = [
                {name: array.shape for name, array in ask.arguments.items()}
                for ask in (asked, other)
            ]
            if (other.what, other.topology, shapes[1]) != (asked.what, asked.topology, shapes[0]):
                continue
            pairs = [(name, here, other.arguments[name]) for name, here in asked.arguments.items()]
            apart = [
                (name, here, abs(here - there).max())
                for name, here, there in pairs
                if (here != there).any()
            ]
            if all(
                here.ndim and most <= NEAR * np.spacing(abs(here).max()) for _, here, most in apart
            ):
                return " and ".join(f"{name} otherwise by {most:.1g}" for name, _, most in apart)
        return ""


class Nobody:
    """Why neither R nor a recording answers."""

    source, provenance = "absent", "absent"

    def __init__(self, why: str) -> None:
        self.why = why

    def versions(self) -> dict[str, str]:
        """RUnavailable, in the sentence."""
        raise RUnavailable(self.why)


def _named(asked: Ask) -> str:
    """An ask in words."""
    sizes = ", ".join(
        f"{name} {array.shape}" for name, array in asked.arguments.items() if array.ndim
    )
    return f"{asked.what} of {sizes}"


def _record_line(file: str) -> str:
    """The line that records what a file's cases ask."""
    return shell_line("nnet-parity", "record", path_word(os.path.relpath(file)))


def place(file: str, case: str) -> Path:
    """Where the recording of a case lies: beside the case's file, named by both, whatever the case
    is called.
    """
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", case).strip("-")[:60]
    digest = sha256(case.encode(errors="backslashreplace")).hexdigest()[:8]
    name = f"{Path(file).stem}.{plain}-{digest}.recording"
    return Path(file).with_name("recordings") / name


def answering(live: RSession, file: str, case: str, states_only: bool, mode: Any) -> Any:
    """Who answers for R in a case: R itself, its recording, or nobody; a session as `mode` answers
    itself.

    Raises LookupError where R must be live and is not here, ValueError where the recording is not
    sound.
    """
    if not isinstance(mode, str):
        return mode
    why = "R was left out (--parity-r recorded, which --no-r asks for): judge this where R is"
    if mode != "recorded":
        try:
            live.versions()
            return live
        except RCrashed:
            return live  # its trials tell it
        except RUnavailable as error:
            why = str(error)
    if mode == "live":
        raise LookupError(why)
    if states_only:
        return Nobody(f"{STATES}; {why}")
    if not (path := place(file, case)).exists():
        return Nobody(
            f"nothing was recorded (on a machine with R: {_record_line(file)}), and {why}"
        )
    return Recorded(read(path, case), path, file)
