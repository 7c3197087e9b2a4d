"""Attacks R: its code, its process, its children, its startup files, its folders, its parent.

Each attack runs asks_r.py in a process of its own. Nothing may hang, no process and no file may
stay, the sentence names the cause, and afterwards the numbers are right or the verdict says why
there are none.
"""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tests.robustness.trial import Trial

SCRIPT, ROOT = Path(__file__).with_name("asks_r.py"), Path(__file__).parents[2]
HANGS = 240.0  # seconds that no attack needs, on the slowest machine
TAG = "NNET_PARITY_ATTACK"
SLEEP = "sleep 987"

Change = Callable[[Path, dict[str, str]], None]


class Attack(NamedTuple):
    """One attack: what asks_r.py is given, and what is expected.

    `said` is a pattern for what the code comes to, `status` the statuses that may follow, `why` a
    pattern for the verdict's sentence. `change` prepares a folder and the environment.
    """

    name: str
    asked: dict[str, Any]
    said: str = ""
    status: tuple[str, ...] = ("right",)
    why: str = ""
    change: Change | None = None
    limit: tuple[int, int] | None = None  # a resource of the process, and its limit
    closes: tuple[int, ...] = ()  # descriptors that are closed when the process starts


def code(name: str, text: str, said: str, **asked: Any) -> Attack:
    """An attack by R code."""
    return Attack(name, {"code": text, **asked}, said)


def sent(number: int, to: str, when: str, **asked: Any) -> Attack:
    """A signal to the worker or its guard, before, during or after an ask."""
    name = f"{signal.Signals(number).name} to the {to}, {when}"
    return Attack(name, {"signal": [number, to, when], **asked})


def killed(name: str, **asked: Any) -> Attack:
    """SIGKILL to the parent, under circumstances."""
    return Attack(f"SIGKILL to Python, {name}", {"then": "killed", **asked})


def given(**variables: str) -> Change:
    """Set variables of the environment."""

    def change(folder: Path, env: dict[str, str]) -> None:
        env.update({name: value.format(folder=folder) for name, value in variables.items()})

    return change


def startup(variable: str, text: str, **variables: str) -> Change:
    """Write a startup file of R, and let a variable name it."""

    def change(folder: Path, env: dict[str, str]) -> None:
        file = folder / variable
        file.write_text(text.format(folder=folder) + "\n")
        env[variable] = str(file)
        env.update({name: value.format(folder=folder) for name, value in variables.items()})

    return change


def without(*packages: str, then: Change | None = None, libr: bool = True) -> Change:
    """Make an R that lacks packages; they lie in the folder "library" beside it."""

    def change(folder: Path, env: dict[str, str]) -> None:
        real, home = find_home(), folder / "R"
        (home / "library").mkdir(parents=True)
        (folder / "library").mkdir()
        for entry in (*real.iterdir(), *(real / "library").iterdir()):
            if entry.name == "library" or (entry.name == "lib" and not libr):
                continue
            place = folder if entry.name in packages else home
            (place / entry.relative_to(real)).symlink_to(entry)
        for name in ("R_LIBS", "R_LIBS_SITE", "R_LIBS_USER"):
            env[name] = str(folder / "nowhere")
        env.update(R_HOME=str(home), R_ENVIRON=os.devnull)
        (folder / "bin").mkdir()
        script = (
            (real / "bin" / "R").read_text().replace(f"R_HOME_DIR={real}", f"R_HOME_DIR={home}")
        )
        (home / "bin").unlink()
        (home / "bin").mkdir()
        for entry in (real / "bin").iterdir():
            if entry.name != "R":
                (home / "bin" / entry.name).symlink_to(entry)
        script = script.replace(f'if test "${{R_HOME_DIR}}" = "{home}"', "if false")
        (home / "bin" / "R").write_text(script)
        (home / "bin" / "R").chmod(0o755)
        if then:
            then(folder, env)

    return change


def break_nnet(folder: Path, env: dict[str, str]) -> None:
    """An nnet whose compiled code cannot be loaded."""
    without("nnet")(folder, env)
    broken = folder / "R" / "library" / "nnet"
    shutil.copytree(find_home() / "library" / "nnet", broken)
    (broken / "libs" / "nnet.so").write_bytes(b"no library")


def program(text: str) -> Change:
    """Put another program R first on PATH."""

    def change(folder: Path, env: dict[str, str]) -> None:
        (folder / "bin").mkdir(exist_ok=True)
        (folder / "bin" / "R").write_text(text.format(real=shutil.which("R")))
        (folder / "bin" / "R").chmod(0o755)
        env["PATH"] = f"{folder / 'bin'}{os.pathsep}{env['PATH']}"
        env.pop("R_HOME", None)

    return change


def no_r(folder: Path, env: dict[str, str]) -> None:
    """A PATH without R."""
    (folder / "bin").mkdir()
    env["PATH"] = str(folder / "bin")
    env.pop("R_HOME", None)


def no_rpy2(folder: Path, env: dict[str, str]) -> None:
    """A Python without rpy2."""
    (folder / "rpy2.py").write_text("raise ModuleNotFoundError(\"No module named 'rpy2'\")")
    env["PYTHONPATH"] = f"{folder}{os.pathsep}{env.get('PYTHONPATH', '')}"


def find_home() -> Path:
    """R's own home."""
    said = subprocess.run(["R", "RHOME"], capture_output=True, text=True, check=True).stdout
    return Path(said.strip())


ATTACKS = (
    # R code
    code("stop", "stop('no such sine')", "RError: no such sine"),
    code(
        "an error without a message",
        "stop(structure(list(), class = c('mine', 'error', 'condition')))",
        "RError",
    ),
    code("a long error", "stop(strrep('e', 1e6))", "RError: e"),
    code("quit", "quit(status = 7)", "RCrashed: .*ended with exit status 7; started again"),
    code("quit without a status", "q('no')", "RCrashed: .*ended with exit status 0"),
    code("SIGSEGV", "tools::pskill(Sys.getpid(), 11)", "RCrashed: .*ended by SIGSEGV"),
    code("SIGABRT", "tools::pskill(Sys.getpid(), 6)", "RCrashed: .*ended by SIGABRT"),
    code("SIGKILL", "tools::pskill(Sys.getpid(), 9)", "RCrashed: .*ended by SIGKILL"),
    code("SIGTERM", "tools::pskill(Sys.getpid(), 15)", "RCrashed: .*ended"),
    code(
        "SIGSTOP", "tools::pskill(Sys.getpid(), 19)", "RCrashed: .*been stopped for", deadline=0.3
    ),
    code(
        "SIGKILL to the guard",
        "tools::pskill(getppid <- as.integer(strsplit(readLines("
        "'/proc/self/stat'), ' ')[[1]][4]), 9); Sys.sleep(60)",
        "RCrashed: .*ended",
    ),
    code(
        "endless in R", "repeat {}", "RCrashed: .*CPU time without an answer, .*--parity-r-deadline"
    ),
    code("endless in C", "fft(numeric(15485863))", "RCrashed: .*s of CPU time"),
    code("endless errors", "repeat try(stop('x'), silent = TRUE)", "RCrashed: .*s of CPU time"),
    code("sleep", "Sys.sleep(987)", "RCrashed: .*waited, and not computed", deadline=0.3),
    code("short sleeps", "repeat Sys.sleep(0.01)", "RCrashed: .*waited", deadline=0.5),
    code("waits for a pipe", f"readLines(pipe('{SLEEP}'))", "RCrashed: .*waited", deadline=0.3),
    code("reads standard input", "readLines(file('stdin')); readline('?')", "answered"),
    code("endless output", "repeat cat(strrep('x', 1e5))", "RCrashed: .*s of CPU time"),
    code("endless output of a child", "system('yes')", "RCrashed: .*s of CPU time.*saying: \\s*y"),
    code("much output", "for (i in 1:2000) cat(strrep('x', 1e4)); 1", "answered"),
    code("a petabyte", "numeric(1e14)", "RError: cannot allocate"),
    code("endless recursion", "f <- function() f(); f()", "RError"),
    code("a large answer", "numeric(1e7)", "answered"),
    code("a function as the answer", "sum", "RError"),
    code("an object as the answer", "new.env()", "RError"),
    code(
        "a masked base",
        "for (f in c('sum', 'c', 'list', 'is.list', 'vapply', 'rep_len')) "
        "assign(f, function(...) 42, globalenv()); 1",
        "answered",
    ),
    code(
        "warnings are errors",
        "options(warn = 2, digits = 1, scipen = 9, OutDec = ','); 1",
        "answered",
    ),
    code("nowhere to print", "sink(tempfile()); 1", "answered"),
    code(
        "no folder to work in",
        "setwd(tempdir()); unlink(tempdir(), recursive = TRUE); 1",
        "answered",
    ),
    code("without stats", "detach('package:stats'); 1", "answered"),
    code(
        "another locale", "Sys.setlocale('LC_ALL', 'C'); Sys.setenv(LANGUAGE = 'de'); 1", "answered"
    ),
    code("an environment without R", "Sys.setenv(R_HOME = '', PATH = ''); 1", "answered"),
    # children of R
    code("a sleeping child", f"system('{SLEEP}')", "RCrashed: .*waited", deadline=0.3),
    code("a child left behind", f"system('{SLEEP}', wait = FALSE); 1", "answered"),
    code("a daemon", f"system('setsid {SLEEP} >/dev/null 2>&1 &'); 1", "answered"),
    code(
        "daemons of daemons",
        f"system('setsid sh -c \"setsid {SLEEP} & {SLEEP}\" &'); 1",
        "answered",
    ),
    code("a stopped child", f"system('{SLEEP} & kill -STOP $!'); 1", "answered"),
    code("a computing child", "system('while :; do :; done')", "RCrashed: .*s of CPU time"),
    code("a fork", "parallel::mcparallel(Sys.sleep(987)); 1", "answered"),
    code(
        "a fork, then a crash",
        "parallel::mcparallel(Sys.sleep(987)); quit(status = 5)",
        "RCrashed: .*exit status 5",
    ),
    code(
        "children, then a crash",
        f"system('{SLEEP} & {SLEEP} &'); tools::pskill(Sys.getpid(), 11)",
        "RCrashed: .*SIGSEGV",
    ),
    # startup files and other variables
    *(
        Attack(f"{name} {what}", {}, change=startup(name, text))
        for name in ("R_PROFILE", "R_PROFILE_USER")
        for what, text in (
            ("stops", "stop('not on this site')"),
            ("quits", "quit(status = 3)"),
            ("sleeps", "Sys.sleep(987)"),
            ("masks base", "for (f in c('sum', 'c')) assign(f, function(...) 42, globalenv())"),
            ("is no text", "\x01\x02 ((("),
        )
    ),
    *(
        Attack(f"{name} {what}", {}, change=startup(name, text))
        for name in ("R_ENVIRON", "R_ENVIRON_USER")
        for what, text in (
            ("has R_HOME", "R_HOME=/nowhere\n"),
            ("has libraries", "R_LIBS=/nowhere\nR_LIBS_SITE=/nowhere\n"),
            ("has packages", "R_DEFAULT_PACKAGES=nowhere\nR_PROFILE=/nowhere\n"),
        )
    ),
    Attack("R_HOME is no folder", {}, change=given(R_HOME="/nowhere")),
    Attack("R_HOME is an empty folder", {}, change=given(R_HOME="{folder}")),
    Attack("R_HOME is empty, and no R", {}, "", ("ABSENT",), "R was not found", no_r),
    Attack("R_TESTS names no file", {}, change=given(R_TESTS="nowhere.R")),
    Attack("R_DEFAULT_PACKAGES is wrong", {}, change=given(R_DEFAULT_PACKAGES="nowhere")),
    Attack("R_MAX_VSIZE is small", {}, change=given(R_MAX_VSIZE="1M", R_GCTORTURE="1")),
    Attack(
        "R's checks are strict",
        {},
        change=given(
            _R_CHECK_LENGTH_1_LOGIC2_="abort,verbose", R_COMPILE_PKGS="1", R_ENABLE_JIT="0"
        ),
    ),
    Attack("no such locale", {}, change=given(LC_ALL="tr_TR.ISO-8859-9", LANG="xx", LANGUAGE="tr")),
    Attack("Python finds no neighbours", {}, change=given(PYTHONSAFEPATH="1")),
    Attack("LD_PRELOAD names no file", {}, change=given(LD_PRELOAD="/nowhere.so")),
    Attack("no nnet", {}, "", ("ABSENT",), "its package nnet was not", without("nnet")),
    Attack(
        "nnet where only R_ENVIRON says",
        {},
        change=without(
            "nnet", then=startup("R_ENVIRON", "R_LIBS_SITE={folder}/library\n", R_LIBS_SITE="")
        ),
    ),
    Attack(
        "nnet where only R_PROFILE says",
        {},
        change=without(
            "nnet", then=startup("R_PROFILE", "cat('Welcome'); .libPaths('{folder}/library')")
        ),
    ),
    Attack(
        "nnet where a startup file quits",
        {},
        "",
        ("ABSENT",),
        "nnet was not",
        without("nnet", then=startup("R_PROFILE", "message('closed on Sundays'); quit()")),
    ),
    Attack("nnet is broken", {}, "", ("ABSENT",), "nnet.so", break_nnet),
    Attack(
        "R without its library",
        {},
        "",
        ("ABSENT",),
        "libR",
        without(
            libr=False, then=lambda folder, env: program(f"#!/bin/sh\necho {folder}/R")(folder, env)
        ),
    ),
    Attack("no rpy2", {}, "", ("ABSENT",), "rpy2 was not", no_rpy2),
    Attack("a program R that warns", {}, change=program('#!/bin/sh\necho WARNING\n{real} "$@"')),
    Attack("a program R that fails", {}, "", ("ABSENT",), "R", program("#!/bin/sh\nexit 3")),
    Attack(
        "a program R that sleeps",
        {"start": 1.0},
        "",
        ("ABSENT", "BROKEN"),
        "waited.*while it started",
        program(f"#!/bin/sh\n{SLEEP}"),
    ),
    # folders and descriptors
    Attack("TMPDIR is no folder", {}, change=given(TMPDIR="/nowhere")),
    Attack("TMPDIR cannot be written", {}, change=given(TMPDIR="/proc")),
    Attack("standard input is closed", {}, closes=(0,)),
    Attack("standard input and error are closed", {}, closes=(0, 2)),
    Attack("HOME is no folder", {}, change=given(HOME="/nowhere")),
    Attack("HOME cannot be written", {}, change=given(HOME="/proc")),
    Attack(
        "no byte can be written",
        {},
        "",
        ("ABSENT",),
        "temporary directory",
        limit=(resource.RLIMIT_FSIZE, 0),
    ),
    Attack(
        "two gigabytes of memory",
        {"code": "x <- lapply(1:1e4, function(i) rnorm(1e6))", "deadline": 60.0},
        "RError: cannot allocate|RCrashed",
        limit=(resource.RLIMIT_AS, 2 << 30),
    ),
    # signals from outside
    *(
        sent(number, "worker", when)
        for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM)
        for when in ("starting", "idle", "asking")
    ),
    sent(signal.SIGKILL, "guard", "starting"),
    sent(signal.SIGKILL, "guard", "idle"),
    sent(signal.SIGTERM, "guard", "idle"),
    sent(signal.SIGSTOP, "worker", "idle", deadline=0.5),
    sent(signal.SIGSTOP, "guard", "idle"),
    sent(signal.SIGSTOP, "worker", "starting", after=0.1, start=1.0, deadline=0.5),
    # the end of Python
    *(
        Attack(f"SIGKILL to Python, {after:g} s after R was started", {"dies after": after})
        for after in (0.0, 0.02, 0.1, 0.2)
    ),
    killed("R is idle"),
    killed("R computes", last="repeat {}"),
    killed("R sleeps", last="Sys.sleep(987)"),
    killed("R is stopped", stopped=["worker"]),
    killed("the guard is stopped", stopped=["guard"]),
    killed("R's child sleeps", last=f"system('{SLEEP}')"),
    killed("a daemon runs", last=f"system('setsid {SLEEP} &'); Sys.sleep(987)"),
    killed("R is stopped, a daemon runs", last=f"system('setsid {SLEEP} &')", stopped=["worker"]),
    killed("a fork of it lives on", fork=True, last=f"system('{SLEEP}')"),
)


def attack(count: int, seed: int) -> Iterator[Trial]:
    """Make the attacks one after the other, the same ones again if `count` is larger."""
    for number in range(max(count, len(ATTACKS))):
        yield make(ATTACKS[(number + seed) % len(ATTACKS)])


def make(each: Attack) -> Trial:
    """Make one attack."""
    start = time.monotonic()
    with TemporaryDirectory(prefix="attack-") as place:
        found = run(each, Path(place))
    return Trial(each.name, found, time.monotonic() - start)


def run(each: Attack, folder: Path) -> str:
    """Make one attack in a folder; describe what did not hold."""
    tag, env = f"{folder.name}-{os.getpid()}", dict(os.environ)
    (folder / "tmp").mkdir()
    env.update({TAG: tag, "TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(ROOT)})
    if each.change:
        each.change(folder, env)

    def limit() -> None:
        if each.limit:
            resource.setrlimit(each.limit[0], (each.limit[1], each.limit[1]))
        for number in each.closes:
            os.close(number)

    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), json.dumps(each.asked)],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )
    try:
        out, err = process.communicate(timeout=HANGS)
    except subprocess.TimeoutExpired:
        process.kill()
        end_tagged(tag)
        return f"it hung for {HANGS:g} s"
    remains = find_remains(tag, folder / "tmp")
    return judge(each, out, err) or remains


def judge(each: Attack, out: str, err: str) -> str:
    """Describe what is wrong with the answers."""
    try:
        found = json.loads(out)
    except ValueError:
        return f"it gave no answer: {err[-300:]}"
    if each.said and not re.search(each.said, found["said"], re.DOTALL):
        return f"it said {found['said'][:300]!r}, expected {each.said!r}"
    if found["status"] not in each.status or not re.search(each.why, found["why"], re.DOTALL):
        return f"the verdict is {found['status']}: {found['why'][:400]}"
    return ""


def find_remains(tag: str, tmp: Path) -> str:
    """Describe the processes and files that are left after an attack."""
    late = time.monotonic() + 30  # a machine may be slow to end them
    while find_tagged(tag) and time.monotonic() < late:
        time.sleep(0.05)
    if left := end_tagged(tag):
        return f"left behind: {', '.join(left)}"
    files = [str(path.relative_to(tmp)) for path in tmp.rglob("*")]
    return f"files were left: {files[:3]}" if files else ""


def find_tagged(tag: str) -> dict[int, str]:
    """The processes that an attack has started, with their command lines."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{TAG}={tag}\0".encode() in (folder / "environ").read_bytes():
                words = (folder / "cmdline").read_bytes().decode(errors="replace")
                if SCRIPT.name not in words:  # a fork of Python may live on
                    found[int(folder.name)] = words.replace("\0", " ").strip()
    return found


def end_tagged(tag: str) -> list[str]:
    """Kill what an attack has left; return the command lines."""
    found = find_tagged(tag)
    for pid in found:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    return list(found.values())
