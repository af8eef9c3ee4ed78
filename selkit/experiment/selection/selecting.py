"""The selection stage: every cell's rows, from the store or by running its selector, in the order the arms allow."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from selkit.api import Budget, Pool
from selkit.experiment.selection.training import ComponentTraining
from selkit.experiment.setup.experiment import Experiment
from selkit.experiment.setup.grid import ANCHOR, Arm, Cell
from selkit.experiment.setup.stages import mean_characters
from selkit.experiment.setup.turns import arms_in_turn
from selkit.pools import write_jsonl
from selkit.select import (
    Arms,
    SelectionResult,
    check_trainings,
    choice_conditions,
    choice_versions,
    component_inputs,
    fill_models,
    select,
)
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
        for arm, ref in product(experiment.arms, experiment.models.values()):
            check_trainings(fill_models(arm.selector, ref), pool, ref, training)
    chosen: dict[Cell, Chosen] = {}
    drawn: dict[tuple[Any, ...], Chosen] = {}
    for cell in in_order(experiment):
        if cell.draw not in drawn:
            drawn[cell.draw] = _choose(experiment, cell, partial(others_of, experiment, cell, chosen))
        chosen[cell] = replace(drawn[cell.draw], cell=cell)
    return {cell: chosen[cell] for cell in experiment.cells}


def distinct(chosen: Mapping[Cell, Chosen]) -> list[Chosen]:
    """Every selection once: its cell names no recipe, and a base model only where selections differ by it."""
    groups: dict[tuple[Any, ...], dict[str, Chosen]] = defaultdict(dict)
    for cell, choice in chosen.items():
        groups[cell.pool, cell.budget, cell.arm, cell.run].setdefault(choice.key, choice)
    return [
        replace(one, cell=replace(one.cell, recipe="", model=one.cell.model if len(group) > 1 else ""))
        for group in groups.values()
        for one in group.values()
    ]


def in_order(experiment: Experiment) -> Iterator[Cell]:
    """The cells in an order in which their selections can be made: the anchors, then wave by wave."""
    arms = [ANCHOR, *(arm.name for arm in arms_in_turn(experiment.arms))]
    for arm in arms:
        yield from (cell for cell in experiment.cells if cell.arm == arm)


def others_of(experiment: Experiment, cell: Cell, chosen: Mapping[Cell, Chosen]) -> Arms:
    """What the other arms chose: the methods at the largest budget, every arm at the cell's own, or its own size."""
    arms = {arm.name: arm for arm in experiment.arms}
    peers = {c: s for c, s in chosen.items() if c.setting == cell.setting and c.arm not in (ANCHOR, cell.arm)}
    methods = {c: s.ids for c, s in peers.items() if not arms[c.arm].selector.baseline}
    largest = {c.arm: max(len(ids) for o, ids in methods.items() if o.arm == c.arm) for c in methods}
    union = {f"{c.arm}/{c.run}": ids for c, ids in methods.items() if len(ids) == largest[c.arm]}
    named: dict[str, Sequence[str]] = {}
    for c, s in sorted(peers.items(), key=lambda pair: -abs(pair[0].run - cell.run)):
        if c.budget in (cell.budget, None) or not arms[c.arm].selector.sized:
            named[c.arm] = s.ids  # the run nearest to the cell's own comes last and stays
    return Arms(chosen=union, named=named)


def _choose(experiment: Experiment, cell: Cell, others: Callable[[], Arms]) -> Chosen:
    pool, arm = experiment.pools[cell.pool], experiment.arm_of(cell)
    training = ComponentTraining(experiment.store)
    base = experiment.models[cell.model]
    key = selection_key(arm, cell, pool, others() if arm.selector.after_others else Arms(), training, base)

    def make(draft: Draft) -> None:
        result = select(
            pool,
            arm.selector,
            cell.budget if arm.selector.sized else None,
            seed=cell.selection_seed,
            store=experiment.store,
            base_model=base,
            arms=others(),
            training=training,
            chat=experiment.chat,
            max_failed=experiment.spec.max_failed,
        )
        _write(draft, result)

    return read_choice(cell, experiment.store.obtain(key, make))


def selection_key(arm: Arm, cell: Cell, pool: Pool, others: Arms, training: ComponentTraining, base_model: str) -> Key:
    """What the selection of a cell depends on.

    Args:
        arm: The cell's arm.
        cell: The cell.
        pool: Its pool.
        others: What other arms chose; empty for a selector that looks at none.
        training: Serves trainings of the selector.
        base_model: Where these start, if they name no model.
    """
    selector = arm.selector
    inputs = {"pool": pool.fingerprint, **component_inputs(selector, training, base_model)}
    for kind, group in (("chosen", others.chosen), ("named", others.named)):
        inputs |= {f"{kind}:{name}": digest_text("\n".join(sorted(ids))) for name, ids in group.items()}
    rows = Budget.parse(cell.budget).rows(len(pool)) if selector.sized and cell.budget is not None else None
    # the number and not the spec's words for it: 20 and 10% of 200 rows are one selection
    conditions = {
        "budget": cell.budget if rows is None else str(rows),
        "seed": cell.selection_seed if selector.seeded else None,
    }
    conditions |= choice_conditions(selector)
    return Key("selection", selector.name, selector.parameters(), choice_versions(selector), inputs, conditions)


def _write(draft: Draft, result: SelectionResult) -> None:
    # By id: the order in which a selector names its rows must not change what a model learns from them.
    rows = result.pool.take(sorted(result.ids))
    write_jsonl(rows, draft.directory / ROWS, scores=result.selection.scores)
    document = {"ids": list(result.ids), "facts": dict(result.facts), "fingerprint": rows.fingerprint}
    atomic_write_text(draft.directory / CHOICE, json.dumps(document, ensure_ascii=False))
    # What `selkit plan` asks of a selection, so that it need not read the rows.
    size = {"fingerprint": rows.fingerprint, "characters": mean_characters(rows) * len(rows)}
    draft.record(selected=len(result.ids), scores=list(result.spent), **size)


def read_choice(cell: Cell, artifact: Artifact) -> Chosen:
    """The stored selection of a cell."""
    document = json.loads(artifact.file(CHOICE).read_text(encoding="utf-8"))
    rows = artifact.file(ROWS)
    return Chosen(cell, tuple(document["ids"]), document["facts"], rows, document["fingerprint"], artifact.digest)
