"""The command `nnet-parity doctor`: checks everything that the project can use on this machine, and
says how to install the rest.
"""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from shutil import which

from packaging.requirements import Requirement

from harness.model import devices as device
from harness.text.files import temporary_folder
from harness.text.harmless import printable
from harness.text.shell import shell_line
from reference.r.nnet_reference import LIVE
from reference.r.preflight import RUnavailable
from reference.r.session import RCrashed
from reference.r.startup import SITE_FILES, USER_FILES, find_startup_files, split_variables

SWITCH = "NNET_PARITY_R"  # in the environment: who answers for R
SHADOWED = (
    "from nnet_parity.names import *; print(*filter(None, map(explain_shadowing, OURS)), sep='; ')"
)
PATIENCE = 60.0  # seconds for a program to say its version


@dataclass(frozen=True)
class Finding:
    """A checked part of the installation, and the result.

    If there is a problem, `why` is the reason, `mend` the command that solves it, and `lost` the
    feature that does not work until then, or "" if nothing can be judged without it.
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
        if not self.why:
            return f"{self.name:<17} {self.found}"
        lost = f"; {self.lost}" if self.lost else ""
        mend = f". This mends it: {self.mend}" if self.mend else ""
        state = "MISSING" if self.fails else "not here"
        return f"{self.name:<17} {self.found or state}: {self.why}{lost}{mend}"


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
    for finding in examine():
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


def examine() -> Iterator[Finding]:
    """Check everything, one part after the other."""
    yield Finding("Python", f"{platform.python_version()}, {sys.executable}")
    yield from packages()
    yield from torch()
    yield from r()
    yield from startup()
    yield make()
    yield compiler()
    yield plugin()
    yield folder()


def packages() -> Iterator[Finding]:
    """Check the packages that pyproject.toml requires."""
    for line in metadata.requires("nnet-parity") or ():
        needed = Requirement(line)
        if needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue
        versions = [one.version for one in metadata.distributions(name=needed.name)]
        found = versions[0] if versions else ""
        if found and needed.specifier.contains(found, prereleases=True):
            yield Finding(needed.name, found)
            continue
        wanted = f"{needed.name}{needed.specifier}"
        mend = shell_line(sys.executable, "-m", "pip", "install", wanted)
        yield Finding(needed.name, found, f"expected {wanted}", mend)


def torch() -> Iterator[Finding]:
    """Load torch, and look for a GPU. (Its version is among the packages.)"""
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
    """Start R (the statistics program), and check the versions of R, nnet and rpy2."""
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
    home = LIVE.home()
    yield Finding("R", f"{versions['R']}, {home}")
    for name in ("nnet", "rpy2"):
        yield Finding(name, versions[name])


def startup() -> Iterator[Finding]:
    """List the settings of R's user or site that our R does not read."""
    home = ""
    if os.environ.get(SWITCH) != "recorded":
        with suppress(RUnavailable, RCrashed):
            home = LIVE.home()
    parts = find_startup_files(home)
    left_out = split_variables(os.environ)[1]
    names = sorted(left_out.keys() - SITE_FILES.keys() - USER_FILES.keys())
    if names:
        parts.append(f"the variables {', '.join(names)}")
    if parts:
        found = f"not read here, so that R computes alike everywhere: {'; '.join(parts)}"
        yield Finding("R's startup files", found)


def make() -> Finding:
    """Look for make: pip asks R how to build rpy2, and R asks make."""
    return _program(
        "make", "make", "make", "not found", "only pip needs it, when it installs rpy2 beside R"
    )


def compiler() -> Finding:
    """Check the C++ compiler that torch.compile needs."""
    lost = "models under torch.compile cannot be asked, others can"
    program = os.environ.get("CXX") or "g++"
    return _program("C++ compiler", program, "g++", "g++ was not found and CXX names none", lost)


def _program(name: str, program: str, package: str, why: str, lost: str) -> Finding:
    """Run a program to find its version; if it is missing, name the `package` that contains it.

    `name` is the title of the finding, `why` the purpose of the program, and `lost` the feature
    that does not work without it.
    """
    code, output = _run(which(program) or program, "--version")
    version = output.partition("\n")[0]
    if code == 0 and version:
        return Finding(name, version)
    return Finding(name, "", why, f"apt-get install {package}", lost)


def _run(*command: str) -> tuple[int, str]:
    """Run a command; return its exit code and its output."""
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=PATIENCE
        )
        return run.returncode, run.stdout + run.stderr
    except (OSError, subprocess.SubprocessError) as error:
        return 1, str(error)


def plugin() -> Finding:
    """Run pytest as a user does, and check that it loads our plugin from here."""
    ours = Path(device.__file__).parents[2] / "nnet_parity" / "plugin.py"
    with temporary_folder() as empty:
        options = (
            "--trace-config",
            "--collect-only",
            f"--parity-report-dir={empty}",
            f"--rootdir={empty}",
        )
        _, output = _run(sys.executable, "-m", "pytest", *options, str(empty))
    loaded = re.search(r"<module 'nnet_parity\.plugin' from '(.*)'>", output)
    if loaded is None or Path(loaded[1]).resolve() != ours.resolve():
        mend = shell_line(sys.executable, "-m", "pytest", "-p", "nnet_parity.plugin")
        return Finding("pytest", "", f"it does not load {ours}", mend)
    _, shadowing = _run(sys.executable, "-c", SHADOWED)
    if shadowing.strip():
        return Finding("pytest", "", shadowing.strip())
    return Finding("pytest", f"loads the plugin, {ours}")


def folder() -> Finding:
    """Try to write into the default folder of the report."""
    place = Path("build/report").absolute()
    there = next(each for each in (place, *place.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            return Finding("report", f"can be written to {place}")
    except OSError as error:
        why = f"it cannot be written to {place}: {error}"
        lost = "models are judged, and the screen says so"
        return Finding("report", "", why, "pytest --parity-report-dir DIR", lost)
