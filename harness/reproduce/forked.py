"""The process in which scripts run, each in a fork of its own: programs.py starts it as a program.

It is told the number of its socket, the parent's pid, and how many threads scripts are told to use
in its environment, since it has itself one. It imports what every script imports, and answers each
line {"script", "folder", "deadline"} with a line {"code", "said"}. It ends when its parent does.
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
    """Answer until the parent hangs up."""
    import numpy  # noqa: F401
    import torch  # noqa: F401

    os.set_inheritable(fd, False)
    for name, value in threads.items():
        os.environ.pop(name, None)
        os.environ |= {} if value is None else {name: value}
    with socket.socket(fileno=fd) as ours, ours.makefile("r", encoding="utf-8") as asked:
        while True:
            while not _hears(ours, parent, 1.0):
                pass
            if os.getppid() != parent or not (line := asked.readline()):
                return
            code, said = _run(ours, parent, **json.loads(line))
            ours.sendall(json.dumps({"code": code, "said": said}).encode() + b"\n")


def _hears(ours: socket.socket, parent: int, seconds: float) -> bool:
    """Wait so long for the parent to ask or to hang up; one that is gone may have a fork that does
    not hang up.
    """
    return os.getppid() != parent or bool(select.select([ours], [], [], seconds)[0])


def _run(
    ours: socket.socket, parent: int, script: str, folder: str, deadline: float
) -> tuple[int | None, str]:
    """A script's exit code, None past the deadline (seconds), and what it has printed."""
    with TemporaryFile() as out:
        child = os.fork()
        if not child:
            os._exit(_as_program(script, folder, out.fileno()))
        late, code = time.monotonic() + deadline, None
        while code is None and time.monotonic() < late:
            if _hears(ours, parent, PAUSE):  # it asks for one at a time: it hangs up
                _kill(child)
                sys.exit()
            ended, status = os.waitpid(child, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if ended else None
        if code is None:
            _kill(child)
        out.seek(0)
        return code, out.read().decode(errors="replace")


def _kill(child: int) -> None:
    """End a script and what it has started."""
    for kill in (os.killpg, os.kill):  # at first it is in no group of its own
        with suppress(OSError):
            kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _as_program(script: str, folder: str, out: int) -> int:
    """The exit code of `python script`, run in a folder, whose output goes to a file."""
    code: Any = 1
    try:
        os.setsid()
        os.dup2(out, 1)
        os.chdir(folder)
        sys.argv, sys.path[:0] = [script], [os.path.dirname(script)]
        runpy.run_path(script, run_name="__main__")
        code = 0
    except SystemExit as end:
        code = 0 if end.code is None else end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    with suppress(Exception):
        sys.stdout.flush()
    return int(code) & 0xFF


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))
