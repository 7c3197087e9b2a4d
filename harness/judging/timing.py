"""Measures the time of the trials of a case."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter


@dataclass
class Timing:
    """The seconds that the trials of a case took, in total and in its subjects alone.

    `problems` counts the single problems that subjects answered, in each dtype; `most_draws` is
    their number in the largest stack.
    """

    seconds: float = 0.0
    subject_seconds: float = 0.0
    problems: int = 0
    most_draws: int = 0

    @contextmanager
    def measure_subject(self, draws: int) -> Iterator[None]:
        """Add the time of the `with` block, in which a subject answers a stack of `draws`
        problems.
        """
        started = perf_counter()
        yield
        self.subject_seconds += perf_counter() - started
        self.problems += draws
        self.most_draws = max(self.most_draws, draws)

    @property
    def overhead(self) -> float:
        """Return the seconds that everything but the subjects took, divided by the number of
        problems.

        A problem counts once in each dtype.
        """
        return (self.seconds - self.subject_seconds) / max(self.problems, 1)
