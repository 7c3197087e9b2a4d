"""The process between Python and R: starts the worker (worker.py), and ends all its processes.

Its arguments are the file descriptor of the worker's socket and the process id of its parent. It
waits until the worker ends, the parent ends, or its standard input is closed. Then it kills the
worker and every process that R has started, removes their temporary folder, prints the last output
of the worker, and ends as the worker ended: with its exit status, or by its signal.

On Linux it also adopts processes that have left the worker's process group, and the worker dies
with it.
"""

import fcntl
import os
import resource
import select
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

BEAT = 250  # milliseconds between two looks at the parent
TAIL = 4_000  # bytes of the worker's output that are kept
GRACE = 2.0  # seconds that the guard has to end the worker
LONGEST = 10.0  # seconds in which killed processes end
PREFIX = "nnet-parity-r-"
OLD = 600.0  # seconds: a younger folder without an owner may just be being made
# of Linux's prctl
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def control(option: int, value: int) -> None:
    """Call prctl(option, value), on Linux only."""
    if sys.platform == "linux":
        with suppress(ImportError, OSError, AttributeError):
            import_module("ctypes").CDLL(None).prctl(option, value, 0, 0, 0)


def list_children(pid: int) -> list[int]:
    """Return the children of a process; none on a system without /proc."""
    children = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            children += Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
    return list(map(int, children))


def list_descendants(pid: int) -> list[int]:
    """Return the ids of all processes that a process has started, directly or not."""
    descendants = list_children(pid)
    for child in descendants:  # the list grows meanwhile
        descendants += list_children(child)
    return descendants


def make_folder() -> str:
    """Make a temporary folder for the worker, and lock it. Return "" if that fails everywhere."""
    choices = [os.environ.get(name, "") for name in ("TMPDIR", "TMP", "TEMP")]
    for place in (*filter(None, choices), "/tmp", "/var/tmp"):
        remove_old(place)
        path = os.path.join(place, f"{PREFIX}{os.getpid()}-{os.urandom(6).hex()}")
        with suppress(OSError):
            os.mkdir(path, 0o700)
            lock(path)
            return path
    return ""


def lock(path: str) -> None:
    """Lock a folder until this process ends. Raises OSError if another process has locked it."""
    fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_old(place: str) -> None:
    """Remove the folders, in the folder `place`, of guards that were killed: those folders are not
    locked any more.
    """
    with suppress(OSError):
        for name in os.listdir(place):
            path = os.path.join(place, name)
            if not name.startswith(PREFIX):
                continue
            with suppress(OSError):
                if time.time() - os.stat(path).st_mtime > OLD:
                    lock(path)
                    remove(path)


def remove(path: str) -> None:
    """Remove a folder, as far as the system allows."""
    for folder, folders, files in os.walk(path, topdown=False):
        for name in files:
            with suppress(OSError):
                os.unlink(os.path.join(folder, name))
        for name in folders:
            inner = os.path.join(folder, name)
            with suppress(OSError):
                os.unlink(inner) if os.path.islink(inner) else os.rmdir(inner)
    with suppress(OSError):
        os.rmdir(path)


class Log:
    """The end of the output of the worker and its children."""

    def __init__(self) -> None:
        self.source, self.sink = os.pipe()
        os.set_blocking(self.source, False)
        self.tail = b""

    def read(self) -> bool:
        """Read some output; return whether there was any."""
        with suppress(BlockingIOError):
            if content := os.read(self.source, 1 << 16):
                self.tail = (self.tail + content)[-TAIL:]
                return True
        return False


def start(fd: int, log: Log, folder: str) -> int:
    """Start the worker, and return its process id."""
    guard = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    control(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard:
        os._exit(1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log.sink, 1)
    os.dup2(log.sink, 2)
    os.closerange(3, fd)
    os.closerange(fd + 1, 64)
    if folder:
        os.environ["TMPDIR"] = folder
    with suppress(OSError):  # where memory runs out, R is ended and not pytest
        Path("/proc/self/oom_score_adj").write_text("1000")
    load_worker().main(fd, guard, folder, partial(end_group, guard, folder))
    os._exit(0)


def load_worker() -> Any:
    """Import the worker by its path, so that no file beside it hides a module of Python's
    library.
    """
    here = Path(__file__).parent
    sys.path = [folder for folder in sys.path if folder != str(here)]
    spec = spec_from_file_location("nnet_parity_r_worker", here / "worker.py")
    assert spec is not None
    assert spec.loader is not None
    worker = module_from_spec(spec)
    spec.loader.exec_module(worker)
    return worker


def end_group(guard: int, folder: str) -> None:
    """End the worker, which calls this, and its process group.

    The guard ends them within GRACE seconds. If it does not (because it was stopped), it is killed
    too.
    """
    late = time.monotonic() + GRACE
    while time.monotonic() < late and os.getppid() == guard:
        time.sleep(0.05)
    if folder:
        remove(folder)
    for pid in list_descendants(guard) if os.getppid() == guard else []:
        if pid != os.getpid():
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    with suppress(OSError):
        if os.getppid() == guard:
            os.kill(guard, signal.SIGKILL)  # and with it this process, on Linux
    os.killpg(0, signal.SIGKILL)


def watch(worker: int, parent: int, log: Log) -> int | None:
    """Wait until the worker or the parent ends.

    Return the worker's status in the form of os.waitpid; None if it still runs.
    """
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(log.source, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll(BEAT)}
        if log.source in ready:
            log.read()
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == worker:
            return status
        if 0 in ready or os.getppid() != parent:
            return None


def end_all(worker: int, status: int | None) -> int:
    """Kill the worker and all processes that it started. Return the worker's status."""
    late = time.monotonic() + LONGEST
    while time.monotonic() < late:
        with suppress(OSError):
            os.killpg(worker, signal.SIGKILL)
        for pid in list_descendants(os.getpid()):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            found, ended = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if found == worker:
            status = ended
        elif not found:
            time.sleep(0.002)
    return status or 0


def end_as(status: int) -> None:
    """End this process with the exit status or signal in `status`."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))


def interrupt(number: int, frame: object) -> None:
    """Handle a signal that ends the process: let `main` end the worker, and then this process."""
    raise SystemExit


def main(fd: int, parent: int) -> None:
    """Guard one worker from its start to its end."""
    control(PR_SET_CHILD_SUBREAPER, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupt)
    log, folder = Log(), make_folder()
    worker, status = start(fd, log, folder), None
    os.close(fd)
    os.close(log.sink)
    try:
        status = watch(worker, parent, log)
    except SystemExit:
        pass
    finally:
        status = end_all(worker, status)
        while log.read():
            pass
        if folder:
            remove(folder)
        with suppress(OSError):
            os.write(1, log.tail)
    end_as(status)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
