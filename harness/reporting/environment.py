"""The machine on which a report is made: versions, threads, devices, commit."""

import gc
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from harness.model.devices import describe_devices

PACKAGES = ("torch", "numpy", "scipy", "rpy2", "pytest")


@cache  # once a process
def limit_threads() -> None:
    """Limit torch and NumPy's BLAS to one thread each.

    The number of their threads changes the last bits of results, and R needs a core too. Objects
    that are loaded by now stay until the process ends, so gc.freeze() excludes them from garbage
    collection.
    """
    import scipy.linalg  # noqa: F401 (it brings a BLAS of its own: whoever needs it later finds it limited)
    import threadpoolctl
    import torch

    torch.set_num_threads(1)
    threadpoolctl.threadpool_limits(1)
    gc.freeze()


@contextmanager
def limited_threads() -> Iterator[None]:
    """Limit torch and NumPy's BLAS to one thread each while the `with` block runs."""
    import scipy.linalg  # noqa: F401 (see limit_threads)
    import threadpoolctl
    import torch

    before = torch.get_num_threads()
    with threadpoolctl.threadpool_limits(1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def environment() -> dict[str, Any]:
    """Return a description of the machine and its software for a report."""
    import torch

    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cpu": _find_cpu(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{package: find_version(package) for package in PACKAGES},
        "blas": "; ".join(_list_blas()) or "unknown",
        "threads": torch.get_num_threads(),
        "device": "cpu",
        **describe_devices(),
        "commit": _commit(),
    }


def _find_cpu() -> str:
    """Return the model of the CPU, or "unknown"."""
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            name, _, model = line.partition(":")
            if name.strip() == "model name":
                return " ".join(model.split())
    return platform.processor() or "unknown"


def _list_blas() -> list[str]:
    """Return the libraries of linear algebra with their versions and numbers of threads, sorted."""
    import threadpoolctl

    found = []
    for pool in threadpoolctl.threadpool_info():
        if pool["user_api"] == "blas":
            threads = f"{pool['num_threads']} thread(s)"
            found.append(f"{pool['internal_api']} {pool['version']}, {threads}")
    return sorted(found)


def find_version(package: str) -> str:
    """Return the version of a package, or "not installed"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """Return the commit of the working folder, or "unknown"."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return run.stdout.strip()
