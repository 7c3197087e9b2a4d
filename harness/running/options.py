"""The options of a run of pytest."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What the command line, the environment and the ini file say.

    `devices` are those asked for, none of them for those of this machine; `r_mode` is who answers
    for R (auto, live, recorded); `is_worker` and `is_shared` say whether xdist started this
    process, or gave this run several.
    """

    devices: Sequence[str]
    required_device: str
    r_mode: str
    starts: int
    baseline: str
    report_folder: Path
    is_worker: bool
    is_shared: bool
