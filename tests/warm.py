"""A Python that has already imported torch: tests start it where start-up is not the point.

`python tests/warm.py FD` listens at a socket that it inherits, and forks for each program. The
executable that `write_client(path, socket)` writes starts them: it takes `-m MODULE`, `-c CODE` or
a script, with their arguments, as Python does; `-u`, `-P` and `-W ACTION` may stand before them.
Where such a program runs scripts of failures, forked.py runs in a fork of the server too.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # who forks has one
# of pytest: what it loads of each installation takes a second, most of it hypothesis
PLUGINS = ("hypothesis.core", "pytest_benchmark.plugin", "syrupy", "xdist.plugin")
ROOT = Path(__file__).resolve().parents[1]
CLIENT = """#!{python} -IS
import json, os, signal, socket, sys

with socket.socket(socket.AF_UNIX) as server:
    server.connect({socket!r})
    told = {{"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.sendall(json.dumps(told).encode() + b"\\n")
    code = int(server.recv(16) or 1)  # nothing of a server that has ended
if code < 0:
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


def write_client(path: Path, at: Path) -> None:
    """Write the executable that has the server at a socket run a program."""
    path.write_text(CLIENT.format(python=sys.executable, socket=str(at)))
    path.chmod(0o755)


def serve(inherited: int) -> None:
    """Fork for each client, and end when the parent does."""
    parent, running = os.getppid(), dict[int, socket.socket]()
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    os.set_inheritable(inherited, False)
    load()
    with socket.socket(fileno=inherited) as listener:
        while os.getppid() == parent:
            ready, *_ = select.select([listener, ended, *running.values()], [], [], 1.0)
            if ended in ready:
                os.read(ended, 512)
                answer(running)
            elif listener in ready:
                accept(listener, running)
            else:  # a client has gone
                for program in [pid for pid, client in running.items() if client in ready]:
                    with suppress(OSError):
                        os.killpg(program, signal.SIGKILL)
    for program in running:
        with suppress(OSError):
            os.killpg(program, signal.SIGKILL)


def load() -> None:
    """Import what most programs of the tests import."""
    sys.path.insert(0, str(ROOT))
    import jinja2  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import pytest  # noqa: F401
    import scipy.optimize  # noqa: F401
    import threadpoolctl  # noqa: F401
    import torch  # noqa: F401

    import harness.drawing.figures
    import harness.plugin.plugin
    import harness.reproduce.programs
    import harness.shadow.shadow  # noqa: F401
    import reference.explaining.likely  # noqa: F401

    for plugin in PLUGINS:
        with suppress(ImportError):
            import_module(plugin)
    # pytest would warn that it comes too late to rewrite their assertions
    tops = {"harness", "reference", *(plugin.partition(".")[0] for plugin in PLUGINS)}
    for name, module in list(sys.modules.items()):
        if name in tops or name.startswith("_hypothesis"):
            module.__doc__ = "PYTEST_DONT_REWRITE"
    sys.path.remove(str(ROOT))
    gc.collect()
    gc.freeze()


def answer(running: dict[int, socket.socket]) -> None:
    """Tell the clients of programs that have ended their exit codes."""
    for program in list(running):
        ended, status = os.waitpid(program, os.WNOHANG)
        if ended:
            with running.pop(program) as client, suppress(OSError):
                client.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def accept(listener: socket.socket, running: dict[int, socket.socket]) -> None:
    """Fork for a client."""
    client, _ = listener.accept()
    _, pipes, *_ = socket.recv_fds(client, 1, 4)
    with client.makefile("r", encoding="utf-8") as told:
        asked = json.loads(told.readline())
    program = os.fork()
    if not program:
        with suppress(BaseException):
            signal.set_wakeup_fd(-1)
            at = listener.getsockname()
            for each in (listener, client, *running.values()):
                each.close()
            os._exit(become(pipes, at, **asked))
        os._exit(1)
    for pipe in pipes:
        os.close(pipe)
    running[program] = client


def become(
    pipes: list[int], at: str, arguments: list[str], folder: str, environment: dict[str, str]
) -> int:
    """The exit code of a program that is run in this process as Python runs it; `at` is the socket
    of the server.
    """
    os.setsid()
    for number, pipe in enumerate(pipes):
        if pipe != number:
            os.dup2(pipe, number)
            os.close(pipe)
    sys.modules["harness.reproduce.programs"].subprocess = Warm(at)  # type: ignore[attr-defined]
    # the streams of the server may have been opened on something that seeks
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    code = 1
    try:
        run(arguments)
        code = 0
    except SystemExit as end:
        code = exit_code(end.code)
    except BaseException:
        traceback.print_exc()
    with suppress(Exception):
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    return code & 0xFF


class Warm:
    """The module subprocess, whose Popen has the server fork for what runs scripts."""

    def __init__(self, at: str) -> None:
        self.at, self.server = at, os.getppid()

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, command: list[str], **given: Any) -> Any:
        """The process of forked.py, or any other."""
        if not command[2:] or Path(command[2]).name != "forked.py":
            return subprocess.Popen(command, **given)
        arguments = [*command[1:3], "3", str(self.server), *command[5:]]
        return Fork(self.at, arguments, given["env"], *given["pass_fds"])


class Fork:
    """A fork of the server that runs a program, as a Popen. It has one file besides its streams,
    number 3, and its parent is the server.
    """

    def __init__(self, at: str, arguments: list[str], environment: dict[str, str], fd: int) -> None:
        self.client = socket.socket(socket.AF_UNIX)
        self.client.connect(at)
        asked = {"arguments": arguments, "folder": os.getcwd(), "environment": environment}
        with open(os.devnull, "r+") as nowhere:
            socket.send_fds(self.client, [b"."], [*3 * [nowhere.fileno()], fd])
        self.client.sendall(json.dumps(asked).encode() + b"\n")

    def wait(self, timeout: float | None = None) -> None:
        """Until it has ended, or for so many seconds."""
        with suppress(OSError):  # or the time is over
            self.client.settimeout(timeout)
            self.client.recv(16)

    def kill(self) -> None:
        """The server kills whose client has gone."""
        self.client.close()


def exit_code(said: Any) -> int:
    """The exit code that Python gives to what `sys.exit` was called with."""
    if said is None or isinstance(said, int):
        return int(said or 0)
    print(said, file=sys.stderr)
    return 1


def run(arguments: list[str]) -> None:
    """Run `-m MODULE`, `-c CODE` or a script."""
    is_safe = arguments[0] == "-P"
    while arguments[0] in ("-u", "-P", "-W"):
        if arguments.pop(0) == "-W":
            warnings.simplefilter(arguments.pop(0))  # type: ignore[arg-type]
    if arguments[0].startswith("-m"):
        module = arguments[0][2:] or arguments.pop(1)
        sys.argv, sys.path[:0] = ["-m", *arguments[1:]], [os.getcwd()]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.argv, sys.path[:0] = ["-c", *arguments[2:]], [""]
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(arguments[1], "<string>", "exec"), main.__dict__)
    else:
        sys.argv = arguments
        if not is_safe:
            sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
