"""The guards see what a component does beside its work, and are gone when the block ends."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from selkit.testing.guards import ProcessState, captured_stdout, kept_state, no_network, watched_files


def test_network_is_cut_and_comes_back() -> None:
    """Other machines are refused by name and by address; this one, also by name, is not."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with no_network():
            with pytest.raises(OSError, match="the network is cut"):
                socket.getaddrinfo("selkit.invalid", 443)
            with pytest.raises(OSError, match="the network is cut"):
                socket.create_connection(("192.0.2.1", 80), timeout=0.2)
            socket.create_connection(address, timeout=5).close()
            socket.getaddrinfo("localhost", address[1])
        with pytest.raises(OSError, match=r"(?i)(not known|resolution|service|unreachable|nodename)"):
            socket.getaddrinfo("selkit.invalid", 443)


def test_writes_outside_are_seen(tmp_path: Path) -> None:
    """Files made, opened for writing, renamed, removed or linked outside; not reads, nor what lies in the folder."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "old").write_text("old")
    with watched_files([inside]) as touched:
        (inside / "a").write_text("a")
        (outside / "old").read_text()
        with tempfile.TemporaryDirectory() as temporary:
            (Path(temporary) / "x").write_text("x")
        assert touched == []
        (outside / "b").write_text("b")
        (outside / "b").rename(outside / "c")
        (outside / "folder").mkdir()
        (outside / "link").symlink_to(inside)
        os.close(os.open(outside / "old", os.O_RDWR))
        shutil.rmtree(outside / "folder")
    (outside / "after").write_text("after")
    names = {Path(path).name for path in touched}
    assert names == {"b", "c", "folder", "old"} | ({"link"} & names) | ({"inside"} & names)
    assert "after" not in names


def test_writes_of_threads_are_seen(tmp_path: Path) -> None:
    """A thread of the component cannot hide a file."""
    with watched_files([tmp_path / "inside"]) as touched:
        thread = threading.Thread(target=(tmp_path / "x").write_text, args=("x",))
        thread.start()
        thread.join()
    assert [Path(path).name for path in touched] == ["x"]


def test_stdout_is_captured_below_python() -> None:
    """Prints, writes to the descriptor and output of child processes are all seen; stderr is not."""
    with captured_stdout() as output:
        print("print", flush=True)  # noqa: T201
        os.write(1, b"descriptor\n")
        subprocess.run([sys.executable, "-c", "print('child')"], check=True)
        sys.stderr.write("stderr\n")
    assert {"print", "descriptor", "child"} == set(output.text.split())


def test_state_changes_are_named_and_undone(tmp_path: Path) -> None:
    """Each part that changed is named; kept_state puts all of them back."""
    before = ProcessState.now()
    with kept_state():
        assert before.changes(ProcessState.now()) == []
        random.random()
        np.random.random()
        os.environ["SELKIT_TEST_GUARD"] = "1"
        os.chdir(tmp_path)
        changes = before.changes(ProcessState.now())
    assert len(changes) == 4
    assert "SELKIT_TEST_GUARD" in " ".join(changes)
    assert before == ProcessState.now()
