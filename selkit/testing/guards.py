"""Watches over a component while it runs: the network, files, stdout and the state of the process.

Network and files are watched with an audit hook, which the interpreter calls for every connection and every opened
file, also those of libraries. A hook cannot be removed, so there is one, and it does nothing outside the ``with``.
"""

from __future__ import annotations

import io
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from selkit.console import get_console

Watcher = Callable[[str, tuple[Any, ...]], None]

_watchers: list[Watcher] = []
_hooked = False
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_LOCAL = ("localhost", "127.", "::1", "0.0.0.0")
_REACHING = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
_CHANGING = {  # event: which of its arguments are the paths that change
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.truncate": (0,),
    "os.rename": (0, 1),
    "os.link": (1,),
    "os.symlink": (1,),
    "shutil.rmtree": (0,),
}
_BY_FOLDER = ("os.mkdir", "os.remove", "os.rmdir")


class NetworkCut(OSError):
    """The component tried to reach another machine while the network was cut."""


@contextmanager
def no_network() -> Iterator[None]:
    """Refuses every connection to another machine, as a host without a network does; this machine can be reached."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _REACHING and not _is_local(event, arguments):
            raise NetworkCut(f"the network is cut: {event} {arguments[-1] if event != 'socket.getaddrinfo' else ''}")

    with _watching(refuse):
        yield


@contextmanager
def watched_files(allowed: list[Path]) -> Iterator[list[str]]:
    """Collects the paths that are written to, made, renamed or removed outside the folders ``allowed``.

    Not collected: files that the module tempfile made, compiled Python files, and devices.
    """
    roots = [os.path.realpath(path) for path in allowed] + [os.sep + "dev", os.sep + "proc"]
    touched: list[str] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("tempfile.mkstemp", "tempfile.mkdtemp"):
            roots.append(os.path.realpath(arguments[0]))
        for path in _changed(event, arguments):
            if not any(path == root or path.startswith(root + os.sep) for root in roots):
                touched.append(path)

    with _watching(note):
        yield touched


@dataclass
class Output:
    """What was written to stdout; filled when the ``with`` ends."""

    text: str = field(default="")


@contextmanager
def captured_stdout() -> Iterator[Output]:
    """Collects what is written to stdout, also by libraries that write past Python."""
    output, python = Output(), io.StringIO()
    with tempfile.TemporaryFile() as file, _descriptor_to(file.fileno()), redirect_stdout(python):
        yield output
        file.seek(0)
        output.text = python.getvalue() + file.read().decode("utf-8", "replace")


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Sends to stderr what is written to stdout, also by libraries that write past Python."""
    sys.stderr.flush()
    with _descriptor_to(2), redirect_stdout(sys.stderr):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keeps a report whole: what goes to stdout goes to stderr, and notes and progress go nowhere but with ``-v``."""
    console = get_console()
    quiet = console.quiet
    console.quiet = quiet or not console.verbose
    try:
        with stdout_to_stderr():
            yield
    finally:
        console.quiet = quiet


@contextmanager
def _descriptor_to(target: int) -> Iterator[None]:
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(target, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@dataclass(frozen=True)
class ProcessState:
    """What every part of a process shares, and a component must leave as it was."""

    python_random: tuple[Any, ...]
    numpy_random: tuple[Any, ...]
    environment: dict[str, str]
    working_directory: str

    @classmethod
    def now(cls) -> ProcessState:
        """The state of this process."""
        drawn = np.random.get_state(legacy=False)
        numpy_random = (drawn["state"]["key"].tobytes(), drawn["state"]["pos"], drawn["has_gauss"], drawn["gauss"])
        return cls(random.getstate(), numpy_random, dict(os.environ), _working_directory())

    def changes(self, later: ProcessState) -> list[str]:
        """What differs between this state and a later one, in words."""
        names = {
            k for k in {*self.environment, *later.environment} if self.environment.get(k) != later.environment.get(k)
        }
        parts = {
            "the state of the module random": self.python_random != later.python_random,
            "the global state of numpy.random": self.numpy_random != later.numpy_random,
            f"the environment variables {', '.join(sorted(names))}": bool(names),
            "the working directory": self.working_directory != later.working_directory,
        }
        return [what for what, changed in parts.items() if changed]


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "a folder that was removed"


@contextmanager
def kept_state() -> Iterator[None]:
    """Puts random states, environment and working directory back when the block ends."""
    python, numpy_state = random.getstate(), np.random.get_state(legacy=True)
    environment, folder = dict(os.environ), os.getcwd()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)


@contextmanager
def _watching(watcher: Watcher) -> Iterator[None]:
    global _hooked
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    for watcher in tuple(_watchers):
        watcher(event, arguments)


def _is_local(event: str, arguments: tuple[Any, ...]) -> bool:
    address = arguments[0] if event in ("socket.getaddrinfo", "socket.gethostbyname") else arguments[-1]
    host = address[0] if isinstance(address, tuple) else address
    if isinstance(host, bytes):
        host = host.decode("utf-8", "replace")
    # A path is the address of a socket on this machine, and no host at all means this machine too.
    return host is None or os.sep in host or host == "" or host.startswith(_LOCAL)


def _changed(event: str, arguments: tuple[Any, ...]) -> list[str]:
    """The absolute paths that an event changes."""
    if event == "open":
        path, _, flags = arguments
        named = [path] if isinstance(flags, int) and flags & _WRITING else []
    elif event in _BY_FOLDER and arguments[-1] != -1:
        named = []  # a name below an open folder: shutil.rmtree works so, and has an event of its own
    else:
        named = [arguments[position] for position in _CHANGING.get(event, ())]
    found = []
    for path in named:
        if isinstance(path, (str, bytes, os.PathLike)):
            with suppress(OSError, ValueError):
                found.append(os.path.realpath(os.fsdecode(path)))
    return [path for path in found if "__pycache__" not in path]
