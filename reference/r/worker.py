"""The process that runs R; its guard (guard.py) starts it.

It receives pairs (ask, arguments): the name of a function in nnet.R or fitted.R, and its arguments.
It answers each with (kind, value, warnings, console, seconds), and ends when its guard or Python
ends.
"""

import json
import os
import pickle
import select
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np

SITE = "NNET_PARITY_R_SITE"  # in the environment: the variables of R that were left out, as JSON
MOST_CONSOLE = 1_000_000  # letters of R's output that are kept of an ask
SITE_DEADLINE = 60.0  # seconds in which R with the site's startup files names the folder of nnet
NAME_LIBRARY = (
    "cat('\\n<home>', R.home(), '<nnet>', dirname(find.package('nnet')), '</nnet>\\n', sep = '')"
)


def send(to: socket.socket, message: Any) -> None:
    """Send a message through the socket `to`.

    Its arrays are sent outside the pickle, which takes a third of the time.
    """
    buffers: list[pickle.PickleBuffer] = []
    parts = [memoryview(pickle.dumps(message, 5, buffer_callback=buffers.append))]
    parts += [buffer.raw() for buffer in buffers]
    sizes = [part.nbytes for part in parts]
    to.sendall(struct.pack(f"={1 + len(sizes)}Q", len(sizes), *sizes))
    for part in parts:
        to.sendall(part)


def receive(source: socket.socket) -> Any:
    """Receive a message.

    Raises TimeoutError if the socket has a timeout and it passes, and EOFError if the other end is
    closed.
    """

    def read(size: int) -> bytearray:
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            received = source.recv_into(rest)
            if not received:
                raise EOFError
            rest = rest[received:]
        return data

    (count,) = struct.unpack("=Q", read(8))
    sizes = struct.unpack(f"={count}Q", read(8 * count))
    message, *buffers = [read(size) for size in sizes]
    return pickle.loads(message, buffers=buffers)


def end_with(guard: int, fd: int, end: Callable[[], None]) -> None:
    """Call `end` when the other end of the socket closes or the guard ends, even if R is busy."""
    hang_up = select.poll()
    hang_up.register(fd, 0)
    while not hang_up.poll(250) and os.getppid() == guard:
        pass
    end()


class Console:
    """The beginning of R's output during a request."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.parts: list[str] = []
        self.room = MOST_CONSOLE

    def add(self, text: str) -> None:
        if self.room > 0:
            self.parts.append(text[: self.room])
            self.room -= len(text)


def find_home() -> str:
    """Return R's home: R_HOME if it has an R, else the home of the R on PATH.

    No R is started: the script `R RHOME` reads none of R's startup files. Raises LookupError if
    there is no home with a library libR.
    """
    from_variable = os.environ.pop("R_HOME", "")
    if from_variable and has_library(from_variable):
        return from_variable
    from_path = ask_home()
    if from_path and has_library(from_path):
        return from_path
    looked = []
    if from_variable:
        looked.append(f"R_HOME is {from_variable}")
    if from_path:
        looked.append(f"R RHOME says {from_path}")
    raise LookupError(f"no libR: {' and '.join(looked)}" if looked else "r_home is None")


def ask_home() -> str:
    """Return the home that the R on PATH prints; "" if it prints none."""
    program = shutil.which("R")
    if program is None:
        return ""
    run = subprocess.run(
        [program, "RHOME"], stdin=subprocess.DEVNULL, capture_output=True, errors="replace"
    )
    folders = [line for line in run.stdout.splitlines() if os.path.isdir(line)]
    return folders[-1] if folders else ""


def has_library(home: str) -> bool:
    """Is the library of R, which rpy2 loads, below this home?"""
    return any(Path(home, "lib", f"libR.{kind}").exists() for kind in ("so", "dylib"))


def ask_site(home: str) -> tuple[str, str]:
    """Return the folder of the R library that holds nnet, found by an R with the site's startup
    files.

    If there is none, return "" and the end of R's output.
    """
    env = dict(os.environ)
    for name in ("R_PROFILE", "R_ENVIRON", "R_PROFILE_USER", "R_ENVIRON_USER"):
        env.pop(name, None)
    env |= json.loads(env.pop(SITE, "{}"))
    options = ["--no-echo", "--no-save", "--no-restore", "-e", NAME_LIBRARY]
    try:
        run = subprocess.run(
            [os.path.join(home, "bin", "R"), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            errors="replace",
            env=env,
            timeout=SITE_DEADLINE,
        )
    except subprocess.TimeoutExpired:
        return "", f"it did not answer within {SITE_DEADLINE:g} s"
    except OSError as error:
        return "", str(error)
    its_home, _, rest = run.stdout.rpartition("<home>")[2].partition("<nnet>")
    folder, ends, _ = rest.partition("</nnet>")
    if ends and os.path.realpath(its_home) != os.path.realpath(home):
        return "", f"it is another R than that of {home}"
    if ends and os.path.isdir(folder):
        return folder, ""
    return "", " ".join(run.stdout.split())[-300:] or f"nothing (exit status {run.returncode})"


class R:
    """R, embedded in this process by rpy2; its methods take and return Python values."""

    def __init__(self) -> None:
        self.home = find_home()
        os.environ["R_HOME"] = self.home
        # rpy2 would start an R that reads startup files, for a value that it does not use
        situation: Any = import_module("rpy2.situation")
        situation.r_ld_library_path_from_subprocess = lambda home: ""
        self.r: Any = import_module("rpy2.rinterface")
        import_module("rpy2.rinterface_lib.embedded").set_initoptions(
            ("rpy2", "--quiet", "--vanilla")
        )
        self.r.initr(interactive=False, _c_stack_limit=0)  # R's own: endless recursion is an error
        self.console = Console()
        callbacks: Any = import_module("rpy2.rinterface_lib.callbacks")
        callbacks.consolewrite_print = callbacks.consolewrite_warnerror = self.console.add
        callbacks.showmessage = self.console.add
        callbacks.consoleread = lambda prompt: ""  # nobody can answer
        self._find_nnet()
        env = self.r.evalr('new.env(parent = asNamespace("nnet"))')
        for file in ("nnet.R", "fitted.R", "returned.R"):
            code = Path(__file__).with_name(file).read_text(encoding="utf-8")
            self.r.baseenv["eval"](self.r.parse(code), env)
        self.answer = env["answer"]

    def _find_nnet(self) -> None:
        """Let R find nnet, if necessary in a library that only the site's startup files name.

        Raises LookupError if no library has it.
        """
        if self.r.evalr('requireNamespace("nnet", quietly = TRUE)')[0]:
            return
        library, output = ask_site(self.home)
        if library:
            self.r.baseenv[".libPaths"](self.r.StrSexpVector([library]))
            output = f"nnet in {library}"
        try:
            self.r.evalr('loadNamespace("nnet")')
        except Exception as error:
            places = ", ".join(self.r.evalr(".libPaths()"))
            raise LookupError(
                f"{error} (libraries: {places}; R with its startup files says: {output})"
            ) from None

    def ask(self, ask: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Call a function of nnet.R or fitted.R, and return (kind, value, warnings, console,
        seconds).

        The kind is "value", or "error" with R's message as the value. `seconds` is the CPU time
        that R took.
        """
        self.console.clear()
        given = [self.to_r(value) for value in (ask, *arguments)]
        began = time.process_time()
        found = self.answer(*given)
        seconds = time.process_time() - began
        kind, value, warnings = self.to_python(found)
        return kind[0], value, warnings, "".join(self.console.parts), seconds

    def to_r(self, value: Any) -> Any:
        """Convert a Python value for R: None, a string, or numbers, which become doubles.

        The axes of an array are reversed, so that its numbers keep their order in memory. A list of
        strings and None becomes a character vector with NA; a list that holds arrays or lists
        becomes a list.
        """
        if value is None:
            return self.r.NULL
        if isinstance(value, str):
            return self.r.StrSexpVector([value])
        if isinstance(value, list) and value:
            if all(item is None or isinstance(item, str) for item in value):
                texts = [self.r.NA_Character if item is None else item for item in value]
                return self.r.StrSexpVector(texts)
            if any(isinstance(item, list | np.ndarray) for item in value):
                return self.r.ListSexpVector([self.to_r(item) for item in value])
        array = np.ascontiguousarray(value, np.float64)
        vector = self.r.FloatSexpVector.from_memoryview(array.reshape(-1).data)
        if array.ndim > 1:
            vector.do_slot_assign("dim", self.r.IntSexpVector(array.shape[::-1]))
        return vector

    def to_python(self, value: Any) -> Any:
        """Convert a value of R: doubles to an array with reversed axes and memory of its own,
        strings and lists to lists.
        """
        if isinstance(value, self.r.FloatSexpVector):
            # not memoryview(): it leaks a reference to None
            return np.array(np.asarray(value).T, order="C")
        if isinstance(value, self.r.StrSexpVector):
            return list(value)
        if isinstance(value, self.r.ListSexpVector):
            return [self.to_python(item) for item in value]
        return None  # a condition may have any message


def main(fd: int, guard: int, folder: str, end: Callable[[], None]) -> None:
    """Start R and send "ready", or the reason why R cannot start; then answer until Python closes
    the socket. `folder` is the worker's temporary folder; `end` ends this process.
    """
    os.set_inheritable(fd, False)
    threading.Thread(target=end_with, args=(guard, fd, end), daemon=True).start()
    with socket.socket(fileno=fd) as ours, suppress(EOFError, ConnectionError):
        send(ours, ("started", (os.getpid(), folder)))
        try:
            r = R()
        except Exception as reason:
            send(ours, ("unavailable", f"{type(reason).__name__}: {reason}"))
        else:
            send(ours, ("ready", (metadata.version("rpy2-rinterface"), r.home)))
            while True:
                send(ours, r.ask(*receive(ours)))
        receive(ours)
    end()
