#!/usr/bin/env python3
"""Sets this checkout up and runs it; needs nothing but Python 3.11 or newer.

usage: python3 run.py [--no-r] COMMAND [ARGUMENTS]

  verify    judges the PyTorch models in cases/ against R nnet and NumPy    (pytest cases/)
  test      runs the project's own tests                                    (pytest tests/)
  types     checks the types of the library                                 (mypy)
  lint      checks its style                                                (ruff check)
  --no-r    neither installs nor uses R: its recordings answer for it
  --help    prints this page

Arguments go on to pytest: `python3 run.py verify -k sine -x`. A path in cases/ or tests/ takes the
place of the folder. Where there are two cores, two processes share a whole folder; `-n 0` keeps it
in one. The options of nnet-parity may be written short: --device, --require-device, --r,
--r-deadline, --training-deadline, --ahead, --speed, --starts, --baseline, --keep and --report-dir
stand for --parity-device and so on.
The first run makes .venv beside this file, of packages whose hashes requirements.txt names; later
runs start at once. torch is the build without CUDA if pip finds one; NNET_PARITY_TORCH_INDEX names
a package index for torch alone. verify and test use R: if it is missing and this is root on Debian
or Ubuntu, run.py says what it would install through apt, asks if there is a terminal, and installs
it.
The exit code is pytest's; 1 if the set-up fails, 130 if it is interrupted.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shlex
import signal
import sys
from pathlib import Path
from shutil import get_terminal_size, which
from subprocess import DEVNULL, PIPE, STDOUT, Popen

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent
PYTHON = ROOT / ".venv" / "bin" / "python"
STAMP = ROOT / ".venv" / "set-up-complete"
# verify does not need what the tests need, and hypothesis takes a second to import
COMMANDS = {
    "verify": ["pytest", "-p", "no:hypothesispytest", "-p", "no:syrupy", "cases/"],
    "test": ["pytest", "tests/"],
    "types": ["mypy"],
    "lint": ["ruff", "check", "."],
}
USE_R = ("verify", "test")
# rpy2 is built with cffi, thus installed later, and left out where it cannot be built; only torch's
# builds for CUDA need the libraries of CUDA.
OF_TORCH = re.compile(r"torch")
OF_R = re.compile(r"rpy2.*")
OF_CUDA = re.compile(r"(nvidia|cuda)-.*|triton")
# Where there are two cores, pytest-xdist runs a whole folder in two processes: cases stay together
# (nnet_parity/workers.py), the tests of a file as far as one of the two has nothing else to do.
SHARED = {"verify": ["-n", "2"], "test": ["-n", "2", "--dist", "worksteal"]}
# Not if tests are chosen or followed one at a time, if the run needs the machine or a device for
# itself, if its fork has the other core, or if it is told how many processes to use.
UNSHARED = re.compile(
    r"-[qvlxs]*[xs][qvlxs]*|-[kmn].*|--(numprocesses|dist|exitfirst|maxfail|pdb|trace|capture"
    r"|stepwise|sw|last-failed|lf|collect-?only|co|setup|fixtures|cache-show|snapshot-update"
    r"|parity-ahead|parity-speed|parity-device|parity-require-device)(-.+|=.*)?|(-p)?no:xdist"
)
# Options whose next word may be a path that names no tests.
TAKES_PATH = re.compile(
    r"-[co]|--(parity-baseline|parity-keep|parity-report-dir|junit-?xml|ignore|ignore-glob|deselect"
    r"|basetemp|rootdir|confcutdir|config-file|log-file|benchmark-json)"
)
TAKE_WORDS = ("-k", "-m", "-p")  # options whose next word is no path, though one may be called so
SHORT = (
    "--device",
    "--require-device",
    "--r",
    "--r-deadline",
    "--training-deadline",
    "--ahead",
    "--speed",
    "--starts",
    "--baseline",
    "--keep",
    "--report-dir",
)


def say(text: str) -> None:
    print(f"run.py: {text}", file=sys.stderr)


def run(*command: str, may_fail: bool = False) -> bool:
    """Run a command, and return whether it succeeded.

    A terminal shows the latest line of its output. If it fails, all of its output is printed,
    unless it may fail.
    """
    latest = "\r\x1b[K{}" if sys.stderr.isatty() else ""
    lines = []
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # In a session of its own: Ctrl-C comes here first, is passed on once, and ends this program
    # only after the command.
    process = Popen(
        command,
        cwd=ROOT,
        env=env,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        errors="replace",
        start_new_session=True,
    )
    try:
        for line in process.stdout or ():
            lines.append(line)
            print(
                latest.format(line.strip()[: get_terminal_size().columns - 1]),
                end="",
                file=sys.stderr,
                flush=True,
            )
        process.wait()
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGINT)
        process.wait()
        raise
    finally:
        print(latest.format(""), end="", file=sys.stderr, flush=True)
    if process.returncode and not may_fail:
        print(*lines, sep="", file=sys.stderr)
        say(f"failed, with the lines above: {shlex.join(command)}")
    return process.returncode == 0


def find_missing_packages(with_r: bool) -> list[str]:
    """Return the Debian packages that must be installed.

    They are found by looking at files: starting R would add half a second to every run.
    """
    missing = []
    if not STAMP.exists() and not importlib.util.find_spec("ensurepip"):
        missing.append("python3-venv")
    if not with_r:
        return missing
    r = which("R")
    if r is None:
        missing += ["r-base-core", "r-cran-nnet"]
    elif not has_nnet(r):
        missing.append("r-cran-nnet")
    if not which("make"):
        missing.append("make")
    return missing


def has_nnet(r: str) -> bool:
    """Is nnet in a library of this R? `r` is the path of R's start script.

    Returns True, too, if the script does not name R's home, since the libraries are then unknown.
    """
    script = Path(r).read_text(errors="replace")
    home = re.search(r"^R_HOME_DIR=(.+)$", script, re.MULTILINE)
    if home is None:
        return True
    libraries = (f"{home[1]}/library", f"{home[1]}/site-library", "/usr/local/lib/R/site-library")
    return any(Path(folder, "nnet").exists() for folder in libraries)


def get_debian_packages(names: list[str]) -> None:
    """Install packages through apt; print the command if this is not root or there is no apt.

    Exits if the package for venv is still missing. If only R is missing, the run goes on without R.
    """
    kinds = []
    if "python3-venv" in names:
        kinds.append("venv")
    if set(names) - {"python3-venv"}:
        kinds.append("R")
    what = " and ".join(kinds)
    install = ["apt-get", "install", "-y", "--no-install-recommends", *names]
    if which("apt-get") and os.geteuid() == 0:
        hint = "; --no-r leaves R out" if "R" in kinds else ""
        say(f"{what} not complete here. As root, through apt: {shlex.join(install)}{hint}")
        if may_go_on():
            run("apt-get", "update")
            if run(*install):
                return
    else:
        why = "this is not root" if which("apt-get") else "there is no apt here"
        say(f"{what} not complete here, and {why}. To have it: sudo {shlex.join(install)}")
    if "venv" in kinds:
        sys.exit(1)
    say("going on without R")


def may_go_on() -> bool:
    """Ask on a terminal whether to go on. Anywhere else nobody can answer: return True."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    print("run.py: go on? [Y/n] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("", "y", "yes")


def read_pins(file: str) -> dict[str, str]:
    """Return the entries of a requirements file by name: version, marker and hashes."""
    text = Path(ROOT, file).read_text(encoding="utf-8")
    entries = re.findall(r"^[\w.-]+==.*(?:\n[ \t].*)*", text, re.MULTILINE)
    return {entry.partition("==")[0].lower(): entry for entry in entries}


def install_pins(pins: dict[str, str], *options: str, may_fail: bool = False) -> bool:
    """Let pip install packages into .venv, from files with the hashes of their entries.

    Returns whether it succeeded; exits if it failed and may not.
    """
    if not pins:
        return True
    chosen = ROOT / ".venv" / "requirements.txt"
    chosen.write_text("\n".join(pins.values()), encoding="utf-8")
    words = ["--no-deps", "--require-hashes", *options, "-r", str(chosen)]
    return install(*words, may_fail=may_fail)


def install(*words: str, may_fail: bool = False) -> bool:
    """Run `pip install` in .venv. Returns whether it succeeded; exits if it failed and may not.

    Python compiles modules when it imports them first. pip would compile all 12,000, of which a run
    imports 1,600. It must where the user wants Python to keep nothing.
    """
    options = [] if os.environ.get("PYTHONDONTWRITEBYTECODE") else ["--no-compile"]
    done = run(str(PYTHON), "-m", "pip", "install", *options, *words, may_fail=may_fail)
    if not done and not may_fail:
        sys.exit("run.py: see to what pip says (no network? a full disk?), then run the same again")
    return done


def install_project(with_rpy2: bool) -> None:
    """Install what requirements.txt pins, and this checkout, into .venv."""
    pins = read_pins("requirements.txt")
    torch = {name: pins.pop(name) for name in list(pins) if OF_TORCH.fullmatch(name)}
    of_r = {name: pins.pop(name) for name in list(pins) if OF_R.fullmatch(name)}
    of_cuda = {name: pins.pop(name) for name in list(pins) if OF_CUDA.fullmatch(name)}
    index = os.environ.get("NNET_PARITY_TORCH_INDEX")
    where = ["--index-url", index] if index else []
    # pip prefers a file whose hash an index names, so that it is asked for the small build first
    say("1 of 3: torch, 0.8 GB on disk; several times that if there is only a build for CUDA")
    if not install_pins(read_pins("requirements-cpu.txt"), *where, may_fail=True):
        install_pins(torch, *where)
        install_pins(of_cuda)
    say(f"2 of 3: {len(pins)} more packages, among them NumPy, SciPy and matplotlib")
    install_pins(pins)
    if with_rpy2:
        install_pins(of_r, "--no-build-isolation")
    say("3 of 3: this checkout")
    install_checkout()


def install_checkout() -> None:
    install("--no-deps", "--no-build-isolation", "-e", ".")


def has_lost_checkout() -> bool:
    """Does a .pth file of an editable install name a folder that holds no package any more?

    `git clean -X` and copies of a checkout may leave .venv and lose that folder (build_backend.py).
    """
    for file in ROOT.glob(".venv/lib/python*/site-packages/__editable__*.pth"):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("/") and not any(Path(line).glob("*/__init__.py")):
                return True
    return False


def set_up() -> None:
    """Make .venv, unless its stamp says that it is complete.

    The stamp is a digest of this folder, this Python, and the files that decide the content of
    .venv.
    """
    place = hashlib.sha256(
        f"{ROOT} {sys.base_prefix} {sys.implementation.cache_tag}".encode()
    ).hexdigest()
    # rpy2 asks R, R asks make
    with_rpy2 = bool(which("make") or not which("R"))
    names = "run.py", "pyproject.toml", "requirements.txt", "requirements-cpu.txt"
    files = b"".join((ROOT / name).read_bytes() for name in names)
    stamp = f"{place} {hashlib.sha256(files + bytes([with_rpy2])).hexdigest()}"
    lock = os.open(ROOT, os.O_RDONLY)  # held until this process ends or becomes pytest
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("waiting for another run.py that sets this checkout up")
        fcntl.flock(lock, fcntl.LOCK_EX)
    old = ""
    if STAMP.exists() and PYTHON.exists():
        old = STAMP.read_text()
    lost = has_lost_checkout()
    if old == stamp and not lost:
        return
    # if anything stops us from here on, the next run sees that .venv is incomplete
    STAMP.unlink(missing_ok=True)
    if old == stamp:
        say("what .venv knows of this checkout is gone: installing the checkout anew")
        install_checkout()
    else:
        if not old.startswith(place) and not run(sys.executable, "-m", "venv", "--clear", ".venv"):
            sys.exit(1)
        say(
            "installing the project and what requirements.txt pins into .venv: 1.6 GB on disk, half"
            " of it torch; the first time takes one to six minutes"
        )
        install_project(with_rpy2)
    half = STAMP.with_suffix(".half")
    half.write_text(stamp)
    half.replace(STAMP)


def lengthen(word: str) -> str:
    """Return the plugin's long option for a short one: "--device=cpu" becomes
    "--parity-device=cpu".

    Any other word is returned as it is.
    """
    option, equals, value = word.partition("=")
    if option in SHORT:
        return f"--parity-{option.removeprefix('--')}{equals}{value}"
    return word


def is_path(word: str) -> bool:
    """Does an argument name an existing file or folder, or a test in one?"""
    return not word.startswith("-") and Path(word.partition("::")[0]).exists()


def count_cores() -> int:
    """Return the number of cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share(command: str, words: list[str]) -> list[str]:
    """Return the options with which two processes share the whole folder of a command.

    Return none if they must not share it.
    """
    if count_cores() < 2 or any(UNSHARED.fullmatch(word) for word in words):
        return []
    return SHARED.get(command, [])


def main(arguments: list[str]) -> int:
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            "run.py: this is Python {}.{}; it takes {}.{} or newer".format(
                *sys.version_info[:2], *OLDEST_PYTHON
            )
        )
    command, *rest = [word for word in arguments if word != "--no-r"] or ["--help"]
    if {"-h", "--help"} & {command, *rest}:
        print(__doc__)
        return 0
    if command not in COMMANDS:
        say(f"{command} is not a command; {', '.join(COMMANDS)} are, and --help tells more")
        return 2
    if "--no-r" in arguments:
        os.environ["NNET_PARITY_R"] = "recorded"
    # rpy2 reads it when it is installed and again when it is imported
    os.environ["RPY2_CFFI_MODE"] = "ABI"
    with_r = command in USE_R and os.environ.get("NNET_PARITY_R") != "recorded"
    if missing := find_missing_packages(with_r):
        get_debian_packages(missing)
    set_up()
    tool, *options = COMMANDS[command]
    folder = options[-1:]
    words, named, before = [], False, ""
    for word in map(lengthen, rest):
        names_path = is_path(word) and before not in TAKE_WORDS
        words.append(str(Path(word).absolute()) if names_path else word)
        if before not in TAKE_WORDS and not TAKES_PATH.fullmatch(before):
            named = named or names_path or word.startswith(tuple(folder))
        before = word
    whole = [] if named else [*share(command, words), *folder]
    os.chdir(ROOT)
    os.execv(PYTHON, [str(PYTHON), "-m", tool, *options[:-1], *whole, *words])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("interrupted; the next run takes it up again")
        sys.exit(130)
    except OSError as error:
        sys.exit(f"run.py: the system refuses: {error}")
