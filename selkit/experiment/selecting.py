"""The selection stage: every cell's rows, from the store or by running its selector, in the order the arms allow."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from selkit.api import Pool
from selkit.experiment.plan import ANCHOR, Arm, Cell, waves
from selkit.experiment.setup import Experiment
from selkit.experiment.training import ComponentTraining
from selkit.plugins import provenance
from selkit.pools import write_jsonl
from selkit.select import Arms, SelectionResult, check_trainings, component_inputs, select
from selkit.store import Artifact, Draft, Key, atomic_write_text, digest_text

ROWS = "selection.jsonl"
CHOICE = "choice.json"


@dataclass(frozen=True)
class Chosen:
    """The stored selection of a cell: ``rows`` is its training data by id, and ``digest`` the fingerprint of that."""

    cell: Cell
    ids: tuple[str, ...]
    facts: Mapping[str, object]
    rows: Path
    digest: str
    key: str


def choose_all(experiment: Experiment) -> dict[Cell, Chosen]:
    """The selections of all cells, in the order of the cells.

    Raises:
        SelkitError: A selector has a model trained and cannot, or its choice fails.
    """
    training = ComponentTraining(experiment.store)
    for pool in experiment.pools.values():
        for arm in experiment.arms:
            check_trainings(arm.selector, pool, experiment.spec.model, training)
    chosen: dict[Cell, Chosen] = {}
    for cell in experiment.cells:
        if cell.arm == ANCHOR:
            chosen[cell] = _choose(experiment, experiment.arm(ANCHOR), cell, Arms)
    for wave in waves(experiment.arms):
        for arm in wave:
            for cell in (c for c in experiment.cells if c.arm == arm.name):
                chosen[cell] = _choose(experiment, arm, cell, partial(others_of, experiment, cell, chosen))
    return {cell: chosen[cell] for cell in experiment.cells}


def others_of(experiment: Experiment, cell: Cell, chosen: Mapping[Cell, Chosen]) -> Arms:
    """What the other arms chose: the methods at the largest budget, and every arm at the cell's own."""
    arms = {arm.name: arm for arm in experiment.arms}
    peers = {c: s for c, s in chosen.items() if c.pool == cell.pool and c.arm not in (ANCHOR, cell.arm)}
    methods = {c: s.ids for c, s in peers.items() if not arms[c.arm].selector.baseline}
    largest = {c.arm: max(len(ids) for o, ids in methods.items() if o.arm == c.arm) for c in methods}
    union = {f"{c.arm}/{c.run}": ids for c, ids in methods.items() if len(ids) == largest[c.arm]}
    named: dict[str, Sequence[str]] = {}
    for c, s in sorted(peers.items(), key=lambda pair: -abs(pair[0].run - cell.run)):
        if c.budget in (cell.budget, None):
            named[c.arm] = s.ids  # the run nearest to the cell's own comes last and stays
    return Arms(chosen=union, named=named)


def _choose(experiment: Experiment, arm: Arm, cell: Cell, others: Callable[[], Arms]) -> Chosen:
    pool = experiment.pools[cell.pool]
    training = ComponentTraining(experiment.store)
    key = selection_key(arm, cell, pool, others() if arm.selector.after_others else Arms(), training)

    def make(draft: Draft) -> None:
        result = select(
            pool,
            arm.selector,
            cell.budget if arm.selector.sized else None,
            seed=cell.seed,
            store=experiment.store,
            base_model=experiment.spec.model,
            arms=others(),
            training=training,
            chat=experiment.chat,
            max_failed=experiment.spec.max_failed,
        )
        _write(draft, result)

    return read_choice(cell, experiment.store.obtain(key, make))


def selection_key(arm: Arm, cell: Cell, pool: Pool, others: Arms, training: ComponentTraining) -> Key:
    """What the selection of a cell depends on; ``others`` are empty for a selector that looks at no other arm."""
    selector = arm.selector
    inputs = {"pool": pool.fingerprint, **component_inputs(selector, training)}
    for kind, group in (("chosen", others.chosen), ("named", others.named)):
        inputs |= {f"{kind}:{name}": digest_text("\n".join(sorted(ids))) for name, ids in group.items()}
    conditions = {"budget": cell.budget, "seed": cell.seed if selector.seeded else None}
    return Key("selection", selector.name, selector.parameters(), provenance(selector), inputs, conditions)


def _write(draft: Draft, result: SelectionResult) -> None:
    # By id: the order in which a selector names its rows must not change what a model learns from them.
    rows = result.pool.take(sorted(result.ids))
    write_jsonl(rows, draft.directory / ROWS, scores=result.selection.scores)
    document = {"ids": list(result.ids), "facts": dict(result.facts), "fingerprint": rows.fingerprint}
    atomic_write_text(draft.directory / CHOICE, json.dumps(document, ensure_ascii=False))
    draft.record(selected=len(result.ids), scores=list(result.spent))


def read_choice(cell: Cell, artifact: Artifact) -> Chosen:
    """The stored selection of a cell."""
    document = json.loads(artifact.file(CHOICE).read_text(encoding="utf-8"))
    rows = artifact.file(ROWS)
    return Chosen(cell, tuple(document["ids"]), document["facts"], rows, document["fingerprint"], artifact.digest)
