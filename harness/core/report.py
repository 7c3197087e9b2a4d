"""The report: everything that a run found, as one value."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TypedDict, TypeVar

from harness.core.verdict import Status, Verdict

SCHEMA = "nnet-parity/results/1"
REPRODUCERS = "reproducers"  # the folder of the scripts that fail alone, in that of the report
MARK = "Written by nnet-parity, which removes it when it writes the next report."  # in each of them
T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True)
class Cost:
    """What a problem cost in one dtype, in seconds: everything but the subject, and the subject
    itself.
    """

    case: str
    draws: int
    harness: float
    subject: float


class Points(TypedDict):
    """The data that was fitted."""

    x: list[float]
    y: list[float]


class Curve(TypedDict):
    """A function's values on a grid, None where there is none."""

    x: list[float]
    y: list[float | None]


@dataclass(frozen=True)
class Fit:
    """What one trainer came to on one case's data, over its starts.

    `share` is that of starts whose loss is at most `quality`, with its 95 % confidence interval;
    `best` and `median` are losses as the oracle computes them at the final weights, `floor` what
    they cannot be below. The rest is of the best start: `curve` loss by iteration (of the first
    start), `plot` the prediction on a grid, `at` at some inputs, and `weights` by name. `ended`
    counts how starts ended; `compared` is what the comparison with a reference said.
    """

    case: str
    trainer: str
    source: str
    starts: int
    curve: list[tuple[float, float | None]] | None = None
    plot: Curve | None = None
    at: dict[str, float | None] | None = None
    weights: dict[str, float] | None = None
    ended: dict[str, int] | None = None
    compared: str | None = None
    best: float | None = None
    median: float | None = None
    floor: float | None = None
    quality: float | None = None
    share: float | None = None
    share_low: float | None = None
    share_high: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Row:
    """A row of the table of changes: what a change leaves of the loss, median and range over the
    starts.
    """

    direction: str
    change: str
    starts: int
    median: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Race:
    """A subject's time over R nnet's in the same run, interleaved; `aa_ratio` is the same of one
    against itself.

    Where a fit was raced, `loss` is the median that it ended at, and `share` that of starts that
    reached R's.
    """

    name: str
    subject: str
    device: str
    dtype: str
    ratio: float
    rounds: int
    quartiles: tuple[float, float] | None = None
    aa_ratio: float | None = None
    aa_quartiles: tuple[float, float] | None = None
    share: float | None = None
    loss: float | None = None


def default_question(verdict: Verdict) -> str:
    """The question of a case that has none of its own."""
    if verdict.check == "fit":
        return f"Does {verdict.case} end as well as its references do?"
    return f"Is {verdict.case} what its references compute?"


@dataclass(frozen=True)
class Report:
    """A run: where, what was found, what it cost, the contract of every column, and why a device
    was not used ("").

    Of training: the fits, the rows of the table of changes, the races, the points to draw, and what
    cases said, by question, of their rows.
    """

    environment: dict[str, object]
    verdicts: Sequence[Verdict]
    costs: Sequence[Cost] = ()
    contracts: dict[str, str] = field(default_factory=dict)
    complete: bool = True
    devices: dict[str, str] = field(default_factory=dict)
    fits: Sequence[Fit] = ()
    changes: Sequence[Row] = ()
    races: Sequence[Race] = ()
    points: Points | None = None
    said: dict[str, str] = field(default_factory=dict)

    @property
    def commit(self) -> str:
        """What the run was of, "unknown" where nobody said."""
        return str(self.environment.get("commit", "unknown"))

    def counts(self) -> Counter[Status]:
        return Counter(verdict.status for verdict in self.verdicts)

    def questions(self) -> dict[str, list[Verdict]]:
        """Verdicts by the question they answer, in the order in which they were asked."""
        return grouped(self.verdicts, lambda v: v.question or default_question(v))

    def failures(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.status.fails]

    def record(self) -> dict[str, object]:
        """The report as JSON holds it."""
        verdicts = [verdict.record() for verdict in self.verdicts]
        return {"schema": SCHEMA, **asdict(self), "verdicts": verdicts}


def grouped(things: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """The things by what `key` says of each, in the order in which they first come."""
    groups: dict[K, list[T]] = {}
    for thing in things:
        groups.setdefault(key(thing), []).append(thing)
    return groups
