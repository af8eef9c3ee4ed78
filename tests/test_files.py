"""Atomic writes, digests and the sentences for disks that refuse."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from pathlib import Path

import pytest

from selkit.api import DataError
from selkit.files import digest_unchanged, is_full, readable_bytes, tree_bytes
from selkit.store import atomic_open, atomic_write_bytes, atomic_write_text, cache_folder, digest_file, digest_text


def test_writes_replace_the_whole_file(tmp_path: Path) -> None:
    """The new text is there, in UTF-8, and nothing else is."""
    path = tmp_path / "a.txt"
    path.write_text("something longer than before")
    atomic_write_text(path, "ö")
    assert path.read_bytes() == "ö".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


def test_other_bytes_of_the_same_size_and_time_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that copies sets the time back; and a file that stays is read once."""
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    stat, first = path.stat(), digest_unchanged(path)
    time.sleep(0.05)  # the system's own clock of changes ticks some hundred times a second
    path.write_bytes(b"two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert digest_unchanged(path) == digest_file(path) != first
    monkeypatch.setattr("selkit.files.digest_file", lambda path: pytest.fail("it is read again"))
    assert digest_unchanged(path) != first


def test_mode_and_link_are_kept(tmp_path: Path) -> None:
    """Writing through a link changes what it points to, which keeps its mode."""
    (tmp_path / "real").write_text("old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    atomic_write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o640


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    """What was there before a failed write is there after it, alone, and the error is the writer's own."""
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write() -> None:
        with atomic_open(path) as file:
            file.write(b"half")
            raise FileNotFoundError(errno.ENOENT, "no such file", "elsewhere")

    with pytest.raises(FileNotFoundError, match="elsewhere"):
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    """Writing to /dev/null does not put a file in its place, and a full device is reported as such."""
    atomic_write_text("/dev/null", "x")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(DataError, match=r"no room to write .*/full \(no space left on device"):
        atomic_write_text("/dev/full", "x")


@pytest.mark.parametrize("place", ["file/below", "missing/x", "."])
def test_a_place_that_cannot_be_written_to(tmp_path: Path, place: str) -> None:
    """Scenario 62: the sentence names the path and the reason."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot write"):
        atomic_write_text(tmp_path / place, "x")


def test_digests_are_sha256(tmp_path: Path) -> None:
    """Digests agree with hashlib, also for texts that have no UTF-8."""
    (tmp_path / "a").write_bytes(b"abc" * 1000)
    assert digest_file(tmp_path / "a") == hashlib.sha256(b"abc" * 1000).hexdigest()
    assert digest_text("é") == hashlib.sha256("é".encode()).hexdigest()
    assert digest_text("\ud800") == hashlib.sha256(b"\xed\xa0\x80").hexdigest()


def test_a_full_disk_is_recognised_through_other_errors() -> None:
    """Libraries wrap what the system says; the cause counts."""
    assert is_full(OSError(errno.EDQUOT, "quota"))
    assert is_full(RuntimeError("PytorchStreamWriter failed: No space left on device"))
    wrapped = RuntimeError("cannot save")
    wrapped.__cause__ = OSError(errno.ENOSPC, "full")
    assert is_full(wrapped)
    assert not is_full(OSError(errno.EACCES, "no"))


def test_sizes(tmp_path: Path) -> None:
    """Sizes add up over folders and read well."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x").write_bytes(b"12345")
    (tmp_path / "y").write_bytes(b"123")
    assert tree_bytes(tmp_path) == 8
    assert tree_bytes(tmp_path / "none") == 0
    assert [readable_bytes(n) for n in (0, 999, 1500, 2.5e9, 7e15)] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "2.5 GB",
        "7000.0 TB",
    ]


def test_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_CACHE_HOME decides; without it the folder is below the user's home."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert tmp_path / "me" in cache_folder().parents
