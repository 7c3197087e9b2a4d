"""What this machine has of all that the project can use, tried rather than believed, and what mends
the rest.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from shutil import which

from packaging.requirements import Requirement

from harness.core.shell import shell_line
from harness.core.text import printable
from harness.pytorch import devices as device
from reference.r.nnet_reference import LIVE
from reference.r.preflight import RUnavailable
from reference.r.session import RCrashed

SWITCH = "NNET_PARITY_R"  # in the environment: who answers for R
SHADOWED = (
    "from nnet_parity.names import *; print(*filter(None, map(explain_shadowing, OURS)), sep='; ')"
)
PATIENCE = 60.0  # seconds for a program to say its version


@dataclass(frozen=True)
class Finding:
    """What was looked for, what was found, and, where that is not what is needed, why, the line
    that mends it, and what is lost until then ("" if nothing can be judged without it).
    """

    name: str
    found: str
    why: str = ""
    mend: str = ""
    lost: str = ""

    @property
    def fails(self) -> bool:
        return bool(self.why) and not self.lost

    def __str__(self) -> str:
        lost = f"; {self.lost}" if self.lost else ""
        mend = f". This mends it: {self.mend}" if self.mend else ""
        state = "MISSING" if self.fails else "not here" if self.why else ""
        return f"{self.name:<17} {self.found or state}" + (
            f": {self.why}{lost}{mend}" if self.why else ""
        )


def doctor(parser: ArgumentParser) -> Callable[[Namespace], int]:
    """say what is here, what is missing, and the exact line that mends it

    Starts R and asks it for nnet, loads torch, lets pytest load the plugin, and writes into the
    working folder.

    Exit code: 0 if models can be judged, by NumPy at least; 1 if something that is needed is
    missing.
    """
    parser.add_argument(
        "--json", action="store_true", help="print a list of objects in place of lines"
    )
    return _doctor


def _doctor(given: Namespace) -> int:
    findings = []
    for finding in examined():
        findings.append(finding)
        if not given.json:
            print(printable(str(finding)), flush=True)
    failing = [finding.name for finding in findings if finding.fails]
    if given.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    elif failing:
        print(f"Needed and not right here: {', '.join(failing)}")
    else:
        print("All that is needed is here: python -m pytest judges models")
    return int(bool(failing))


def examined() -> Iterator[Finding]:
    """Everything, one after the other; raises nothing."""
    yield Finding("Python", f"{platform.python_version()}, {sys.executable}")
    yield from packages()
    yield from torch()
    yield from r()
    yield make()
    yield compiler()
    yield plugin()
    yield folder()


def packages() -> Iterator[Finding]:
    """What pyproject.toml says is needed."""
    for line in metadata.requires("nnet-parity") or ():
        needed = Requirement(line)
        if needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue
        found = next((one.version for one in metadata.distributions(name=needed.name)), "")
        right = bool(found) and needed.specifier.contains(found, prereleases=True)
        mend = shell_line(
            sys.executable, "-m", "pip", "install", f"{needed.name}{needed.specifier}"
        )
        why = f"expected {needed.name}{needed.specifier}"
        yield Finding(needed.name, found) if right else Finding(needed.name, found, why, mend)


def torch() -> Iterator[Finding]:
    """Does torch load, and does it see a GPU? (Its version stands among the packages.)"""
    try:
        lacks = {kind.title: kind.find_lack("") for kind in device.DEVICES.values()}
    except Exception as error:  # whatever its libraries raise
        mend = shell_line(sys.executable, "-m", "pip", "install", "--force-reinstall", "torch")
        yield Finding("torch", "", f"it cannot be loaded: {type(error).__name__}: {error}", mend)
        return
    del lacks[device.Device.title]
    for title, lack in lacks.items():
        if lack:
            yield Finding(title, "", lack, lost="models are judged on the CPU")
        else:
            yield Finding(title, "here")


def r() -> Iterator[Finding]:
    """R, nnet and rpy2, which only fit together; asked of R itself."""
    lost = "recordings and NumPy judge"
    if os.environ.get(SWITCH) == "recorded":
        why = f"R was left out ({SWITCH}=recorded, which --no-r sets): run again without it"
        yield Finding("R, nnet and rpy2", "", why, "", lost)
        return
    try:
        LIVE.close()  # it looks again
        versions = LIVE.versions()
    except (RUnavailable, RCrashed) as error:
        found, mend = str(error), ""
        if isinstance(error, RUnavailable):
            found, mend = error.found, error.mend
        yield Finding("R, nnet and rpy2", "", found.rstrip("."), mend, lost)
        return
    for name in ("R", "nnet", "rpy2"):
        yield Finding(name, versions[name])


def make() -> Finding:
    """pip asks R how to build rpy2, and R asks make."""
    return _program(
        "make", "make", "make", "not found", "only pip needs it, when it installs rpy2 beside R"
    )


def compiler() -> Finding:
    """torch.compile writes C++."""
    lost, program = (
        "models under torch.compile cannot be asked, others can",
        os.environ.get("CXX") or "g++",
    )
    return _program("C++ compiler", program, "g++", "g++ was not found and CXX names none", lost)


def _program(name: str, program: str, package: str, why: str, lost: str) -> Finding:
    """The first line that a program says of its version, or the package that brings it."""
    code, said = _ran(which(program) or program, "--version")
    found = "" if code else said.partition("\n")[0]
    return (
        Finding(name, found)
        if found
        else Finding(name, "", why, f"apt-get install {package}", lost)
    )


def _ran(*command: str) -> tuple[int, str]:
    """The exit code of a command and all that it says."""
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=PATIENCE
        )
        return run.returncode, run.stdout + run.stderr
    except (OSError, subprocess.SubprocessError) as error:
        return 1, str(error)


def plugin() -> Finding:
    """Does pytest, started as its user starts it, load our plugin, and from here?"""
    ours = Path(device.__file__).parents[2] / "nnet_parity" / "plugin.py"
    with tempfile.TemporaryDirectory() as empty:
        options = (
            "--trace-config",
            "--collect-only",
            f"--parity-report-dir={empty}",
            f"--rootdir={empty}",
        )
        _, said = _ran(sys.executable, "-m", "pytest", *options, empty)
    if f"<module 'nnet_parity.plugin' from '{ours}'>" in said:
        other = _ran(sys.executable, "-c", SHADOWED)[1].strip()
        return (
            Finding("pytest", "", other)
            if other
            else Finding("pytest", f"loads the plugin, {ours}")
        )
    return Finding(
        "pytest",
        "",
        f"it does not load {ours}",
        shell_line(sys.executable, "-m", "pytest", "-p", "nnet_parity.plugin"),
    )


def folder() -> Finding:
    """Can the report be written where it goes if nothing is said?"""
    place = Path("build/report").absolute()
    there = next(each for each in (place, *place.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            return Finding("report", f"can be written to {place}")
    except OSError as error:
        lost = "models are judged, and the screen says so"
        return Finding(
            "report",
            "",
            f"it cannot be written to {place}: {error}",
            "pytest --parity-report-dir DIR",
            lost,
        )
