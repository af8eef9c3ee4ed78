"""What an experiment will take before anything is spent: device hours, calls of judges, dollars and disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from selkit.experiment.jobs import resources
from selkit.experiment.judging.judging import judging_account
from selkit.experiment.outlook.graph import Group, groups_of, needs_of
from selkit.experiment.outlook.rates import (
    CHARACTERS_A_TOKEN,
    Rate,
    parameters_of,
    rule_of,
    stages_measured,
    trainings_measured,
)
from selkit.experiment.setup.stages import Stage, Survey
from selkit.files import free_bytes
from selkit.models import has_gpu
from selkit.models.client import parse_endpoint
from selkit.models.client.prices import DevicePrice, PriceTable, prices_place, read_prices
from selkit.store import totals

PROMPT_TOKENS = 300
"""Tokens of a judge's or scorer's own prompt, and most that it answers, where nothing is measured."""

ANSWER_TOKENS = 256
_SCORE_BYTES, _PASS_BYTES = 80, 1500


@dataclass(frozen=True)
class Line:
    """Stages of one kind that are estimated together.

    Args:
        kind: The kind of stage.
        what: Component, or model and recipe.
        stored: How many are stored.
        to_do: How many are not.
        device_seconds: Seconds of a device for those; None where nothing tells.
        calls: Requests of endpoints for those, at most.
        dollars: What these requests cost; None where a price is missing.
        source: Whether that is measured, or which rule says so.
        needs: Kinds of the stages that these build on.
        endpoint: The endpoint that is asked, where one is.
    """

    kind: str
    what: str
    stored: int
    to_do: int
    device_seconds: float | None
    calls: int
    dollars: float | None
    source: str
    needs: tuple[str, ...] = ()
    endpoint: str = ""


@dataclass(frozen=True)
class Disk:
    """Bytes that the experiment adds to the store: ``results`` stay, ``weights`` stay as ``keep`` says, and ``peak`` is
    the most at any time, with the trainings under way. ``free`` is what the disk has left."""

    results: float
    weights: float
    peak: float
    free: int


@dataclass(frozen=True)
class Estimate:
    """What is left to do and what it will take.

    Args:
        lines: By kind of stage and what computes.
        device: Name of the device that the hours are of.
        device_price: Its price and operations a second.
        workers: Cells that are done at once.
        disk: Bytes.
        notes: What the figures do not hold, and why.
    """

    lines: tuple[Line, ...]
    device: str
    device_price: DevicePrice
    workers: int
    disk: Disk
    notes: tuple[str, ...]

    @property
    def device_seconds(self) -> float:
        """Seconds of a device for all that is to do and can be estimated."""
        return sum(line.device_seconds or 0.0 for line in self.lines)

    @property
    def dollars(self) -> dict[str, float | None]:
        """Dollars of devices and of calls; None where a price is not known."""
        calls = [line.dollars for line in self.lines if line.calls]
        return {
            "device": self.device_price.dollars(self.device_seconds),
            "calls": None if None in calls else sum(one or 0.0 for one in calls),
        }

    def to_dict(self) -> dict[str, Any]:
        """The estimate as JSON."""
        return {
            "stages": [asdict(line) for line in self.lines],
            "device": self.device,
            "device_hours": self.device_seconds / 3600,
            "hours": self.device_seconds / 3600 / self.workers,
            "workers": self.workers,
            "calls": sum(line.calls for line in self.lines),
            "dollars": self.dollars,
            "disk": asdict(self.disk),
            "notes": list(self.notes),
        }


def estimate(found: Survey, device: str | None = None) -> Estimate:
    """What the stages that are not stored will take.

    Args:
        found: The stages.
        device: A name in the file of prices, where the experiment is to run on another device than this machine's; what
            was measured here then says nothing.
    """
    prices = read_prices()
    spec = found.experiment.spec
    workers, threads = resources(spec)
    name = device or device_name(found.experiment.device)
    price = prices.device(name)
    flops = price.flops and price.flops * (threads if name == "cpu" else 1)
    lines = [_line(found, group, stages, flops, device is None, prices) for group, stages in groups_of(found).items()]
    notes = (*_notes(lines, name, price), *_over_cap(lines, spec.max_cost))
    return Estimate(tuple(lines), name, price, workers, _disk(found, workers), notes)


def device_name(kind: str) -> str:
    """What the device is called that cells compute on: the name of this machine's GPU, else its kind."""
    if kind != "cuda" or not has_gpu():
        return kind
    import torch

    return str(torch.cuda.get_device_name())


def _line(
    found: Survey,
    group: Group,
    stages: Sequence[Stage],
    flops: float | None,
    here: bool,
    prices: PriceTable,
) -> Line:
    todo = [stage for stage in stages if not stage.stored]
    rate = _rate(found, stages, flops, here) if todo else Rate(0.0, "")
    size = (lambda stage: stage.characters) if group[0] == "training" else (lambda stage: float(stage.rows))
    if any(stage.endpoint for stage in stages):
        rate = Rate(0.0, "")
    seconds = None if rate is None else sum(rate.seconds * size(stage) for stage in todo)
    calls, dollars, source = _calls(found, todo, prices)
    sources = "; ".join(part for part in (rate.source if rate else "not known", source) if part)
    needs = tuple(dict.fromkeys(kind for kind, _ in needs_of(found, stages)))
    return Line(*group, len(stages) - len(todo), len(todo), seconds, calls, dollars, sources, needs, stages[0].endpoint)


def _rate(found: Survey, stages: Sequence[Stage], flops: float | None, here: bool) -> Rate | None:
    if not here:
        return rule_of(stages[0], flops)
    store = found.experiment.store
    training = stages[0].kind == "training"
    rate = trainings_measured(stages, store, found.experiment.device) if training else stages_measured(stages, store)
    return rate or rule_of(stages[0], flops)


def _calls(found: Survey, todo: Sequence[Stage], prices: PriceTable) -> tuple[int, float | None, str]:
    """Requests, dollars, and who says what a request takes."""
    asked = [stage for stage in todo if stage.endpoint]
    if not asked:
        return 0, 0.0, ""
    calls = sum(stage.calls for stage in asked)
    endpoint = parse_endpoint(asked[0].endpoint)
    price = prices.of(endpoint) if endpoint else None
    tokens, source = _tokens_a_call(found, asked)
    return calls, None if price is None else price.dollars({n: calls * t for n, t in tokens.items()}), source


def _tokens_a_call(found: Survey, asked: Sequence[Stage]) -> tuple[Mapping[str, float], str]:
    accounts = [judging_account(found.experiment)] if asked[0].kind == "judging" else [one.id for one in asked]
    rows = [row for row in found.experiment.store.ledger(accounts) if row.stage == "chat"]
    spent = totals(rows)
    if spent.get("calls") and "input_tokens" in spent:
        tokens = {name: spent.get(f"{name}_tokens", 0.0) / spent["calls"] for name in ("input", "output")}
        return tokens, f"tokens measured on {spent['calls']:,.0f} calls"
    read = sum(stage.characters for stage in asked) / CHARACTERS_A_TOKEN / max(sum(stage.rows for stage in asked), 1)
    rule = f"rule: {CHARACTERS_A_TOKEN:g} characters a token, {PROMPT_TOKENS} of the prompt and {ANSWER_TOKENS} back"
    return {"input": read + PROMPT_TOKENS, "output": ANSWER_TOKENS}, rule


def _disk(found: Survey, workers: int) -> Disk:
    results = sum(_bytes(stage) for stage in found.stages.values() if not stage.stored)
    trainings = [stage for stage in found.of("training") if not stage.stored]
    kept = sum(4 * parameters_of(stage.model) for stage in trainings if stage.detail["keep"])
    # under way: the weights, and a checkpoint with the weights and the two moments of Adam
    largest = max((4 * parameters_of(stage.model) for stage in trainings), default=0.0)
    peak = results + kept + min(workers, len(trainings)) * 4 * largest
    return Disk(results, kept, peak, free_bytes(found.experiment.store.root))


def _bytes(stage: Stage) -> float:
    """Bytes of a stage's result, weights apart."""
    match stage.kind:
        case "scoring":
            return stage.rows * _SCORE_BYTES
        case "answers":
            return stage.characters + CHARACTERS_A_TOKEN * stage.tokens_out
        case "judging":
            return stage.rows * _PASS_BYTES
        case "selection":
            return stage.characters
        case _:
            return float(stage.rows)


def _notes(lines: Sequence[Line], device: str, price: DevicePrice) -> Iterator[str]:
    if device == "cuda" and any(line.to_do for line in lines):
        yield "Cells compute on a GPU, and this machine has none: name it with --device, such as A100."
    unknown = sorted({line.kind for line in lines if line.device_seconds is None})
    if unknown:
        yield (
            f"The hours leave out {', '.join(unknown)}: nothing like it is stored, and {prices_place()} says no flops "
            f"for device {device!r}."
        )
    if price.dollars_per_hour is None and any(line.device_seconds for line in lines):
        yield (
            f"The dollars leave the device out: {prices_place()} names no price for an hour of {device}; write "
            f"devices: {{{json.dumps(device)}: {{dollars_per_hour: PRICE}}}}."
        )
    for endpoint in sorted({line.endpoint for line in lines if line.calls and line.dollars is None}):
        yield f"The dollars leave out calls of {endpoint}: {prices_place()} names no price{_price_entry(endpoint)}."


def _over_cap(lines: Sequence[Line], cap: float | None) -> Iterator[str]:
    dollars = sum(line.dollars or 0.0 for line in lines)
    if cap is not None and dollars > cap:
        yield (
            f"The calls may cost ${dollars:,.2f}, and max_cost is ${cap:,.2f}, earlier calls included: nothing is "
            "asked beyond it, and arms that lack verdicts are INCOMPLETE."
        )


def _price_entry(endpoint: str) -> str:
    """How the price of an endpoint is written; empty where requests are not selkit's own."""
    found = parse_endpoint(endpoint)
    if found is None:
        return ""
    return f"; write models: {{{json.dumps(found.model)}: {{input: PRICE, output: PRICE}}}}, per million tokens"
