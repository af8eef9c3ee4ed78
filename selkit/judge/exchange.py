"""Judging by people: comparisons go out to a folder, labels come back and become stored passes.

The folder holds what the judge wrote (what to send and, for `human`, the key) and two files of the host: exchange.json
(the judge, its parameters, where the responses came from) and comparisons.jsonl. exchange.json is written last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from selkit.api import Comparison, DataError, Judgement, RoundTripJudge, UsageError
from selkit.judge.engine import check_judge, passes_of
from selkit.judge.passes import item_scores, pass_row
from selkit.judge.responses import join_files
from selkit.models import HostContext
from selkit.plugins import build, check_requirements
from selkit.store import atomic_write_text, canonical_json, read_jsonl

EXCHANGE = "exchange.json"
COMPARISONS = "comparisons.jsonl"
SCHEMA = 1


@dataclass(frozen=True)
class Exported:
    """What went out.

    Args:
        directory: The folder of the export.
        send: The file or folder to send to the people who label.
        comparisons: How many prompts have a response on both sides.
        equal: How many of them have equal responses: a tie that nobody is asked about.
        unmatched: Ids that only one side has; they are left out.
    """

    directory: Path
    send: Path
    comparisons: int
    equal: int
    unmatched: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data for JSON."""
        return asdict(self) | {"directory": str(self.directory), "send": str(self.send)}


@dataclass(frozen=True)
class Imported:
    """What came back.

    Args:
        judge: Name of the judge.
        output: The file of passes.
        passes: One judgement per comparison, in the order of the export.
        facts: What else the judge knows of the labels, such as how far people agree.
    """

    judge: str
    output: Path
    passes: tuple[Judgement, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Counts and the mean score of the first responses, as plain data for JSON."""
        scores = [score for score in item_scores(self.passes).values() if score is not None]
        reasons: dict[str, int] = {}
        for judgement in self.passes:
            if judgement.preference is None:
                reasons[judgement.reason] = reasons.get(judgement.reason, 0) + 1
        return {
            "judge": self.judge,
            "output": str(self.output),
            "passes": len(self.passes),
            "with_verdict": len(scores),
            "first_score": sum(scores) / len(scores) if scores else None,
            "without_verdict": reasons,
            **self.facts,
        }


def export_comparisons(
    first: Path,
    second: Path,
    directory: Path,
    judge: str = "human",
    parameters: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    force: bool = False,
) -> Exported:
    """Writes the comparisons of two files of responses, joined by id, for people to label.

    Args:
        first: One side's responses.jsonl.
        second: The other side's.
        directory: Folder to write to: new, or empty.
        judge: Name of a judge that answers later.
        parameters: Its parameters.
        seed: Seed of all that the judge draws, such as which response stands left.
        force: Whether to write into a folder that holds something.

    Raises:
        UsageError: The judge answers by itself, or the responses belong to later turns and it is shown one.
        DataError: The files have no id in common or other prompts under one id, or the folder cannot be taken.
    """
    component = _round_trip(judge, parameters or {})
    comparisons, unmatched = join_files(first, second)
    check_judge(component, comparisons)
    different = [comparison for comparison in comparisons if not comparison.equal]
    if not different:
        raise DataError(
            f"all {len(comparisons)} responses of {first} and {second} are equal: there is nothing to judge"
        )
    _take_folder(directory, force=force)
    send = component.export(different, directory, HostContext(seed=seed, cache_dir=directory))
    rows = (canonical_json(_row(comparison)) for comparison in comparisons)
    atomic_write_text(directory / COMPARISONS, "".join(f"{row}\n" for row in rows))
    exchange = {
        "schema_version": SCHEMA,
        "judge": judge,
        "parameters": component.parameters(),
        "seed": seed,
        "first": str(first),
        "second": str(second),
        "unmatched": unmatched,
    }
    atomic_write_text(directory / EXCHANGE, json.dumps(exchange, indent=1, ensure_ascii=False) + "\n")
    return Exported(directory, send, len(comparisons), len(comparisons) - len(different), tuple(unmatched))


def import_labels(
    paths: Sequence[Path], output: Path, parameters: Mapping[str, Any] | None = None, *, force: bool = False
) -> Imported:
    """Turns labels that came back into passes, and writes them.

    Args:
        paths: The folder of the export with its labels filled in, or the files that came back; with the folder of the
            export among them where they lie elsewhere.
        output: The passes.jsonl to write.
        parameters: Parameters of the judge that differ from those of the export.
        force: Whether to overwrite another file.

    Raises:
        DataError: There is no export there, the judge cannot use the labels, or the output holds something else.
    """
    directory = _export_of(paths)
    exchange = _read_exchange(directory / EXCHANGE)
    returned = [path for path in paths if path.resolve() != directory.resolve()]
    labels = [str(directory), *(str(path) for path in returned)]
    judge = _round_trip(exchange["judge"], {**exchange["parameters"], **(parameters or {}), "labels": labels})
    comparisons = [Comparison(**row) for row in read_jsonl(directory / COMPARISONS)]
    ctx = HostContext(seed=exchange["seed"], cache_dir=directory)
    found = {judgement.id: judgement for judgement in passes_of(judge, comparisons, ctx)}
    passes = tuple(found[comparison.id] for comparison in comparisons)
    text = "".join(f"{canonical_json(pass_row(judge.name, judgement))}\n" for judgement in passes)
    _write(output, text, force=force)
    return Imported(judge.name, output, passes, judge.facts())


def _round_trip(name: str, parameters: Mapping[str, Any]) -> RoundTripJudge:
    judge = build("judge", name, parameters)
    if not isinstance(judge, RoundTripJudge):
        raise UsageError(
            f"judge {name!r} answers by itself and needs no export: take a judge of people such as 'human'"
        )
    check_requirements(judge)
    return judge


def _row(comparison: Comparison) -> dict[str, Any]:
    """A comparison of one turn as it is kept with an export."""
    return {name: value for name, value in asdict(comparison).items() if name not in ("earlier", "input")}


def _take_folder(directory: Path, *, force: bool) -> None:
    """Makes the folder, or refuses one that holds something: labels may have been filled in there."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        found = sorted(path.name for path in directory.iterdir())
    except OSError as error:
        raise DataError(f"{directory} cannot be written ({error.strerror}): choose another folder with -o") from error
    if found and not force:
        raise DataError(f"{directory} holds other files ({found[0]}): choose another folder, or add --force")


def _export_of(paths: Sequence[Path]) -> Path:
    for path in paths:
        if not path.exists():
            raise DataError(f"there is no file or folder {path}: check the path")
    folders = [path for path in paths if path.is_dir()]
    near = [up for path in paths for up in (path.resolve().parent, path.resolve().parent.parent)]
    for folder in [*folders, *near]:
        if (folder / EXCHANGE).is_file():
            return folder
    shown = paths[0] if paths else "the working directory"
    raise DataError(f"there is no {EXCHANGE} in or above {shown}: name the folder that `selkit judge export` wrote too")


def _read_exchange(path: Path) -> Mapping[str, Any]:
    try:
        exchange: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = exchange["schema_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: export the comparisons again") from error
    if version != SCHEMA:
        raise DataError(f"{path} has schema version {version} and this selkit reads {SCHEMA}: upgrade selkit-eval")
    return exchange


def _write(output: Path, text: str, *, force: bool) -> None:
    if output.is_dir():
        raise DataError(f"{output} is a folder: name a file such as {output / 'passes.jsonl'}")
    if output.exists() and not force and output.read_bytes() != text.encode():
        raise DataError(f"{output} holds something else: choose another file, or add --force")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write {output} ({error.strerror}): choose another place") from error
    atomic_write_text(output, text)
