"""The process that holds R; session.py starts it as a script.

Its arguments are the file descriptor of its socket and the process id of its parent. It receives
pairs (ask, arguments): the name of a function in nnet.R or fitted.R, and its arguments. It answers
each with (kind, value, warnings, console), and ends when its parent ends.
"""

import os
import pickle
import select
import socket
import struct
import sys
import threading
from contextlib import suppress
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np


def send(to: socket.socket, message: Any) -> None:
    """Send a message through a socket.

    Its arrays are sent beside the pickle, not inside it: this takes a third of the time.
    """
    buffers: list[pickle.PickleBuffer] = []
    parts = [memoryview(pickle.dumps(message, 5, buffer_callback=buffers.append))]
    parts += [buffer.raw() for buffer in buffers]
    sizes = [part.nbytes for part in parts]
    to.sendall(struct.pack(f"={1 + len(sizes)}Q", len(sizes), *sizes))
    for part in parts:
        to.sendall(part)


def receive(source: socket.socket) -> Any:
    """Receive a message. Raises TimeoutError if the socket has a timeout and it passes, EOFError
    if the other end is closed.
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


def end_with(parent: int, fd: int) -> None:
    """End this process when the other end of the socket closes or the parent ends, even if R is
    busy.
    """
    # PR_SET_PDEATHSIG would do so as soon as the *thread* ends that started us. The pid is read
    # too, since a forked child of the parent may hold the socket open.
    hang_up = select.poll()
    hang_up.register(fd, 0)
    while not hang_up.poll(250) and os.getppid() == parent:
        pass
    os._exit(0)


class R:
    """R, embedded in this process by rpy2; it takes and returns Python values."""

    def __init__(self) -> None:
        self.r: Any = import_module("rpy2.rinterface")
        import_module("rpy2.rinterface_lib.embedded").set_initoptions(
            ("rpy2", "--quiet", "--vanilla")
        )
        self.r.initr(interactive=False)
        self.console: list[str] = []
        callbacks: Any = import_module("rpy2.rinterface_lib.callbacks")
        callbacks.consolewrite_print = callbacks.consolewrite_warnerror = self.console.append
        callbacks.showmessage = self.console.append
        callbacks.consoleread = lambda prompt: ""  # nobody can answer
        # Nothing here needs R's temporary folder, and a killed process could not remove it later.
        self.r.evalr("unlink(tempdir(), recursive = TRUE)")
        env = self.r.evalr('new.env(parent = asNamespace("nnet"))')
        for file in ("nnet.R", "fitted.R"):
            code = Path(__file__).with_name(file).read_text(encoding="utf-8")
            self.r.baseenv["eval"](self.r.parse(code), env)
        self.answer = env["answer"]

    def ask(self, ask: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Call a function of nnet.R or fitted.R, and return (kind, value, warnings, console).

        The kind is "value", or "error" with R's message as the value.
        """
        self.console.clear()
        kind, value, warnings = self.to_python(self.answer(*map(self.to_r, (ask, *arguments))))
        return kind[0], value, warnings, "".join(self.console)

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
        return [self.to_python(item) for item in value]


def main(fd: int, parent: int) -> None:
    """Start R and send "ready", or the reason why R cannot start; then answer until the parent
    closes the socket.
    """
    os.set_inheritable(fd, False)
    threading.Thread(target=end_with, args=(parent, fd), daemon=True).start()
    with socket.socket(fileno=fd) as ours, suppress(EOFError, ConnectionError):
        try:
            r = R()
        except Exception as reason:
            return send(ours, ("unavailable", f"{type(reason).__name__}: {reason}"))
        send(ours, ("ready", metadata.version("rpy2-rinterface")))
        while True:
            send(ours, r.ask(*receive(ours)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
