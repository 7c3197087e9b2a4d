"""Files of others are read whole, or refused before anybody waits for them."""

import os
import socket
from pathlib import Path

import pytest

from harness.text.reading import read_regular
from tests.conftest import Approved


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    """All bytes of it, through a link too, up to the largest size and not beyond."""
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", 5) == b"12345"
    with pytest.raises(ValueError, match="has 5 bytes"):
        read_regular(tmp_path / "link", 4)


def test_what_is_no_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """A folder, a pipe without a writer, a device, a socket, a link to nothing, and nothing."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("link").symlink_to("there")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for path in (".", "pipe", "/dev/zero", "socket", "link", "nothing"):
            with approved.raises(ValueError):
                read_regular(path, 1000)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="/proc is not here")
def test_a_file_without_a_size_is_limited_too(approved: Approved) -> None:
    """A file of /proc says that it has no bytes."""
    assert os.stat("/proc/self/maps").st_size == 0
    with approved.raises(ValueError):
        read_regular("/proc/self/maps", 1000)
