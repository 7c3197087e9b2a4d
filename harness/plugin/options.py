"""The options of a run of pytest."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.publishing.writing import Exchange
from harness.waiting.deadlines import Deadlines


@dataclass(frozen=True)
class Options:
    """The settings of a run, from the command line, the environment and pytest's ini file.

    `devices` are the requested devices, by default those of this machine. `required_device` fails
    the run if this machine lacks it. `r_mode` is the source of R's answers: "auto", "live" or
    "recorded". `starts` is the number of times that each trainer trains, each from other initial
    parameters. `baseline` is the path of an older results.json, or "".

    `exchange` makes a context; at its end the files of the new report replace those of an older one
    in `report_folder`. `refused` is the reason why they must not replace them, or "".

    `is_worker` says that xdist started this process, `is_shared` that several processes share this
    run, and `is_busy` that no core is free: it is shared, or has speed races. `ahead` says that
    models may train in a fork. `ended` has the tests in which earlier processes of this run died.
    `deadlines` are the time limits of R and of training.

    `keep` is the folder in which the results of runs are kept, or "". `command` is the command line
    of this run, and `started` the value of `time.monotonic` at its start.
    """

    devices: Sequence[str]
    required_device: str
    r_mode: str
    starts: int
    baseline: str
    report_folder: Path
    exchange: Exchange
    refused: str
    is_worker: bool
    is_shared: bool
    is_busy: bool
    ahead: bool
    deadlines: Deadlines
    ended: Sequence[str]
    keep: str
    command: str
    started: float
