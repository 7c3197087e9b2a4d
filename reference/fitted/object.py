"""A fitted object that judges ports: R answers live or from a file, or NumPy computes its
equations.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from harness.core.contract import Contract
from harness.core.formulation import Family
from harness.core.implementation import Missing
from harness.core.verdict import Status, Verdict
from harness.judging.cache import Cache
from harness.judging.case import Trial
from harness.judging.comparison import blank, failure
from harness.judging.store import Key, Same
from harness.model.errors import raised, words_of
from harness.shipped.truth import R_CONTRACT, Truth
from harness.shipped.verdicts import PARAMETERS, PREDICTIONS, VALUE, judge_port
from harness.text.harmless import one_line
from reference.fitted import stored as file_of
from reference.fitted.answers import (
    Ask,
    collect,
    equations_asker,
    r_asker,
    whole_rows_only,
)
from reference.fitted.drawn import draw_rows
from reference.fitted.given import Given
from reference.fitted.labels import find_labels
from reference.fitted.stored import Stored
from reference.fitted.tables import AnsweredRows, make_truth
from reference.mathematics.network import Network
from reference.r.nnet_reference import LIVE, network_of
from reference.r.preflight import RUnavailable
from reference.r.recorded import place
from reference.r.session import RCrashed, RError, RSession
from reference.rds.fit import FittedNet
from reference.rds.reading import read_fit
from reference.rds.rows import Rows

MOST_SAID = 300  # characters of R's own message
AGAIN = "record them again: nnet-parity record FILE --intent fix"


@dataclass(frozen=True)
class TruthOf(Key[Truth | Missing]):
    """Cache key for what a port (a PyTorch model) of a fitted object shall reproduce, or the reason
    why it is unknown.
    """

    fitted: Same


@dataclass(frozen=True, eq=False)
class FittedObject:
    """An object of R's nnet(), as the only reference of a case; see `fitted`.

    `session` is the R that answers; None if R is not used. Then the file `answers` is used if there
    is one, else NumPy computes from the fitted weights; `absence` is the reason why R is not used.
    """

    path: Path
    given: Given
    session: RSession | None = field(default=LIVE, repr=False)
    answers: Path | None = None
    absence: str = ""
    name: str = "fit"

    @property
    def checks(self) -> tuple[str, ...]:
        """The names of the checks; "value" (the loss) only if the targets of the fitted rows were
        given.
        """
        if self.given.targets is None:
            return PREDICTIONS, PARAMETERS
        return PREDICTIONS, VALUE, PARAMETERS

    @property
    def source(self) -> str:
        if self.session is not None:
            return "live"
        return "recorded" if self.answers else "computed"

    def title(self) -> str:
        """Return the source of the answers, with its version."""
        if self.source == "computed":
            return "NumPy at the fitted weights"
        versions = self.versions()
        if not versions:
            return f"R predict() ({self.source})"
        when = f"recorded {versions['recorded']}" if "recorded" in versions else "live"
        return f"R nnet {versions['nnet']} predict() ({when})"

    def versions(self) -> dict[str, str]:
        """Return the versions of R and nnet behind the answers; empty if R is not used."""
        try:
            if self.session is not None:
                versions = self.session.versions()
                return {name: versions[name] for name in ("R", "nnet")}
            if self.answers:
                stored = file_of.read(self.answers)
                return {**stored.versions, "recorded": stored.date}
        except (RUnavailable, RCrashed, ValueError):
            return {}  # its trials say why
        return {}

    def contract(self, dtype: str = "float64") -> Contract:
        return R_CONTRACT

    def cannot_answer(
        self, network: Family, quantity: str, dtype: str = "float64", device: str = "cpu"
    ) -> str | None:
        return None

    def sentence(self) -> str:
        return f"the fitted object {self.path.name}"

    def answering(self, file: str, case: str, states_only: bool, mode: Any) -> Self:
        """Return this object with R, with the file of R's answers, or with NumPy, depending on
        `mode`.

        Raises LookupError if R must be live and is not installed.
        """
        if self.path.suffix == ".json":
            return replace(self, session=None, answers=self.path)
        why = "R was left out (--parity-r recorded)"
        if mode != "recorded":
            try:
                LIVE.versions()
            except RCrashed:
                return self  # its trials report the crash
            except RUnavailable as error:
                why = str(error)
            else:
                return self
        if mode == "live":
            raise LookupError(why)
        file_of_answers = answers_path(file, case)
        answers = file_of_answers if file_of_answers.exists() else None
        return replace(self, session=None, answers=answers, absence=why)

    def judge(self, trial: Trial, cache: Cache) -> Verdict:
        """Return the verdict of a trial; BROKEN if the fitted object cannot be read or
        evaluated.
        """
        truth = cache.get_or_make(TruthOf(Same(self)), self.try_truth)
        if not isinstance(truth, Missing):
            return judge_port(trial, cache, truth)
        if truth.status is Status.ABSENT:
            return blank(trial, truth.status, truth.why)
        return failure(trial, truth.status, truth.why)

    def try_truth(self) -> Truth | Missing:
        """Return the predictions, loss and weights that ports of the object shall reproduce, or the
        reason why they are unknown.
        """
        try:
            return self.find_truth()
        except RUnavailable as error:
            return Missing(Status.ABSENT, str(error))
        except (ValueError, TypeError) as error:
            return Missing(Status.BROKEN, words_of(error))
        except (RError, RCrashed) as error:
            return Missing(Status.BROKEN, f"R: {one_line(str(error))[:MOST_SAID]}")
        except Exception as error:  # whatever a user's encode raises
            return Missing(Status.BROKEN, raised(error))

    def find_truth(self) -> Truth:
        """Read the fitted object, and return the predictions, loss and weights that its ports
        (PyTorch models) shall reproduce.

        Raises ValueError or TypeError for arguments that do not fit together, RError with R's
        message.
        """
        if self.given.unread:
            raise ValueError(self.given.unread)
        stored = file_of.read(self.answers) if self.answers else None
        fit = self.read(stored)
        network = network_of(fit.topology)
        return make_truth(fit, network, self.given, self.ask(fit, network, stored))

    def read(self, stored: Stored | None = None) -> FittedNet:
        """Read the fitted object. Raises ValueError if the stored answers belong to another
        object.
        """
        if stored is None:
            return read_fit(self.path, self.session or LIVE, "auto" if self.session else "rdata")
        is_here = self.path.suffix != ".json" and self.path.is_file()
        if is_here and file_of.digest_of(self.path) != stored.digest:
            raise ValueError(
                f"R's answers in {self.answers} are of another object than {self.path.name}:"
                f" {AGAIN}"
            )
        return stored.fit()

    def ask(self, fit: FittedNet, network: Network, stored: Stored | None = None) -> AnsweredRows:
        """Return the rows for ports, and the answers to them."""
        if stored is not None:
            return self._find_stored(stored)
        rows, drawn = self._find_rows(fit)
        ask = self._asker(fit, network)
        try:
            answers = collect(ask, rows, drawn, self.given.prepare, fit.levels)
        except RError as error:
            if self.given.rows is None:
                said = one_line(str(error))[:MOST_SAID]
                raise ValueError(
                    f"R: {said}; if the formula takes no drawn rows, give rows of yours: x="
                ) from None
            if drawn is None:
                raise
            drawn = None  # rows that R refuses, though it may take the user's
            answers = collect(ask, rows, drawn, self.given.prepare, fit.levels)
        every = rows if drawn is None else rows.followed_by(drawn)
        source = self.session, self.path, self.given.prepare, self.given.trust
        labels = find_labels(fit, every, answers.predictions, *source)
        answers = replace(answers, labels=labels)
        count = 0 if self.given.rows is None else len(rows)
        return AnsweredRows(every, count, answers, fit.terms is not None, bool(fit.levels))

    def _find_rows(self, fit: FittedNet) -> tuple[Rows, Rows | None]:
        """Return two sets of rows: the user's, or drawn rows if there are none; and further drawn
        rows, or None.
        """
        if self.given.rows is None:
            return draw_rows(fit, None), None
        rows = self.given.choose_columns(fit, self.given.rows)
        # what R's own pipeline does to drawn rows is not known
        return rows, None if self.given.predictions is not None else draw_rows(fit, rows)

    def _asker(self, fit: FittedNet, network: Network) -> Ask:
        if self.session is not None:
            ask = r_asker(self.session, self.path, self.given.prepare, self.given.trust)
        elif self.given.prepare:
            raise RUnavailable(f"prepare= is R code, and R does not run here: {self.absence}")
        else:
            ask = equations_asker(fit, network)
        if fit.terms is None and not self.given.prepare:
            return whole_rows_only(ask, fit.topology.outputs)
        return ask

    def _find_stored(self, stored: Stored) -> AnsweredRows:
        """Return the stored rows and answers. Raises ValueError if they belong to another
        question.
        """
        rows, kinds = stored.all_rows(), (stored.is_formula, stored.has_factors)
        answered = AnsweredRows(rows, stored.count, stored.answers(), *kinds)
        if self.given.rows is None:
            return answered
        theirs, user_rows = stored.user_rows(), self.given.rows
        if set(theirs.columns) <= set(user_rows.columns):
            texts = [name for name, part in theirs.columns.items() if isinstance(part, tuple)]
            user_rows = user_rows.chosen(list(theirs.columns)).as_texts(texts)
        if not theirs.equals(user_rows):
            raise ValueError(f"R's answers in {self.answers} are to other rows: {AGAIN}")
        if stored.prepare != self.given.prepare:
            raise ValueError(f"R's answers in {self.answers} are to another prepare=: {AGAIN}")
        return answered

    def record(self) -> Stored:
        """Compute R's answers for the rows of this case, in the form of a file."""
        assert self.session is not None
        fit = self.read()
        answered = self.ask(fit, network_of(fit.topology))
        versions = {name: self.session.versions()[name] for name in ("R", "nnet")}
        today = datetime.now(UTC).date().isoformat()
        prepare = self.given.prepare
        return file_of.store(
            fit, answered.rows, answered.count, prepare, answered.answers, versions, today
        )


def answers_path(file: str, case: str) -> Path:
    """Return the path of the file of R's answers to a case of a test file."""
    return place(file, case).with_suffix(".json")
