"""How long the trials of a case take."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter


@dataclass
class Timing:
    """The seconds that all trials of a case took, and those of them that its subjects took.

    `problems` counts the problems that subjects answered, in each dtype; `most_draws` is the
    number of draws of the largest stack.
    """

    seconds: float = 0.0
    subject_seconds: float = 0.0
    problems: int = 0
    most_draws: int = 0

    @contextmanager
    def measure_subject(self, draws: int) -> Iterator[None]:
        """Add the time that a subject takes for a stack of problems."""
        started = perf_counter()
        yield
        self.subject_seconds += perf_counter() - started
        self.problems += draws
        self.most_draws = max(self.most_draws, draws)

    @property
    def overhead(self) -> float:
        """Seconds per problem and dtype for everything but the subjects."""
        return (self.seconds - self.subject_seconds) / max(self.problems, 1)
