"""What this machine is: versions, threads, device, commit, and what it lacks."""

import gc
import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from harness.pytorch.devices import describe_devices

PACKAGES = ("torch", "numpy", "scipy", "rpy2", "pytest")


@cache  # once a process
def limit_threads() -> None:
    """One thread each for torch and for NumPy's BLAS: the count changes bits, and two share the
    cores with R.

    What is loaded by now is there to stay: the garbage collector need not walk through all of torch
    again and again.
    """
    import scipy.linalg  # noqa: F401 (it brings a BLAS of its own: whoever needs it later finds it limited)
    import threadpoolctl
    import torch

    torch.set_num_threads(1)
    threadpoolctl.threadpool_limits(1)
    gc.collect()
    gc.freeze()


def environment() -> dict[str, Any]:
    """Everything that a reader of a report needs to know of the machine that made it."""
    import threadpoolctl
    import torch

    pools = sorted(
        f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} thread(s)"
        for pool in threadpoolctl.threadpool_info()
        if pool["user_api"] == "blas"
    )
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{package: installed(package) for package in PACKAGES},
        "blas": "; ".join(pools) or "unknown",
        "threads": torch.get_num_threads(),
        "device": "cpu",
        **describe_devices(),
        "commit": _commit(),
    }


def installed(package: str) -> str:
    """The version of a package, or that there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(
            asked, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
