"""What a run has found so far, and the report that it makes."""

from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from harness.core.implementation import Missing
from harness.core.numpy_errors import ours
from harness.core.progress import Say, silent
from harness.core.report import Cost, Fit, Points, Race, Report, Row, grouped
from harness.core.verdict import Status, Verdict
from harness.judging.cache import STARTS, Cache
from harness.judging.case import Trial
from harness.judging.comparison import blank, failure, missing
from harness.judging.fits import answer, fit, points, table
from harness.pytorch.devices import KNOWN, kind_of, lacking
from harness.pytorch.errors import at, raised
from harness.reporting.environment import environment, limit_threads
from harness.running.trial import run

MANY_DRAWS = 1_000  # stacks this large tell what a problem costs
# What processes hand to one another.
FOUND = (
    "verdicts",
    "cases",
    "known",
    "uncollected",
    "devices",
    "contracts",
    "versions",
    "failed",
    "environment",
)
FITTED = ("fits", "rows", "said", "points", "races", "costs", "lost")


class Run:
    """What this run of pytest has found so far."""

    def __init__(
        self,
        starts: int = STARTS,
        say: Say = silent,
        reproducers: Path | None = None,
        start: Path | None = None,
    ) -> None:
        """Scripts go into the folder `reproducers`, seen from the folder `start`, the working
        folder by default.
        """
        self.starts, self.say, self.reproducers, self.start = (
            starts,
            say,
            reproducers,
            start or Path.cwd(),
        )
        self.fits: dict[tuple[str, str], Fit] = {}
        self.rows: list[Row] = []
        self.fitted: dict[Any, Any] = {}
        self.said: dict[str, str] = {}
        self.points: list[Points] = []
        self.races: list[Race] = []
        self.verdicts: dict[str, Verdict] = {}
        # its name and how many trials it has, by its test
        self.cases: dict[str, tuple[str, int]] = {}
        # why it fails and its trials, by test and subject
        self.known: dict[tuple[str, str], tuple[str, int]] = {}
        # file and line, and name, of cases that are no tests
        self.uncollected: dict[tuple[str, str], None] = {}
        self.chosen = 0
        self.begun = False
        self.whole = False  # did pytest ask everything that was chosen?
        self.interrupted = ""
        self.unusable: dict[str, str] = {}
        # why a subject is not asked again on a device
        self.gone: dict[tuple[str, str, str], str] = {}
        self.environment: dict[str, Any] = {}
        self.devices: dict[str, str] = {}
        self.costs: dict[str, Cost] = {}
        self.contracts: dict[str, str] = {}
        # of who answers for R: recordings need not be of one
        self.versions: dict[tuple[str, str], None] = {}
        self.failed: list[tuple[str, int, Verdict]] = []
        self.since: list[str] = []
        self.lost: list[str] = []  # what the report lacks, and why
        self.refused = ""
        self.closed: Any = None  # its end (see closing.py)
        self.cache: Cache | None = None

    def cache_of(self, trial: Trial) -> Cache:
        """The cache of the trial's case; that of the case before is let go."""
        if self.cache is None or self.cache.case is not trial.case:
            self.close()
            limit_threads()
            self.cache = Cache(trial.case, self.starts, self.say, self.fitted)
        return self.cache

    def collect(self, test: str, trials: Sequence[Trial]) -> None:
        """Note the trials of a case that is to be asked.

        Raises ValueError for a second case of its name: verdicts go by it.
        """
        case = trials[0].case.name
        for known, (name, _) in self.cases.items():
            if name == case and known != test:
                raise ValueError(
                    f"{test} has a case called {case!r}, and so has {known}: expected a name for"
                    " each"
                )
        self.cases[test] = case, len(trials)
        for trial in trials:
            if trial.known:
                key = test, trial.subject.name
                self.known[key] = trial.known, self.known.get(key, ("", 0))[1] + 1

    def judged(self, name: str, trial: Trial, again: str) -> Verdict:
        """The verdict of a trial; an error that spoils a device ends the trials on it, not the
        run.
        """
        if trial.device in self.unusable:
            verdict = blank(trial, Status.NOT_RUN, self.unusable[trial.device])
        elif why := self.gone.get((trial.case.name, trial.subject.name, trial.device)):
            verdict = failure(trial, Status.BROKEN, why, again)
        else:
            verdict = self._ask(trial, again)
            broken = verdict.finding if verdict.status is Status.BROKEN else None
            if broken and kind_of(trial.device).is_spoiled_by(broken.reason):
                self.unusable[trial.device] = (
                    f"{trial.device} cannot be used any more after an error in {trial.id}"
                )
        self.verdicts[name] = verdict
        self.devices |= {trial.device: lacking(trial.device)}
        return verdict

    def _ask(self, trial: Trial, again: str) -> Verdict:
        try:
            verdict = run(trial, self.cache_of(trial), again, self.reproducers, self.start)
            self.note_contracts(trial)
            return verdict
        except KeyboardInterrupt:
            # pytest cannot show a frame that was interrupted between two lines
            raise KeyboardInterrupt from None
        # a model may call sys.exit(), a user's own reference raise anywhere
        except BaseException as error:
            why = f"{raised(error)}{at(error)}"
            return missing(trial, Missing(Status.BROKEN, why), trial.check, again)

    def note_contracts(self, trial: Trial) -> None:
        """What each column of the report promises."""
        for name, contract in (
            (f"{trial.subject.name} {trial.dtype}", trial.subject.contract(trial.dtype)),
            (trial.reference.title(), trial.reference.contract()),
        ):
            self.contracts[name] = contract.sentence()
        self.versions |= dict.fromkeys(getattr(trial.reference, "versions", dict)().items())

    def without_evidence(self) -> list[str]:
        """Cases that ran whole and of which nothing was judged: no evidence is not a pass."""
        silent = []
        for test, (_, count) in self.cases.items():
            found = [
                verdict for name, verdict in self.verdicts.items() if name.startswith(f"{test}[")
            ]
            if len(found) == count and not any(verdict.status.judges for verdict in found):
                silent.append(test)
        return silent

    def mended(self) -> list[str]:
        """Sentences for subjects that were known to fail, ran whole, and fail nowhere any more."""
        sentences = []
        for (test, subject), (why, count) in self.known.items():
            found = [
                v
                for name, v in self.verdicts.items()
                if name.startswith(f"{test}[") and v.subject == subject
            ]
            if len(found) == count and all(verdict.status is not Status.KNOWN for verdict in found):
                sentences.append(
                    f"{test}: {subject} was known to fail ({why}), and passes now: remove known="
                )
        return sentences

    def complaints(self) -> list[str]:
        """Sentences for everything that fails the run beside failed trials."""
        lines = [
            f"{where}: the case {case} was not collected: give it a name of its own, test_... ="
            " verify(...), or call verify inside a test"
            for where, case in self.uncollected
        ]
        if silent := self.without_evidence():
            named = ", ".join(silent[:3]) + (
                f" and {len(silent) - 3} more" if len(silent) > 3 else ""
            )
            lines.append(
                f"{named} gave no evidence: no trial passed, which is a failure; give it a"
                " reference that can judge it"
            )
        elif (
            self.whole
            and self.chosen
            and not any(verdict.status.judges for verdict in self.verdicts.values())
        ):
            trials = "1 trial was" if self.chosen == 1 else f"{self.chosen} trials were"
            lines.append(f"nothing was judged: {trials} chosen, which is a failure")
        return lines + self.mended()

    def close(self) -> None:
        """Note what the case that has just ended came to in training, and what it cost."""
        cache, self.cache = self.cache, None
        if cache is None:
            return
        try:
            with ours():
                self._note_fits(cache)
        except KeyboardInterrupt:
            raise
        # a user's data or floor may raise when they are asked once more
        except BaseException as error:
            self.lost.append(f"the fits of {cache.case.name}: collecting them {raised(error)}")
        if cache.most_draws >= MANY_DRAWS:
            case = cache.case.name
            self.costs[case] = Cost(
                case, cache.most_draws, cache.overhead, cache.subject_seconds / cache.asked
            )

    def _note_fits(self, cache: Cache) -> None:
        references = [reference.name for reference in cache.case.references]
        for ended in sorted(
            cache.fits.values(), key=lambda ended: ended.trainer.name not in references
        ):
            key = cache.case.name, f"{ended.trainer.name} {ended.dtype} {ended.device}"
            self.fits[key] = fit(cache, ended)
        if cache.fits:
            rows = table(cache)
            self.rows += rows
            self.said |= {cache.case.question: said} if (said := answer(cache, rows)) else {}
            self.points += filter(None, [points(cache)])

    def report(self) -> Report:
        """Everything so far; complete when every trial that was chosen has its verdict."""
        self.close()
        versions = {
            of: ", ".join(v for _, v in some)
            for of, some in grouped(self.versions, itemgetter(0)).items()
        }
        machine = (self.environment or environment()) | versions
        verdicts, complete = (
            list(self.verdicts.values()),
            len(self.verdicts) >= self.chosen and not self.interrupted,
        )
        devices = {
            name: self.devices[name] if name in self.devices else lacking(name) for name in KNOWN
        } | self.devices
        found = (
            list(self.fits.values()),
            self.rows,
            self.races,
            next(iter(self.points), None),
            self.said,
        )
        return Report(
            machine, verdicts, list(self.costs.values()), self.contracts, complete, devices, *found
        )

    def hand_over(self) -> dict[str, Any]:
        """What was found since the last time, for the process that makes the report."""
        part = {name: getattr(self, name) for name in (*FOUND, *FITTED)}
        for name, found in part.items():
            setattr(self, name, type(found)())
        return part | {"chosen": self.chosen}

    def take(self, part: dict[str, Any]) -> None:
        """Add what another process handed over."""
        self.chosen = max(self.chosen, part["chosen"])
        for name in (*FOUND, *FITTED):
            mine = getattr(self, name)
            (mine.update if isinstance(mine, dict) else mine.extend)(part[name])
