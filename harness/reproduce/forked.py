"""The process that runs each script in a fork of itself; programs.py starts it.

Its arguments are the file descriptor of its socket, the process id of its parent, and, as JSON, the
environment variables that set a script's number of threads; this process itself has one thread. It
imports NumPy and torch once, for all scripts. It reads lines {"script", "folder", "deadline",
"file"} from the socket. It answers each with a line {"code", "said", "why"}: the exit code of the
script, its output, and the reason if there is no exit code. It ends when its parent does.

A script that needs a user's file is a fork of a process that has run this file. So a file is run
once, however many scripts need it.
"""

import json
import os
import resource
import runpy
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import Any

PROJECT = os.path.abspath(f"{__file__}/../../..")
PAUSE = 0.01  # seconds between two looks at a script that runs
CPU = 30  # seconds of a core that a script, or a user's file, may take
CPU_SAID = f"took longer than {CPU} s of CPU time"
KILLED = "was killed: it was out of memory, or of CPU time"


def main(fd: int, parent: int, threads: dict[str, str | None]) -> None:
    """Run the scripts that the parent requests, until it closes its end of the socket, or ends."""
    import numpy  # noqa: F401
    import torch  # noqa: F401

    os.set_inheritable(fd, False)
    for name, value in threads.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    files: dict[str, Loaded] = {}
    with socket.socket(fileno=fd) as ours, ours.makefile("r", encoding="utf-8") as asked:
        try:
            while True:
                while not _wait(ours, parent, 1.0):
                    pass
                if os.getppid() != parent:
                    return
                line = asked.readline()
                if not line:
                    return
                answer = _answer(ours, parent, files, **json.loads(line))
                ours.sendall(json.dumps(answer).encode() + b"\n")
        finally:
            for loaded in files.values():
                loaded.kill()


def _answer(
    ours: socket.socket,
    parent: int,
    files: dict[str, "Loaded"],
    script: str,
    folder: str,
    deadline: float,
    file: str,
) -> dict[str, Any]:
    """Run a script and return its answer. If the script needs a user's `file`, it runs in a fork of
    the process that has run the file.

    `ours` is the socket to the parent process `parent`; `files` has those processes by file. The
    script runs in `folder`, for at most `deadline` seconds.
    """
    if not file:
        code, said = _run(ours, parent, script, folder, deadline)
        return {"code": code, "said": said, "why": ""}
    if file not in files:
        others = [each.socket for each in files.values()]
        files[file] = Loaded(file, folder, [ours, *others])
    loaded = files[file]
    loaded.ask({"script": script, "folder": folder})
    late = time.monotonic() + deadline
    while not (answer := loaded.listen(PAUSE)):
        if _wait(ours, parent, 0.0):  # it never asks while a script runs: it has ended
            loaded.kill()
            sys.exit()
        if time.monotonic() > late:
            answer = loaded.give_up(f"took longer than {deadline:g} s")
    return answer


class Loaded:
    """A process that has run a user's file, and makes a fork of itself for each script.

    `why` is the reason why it answers no more, or "".
    """

    def __init__(self, file: str, folder: str, others: Sequence[socket.socket]) -> None:
        """Start to run the file, in a folder.

        `others` are the sockets of other processes. The new process closes them, since each of
        those processes waits until no process holds the other end of its socket.
        """
        self.file, self.why = file, ""
        self.socket, theirs = socket.socketpair()
        self.lines = self.socket.makefile("r", encoding="utf-8")
        self.pid = os.fork()
        if not self.pid:
            for held in (self.socket, *others):
                os.close(held.detach())  # a file that was made of it would keep it open
            os._exit(_serve(theirs, file, folder))
        theirs.close()

    def ask(self, asked: dict[str, str]) -> None:
        """Send the request for a script to the process; `listen` returns its answer."""
        if not self.why:
            with suppress(OSError):  # it has ended: `listen` tells
                self.socket.sendall(json.dumps(asked).encode() + b"\n")

    def listen(self, seconds: float) -> dict[str, Any] | None:
        """Return the answer to a script; None if there is none within this number of seconds."""
        if self.why:
            return {"code": None, "said": "", "why": self.why}
        if not select.select([self.socket], [], [], seconds)[0]:
            return None
        line = ""
        with suppress(OSError):  # it has ended before it has read
            line = self.lines.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return self.give_up(answer["why"]) if answer["why"] else answer
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        why = "ended its process"
        if ended is not None and ended.si_code in (os.CLD_KILLED, os.CLD_DUMPED):
            by = signal.Signals(ended.si_status)
            # SIGKILL comes from the system's own limit of CPU time too
            limits = {signal.SIGXCPU: CPU_SAID, signal.SIGKILL: KILLED}
            why = limits.get(by, f"was ended by {by.name}")
        return self.give_up(why)

    def give_up(self, why: str) -> dict[str, Any]:
        """Kill the process; return the answer for this script and all later ones."""
        self.kill()
        self.why = why
        return {"code": None, "said": "", "why": why}

    def kill(self) -> None:
        """Kill the process and all its descendants."""
        if self.pid:
            _kill(self.pid)
        self.pid = 0


def _serve(ours: socket.socket, file: str, folder: str) -> int:
    """Run a user's file in a folder; then run each requested script in a fork, until the other end
    of the socket `ours` is closed.
    """
    os.setsid()
    limit_cpu()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    why = ""
    try:
        os.chdir(folder)
        sys.path[:0] = [os.path.dirname(file), PROJECT]
        why = _load(file)
    except BaseException as error:
        why = f"raised {type(error).__name__}"
    with ours.makefile("r", encoding="utf-8") as asked:
        for line in asked:
            with TemporaryFile() as out:
                script, code = json.loads(line), None
                if not why:
                    if not (child := os.fork()):
                        os._exit(_as_program(script["script"], script["folder"], out.fileno()))
                    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                out.seek(0)
                said = out.read().decode(errors="replace")
            answer = {"code": code, "said": said, "why": why}
            ours.sendall(json.dumps(answer).encode() + b"\n")
    os.killpg(0, signal.SIGKILL)  # this process, and all that the file has started
    return 0


def _load(file: str) -> str:
    """Run a user's file; return its error, or ""."""
    from harness.model.errors import raised
    from harness.reproduce.users_file import load_file

    try:
        load_file(file)
    except BaseException as error:
        return raised(error)
    return ""


def limit_cpu() -> None:
    """Set a limit of CPU seconds of processor time: SIGXCPU then ends this process, and each
    process that it starts.
    """
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if hard == resource.RLIM_INFINITY or hard > CPU:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU, hard))


def _wait(ours: socket.socket, parent: int, seconds: float) -> bool:
    """Wait until the parent sends a request, closes the socket `ours`, or ends; return False if
    none of these happens within `seconds`.

    The parent's end is checked separately, since a fork of the parent may hold the socket open.
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
            os.setsid()
            limit_cpu()
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
    """Kill a script and all its descendants."""
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
