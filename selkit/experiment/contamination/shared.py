"""Test-set contamination: how many test items share text with the rows that were chosen.

Every pool is read once for all test sets and benchmarks together, and what was found is stored; what a selection holds
of it is then a matter of its ids.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from selkit.api import Pool
from selkit.evals import Endpoint, scored_rows
from selkit.experiment.contamination.ngrams import WORDS, ItemText, matches, passages_of
from selkit.experiment.testsets.sets import JudgedSet
from selkit.pools import TestPrompt
from selkit.store import Artifact, Draft, Key, Store, atomic_write_text, canonical_json, digest_file, digest_text

if TYPE_CHECKING:
    pass

RULE = (
    f"An item counts where a run of {WORDS} words stands both in one of its texts and in a text of a row (case, "
    "punctuation and white space do not count), or where what it asks is shorter and equal to a whole text of a row."
)
"""What a match is (GPT-3's rule of 13 words, Brown et al. 2020, appendix C)."""

MATCHES = "matches.parquet"
PASSAGES = "passages.json"
LISTED = 20
"""How many ids of affected items are listed for each selection and test set."""

_BATCH_ROWS = 4096


@dataclass(frozen=True)
class ItemSource:
    """A test set or a benchmark as pools are compared with it.

    Args:
        name: What the score table calls it.
        digest: Digest of all that its texts depend on.
        read: Gives id and texts of every item that is used.
    """

    name: str
    digest: str
    read: Callable[[], list[tuple[str, ItemText]]]


@dataclass(frozen=True)
class Shared:
    """What a pool and a test set share.

    Args:
        size: Items of the test set.
        passages: Ids of the items that every passage stands in.
        rows: The passages that stand in a row, by its id; rows without any are left out.
    """

    size: int
    passages: Sequence[Sequence[str]]
    rows: Mapping[str, Sequence[int]]

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(self.rows)

    def within(self, ids: Iterable[str]) -> dict[str, Any]:
        """How many items and rows are affected when only the rows of these ids are there, and the first such items."""
        affected = self._ids.intersection(ids)
        items = sorted({item for row in affected for passage in self.rows[row] for item in self.passages[passage]})
        share = len(items) / self.size if self.size else None
        return {"items": len(items), "of": self.size, "share": share, "rows": len(affected), "ids": items[:LISTED]}


def contamination(
    pools: Mapping[str, Pool],
    tested: Sequence[ItemSource],
    selections: Iterable[tuple[Mapping[str, Any], Sequence[str]]],
    store: Store,
) -> dict[str, Any]:
    """The contamination of whole pools and of every selection, as it stands in report.json.

    Args:
        pools: Name -> pool.
        tested: What they are held against, see :func:`sources_of`.
        selections: For every selection what names it (``pool`` among that) and its ids.
        store: Where what they share is found, or kept.
    """
    found = {name: shared_with(pool, tested, store) for name, pool in pools.items()}
    return {
        "rule": RULE,
        "pools": [
            {"pool": name, "testset": testset, **_counts(shared.within(shared.rows))}
            for name, by_testset in found.items()
            for testset, shared in by_testset.items()
        ],
        "selections": [
            {**place, "testset": testset, **shared.within(ids)}
            for place, ids in selections
            for testset, shared in found[str(place["pool"])].items()
        ],
    }


def sources_of(testsets: Iterable[JudgedSet], benchmarks: Iterable[Endpoint]) -> list[ItemSource]:
    """Every test set and benchmark of an experiment."""
    return [*map(_testset, testsets), *map(_benchmark, benchmarks)]


def shared_with(pool: Pool, tested: Sequence[ItemSource], store: Store) -> dict[str, Shared]:
    """What a pool shares with each test set, from the store or by reading the pool once."""
    if not tested:
        return {}
    names = {f"tested:{one.name}": one.digest for one in tested}
    key = Key("contamination", "shared-words", {"words": WORDS}, {"rule": "1"}, {"pool": pool.fingerprint, **names})
    return _read(store.obtain(key, lambda draft: _make(draft, pool, tested)))


def _make(draft: Draft, pool: Pool, tested: Sequence[ItemSource]) -> None:
    items = [(one.name, name, texts) for one in tested for name, texts in one.read()]
    passages = passages_of([texts for _, _, texts in items])
    found = list(matches(_texts(pool), passages))
    columns = {"row": pa.array([one.row for one in found], pa.string()), "passage": [one.passage for one in found]}
    pq.write_table(pa.table(columns), draft.directory / MATCHES)
    sizes = {one.name: sum(name == one.name for name, _, _ in items) for one in tested}
    used = sorted({one.passage for one in found})
    owners = {passage: [items[number][:2] for number in passages.items[passage]] for passage in used}
    atomic_write_text(draft.directory / PASSAGES, json.dumps({"sizes": sizes, "passages": owners}))


def _read(artifact: Artifact) -> dict[str, Shared]:
    stored = json.loads(artifact.file(PASSAGES).read_text("utf-8"))
    table = pq.read_table(artifact.file(MATCHES))
    by_testset: dict[str, dict[int, list[str]]] = {name: defaultdict(list) for name in stored["sizes"]}
    for passage, owners in stored["passages"].items():
        for testset, item in owners:
            by_testset[testset][int(passage)].append(item)
    pairs = list(zip(table["row"].to_pylist(), table["passage"].to_pylist(), strict=True))
    return {name: _shared(stored["sizes"][name], found, pairs) for name, found in by_testset.items()}


def _shared(size: int, passages: Mapping[int, list[str]], pairs: Iterable[tuple[str, int]]) -> Shared:
    numbers = {passage: number for number, passage in enumerate(passages)}
    rows: dict[str, list[int]] = defaultdict(list)
    for row, passage in pairs:
        if passage in numbers:
            rows[row].append(numbers[passage])
    return Shared(size, list(passages.values()), dict(rows))


def _counts(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "ids"}


def _texts(pool: Pool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Id and texts of every row: the question, the response, and every earlier turn."""
    columns = ["id", "instruction", "input", "response", "history"]
    for batch in pool.table.select(columns).to_batches(max_chunksize=_BATCH_ROWS):
        for row in zip(*(batch.column(name).to_pylist() for name in columns), strict=True):
            name, instruction, given, response, history = row
            turns = (turn["content"] for turn in history or ())
            yield name, (f"{instruction}\n{given}" if given else instruction, response, *turns)


def _testset(testset: JudgedSet) -> ItemSource:
    asked = testset.asked
    every = asked.turns == "all"

    def read() -> list[tuple[str, ItemText]]:
        return [(prompt.id, _prompt_text(prompt, every)) for prompt in asked.testset.prompts]

    return ItemSource(testset.label, digest_text(f"{asked.turns} {asked.testset.digest}"), read)


def _prompt_text(prompt: TestPrompt, every_turn: bool) -> ItemText:
    earlier = (turn.content for turn in prompt.prompt.history)
    later = prompt.turns if every_turn else ()
    return ItemText(prompt.prompt.question, (*earlier, *later, *([prompt.reference] if prompt.reference else [])))


def _benchmark(endpoint: Endpoint) -> ItemSource:
    def read() -> list[tuple[str, ItemText]]:
        return [
            (f"{job.benchmark.label}/{number}", _row_text(row, list(job.benchmark.columns)))
            for job in endpoint.jobs
            for number, row in scored_rows(job).items()
        ]

    jobs = [
        [job.benchmark.label, digest_file(job.scored), job.sample, job.seed, list(job.benchmark.columns)]
        for job in endpoint.jobs
    ]
    return ItemSource(endpoint.name, digest_text(canonical_json(jobs)), read)


def _row_text(row: Mapping[str, Any], columns: Sequence[str]) -> ItemText:
    """The first column that is a text says what is asked; the texts of the others belong to it."""
    values = [row.get(name) for name in columns] if columns else list(row.values())
    first = next((value for value in values if isinstance(value, str)), "")
    return ItemText(first, tuple(text for value in values if value is not first for text in _strings(value)))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _strings(part)
