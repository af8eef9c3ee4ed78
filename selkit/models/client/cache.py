"""The stored answers of endpoints: one SQLite file in the store, to which rows are only ever added.

An answer counts as stored when its transaction is committed, which a kill does not undo. Several processes may share
the file; of two answers to the same request the first stays. On network file systems, where SQLite's write-ahead log
does not work, the slower rollback journal is used.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selkit.api import DataError
from selkit.files import full_disk, is_full
from selkit.models.client.request import Request

FILE = "chat.sqlite3"
PATIENCE = 60.0
"""Seconds to wait for another process that writes."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    digest BLOB PRIMARY KEY,    -- SHA-256 of address, body and sample
    url TEXT NOT NULL,
    model TEXT NOT NULL,
    sample INTEGER NOT NULL,
    request TEXT NOT NULL,      -- the body that was sent, JSON
    answer TEXT NOT NULL,       -- the body that came back, as it came
    request_id TEXT NOT NULL,   -- the server's name for the call
    account TEXT NOT NULL,      -- what the call was paid for: digest of a key of the store
    seconds REAL NOT NULL,      -- from sending to the last byte
    stored REAL NOT NULL,       -- seconds since 1970
    input INTEGER,
    output INTEGER,
    dollars REAL                -- at the price of that day
);
CREATE INDEX IF NOT EXISTS answers_of_account ON answers (account);
CREATE INDEX IF NOT EXISTS answers_of_model ON answers (url, model);
CREATE TABLE IF NOT EXISTS purses (
    name TEXT PRIMARY KEY,
    dollars REAL NOT NULL       -- spent, and set aside for calls under way
);
"""
_NETWORK = ("nfs", "lustre", "gpfs", "cifs", "smb", "beegfs", "ceph", "glusterfs", "fuse.sshfs", "9p", "afs", "pvfs")
_MOST_VARIABLES = 500


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A row of the cache; see the comments of its table."""

    digest: bytes
    url: str
    model: str
    sample: int
    request: str
    answer: str
    request_id: str
    account: str
    seconds: float
    stored: float
    input: int | None
    output: int | None
    dollars: float | None

    @classmethod
    def of(
        cls,
        request: Request,
        *,
        url: str,
        model: str,
        answer: str,
        account: str,
        seconds: float,
        usage: Mapping[str, float],
        dollars: float | None,
        request_id: str = "",
    ) -> StoredAnswer:
        """The row for an answer that came now."""
        return cls(
            digest=request.digest,
            url=url,
            model=model,
            sample=request.sample,
            request=request.text,
            answer=answer,
            request_id=request_id,
            account=account,
            seconds=seconds,
            stored=time.time(),
            input=_whole(usage.get("input")),
            output=_whole(usage.get("output")),
            dollars=dollars,
        )


@dataclass(frozen=True, slots=True)
class Paid:
    """What an account's calls came to; None where it is not known of some."""

    calls: int
    input: int
    output: int
    dollars: float | None


class AnswerCache:
    """The answers below the root of a store. Used by one thread; opened when it is first needed.

    Args:
        root: The store's folder.

    Raises:
        DataError: By any method: the file cannot be opened or written to, or the disk is full.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / FILE
        self._connection: sqlite3.Connection | None = None

    def find(self, digests: Sequence[bytes]) -> dict[bytes, str]:
        """The stored answers to these requests, by digest."""
        found: dict[bytes, str] = {}
        for start in range(0, len(digests), _MOST_VARIABLES):
            part = digests[start : start + _MOST_VARIABLES]
            query = f"SELECT digest, answer FROM answers WHERE digest IN ({','.join('?' * len(part))})"
            found.update(self._run(query, part))
        return found

    def add(self, answers: Iterable[StoredAnswer], *, purse: str = "", change: float = 0.0) -> None:
        """Stores answers in one transaction, and books ``change`` (dollars) to a purse."""
        rows = [_values(answer) for answer in answers]
        names = StoredAnswer.__slots__
        insert = f"INSERT OR IGNORE INTO answers ({','.join(names)}) VALUES ({','.join('?' * len(names))})"
        with self._transaction() as connection:
            connection.executemany(insert, rows)
            if purse and change:
                connection.execute("UPDATE purses SET dollars = dollars + ? WHERE name = ?", (change, purse))

    def reserve(self, purse: str, dollars: float, cap: float) -> bool:
        """Sets money aside if what is spent and set aside stays within ``cap``; whether it did."""
        with self._transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO purses VALUES (?, 0)", (purse,))
            done = connection.execute(
                "UPDATE purses SET dollars = dollars + ?1 WHERE name = ?2 AND dollars + ?1 <= ?3",
                (dollars, purse, cap),
            )
            return done.rowcount == 1

    def spent(self, purse: str) -> float:
        """Dollars spent and set aside."""
        rows = self._run("SELECT dollars FROM purses WHERE name = ?", (purse,))
        return float(rows[0][0]) if rows else 0.0

    def knows(self, url: str, model: str) -> bool:
        """Whether there is any answer of this model. Makes no file where there is none."""
        return self.path.exists() and bool(
            self._run("SELECT 1 FROM answers WHERE url = ? AND model = ? LIMIT 1", (url, model))
        )

    def paid(self, account: str) -> Paid:
        """What the calls for this account came to, those of earlier processes included."""
        query = (
            "SELECT count(*), total(input), total(output), count(dollars), total(dollars) FROM answers WHERE account=?"
        )
        calls, tokens_in, tokens_out, priced, dollars = self._run(query, (account,))[0]
        return Paid(calls, int(tokens_in), int(tokens_out), dollars if priced == calls else None)

    def close(self) -> None:
        """Closes the file; another method opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        try:
            return self._open().execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._refusal(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes; begun as such, so that two processes wait for each other instead of failing."""
        try:
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk ends it by itself
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._refusal(error) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot write {self.path.parent} ({error.strerror}): choose another --store") from error
        connection = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        journal = "TRUNCATE" if on_network(self.path.parent) else "WAL"
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute(f"PRAGMA synchronous={'FULL' if journal == 'TRUNCATE' else 'NORMAL'}")
        connection.executescript(_SCHEMA)
        return connection

    def _refusal(self, error: sqlite3.Error) -> DataError:
        if is_full(error) or "disk is full" in str(error):
            return full_disk(self.path, 0, error)
        return DataError(f"the stored answers in {self.path} cannot be used ({error}): move that file away, or mend it")


def on_network(folder: Path) -> bool:
    """Whether a folder lies on a file system of another machine, as far as the system says."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return _kind(folder.resolve(), lines).startswith(_NETWORK)


def _kind(folder: Path, mounts: Iterable[str]) -> str:
    """Type of the file system that a folder lies on, from the lines of /proc/self/mountinfo (proc(5))."""
    best, kind = "", ""
    for line in mounts:
        before, separator, after = line.partition(" - ")
        fields = before.split()
        if not separator or len(fields) < 5:
            continue
        point = fields[4].encode().decode("unicode_escape")  # blanks are written as \040
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind


def _values(answer: StoredAnswer) -> tuple[object, ...]:
    return tuple(getattr(answer, name) for name in StoredAnswer.__slots__)


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)
