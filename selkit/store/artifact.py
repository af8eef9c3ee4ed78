"""A finished result, and the draft it grows from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from selkit.api.errors import SelkitError
from selkit.files import unwritable
from selkit.store.keys import Key, plain
from selkit.store.ledger import LedgerRow, rows_of
from selkit.store.secret import redact


@dataclass(frozen=True, eq=False)
class Artifact:
    """A finished result. Its files never change; do not write to them.

    Args:
        directory: Where its files are.
        manifest: What it is, how it was made and what it took.
    """

    directory: Path
    manifest: Mapping[str, Any]

    @cached_property
    def key(self) -> Key:
        """What the result depends on."""
        return Key.from_dict(self.manifest)

    @property
    def digest(self) -> str:
        """Digest of the key: what other keys name the result by."""
        return str(self.manifest["key"])

    @property
    def facts(self) -> Mapping[str, Any]:
        """What its maker recorded."""
        return dict(self.manifest["facts"])

    @property
    def names(self) -> list[str]:
        """Names of its files, in order."""
        return [entry["name"] for entry in self.manifest["files"]]

    @property
    def ledger(self) -> list[LedgerRow]:
        """What making it took."""
        return rows_of(self.manifest)

    def file(self, name: str) -> Path:
        """Path of one of its files. Raises SelkitError where it has none of that name."""
        if name not in self.names:
            raise SelkitError(f"{self.key.label} ({self.digest[:12]}) has no file {name!r}, only {self.names}")
        return self.directory / name


@dataclass(eq=False)
class Draft:
    """What a stage works on until its result is finished.

    Args:
        key: What the result depends on.
        directory: Where the final files go. Gone after an error or a kill.
        partial_directory: See :attr:`partial`.

    Attributes:
        facts: What was recorded.
        spent: What was spent, as rows of the ledger without stage and key.
        resumed: Whether an earlier attempt left partial work.
    """

    key: Key
    directory: Path
    partial_directory: Path
    facts: dict[str, Any] = field(default_factory=dict, init=False)
    spent: list[dict[str, Any]] = field(default_factory=list, init=False)
    resumed: bool = field(init=False)

    def __post_init__(self) -> None:
        self.resumed = self.partial_directory.exists()

    @property
    def partial(self) -> Path:
        """A folder for work that can be resumed: it survives errors and kills, and goes when the result is finished.

        Raises:
            DataError: The store cannot be written to.
        """
        try:
            self.partial_directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(error, self.partial_directory) from error
        return self.partial_directory

    def record(self, **facts: Any) -> None:
        """Adds to the manifest's 'facts'; the same name again replaces. Secrets are left out.

        Facts depend on the key alone, so that the same work gives the same manifest; clock and machine are measured
        by the store.

        Raises:
            SelkitError: A value is not JSON.
        """
        self.facts.update(redact(plain(facts, f"{self.key.label}: fact")))

    def spend(self, resource: str, quantity: float, source: str) -> None:
        """Adds a row to the ledger: ``quantity`` of ``resource`` (its name says the unit), according to ``source``.

        Work that is resumed must count again what its earlier attempts spent; only the last one's rows are kept.
        """
        quantity = plain(quantity, f"{self.key.label}: {resource}")
        self.spent.append({"resource": resource, "quantity": quantity, "source": redact(source)})
