"""Sessions that replace R: one records R's answers, one replays a recording, and one states why
there are no answers.

An ask is one call of `evaluate`, `fit` or `optim` of an RSession, with all its arguments.
"""

import os
import re
from abc import ABC, abstractmethod
from hashlib import sha256
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from harness.text.shell import path_word, shell_line
from reference.r.preflight import RUnavailable
from reference.r.recording import ANSWERS, CODE, Ask, Recording, What, read
from reference.r.session import RCrashed, RError, RSession
from reference.r.topology import Array, Evaluation, Fit

# units in the last place of the largest number: two C libraries, or NumPys, may differ by so much
NEAR = 8
STATES = "the states of a training run are this machine's own numbers, which no recording holds"


class RStale(RError):
    """Raised if a recording has no answer to an ask.

    The text says what has changed, and names the command that records again.
    """


class _Asks(ABC):
    """Implements the methods `evaluate`, `fit` and `optim` of an RSession.

    It makes an Ask from the arguments of each call; a subclass answers the Ask.
    """

    def evaluate(self, *given: Any, **named: Any) -> Evaluation:
        """Evaluate draws (parameter vectors), see RSession.evaluate."""
        return Evaluation(**self._find_answer("evaluate", given, named))

    def fit(self, *given: Any, **named: Any) -> Fit:
        """Fit a net, see RSession.fit; the seconds of the result are NaN."""
        return self._fit("fit", given, named)

    def optim(self, *given: Any, **named: Any) -> Fit:
        """Fit a net, see RSession.optim; the seconds of the result are NaN."""
        return self._fit("optim", given, named)

    def _fit(self, what: What, given: Any, named: Any) -> Fit:
        answer = self._find_answer(what, given, named)
        value, convergence = float(answer["value"]), int(answer["convergence"])
        return Fit(answer["weights"], value, answer["outputs"], convergence, np.nan)

    def _find_answer(self, what: What, given: Any, named: Any) -> dict[str, Array]:
        """Return the answer to a call of RSession's method `what`, as arrays by name."""
        bound = signature(getattr(RSession, what)).bind(None, *given, **named)
        bound.apply_defaults()
        _, topology, *arguments = bound.arguments.items()
        arrays = {}
        for name, value in arguments:
            if value is not None:
                arrays[name] = np.array(value, np.float64, order="C")
        return dict(self._answer(Ask(what, topology[1], arrays, {})).answer)

    @abstractmethod
    def _answer(self, asked: Ask) -> Ask:
        """Return a copy of an ask (one call of an RSession) that includes its answer."""


class Recorder(_Asks):
    """Passes asks (calls of an RSession) to another session, live or recorded, and stores the
    answers.
    """

    def __init__(self, session: Any) -> None:
        self.session = session
        self.source = session.source
        self.provenance = session.provenance
        self.starts = None
        self.noted: dict[str, Ask] = {}

    def versions(self) -> dict[str, str]:
        """Return the versions of R and its packages, from the other session."""
        return dict(self.session.versions())

    def _answer(self, asked: Ask) -> Ask:
        if asked.key not in self.noted:
            method = getattr(self.session, asked.what)
            try:
                result = vars(method(asked.topology, **asked.arguments))
            except RUnavailable as error:  # an ask without an answer is an error, never left out
                raise RError(str(error)) from None
            answer = {name: np.asarray(result[name], np.float64) for name in ANSWERS[asked.what]}
            self.noted[asked.key] = Ask(asked.what, asked.topology, asked.arguments, answer)
        return self.noted[asked.key]


class Recorded(_Asks):
    """Replays the answers of a recording.

    Raises RStale for an ask that was not recorded, and RUnavailable for an ask that differs from a
    recorded ask only by rounding.
    """

    source = "recorded"

    def __init__(self, recording: Recording, path: Path, file: str) -> None:
        self.recording = recording
        self.starts = recording.facts.starts
        self.provenance = f"recorded {recording.facts.date}"
        self._name = os.path.relpath(path)
        self._again = _record_line(file)

    def versions(self) -> dict[str, str]:
        """Return the versions of R and its packages at the time of recording, and the date."""
        return {**self.recording.facts.versions, "recorded": self.recording.facts.date}

    def _answer(self, asked: Ask) -> Ask:
        facts = self.recording.facts
        if facts.code != CODE:
            raise self._make_stale("R's code (nnet.R) has changed since")
        if recorded := self.recording.answers.get(asked.key):
            return recorded
        if difference := self._find_rounding(asked):
            raise RUnavailable(
                f"this machine computes {difference} than the one that recorded R, and the"
                " recording is of those bits: judge this where R is"
            )
        then = facts.versions.get("numpy", "")
        other = ""
        if then != np.__version__:
            other = f" (NumPy was {then}, is {np.__version__}: it may draw otherwise)"
        raise self._make_stale(
            f"its case asks for what was not recorded: {_describe(asked)}{other}"
        )

    def _make_stale(self, changed: str) -> RStale:
        since = f"{self._name} of {self.recording.facts.date} is stale: {changed}"
        return RStale(f"{since}. On a machine with R: {self._again} --intent fix")

    def _find_rounding(self, asked: Ask) -> str:
        """Look for a recorded ask (a call of an RSession) whose numbers differ from this one's only
        by rounding.

        Returns a description of the differences, or "" if there is no such ask.
        """
        for other in self.recording.asks:
            if (other.what, other.topology) != (asked.what, asked.topology):
                continue
            differences = _compare(asked, other)
            if differences:
                return " and ".join(
                    f"{name} otherwise by {most:.1g}" for name, most in differences.items()
                )
        return ""


class Nobody:
    """A session without answers, which states why neither R nor a recording answers."""

    source, provenance = "absent", "absent"

    def __init__(self, why: str) -> None:
        self.why = why

    def versions(self) -> dict[str, str]:
        """Raise RUnavailable with the reason."""
        raise RUnavailable(self.why)


def _compare(asked: Ask, other: Ask) -> dict[str, float]:
    """Return the largest difference of each argument that differs between two asks (calls of an
    RSession), by the argument's name.

    Return an empty dict if the shapes differ, or if a difference is larger than rounding.
    """
    if _list_shapes(asked) != _list_shapes(other):
        return {}
    differences: dict[str, float] = {}
    for name, here in asked.arguments.items():
        there = other.arguments[name]
        if not (here != there).any():
            continue
        most = abs(here - there).max()
        if not here.ndim or most > NEAR * np.spacing(abs(here).max()):
            return {}
        differences[name] = most
    return differences


def _list_shapes(asked: Ask) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in asked.arguments.items()}


def _describe(asked: Ask) -> str:
    """Return an ask (a call of an RSession) in words, as "evaluate of theta (1, 9), ...": the names
    and shapes of its arrays.
    """
    arrays = {name: shape for name, shape in _list_shapes(asked).items() if shape}
    return f"{asked.what} of {', '.join(f'{name} {shape}' for name, shape in arrays.items())}"


def _record_line(file: str) -> str:
    """Return the command that records the cases of a file."""
    return shell_line("nnet-parity", "record", path_word(os.path.relpath(file)))


def place(file: str, case: str) -> Path:
    """Return the path of a case's recording, in the folder `recordings` beside the case's file.

    The name of the recording contains the names of the file and of the case.
    """
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", case).strip("-")[:60]
    digest = sha256(case.encode(errors="backslashreplace")).hexdigest()[:8]
    name = f"{Path(file).stem}.{plain}-{digest}.recording"
    return Path(file).with_name("recordings") / name


def choose_session(live: RSession, file: str, case: str, states_only: bool, mode: Any) -> Any:
    """Choose the session that answers for R in a case: R itself, its recording, or nobody.

    `mode` is "auto", "live" or "recorded", or else a session, which is returned. `states_only` says
    that the case is only judged at states of training runs, which no recording holds.

    Raises LookupError if R must be live and is not available, and ValueError if the recording is
    damaged.
    """
    if not isinstance(mode, str):
        return mode
    why = "R was left out (--parity-r recorded, which --no-r asks for): judge this where R is"
    if mode != "recorded":
        try:
            live.versions()
            return live
        except RCrashed:
            return live  # its trials report the crash
        except RUnavailable as error:
            why = str(error)
    if mode == "live":
        raise LookupError(why)
    if states_only:
        return Nobody(f"{STATES}; {why}")
    if not os.path.isfile(file):
        return Nobody(f"a case that is typed and not in a file has no recording, and {why}")
    path = place(file, case)
    if not path.exists():
        return Nobody(
            f"nothing was recorded (on a machine with R: {_record_line(file)}), and {why}"
        )
    return Recorded(read(path, case), path, file)
