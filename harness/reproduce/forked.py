"""The process that runs each script in a fork of itself; programs.py starts it.

Its arguments are the file descriptor of its socket, the process id of its parent, and, as JSON, the
environment variables that set a script's number of threads; this process itself has one thread. It
imports NumPy and torch once, for all scripts. It reads lines {"script", "folder", "deadline"} from
the socket, and answers each with a line {"code", "said"}: the exit code of the script and its
output. It ends when its parent does.
"""

import json
import os
import runpy
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from tempfile import TemporaryFile
from typing import Any

PAUSE = 0.01  # seconds between two looks at a script that runs


def main(fd: int, parent: int, threads: dict[str, str | None]) -> None:
    """Run the scripts that the parent asks for, until it closes its end of the socket, or ends."""
    import numpy  # noqa: F401
    import torch  # noqa: F401

    os.set_inheritable(fd, False)
    for name, value in threads.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    with socket.socket(fileno=fd) as ours, ours.makefile("r", encoding="utf-8") as asked:
        while True:
            while not _wait(ours, parent, 1.0):
                pass
            if os.getppid() != parent:
                return
            line = asked.readline()
            if not line:
                return
            code, said = _run(ours, parent, **json.loads(line))
            ours.sendall(json.dumps({"code": code, "said": said}).encode() + b"\n")


def _wait(ours: socket.socket, parent: int, seconds: float) -> bool:
    """Wait until the parent asks, closes the socket, or ends; return False if it does none of these
    in time.

    The parent's end is looked for separately, since a fork of the parent may hold the socket open.
    """
    return os.getppid() != parent or bool(select.select([ours], [], [], seconds)[0])


def _run(
    ours: socket.socket, parent: int, script: str, folder: str, deadline: float
) -> tuple[int | None, str]:
    """Run a script in a fork, and return its exit code and its output.

    A script that has not ended after `deadline` seconds is killed; its exit code is None.
    """
    with TemporaryFile() as out:
        child = os.fork()
        if not child:
            os._exit(_as_program(script, folder, out.fileno()))
        late = time.monotonic() + deadline
        code = None
        while code is None and time.monotonic() < late:
            if _wait(ours, parent, PAUSE):  # it never asks while a script runs: it has ended
                _kill(child)
                sys.exit()
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
        if code is None:
            _kill(child)
        out.seek(0)
        return code, out.read().decode(errors="replace")


def _kill(child: int) -> None:
    """Kill a script and the processes that it has started."""
    for kill in (os.killpg, os.kill):  # just after the fork it has no group of its own
        with suppress(OSError):
            kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _as_program(script: str, folder: str, out: int) -> int:
    """Run a script in a folder as `python script` does, and return its exit code.

    `out` is the file descriptor of the file for its output.
    """
    code: Any = 1
    try:
        os.setsid()
        os.dup2(out, 1)
        os.chdir(folder)
        sys.argv = [script]
        sys.path.insert(0, os.path.dirname(script))
        runpy.run_path(script, run_name="__main__")
        code = 0
    except SystemExit as end:
        if end.code is None:
            code = 0
        elif isinstance(end.code, int):
            code = end.code
    except BaseException:
        traceback.print_exc()
    with suppress(Exception):
        sys.stdout.flush()
    return int(code) & 0xFF


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))
