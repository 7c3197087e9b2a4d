"""Attacks by files: hostile or damaged ones are refused in a sentence, valid ones are read right.

Of each kind of file as many are drawn as are asked for, each fifth of them a valid one.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import torch

from tests.robustness import hostile_fits, hostile_recordings, hostile_reports
from tests.robustness.apart import Outcome, call_apart
from tests.robustness.hostile_checkpoints import SAFETENSORS, TORCH
from tests.robustness.kind import Kind
from tests.robustness.trial import Trial

KINDS = (SAFETENSORS, TORCH, hostile_reports.KIND, hostile_recordings.KIND, hostile_fits.KIND)
LONGEST = 1000  # letters of a sentence
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e]")
MORE = 1 << 40  # bytes of a file that nobody can read


def attack(count: int, seed: int) -> Iterator[Trial]:
    """Read `count` files of each kind, drawn from `seed`, each in a process of its own."""
    torch.set_num_threads(1)
    for kind in KINDS:
        hostile = [*PLACES, *DAMAGES, *kind.hostile]
        for number in range(count):
            chance = Random(f"{kind.name} {seed} {number}")
            name = (
                "valid"
                if number % 5 == 0
                else hostile[(7 * seed + number - number // 5) % len(hostile)]
            )
            with TemporaryDirectory() as folder:
                yield _try(kind, name, number, chance, Path(folder) / kind.file)


def _try(kind: Kind, name: str, number: int, chance: Random, path: Path) -> Trial:
    """Make one file, read it, and say what did not hold."""
    valid, expected = kind.make_valid(chance)
    is_valid = name == "valid"
    if name in PLACES:
        PLACES[name](path)
    elif is_valid:
        path.write_bytes(valid)
    elif name in DAMAGES:
        path.write_bytes(DAMAGES[name](valid, chance))
    else:
        path.write_bytes(kind.hostile[name](valid, chance))
    outcome = call_apart(lambda: kind.read(path), kind.describe)
    may_be_read = is_valid or name in kind.harmless
    found = judge(outcome, path, expected if is_valid else None, may_be_read)
    return Trial(f"{kind.name} {number}, {name}", found, outcome.seconds, outcome.megabytes)


def judge(outcome: Outcome, path: Path, expected: object, may_be_read: bool) -> str:
    """Return what did not hold: a file was not refused in a sentence, or read wrongly."""
    if outcome.how == "returned":
        if not may_be_read:
            return "it was read"
        if expected is not None and outcome.value != expected:
            return "it was read wrongly"
        return ""
    if outcome.how != "refused":
        return f"the process {outcome.how}: {outcome.value}"
    said = str(outcome.value)
    if expected is not None:
        return f"a valid file was refused: {said}"
    if path.name not in said or UNPRINTABLE.search(said) or len(said) > LONGEST:
        return f"the sentence is long, has unprintable letters, or does not name the file: {said}"
    return ""


def _make_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's name is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)
    os.chdir(here)


def _make_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MORE)


PLACES: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "nothing": lambda path: None,
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": _make_socket,
    "a terabyte": _make_large,
    "a link to a file without a size": lambda path: path.symlink_to("/proc/self/maps"),
}


def _flip(valid: bytes, chance: Random) -> bytes:
    """Return the valid file with up to eight of its bits changed."""
    changed = bytearray(valid)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


DAMAGES: dict[str, Callable[[bytes, Random], bytes]] = {
    "empty": lambda valid, chance: b"",
    "cut": lambda valid, chance: valid[: chance.randrange(len(valid) - 2)],
    "bits changed": _flip,
    "noise": lambda valid, chance: chance.randbytes(chance.randint(1, 1 << 20)),
    "much noise": lambda valid, chance: chance.randbytes(14 << 20),
    "zeros": lambda valid, chance: bytes(chance.randint(1, 30 << 20)),
    "spaces": lambda valid, chance: b" " * chance.randint(1, 30 << 20),
    "noise in its middle": lambda valid, chance: (
        valid[: len(valid) // 2] + chance.randbytes(100) + valid[len(valid) // 2 :]
    ),
}
