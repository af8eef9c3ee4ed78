"""The human round trip of the host: responses joined by id go out, passes come back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_packages import FakePackages

from selkit.api import Comparison, ContractViolation, DataError, UsageError
from selkit.judge import judge_pairs, pass_from_row
from selkit.judge.exchange import export_comparisons, import_labels
from selkit.models import HostContext
from selkit.plugins import build
from selkit.store import Store, read_jsonl

JUDGE = '''
"""A judge that asks somebody to write 1 or 2 behind each id."""
from dataclasses import dataclass
from pathlib import Path
from selkit.api import Judgement, Outcome, RoundTripJudge, hookimpl

@dataclass
class Postcard(RoundTripJudge):
    """Answers by postcard.

    Args:
        labels: What came back.
        stop: Whether to answer nothing at all.
    """

    name = "postcard"
    labels: tuple[Path, ...] = ()
    stop: bool = False

    def export(self, comparisons, directory, ctx):
        path = directory / "card.txt"
        path.write_text("".join(f"{c.id}\\n" for c in comparisons))
        return path

    def compare(self, comparisons, ctx):
        files = [path for path in self.labels if path.is_file()] or [self.labels[0] / "card.txt"]
        lines = [line.split() for path in files for line in path.read_text().splitlines()]
        said = {line[0]: line[1] for line in lines if len(line) > 1}
        for c in comparisons if not self.stop else ():
            label = said.get(c.id)
            yield Judgement.of(c, float(label == "1"), label) if label else Judgement.failed(
                c, Outcome.MALFORMED, "no label")

@hookimpl
def selkit_judges():
    return [Postcard]
'''


@pytest.fixture(autouse=True)
def _postcard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The judge `postcard`, installed as any plugin is."""
    packages = FakePackages(tmp_path / "site", monkeypatch)
    packages.install("selkit-postcard", JUDGE)
    yield
    packages.forget()


def responses(path: Path, answers: dict[str, str], prompt: str = "What about {}?") -> Path:
    """Writes a file of responses."""
    rows = [{"id": row_id, "prompt": prompt.format(row_id), "response": text} for row_id, text in answers.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two files with three ids in common, one of them with equal responses, and one id of their own each."""
    one = responses(tmp_path / "one.jsonl", {"a": "1", "b": "2", "same": "=", "mine": "x"})
    two = responses(tmp_path / "two.jsonl", {"same": "=", "b": "two", "a": "one", "yours": "y"})
    return one, two


def test_export_joins_by_id(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Unmatched ids are named; equal responses are not sent; nothing sent names where a response is from."""
    done = export_comparisons(*pair, tmp_path / "study", "postcard")
    assert (done.comparisons, done.equal, done.unmatched) == (3, 1, ("mine", "yours"))
    assert done.send.read_text() == "a\nb\n"
    stored = [Comparison(**row) for row in read_jsonl(tmp_path / "study" / "comparisons.jsonl")]
    assert stored[0] == Comparison("a", "What about a?", "1", "one")
    assert [c.id for c in stored] == ["a", "b", "same"]
    json.dumps(done.to_dict())


def test_labels_become_passes(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """In the order of the export, with a tie where nobody was asked and a reason where nobody answered."""
    study = tmp_path / "study"
    export_comparisons(*pair, study, "postcard")
    (study / "card.txt").write_text("a 1\nb\n")
    done = import_labels([study], tmp_path / "new" / "passes.jsonl")
    passes = [pass_from_row(row) for row in read_jsonl(tmp_path / "new" / "passes.jsonl")]
    assert tuple(passes) == done.passes
    assert [(p.id, p.order, str(p.outcome), p.preference) for p in passes] == [
        ("a", "first", "ok", 1.0),
        ("b", "first", "malformed", None),
        ("same", "first", "ok", 0.5),
    ]
    assert done.to_dict()["without_verdict"] == {"no label": 1}
    assert done.to_dict()["first_score"] == 0.75
    rows = read_jsonl(tmp_path / "new" / "passes.jsonl")
    assert {"id", "judge", "order", "raw", "outcome", "preference", "usage"} <= set(rows[0])


def test_files_that_came_back_elsewhere(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """With the folder of the export named too; a file inside that folder finds it alone."""
    study, back = tmp_path / "study", tmp_path / "back.txt"
    export_comparisons(*pair, study, "postcard")
    back.write_text("a 2\nb 1\n")
    done = import_labels([back, study], tmp_path / "passes.jsonl")
    assert [p.preference for p in done.passes] == [0.0, 1.0, 0.5]
    (study / "card.txt").write_text("a 1\nb 1\n")
    inside = import_labels([study / "card.txt"], tmp_path / "passes.jsonl", force=True)
    assert [p.preference for p in inside.passes] == [1.0, 1.0, 0.5]


def test_nothing_is_overwritten_or_half_written(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """A folder that holds labels is not exported to again; a failed import leaves the old passes as they were."""
    study, output = tmp_path / "study", tmp_path / "passes.jsonl"
    export_comparisons(*pair, study, "postcard")
    (study / "card.txt").write_text("a 1\nb 2\n")
    with pytest.raises(DataError, match="holds other files"):
        export_comparisons(*pair, study, "postcard")
    assert (study / "card.txt").read_text() == "a 1\nb 2\n"
    import_labels([study], output)
    before = output.read_bytes()
    import_labels([study], output)
    (study / "card.txt").write_text("a 2\nb 2\n")
    with pytest.raises(DataError, match="holds something else"):
        import_labels([study], output)
    with pytest.raises(ContractViolation):
        import_labels([study], output, {"stop": True}, force=True)
    assert output.read_bytes() == before
    import_labels([study], output, force=True)
    assert output.read_bytes() != before
    export_comparisons(*pair, study, "postcard", force=True)
    assert (study / "card.txt").read_text() == "a\nb\n"


def test_what_cannot_be_exported_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """One sentence each, and no folder is made."""
    one, two = pair
    folder = tmp_path / "study"
    with pytest.raises(UsageError, match="answers by itself"):
        export_comparisons(one, two, folder, "reference")
    with pytest.raises(DataError, match="no id in common"):
        export_comparisons(one, responses(tmp_path / "other.jsonl", {"z": "?"}), folder, "postcard")
    with pytest.raises(DataError, match="different prompts under 1 of their ids"):
        export_comparisons(one, responses(tmp_path / "other.jsonl", {"a": "?"}, "Why {}?"), folder, "postcard")
    with pytest.raises(DataError, match="are equal: there is nothing to judge"):
        export_comparisons(one, one, folder, "postcard")
    with pytest.raises(UsageError, match="no parameter 'stamp'"):
        export_comparisons(one, two, folder, "postcard", {"stamp": "60"})
    assert not folder.exists()
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        export_comparisons(one, two, tmp_path / "file", "postcard")


def test_what_cannot_be_imported_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """A path that is not there, a folder that is no export, a damaged or newer one, an output that is a folder."""
    study, output = tmp_path / "study", tmp_path / "passes.jsonl"
    export_comparisons(*pair, study, "postcard")
    with pytest.raises(DataError, match="there is no file or folder"):
        import_labels([tmp_path / "absent"], output)
    (tmp_path / "empty" / "below").mkdir(parents=True)
    with pytest.raises(DataError, match=r"no exchange\.json in or above"):
        import_labels([tmp_path / "empty" / "below"], output)
    with pytest.raises(DataError, match="is a folder"):
        import_labels([study], tmp_path / "empty")
    exchange = json.loads((study / "exchange.json").read_text())
    (study / "exchange.json").write_text(json.dumps(exchange | {"schema_version": 2}))
    with pytest.raises(DataError, match="schema version 2"):
        import_labels([study], output)
    (study / "exchange.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        import_labels([study], output)
    assert not output.exists()


def test_text_that_is_not_quite_text_survives(tmp_path: Path) -> None:
    """Lone surrogates and control characters of a response come through the folder unchanged."""
    one = responses(tmp_path / "one.jsonl", {"a": "\ud83d half", "b": "nul \x00"})
    two = responses(tmp_path / "two.jsonl", {"a": "whole", "b": "\u2028\r\n"})
    study = tmp_path / "study"
    export_comparisons(one, two, study, "postcard")
    stored = [Comparison(**row) for row in read_jsonl(study / "comparisons.jsonl")]
    assert [(c.first, c.second) for c in stored] == [("\ud83d half", "whole"), ("nul \x00", "\u2028\r\n")]
    assert len(import_labels([study], tmp_path / "passes.jsonl").passes) == 2


def test_other_labels_are_another_judgement(tmp_path: Path) -> None:
    """The engine stores passes by the bytes of the labels: a corrected file is read again, also below a folder."""
    labels = tmp_path / "labels"
    labels.mkdir()
    asked = [Comparison("a", "?", "1", "2")]
    found = []
    for label in ("1", "2", "2", "1"):
        (labels / "card.txt").write_text(f"a {label}\n")
        judge = build("judge", "postcard", {"labels": [str(labels)]})
        ctx = HostContext(seed=0, cache_dir=tmp_path)
        found.append(judge_pairs(judge, asked, ctx, Store(tmp_path / "store"), orders="first"))
    assert [passes[0].preference for passes, _ in found] == [1.0, 0.0, 0.0, 1.0]
    assert found[0][1].key == found[3][1].key != found[1][1].key == found[2][1].key
