"""The report: all results of a run, as one value."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TypedDict, TypeVar

from harness.core.verdict import R, Status, Verdict

SCHEMA = "nnet-parity/results/1"
REPRODUCERS = "reproducers"  # the folder of the scripts that fail alone, in that of the report
MARK = "Written by nnet-parity, which removes it after 14 days."  # in each of them
T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True)
class Cost:
    """The time in seconds that one problem took in one dtype: `subject` for the subject itself,
    `harness` for everything else.
    """

    case: str
    draws: int
    harness: float
    subject: float


class Points(TypedDict):
    """The data points to which functions were fitted."""

    x: list[float]
    y: list[float]


class Curve(TypedDict):
    """The values `y` of a function on a grid `x`; None for a value that is not a finite number."""

    x: list[float]
    y: list[float | None]


@dataclass(frozen=True)
class Fit:
    """The result of one trainer on one case's data, over all its starts (initial weights).

    `share` is the share of starts that end with a loss of at most `quality`; `share_low` and
    `share_high` are its 95 % confidence interval. All three are None for a case without a quality.
    `best` and `median` are losses over the starts, as the oracle computes them at the final
    weights; `floor` is a lower limit of all losses. `ended` counts starts by the reason why they
    ended. `compared` is the result of the comparison with a reference, in words.

    `losses` are the final losses of all starts in their order, None for a fit that is not finite,
    and `losses_at_start` are the losses before training. `evaluations` is the median number of
    evaluations of the loss per start. `restarts` is the largest number of times that training began
    anew from one start. Both are None if the trainer does not report them.

    `curve` is the loss by iteration of the first start. The other fields are of the best start:
    `plot` is the prediction on a grid, `at` the prediction at some inputs, and `weights` the final
    weights by name.
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
    losses: list[float | None] | None = None
    losses_at_start: list[float | None] | None = None
    evaluations: int | None = None
    restarts: int | None = None


@dataclass(frozen=True)
class Row:
    """A row of the table of changes: the final losses of one trainer, over its starts.

    `direction` is the title of the group of rows, and `change` the trainer's. `median`, `low` and
    `high` are the median, the smallest and the largest loss.
    """

    direction: str
    change: str
    starts: int
    median: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Race:
    """A subject's time divided by R nnet's; both were measured in the same run, in turns.

    `ratio` is the ratio of the shortest times over the rounds, of fits the median over the starts;
    `quartiles` are those of the ratios of single rounds. `aa_ratio` and `aa_quartiles` are the same
    measurement of one program against itself, which shows the noise. If the race was a fit, `loss`
    is the median of the final losses, None if it is not finite, and `share` is the share of rounds
    that reached R's loss.

    `clock` is the clock of the subject, "CPU" or "wall"; that of R is the CPU's. A turn of the
    subject had `evaluations` evaluations, each of `nets` networks. `seconds` is the subject's
    shortest time for one network or one fit, and `pace` R nnet's. They are None in older reports.
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
    clock: str = "CPU"
    nets: int = 1
    evaluations: int = 1
    seconds: float | None = None
    pace: float | None = None


@dataclass(frozen=True)
class Sizes:
    """The range of sizes of some numbers. The size of a problem's numbers is their largest absolute
    value.

    `smallest` and `largest` are the smallest and the largest size over the problems. For several
    tensors, such as the weights of several layers, the sizes of each tensor span at least this
    range. `zero` says whether some numbers are 0.
    """

    smallest: float
    largest: float
    zero: bool


@dataclass(frozen=True)
class Asked:
    """The problems on which every subject of a case was evaluated.

    `draws` is the number of problems, `rows` the numbers of rows that occurred, `sizes` the range
    of sizes by the name of the numbers (as "inputs"), and `ways` the ways of calling and the
    layouts of inputs.
    """

    draws: int
    rows: tuple[int, ...]
    sizes: Mapping[str, Sizes]
    ways: tuple[str, ...] = ()


def name_implementation(verdict: Verdict) -> str:
    """Return the name of a verdict's reference as people read it."""
    return "R nnet" if verdict.source in R else name_reference(verdict.reference)


def name_reference(name: str) -> str:
    """Return the name of a reference as people read it: "NumPy" for "numpy_net_clipped"."""
    if name.startswith("r_nnet"):
        return "R nnet"
    if name == "cpu":
        return "itself on the CPU"
    return "NumPy" if name.startswith("numpy_net") else name


def default_question(verdicts: Sequence[Verdict]) -> str:
    """Return a question for a case that states none, made of the names in its verdicts.

    A reference without answers is not named, unless no reference has any.
    """
    verdicts = [verdict for verdict in verdicts if verdict.status.judges] or verdicts
    subjects = list(dict.fromkeys(verdict.subject for verdict in verdicts))
    references = ", ".join(dict.fromkeys(map(name_implementation, verdicts)))
    names = ", ".join(subjects[:2])
    if len(subjects) > 2:
        names += f" and {len(subjects) - 2} more"
    if all(verdict.check == "fit" for verdict in verdicts):
        return f"{names} fits as well as {references}?"
    verb = "differs from" if verdicts[0].expect == "differs" else "="
    return f"{names} {verb} {references}?"


@dataclass(frozen=True)
class Report:
    """The results of one run.

    `environment` describes the machine and the versions. `verdicts` are the outcomes of the trials,
    `costs` their times, and `contracts` the contract behind every column. `devices` gives for each
    device the reason why it was not used, "" if it was. `complete` says that every chosen trial has
    a verdict.

    On training it holds the `fits`, the rows of the table of `changes`, the `races` and the
    `points` to draw. `said` has, by question, the sentences in which cases sum up their rows.
    `asked` has by case the problems that its subjects were evaluated on.
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
    asked: dict[str, Asked] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    complaints: Sequence[str] = ()
    command: str = ""
    seconds: float | None = None

    @property
    def commit(self) -> str:
        """The commit that the run tested; "unknown" if it was not given."""
        return str(self.environment.get("commit", "unknown"))

    def counts(self) -> Counter[Status]:
        return Counter(verdict.status for verdict in self.verdicts)

    def questions(self) -> dict[str, list[Verdict]]:
        """Return the verdicts by the question that they answer, in the order in which the questions
        first occur.
        """
        cases = grouped(self.verdicts, lambda v: (v.question, "" if v.question else v.case))
        names = {key: key[0] or default_question(some) for key, some in cases.items()}
        counts = Counter(names.values())
        asked: dict[str, list[Verdict]] = {}
        for key, verdicts in cases.items():
            name, (_, case) = names[key], key
            if case and counts[name] > 1:
                name = f"{case}: {name}"
            asked.setdefault(name, []).extend(verdicts)
        return asked

    def failures(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.status.fails]

    def record(self) -> dict[str, object]:
        """Return the report as a dict for JSON."""
        verdicts = [verdict.record() for verdict in self.verdicts]
        return {"schema": SCHEMA, **asdict(self), "verdicts": verdicts}


def grouped(things: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Group things by their key, in the order in which the keys first occur."""
    groups: dict[K, list[T]] = {}
    for thing in things:
        groups.setdefault(key(thing), []).append(thing)
    return groups
