"""Stops a training run that takes too long."""

from time import perf_counter, thread_time

from harness.waiting.deadlines import TRAINING_OPTION, get_deadlines

PATIENCE = 10.0  # times the deadline: how long a training may take by the clock


class TrainingDeadlinePassed(Exception):
    """Raised if a training run has used up its time; the text says at which step, and how much time
    it was.
    """


class Clock:
    """Measures the time of one training run.

    CPU time is that of the training thread, so other work on the machine and other threads of torch
    do not use it up.
    """

    def __init__(self) -> None:
        self.limit = get_deadlines().training
        self._cpu = thread_time()
        self._looked, self._wall = perf_counter(), 0.0

    def find_late(self) -> str:
        """Return a description of the deadline that has passed; "" if none has. Call it after each
        step.

        In wall time a step counts at most as long as the deadline, so that a machine that slept
        ends no training.
        """
        cpu, now = thread_time() - self._cpu, perf_counter()
        self._wall += min(now - self._looked, self.limit)
        self._looked = now
        more = f"; {TRAINING_OPTION} SECONDS gives more"
        if cpu > self.limit:
            return f"{cpu:.3g} s of CPU time (its deadline is {self.limit:g} s{more})"
        if self._wall > PATIENCE * self.limit:
            most = f"{PATIENCE:g} times its deadline of {self.limit:g} s{more}"
            return f"{self._wall:.3g} s, mostly waiting ({most})"
        return ""
