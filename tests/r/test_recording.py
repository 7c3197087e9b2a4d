"""A recording of R as a file: it gives back every bit, and what is damaged or hostile is refused in
a sentence.
"""

from __future__ import annotations

import lzma
import os
import pickle
import random
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from reference.r import recording as format_
from reference.r.recorded import place
from reference.r.recording import CODE, MAGIC, Ask, Facts, Recording, read, write
from reference.r.session import RSession
from reference.r.topology import Topology
from tests.conftest import Approved

NET = Topology.dense(1, 2, 1, linear_outputs=True)
VERSIONS = {"R": "4.2.2", "nnet": "7.3-18", "rpy2": "3.6.5", "platform": "x86_64-pc-linux-gnu"}
FACTS = Facts("sine", "create", "", "2026-11-25", "0.1.0", 20, CODE, VERSIONS)
ROOT = Path(__file__).parents[2]


def recording(seed: int = 0) -> Recording:
    """Two evaluations on the same data and a fit, with numbers that float32 holds and numbers that
    it does not.
    """
    rng = np.random.default_rng(seed)
    x, y = np.float64(np.float32(rng.random((3, 4, 1)))), rng.random((3, 4, 1))
    asks = []
    for _ in range(2):
        given = {"theta": rng.random((3, 7)), "inputs": x, "targets": y, "decay": np.array(0.0)}
        answer = {
            "value": rng.random(3),
            "outputs": rng.random((3, 4, 1)),
            "gradient": rng.random((3, 7)) - 0.5,
        }
        asks.append(Ask("evaluate", NET, given, answer))
    asks[0].answer["value"][:] = -0.0, 5e-324, 1.7e308
    given = {"theta": rng.random(7), "inputs": x[0], "targets": y[0], "maxit": np.array(100.0)}
    answer = {
        "weights": rng.random(7),
        "value": np.array(0.1),
        "outputs": rng.random((4, 1)),
        "convergence": np.array(1.0),
    }
    return Recording(FACTS, [*asks, Ask("fit", NET, given, answer)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A whole and sound file."""
    write(tmp_path / "sine.recording", recording())
    return tmp_path / "sine.recording"


def test_what_is_written_is_read_to_the_last_bit(path: Path) -> None:
    """Facts, arguments and answers: signs of zeros, subnormals and large numbers too."""
    found = read(path, "sine")
    assert found.facts == FACTS
    assert list(found.answers) == list(recording().answers)
    for was, now in zip(recording().asks, found.asks, strict=True):
        assert (was.what, was.topology) == (now.what, now.topology)
        for before, after in ((was.arguments, now.arguments), (was.answer, now.answer)):
            assert {name: array.tobytes() for name, array in before.items()} == {
                name: array.tobytes() for name, array in after.items()
            }


def test_what_several_asks_share_is_stored_once(path: Path) -> None:
    """And as float32 where that holds every number of it."""
    stored = msgspec.msgpack.decode(lzma.decompress(path.read_bytes().partition(b"\n")[2]))
    first, second = (ask["arguments"] for ask in stored["asks"][:2])
    assert first["inputs"] == second["inputs"]
    assert first["theta"] != second["theta"]
    shape, size, data = stored["arrays"][first["inputs"]]
    assert (tuple(shape), size, len(data)) == ((3, 4, 1), 4, 48)


def refused(path: Path, case: str = "sine") -> str:
    """The sentence that refuses a file, without its name, with which it begins."""
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as error:
        read(path, case)
    said, name = str(error.value), os.path.relpath(path)
    assert said.startswith(name)
    return said.removeprefix(name)


def test_what_is_damaged_is_never_read(path: Path, approved: Approved) -> None:
    """Cut or changed at any of 200 places, or longer than it was: one sentence that names the file,
    and no number.
    """
    whole, chance = path.read_bytes(), random.Random(0)
    damaged = [whole[: chance.randrange(len(whole))] for _ in range(90)] + [
        b"",
        whole + b"\0",
        whole + whole,
    ]
    for _ in range(110):
        at, bit = chance.randrange(len(whole)), 1 << chance.randrange(8)
        damaged.append(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
    said = set()
    for content in damaged:
        path.write_bytes(content)
        said.add(re.sub(r"\(.*\)", "(<why>)", refused(path)))
    approved(said)
    assert len(said) == 1


def sealed(packed: bytes) -> bytes:
    """A file whose digest is right, whatever it holds."""
    return MAGIC + sha256(packed).hexdigest().encode() + b"\n" + packed


def told(change: Callable[[Any], Any]) -> bytes:
    """The sound file with one thing in it changed, and its digest right."""
    content = _file()
    change(content)
    return sealed(lzma.compress(msgspec.msgpack.encode(content)))


def _file() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        write(path := Path(folder, "sine.recording"), recording())
        return msgspec.msgpack.decode(lzma.decompress(path.read_bytes().partition(b"\n")[2]))


def _set(*keys: Any) -> Callable[[Any], Any]:
    *way, last, value = keys

    def change(content: Any) -> None:
        for key in way:
            content = content[key]
        content[last] = value

    return change


def _share(content: Any, numbers: int) -> None:
    """Add an array of so many numbers that 150 asks have as an argument."""
    content["arrays"].append([[numbers], 4, bytes(4 * numbers)])
    asked = content["asks"][0]
    asked["arguments"]["decay"] = len(content["arrays"]) - 1
    content["asks"] += [asked] * 150


HOSTILE = {
    "another schema": MAGIC.replace(b"1", b"2") + b"\n",
    "no xz": sealed(b"PK\3\4"),
    "a pickle": sealed(lzma.compress(pickle.dumps({"facts": 1}))),
    "more behind it": sealed(lzma.compress(b"x") + b"y"),
    "two members": sealed(lzma.compress(b"x") * 2),
    "half of it": sealed(lzma.compress(b"x" * 10_000)[:-30]),
    "nothing": sealed(lzma.compress(b"")),
    "many arrays": told(lambda c: c["arrays"].extend([[[1], 4, b"1234"]] * 20_000)),
    "many networks": told(_set("asks", 0, "topology", "connections", [[0] * (1 << 20)])),
    "many axes": told(_set("arrays", 0, 0, [1 << 60] * 100_000)),
    "one array in many asks": told(lambda c: _share(c, 30_000)),
    "an unknown field": told(_set("more", 1)),
    "a missing field": told(lambda c: c.pop("facts")),
    "an unknown intent": told(_set("facts", "intent", "guess")),
    "an unknown ask": told(_set("asks", 0, "what", "eval_text")),
    "words for numbers": told(_set("asks", 0, "answer", "value", "1")),
    "no such array": told(_set("asks", 0, "answer", "value", 99)),
    "an array from behind": told(_set("asks", 0, "answer", "value", -1)),
    "a missing answer": told(lambda c: c["asks"][0]["answer"].pop("value")),
    "an answer too many": told(_set("asks", 0, "answer", "weights", 0)),
    "no theta": told(lambda c: c["asks"][0]["arguments"].pop("theta")),
    "another shape": told(_set("arrays", 3, 0, [7, 3])),
    "another size": told(_set("arrays", 0, 0, [1 << 40, 1 << 40])),
    "an empty axis": told(_set("arrays", 0, 0, [0])),
    "a number too few": told(lambda c: c["arrays"][0].__setitem__(2, c["arrays"][0][2][:-1])),
    "numbers of another width": told(_set("arrays", 0, 1, 2)),
    "a number that is none": told(_set("arrays", 0, ["nan"])),
    "another network": told(_set("asks", 0, "topology", "hidden", 3)),
    "wrong connections": told(_set("asks", 0, "topology", "connections", [[9], [0], [0]])),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_is_refused(tmp_path: Path, name: str, approved: Approved) -> None:
    """Whatever a file holds behind a right digest, it is one sentence, and nothing in it is run."""
    (tmp_path / "sine.recording").write_bytes(HOSTILE[name])
    approved(refused(tmp_path / "sine.recording"))


def test_a_question_that_is_not_finite_is_refused(tmp_path: Path, approved: Approved) -> None:
    """An answer may be: nnet's censored loss has no slope where all probabilities are 0."""
    broken = recording()
    broken.asks[0].answer["value"][1] = np.nan
    write(tmp_path / "sine.recording", broken)
    found = read(tmp_path / "sine.recording", "sine")
    assert np.isnan(found.asks[0].answer["value"][1])
    broken.asks[0].arguments["theta"][0, 1] = np.inf
    write(tmp_path / "sine.recording", broken)
    approved(refused(tmp_path / "sine.recording"))


def test_a_file_that_would_fill_the_memory_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Unpacked no further than the limit, and not read where it is larger than any recording."""
    monkeypatch.setattr(format_, "MOST_UNPACKED", 1 << 20)
    path.write_bytes(sealed(lzma.compress(bytes(1 << 22), preset=0)))
    approved(refused(path))
    with path.open("wb") as file:
        file.truncate(1 << 40)
    approved(refused(path))


def test_a_recording_that_could_not_be_read_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Too many bytes, or too many numbers: the file that is there stays as it is."""
    with monkeypatch.context() as changed:
        changed.setattr(format_, "MOST_UNPACKED", 100)
        with approved.raises(ValueError):
            write(tmp_path / "sine.recording", recording())
    monkeypatch.setattr(format_, "MOST_NUMBERS", 100)
    with approved.raises(ValueError):
        write(tmp_path / "sine.recording", recording())
    assert not list(tmp_path.iterdir())


def test_what_is_no_file_is_refused(tmp_path: Path, approved: Approved) -> None:
    """A folder, or a pipe that nobody fills."""
    os.mkfifo(tmp_path / "pipe")
    approved(refused(tmp_path / "pipe"))
    approved(refused(tmp_path))


def test_the_recording_of_another_case_is_refused(path: Path, approved: Approved) -> None:
    """Whoever renames a file cannot have it judge another case."""
    approved(refused(path, "cosine"))


@pytest.mark.parametrize(
    "name", ["sine", "../../etc/passwd", "a/b\\c", "nul\0", "ü" * 300, "", "\udcff", ".."]
)
def test_a_case_may_be_called_anything(tmp_path: Path, name: str) -> None:
    """Its recording lies in the folder beside its file, under a name that every file system
    takes.
    """
    found = place(str(tmp_path / "test_mine.py"), name)
    assert found.parent == tmp_path / "recordings"
    assert len(found.name) < 120
    assert set(found.name) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
    )
    assert found != place(str(tmp_path / "test_mine.py"), f"{name} ")


def test_a_writer_that_is_killed_leaves_the_old_file_whole(path: Path, warm_python: str) -> None:
    """kill -9 while the new one is written, at its worst moment: when nothing of it has reached the
    disk.
    """
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from tests.r.test_recording import recording, write\n"
        "os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write(Path(sys.argv[1]), recording(1))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    killed = subprocess.run(
        [warm_python, "-c", script, str(path)], cwd=ROOT, env=environment, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert list(read(path, "sine").answers) == list(recording().answers)


def test_the_sessions_offer_the_same_asks() -> None:
    """What is recorded of an answer is all that RSession gives, but for the seconds that it
    took.
    """
    assert set(format_.ANSWERS) == {"evaluate", "fit", "optim"}
    assert all(hasattr(RSession, what) for what in format_.ANSWERS)
