"""What every arm cost: selection, training, answers and judging, in seconds of the device and in dollars.

An arm is charged what one run of it would cost on its own: whatever its selection uses in full, also where another arm
or budget uses the same scoring pass, and whether or not it was in the store already. Beside it stands the share that
falls to it when shared passes are split evenly over the arms and budgets that use them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

from selkit.experiment.cells.job import bench_key, responses_key
from selkit.experiment.jobs import Plan
from selkit.experiment.judging.judging import Judged
from selkit.experiment.selection.charged import used_by
from selkit.experiment.setup.grid import ANCHOR, Cell
from selkit.experiment.setup.stages import asked_by
from selkit.models.client import parse_endpoint
from selkit.models.client.prices import DevicePrice, PriceTable, prices_place, read_prices
from selkit.store import Artifact, LedgerRow, Store, totals
from selkit.train import TrainReport

Row = dict[str, Any]
_PLACE = ("pool", "budget", "recipe", "model")


@dataclass(frozen=True)
class Spent:
    """Seconds of the device, and dollars of calls."""

    seconds: float = 0.0
    dollars: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.seconds + other.seconds, self.dollars + other.dollars)

    def part(self, of: int) -> Spent:
        """An even share."""
        return Spent(self.seconds / of, self.dollars / of)


def costs_of(
    planned: Plan, training: Mapping[Cell, TrainReport], judged: Iterable[Judged], document: Row
) -> dict[str, Any]:
    """The costs of an experiment.

    Args:
        planned: The experiment with its jobs and selections.
        training: The record of every cell's training.
        judged: What was judged.
        document: Verdicts and their sentences.

    Returns:
        ``costs``: a row for each arm in each place (pool, budget, recipe, model). ``costing``: the device and its
        price. ``sentences``: those of the verdicts with what the arm cost.
    """
    book = _Book(planned, training, list(judged))
    rows = book.rows()
    costing = {
        "device": book.device,
        "dollars_per_hour": book.price.dollars_per_hour,
        "prices": prices_place().name,
    }
    control = planned.experiment.spec.control
    told = priced_sentences(document["verdicts"], document["sentences"], rows, control)
    return {"costs": rows, "costing": costing, "sentences": told}


def priced_sentences(
    verdicts: Sequence[Row], sentences: Sequence[str], costs: Sequence[Row], control: str
) -> list[str]:
    """The sentences of the verdicts, each ending with the arm's cost as a multiple of the control's where it is known.

    A verdict over several recipes takes the mean of its arm's multiples.
    """
    return [
        text if times is None else _with_cost(text, f", for {times:.1f} times {control}'s cost")
        for verdict, text in zip(verdicts, sentences, strict=True)
        for times in [_times(verdict, costs, control)]
    ]


def _with_cost(sentence: str, cost: str) -> str:
    """The cost after what was found, and before the reason or advice that a colon opens."""
    found, colon, rest = sentence.partition("): ")
    return f"{found}){cost}: {rest}" if colon else sentence + cost


def _times(verdict: Row, costs: Sequence[Row], control: str) -> float | None:
    """The arm's cost over the control's in the place of a verdict; an arm that stands beside several is the same in
    each."""
    if verdict["control"] != control:
        return None
    places = [row for row in costs if row["arm"] == control and _within(row, verdict)]
    arms = [row for row in costs if row["arm"] == verdict["arm"]]
    found = [_ratio(row, place) for place in places for row in arms if _within(place, row)]
    known = [one for one in found if one is not None]
    return fmean(known) if known else None


def _within(row: Row, place: Row) -> bool:
    """Whether a row belongs to a place, which may leave open what it does not name."""
    return all(place.get(name) in (None, row[name]) for name in _PLACE)


class _Book:
    """The costs of one experiment, looked up once."""

    def __init__(self, planned: Plan, training: Mapping[Cell, TrainReport], judged: Sequence[Judged]) -> None:
        self.planned, self.training, self.judged = planned, training, judged
        self.store: Store = planned.experiment.store
        self.prices: PriceTable = read_prices()
        self.uses = {cell: used_by(self.store, [choice.key]) for cell, choice in planned.chosen.items()}
        self.groups: dict[Cell, list[Cell]] = defaultdict(list)
        for cell in planned.jobs:
            if cell.arm != ANCHOR:
                self.groups[_first(cell)].append(cell)

    def rows(self) -> list[Row]:
        """A row per arm and place, with the multiples of the control's cost."""
        rows = [self._row(cells) for cells in self.groups.values()]
        control = {_place(row): row for row in rows if row["arm"] == self.planned.experiment.spec.control}
        full = self._full()
        for row in rows:
            row["times_control"] = _ratio(row, control.get(_place(row)))
            everything = full.get(_setting(row)) or self._estimated(row, control)
            row["full_seconds"], row["full_source"] = everything or (None, None)
            row["of_full"] = row["seconds"] / everything[0] if everything and everything[0] else None
        return rows

    def _row(self, cells: Sequence[Cell]) -> Row:
        trained = [self.training[cell] for cell in cells if cell in self.training]
        selection, shared = self._selection(cells)
        training = fmean([_device_seconds(one) for one in trained]) if trained else 0.0
        judging, calls = self._judging(cells)
        answers = self._answers(cells)
        seconds = selection.seconds + training
        device = self.price.dollars(seconds)
        return {
            **{name: value for name, value in cells[0].columns().items() if name != "run"},
            "runs": len(cells),
            "selection_seconds": selection.seconds,
            "selection_seconds_shared": shared.seconds,
            "selection_dollars": selection.dollars,
            "selection_dollars_shared": shared.dollars,
            "training_seconds": training,
            "answering_seconds": answers,
            "judging_seconds": judging.seconds,
            "judging_dollars": judging.dollars,
            "judge_calls": calls,
            "seconds": seconds,
            "dollars": None if device is None else device + selection.dollars,
        }

    def _selection(self, cells: Sequence[Cell]) -> tuple[Spent, Spent]:
        """What the selection of one run took, in full and with shared passes split."""
        chosen = [cell for cell in cells if cell in self.uses]
        if not chosen:
            return Spent(), Spent()
        own = [self._spent(self.planned.chosen[cell].key) for cell in chosen]
        mean = Spent(fmean([one.seconds for one in own]), fmean([one.dollars for one in own]))
        passes = dict.fromkeys(key for cell in chosen for key in self.uses[cell])
        full = sum((self._spent(key) for key in passes), mean)
        shared = sum((self._spent(key).part(self._users[key]) for key in passes), mean)
        return full, shared

    @cached_property
    def _users(self) -> dict[str, int]:
        """How many arms and budgets use a pass; recipes share the selection itself."""
        users: dict[str, set[tuple[Any, ...]]] = defaultdict(set)
        for cell, keys in self.uses.items():
            if cell.arm != ANCHOR:
                for key in keys:
                    users[key].add((cell.pool, cell.budget, cell.model, cell.arm))
        return {key: len(found) for key, found in users.items()}

    @cached_property
    def _ledger(self) -> dict[str, list[LedgerRow]]:
        keys = {key for uses in self.uses.values() for key in uses}
        keys |= {choice.key for choice in self.planned.chosen.values()}
        keys |= {one.key for one in self.judged if one.key}
        keys |= {key for cells in self._answer_keys.values() for key in cells}
        rows: dict[str, list[LedgerRow]] = defaultdict(list)
        for row in self.store.ledger(keys):
            rows[row.key].append(row)
        return rows

    def _spent(self, key: str) -> Spent:
        found = totals(self._ledger.get(key, ()))
        # while an endpoint answers, the device waits
        seconds = 0.0 if found.get("calls") else found.get("gpu_seconds") or found.get("wall_seconds", 0.0)
        return Spent(seconds, found.get("dollars", 0.0))

    def _judging(self, cells: Sequence[Cell]) -> tuple[Spent, int]:
        """What judging one run took, whoever paid for it first, and its passes."""
        spent, calls = Spent(), 0
        for one in (one for one in self.judged if one.cell.arm == cells[0].arm and cells[0].covers(one.cell)):
            dollars = self._dollars(one)
            seconds = 0.0 if dollars is not None or one.key is None else self._spent(one.key).seconds
            spent += Spent(seconds, dollars or 0.0)
            calls += sum(bool(judgement.usage) for judgement in one.passes)
        return spent.part(len(cells)), calls

    def _dollars(self, judged: Judged) -> float | None:
        """Dollars of a judging's calls; None where no endpoint is asked."""
        ref = asked_by(judged.judge, 0)["endpoint"]
        endpoint = parse_endpoint(ref) if ref else None
        if endpoint is None:
            return None
        price = self.prices.of(endpoint)
        return sum(price.dollars(one.usage) or 0.0 for one in judged.passes) if price else 0.0

    @cached_property
    def _answer_keys(self) -> dict[Cell, list[str]]:
        return {
            cell: [
                *(responses_key(job, asked).digest for asked in job.prompts),
                *(bench_key(job, benchmark).digest for benchmark in job.benchmarks),
            ]
            for cell, job in self.planned.jobs.items()
        }

    def _answers(self, cells: Sequence[Cell]) -> float:
        return fmean([sum(self._spent(key).seconds for key in self._answer_keys[cell]) for cell in cells])

    @cached_property
    def device(self) -> str:
        """What the trainings ran on: a GPU's name where the records tell one, else its kind."""
        kinds = sorted({record.device for record in self.training.values()}) or ["cpu"]
        gpus = [name for artifact in self._some() for name in artifact.manifest["measured"].get("gpus", ())]
        return gpus[0] if gpus else kinds[0]

    def _some(self) -> list[Artifact]:
        keys = [keys[0] for keys in self._answer_keys.values() if keys][:1]
        return [artifact for key in keys if (artifact := self.store.get(key))]

    @cached_property
    def price(self) -> DevicePrice:
        """The price of that device."""
        return self.prices.device(self.device)

    def _full(self) -> dict[tuple[Any, ...], tuple[float, str]]:
        """Seconds of training on everything, where an arm does that."""
        runs: dict[tuple[Any, ...], list[float]] = defaultdict(list)
        for cell, record in self.training.items():
            if cell.arm != ANCHOR and self.planned.experiment.arm(cell.arm).selector.name == "full":
                runs[cell.pool, cell.recipe, cell.model].append(_device_seconds(record))
        return {place: (fmean(seconds), "measured") for place, seconds in runs.items()}

    def _estimated(self, row: Row, control: Mapping[tuple[Any, ...], Row]) -> tuple[float, str] | None:
        """Training on everything from the control's runs: its tokens a row and its tokens a second."""
        name = self.planned.experiment.spec.control
        records = [
            record
            for cell, record in self.training.items()
            if cell.arm == name and _setting(cell.columns()) == _setting(row) and record.n_trained
        ]
        if not records:
            return None
        recipe = self.planned.experiment.recipes[row["recipe"]]
        seconds = fmean([_device_seconds(one) for one in records])
        if recipe.max_steps:
            return seconds, f"estimated: the recipe's {recipe.max_steps} steps take as long on any rows"
        rows = len(self.planned.experiment.pools[row["pool"]])
        scale = fmean([_device_seconds(one) / one.n_trained for one in records])
        return scale * rows, f"estimated from {name}: its seconds a row times {rows:,} rows"


def _first(cell: Cell) -> Cell:
    """The first run in the cell's place, which stands for all of its arm's runs."""
    return Cell(cell.pool, cell.budget, cell.arm, 1, cell.recipe, cell.model)


def _place(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in _PLACE)


def _setting(row: Row) -> tuple[Any, ...]:
    return row["pool"], row["recipe"], row["model"]


def _device_seconds(record: TrainReport) -> float:
    return record.seconds * record.processes


def _ratio(row: Row, control: Row | None) -> float | None:
    """The row's cost over the control's: in dollars where the device has a price, else in seconds."""
    if control is None:
        return None
    for unit in ("dollars", "seconds"):
        if row[unit] is not None and control[unit]:
            return float(row[unit] / control[unit])
    return None
