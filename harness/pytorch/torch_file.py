"""Reads a file of torch.save() by torch.load(), after checking its parts.

torch.load(weights_only=True) runs no code from a file, but the file decides how much time and
memory it takes. So only the records that torch.save() writes for a state_dict reach it.
"""

import re
import zipfile
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from packaging.version import Version

from harness.pytorch.pickled import NoStateDict, check_pickle

SAFE = (2, 10)  # before, torch.load(weights_only=True) may run code or corrupt memory
RECORD = re.compile(r"[^/]+/(data\.pkl|data/[0-9]+|byteorder|version)")
ENTRY = b"PK\x01\x02"  # the signature of an entry in the directory of a zip file
BYTES_AN_ENTRY = 25  # of a pickle, at least, for each storage that it names
PICKLES = 5  # in front of the numbers of a file of torch before 1.6


def load(content: bytes, most_text: int) -> Any:
    """Return the object that torch.save() wrote.

    `most_text` is the largest size of its pickle in bytes. Raises NoStateDict for anything but a
    state_dict and plain values, and the errors of torch.load if the content is damaged.
    """
    import torch

    if Version(torch.__version__).release[:2] < SAFE:
        raise NoStateDict(
            f"is a pickle, which torch {torch.__version__} may obey, expected torch"
            f" {SAFE[0]}.{SAFE[1]} or newer, or a file of safetensors"
        )
    if content.startswith(b"PK\x03\x04"):
        content = _take_records(content, most_text)
    else:
        file = BytesIO(content)
        for _ in range(PICKLES):
            check_pickle(file, most_text)
    return torch.load(BytesIO(content), map_location="cpu", weights_only=True)


def _take_records(content: bytes, most_text: int) -> bytes:
    """Return a zip file with the records that torch.load reads, and no others.

    torch reads zip files by a library of its own, which may see other records than Python does.
    """
    if content.count(ENTRY) > most_text // BYTES_AN_ENTRY:
        raise NoStateDict(f"has {content.count(ENTRY)} entries, expected one for each tensor")
    copied = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as archive, zipfile.ZipFile(copied, "w") as file:
        records = archive.infolist()
        _check_records(records, len(content))
        names: set[str] = set()
        for record in records:
            match = RECORD.fullmatch(record.filename)
            if not match:
                continue
            if match[1] in names:
                raise NoStateDict(f"has the record {match[1]} twice, expected it once")
            names.add(match[1])
            data = archive.read(record)
            if match[1] == "data.pkl":
                check_pickle(BytesIO(data), most_text)
            file.writestr(f"archive/{match[1]}", data)
    return copied.getvalue()


def _check_records(records: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Raise NoStateDict for records that torch.save() does not write, or that take more than the
    size of the file.
    """
    for record in records:
        stored = record.compress_type == zipfile.ZIP_STORED
        if not stored or record.file_size != record.compress_size:
            raise NoStateDict(
                "is compressed, which torch.save() never does: save it by torch.save() again"
            )
    if sum(record.file_size for record in records) > size:
        raise NoStateDict("has records that overlap, expected what torch.save() writes")
