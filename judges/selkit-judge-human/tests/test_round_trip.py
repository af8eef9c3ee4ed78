"""Out to people and back: blind, checked row by row, and nothing guessed (RELIABILITY scenario 53)."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from selkit_judge_human.judge import Human

from selkit.api import Comparison, DataError, Judgement, Outcome, UsageError
from selkit.testing import awkward_comparisons, make_context

Row = dict[str, str]


def read(path: Path) -> list[Row]:
    """The rows of a sheet as the annotator sees them."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[Row], *, delimiter: str = ",", encoding: str = "utf-8", newline: str = "\n") -> None:
    """Saves rows as a spreadsheet program would."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, rows[0], delimiter=delimiter, lineterminator=newline)
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(buffer.getvalue().encode(encoding))


def fill(path: Path, label: Callable[[Row], str], **how: str) -> list[Row]:
    """Fills in a sheet and saves it; returns its rows."""
    rows = read(path)
    for row in rows:
        row["better"] = label(row)
    write(path, rows, **how)
    return rows


def comparisons(count: int = 6) -> list[Comparison]:
    """The first response is the good one."""
    return [
        Comparison(f"item/{i}", f"Question {i}?", f"good answer no. {i}", f"bad answer no. {i}") for i in range(count)
    ]


def good(row: Row) -> str:
    """The label of an annotator who always finds the good response."""
    return "1" if row["response_1"].startswith("good") else "2"


def export(folder: Path, asked: list[Comparison] | None = None, **parameters: object) -> Path:
    """Writes an export; returns the sheet of the only, or the first, annotator."""
    judge = Human(**parameters)
    sent = judge.export(comparisons() if asked is None else asked, folder, make_context(folder))
    return sent / ("comparisons.csv" if judge.annotators == 1 else "comparisons-1.csv")


def judge(folder: Path, asked: list[Comparison] | None = None, **parameters: object) -> list[Judgement]:
    """What the judge says once the labels are back."""
    labels = parameters.pop("labels", (folder,))
    return list(Human(labels=labels, **parameters).compare(asked or comparisons(), make_context(folder)))


def preferences(judgements: list[Judgement]) -> list[float | None]:
    """Their preferences."""
    return [judgement.preference for judgement in judgements]


def test_labels_come_back_as_preferences(tmp_path: Path) -> None:
    """Whatever the order on the sheet, in the sheet, and in the comparison."""
    sheet = export(tmp_path)
    rows = fill(sheet, good)
    write(sheet, rows[::-1])
    assert {row["better"] for row in rows} == {"1", "2"}
    assert preferences(judge(tmp_path)) == [1.0] * 6
    assert preferences(judge(tmp_path, [c.swapped() for c in comparisons()])) == [0.0] * 6
    fill(sheet, lambda row: "tie")
    assert preferences(judge(tmp_path)) == [0.5] * 6


def test_sheet_is_blind(tmp_path: Path) -> None:
    """What is sent holds no id, no key and no telling order; half of the rows show the first response left."""
    asked = comparisons(40)
    rows = read(export(tmp_path, asked))
    sent = "".join(path.read_text(encoding="utf-8-sig") for path in (tmp_path / "send").iterdir())
    assert "item/" not in sent
    assert not (tmp_path / "send" / "key.json").exists()
    left = [row["response_1"].startswith("good") for row in rows]
    assert sum(left) == 20
    assert left[:20] != [True] * 20
    assert [row["row"] for row in rows] == [f"q{i:04d}" for i in range(1, 41)]


def test_same_seed_same_sheet(tmp_path: Path) -> None:
    """An export can be made again."""
    one, other = export(tmp_path / "a"), export(tmp_path / "b")
    assert one.read_bytes() == other.read_bytes()


def test_both_orders_of_a_comparison_are_one_row(tmp_path: Path) -> None:
    """The host may ask for both orders; people see a comparison once."""
    asked = [order for c in comparisons() for order in (c.swapped(), c)]
    sheet = export(tmp_path, asked)
    assert len(fill(sheet, good)) == 6
    assert preferences(judge(tmp_path, asked)) == [0.0, 1.0] * 6


@pytest.mark.parametrize(
    "how",
    [
        {"delimiter": ";", "encoding": "utf-8-sig", "newline": "\r\n"},
        {"delimiter": "\t", "encoding": "utf-16", "newline": "\r\n"},
        {"newline": "\r\n"},
    ],
)
def test_whatever_a_spreadsheet_writes_is_read(how: dict[str, str], tmp_path: Path) -> None:
    """Scenario 53: separators, byte order marks, line ends, capitals and blanks around labels; awkward texts survive it
    all."""
    asked = awkward_comparisons()
    sheet = export(tmp_path, asked)
    fill(sheet, lambda row: " Tie ", **how)
    assert preferences(judge(tmp_path, asked)) == [0.5] * len(asked)


def test_extra_columns_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    """People add columns, and spreadsheets add empty lines."""
    sheet = export(tmp_path)
    rows = [{"mine": "x", **row} for row in fill(sheet, good)]
    write(sheet, [*rows, dict.fromkeys(rows[0], "")])
    assert preferences(judge(tmp_path)) == [1.0] * 6


def test_lost_apostrophes_do_no_harm(tmp_path: Path) -> None:
    """A spreadsheet that takes the apostrophe for its own text marker drops it."""
    asked = [Comparison("a", "=1+1", "-1 is right", "007")]
    sheet = export(tmp_path, asked)
    rows = fill(sheet, lambda row: "1")
    assert all(rows[0][name].startswith("'") for name in ("prompt", "response_1", "response_2"))
    write(sheet, [{name: cell.removeprefix("'") for name, cell in row.items()} for row in rows])
    assert judge(tmp_path, asked)[0].outcome == Outcome.OK


def drop_label(rows: list[Row]) -> list[Row]:
    """An empty label in the third row of the sheet."""
    rows[1]["better"] = " "
    return rows


def bad_label(rows: list[Row]) -> list[Row]:
    """A label that is none."""
    rows[1]["better"] = "both"
    return rows


def change_text(rows: list[Row]) -> list[Row]:
    """An edited response."""
    rows[1]["response_1"] += "!"
    return rows


def mangle_row(rows: list[Row]) -> list[Row]:
    """A row name that is not in the key."""
    rows[1]["row"] = "2.00"
    return rows


def mangle_check(rows: list[Row]) -> list[Row]:
    """A check from elsewhere."""
    rows[1]["check"] = "h0123456789abcdef"
    return rows


def other_annotator(rows: list[Row]) -> list[Row]:
    """An annotator who was not asked."""
    rows[1]["annotator"] = "7"
    return rows


def repeat(rows: list[Row]) -> list[Row]:
    """The same row twice, with another label."""
    return [*rows, {**rows[1], "better": "tie"}]


def remove(rows: list[Row]) -> list[Row]:
    """A row that is gone."""
    return [rows[0], *rows[2:]]


FAULTS = [
    (drop_label, "comparisons.csv, row 3: no label"),
    (bad_label, "comparisons.csv, row 3: the label 'both' is none of 1, 2 and tie"),
    (change_text, "comparisons.csv, row 3: the text of q0002 has changed"),
    (mangle_row, "comparisons.csv, row 3: there is no comparison '2.00' in the key"),
    (mangle_check, "comparisons.csv, row 3: the check of q0002 is not the one of this export"),
    (other_annotator, "comparisons.csv, row 3: q0002 was not given to an annotator '7'"),
    (repeat, "comparisons.csv, row 8: q0002 stands already in comparisons.csv, row 3"),
    (remove, "q0002 of annotator 1 is missing"),
]


@pytest.mark.parametrize(("spoil", "words"), FAULTS, ids=[spoil.__name__ for spoil, _ in FAULTS])
def test_bad_rows_are_named_and_not_guessed(
    spoil: Callable[[list[Row]], list[Row]], words: str, tmp_path: Path
) -> None:
    """Scenario 53: the import stops and names file and row; leniently, this row alone has no verdict, and a reason."""
    sheet = export(tmp_path)
    write(sheet, spoil(fill(sheet, good)))
    with pytest.raises(DataError) as refusal:
        judge(tmp_path)
    assert words in str(refusal.value)
    assert "-p lenient=true" in str(refusal.value)
    found = judge(tmp_path, lenient=True)
    assert preferences(found) == [1.0, None, 1.0, 1.0, 1.0, 1.0]
    assert found[1].outcome == Outcome.MALFORMED
    assert found[1].reason


def test_long_list_of_problems_is_cut(tmp_path: Path) -> None:
    """The first few and the count, not hundreds of lines."""
    export(tmp_path, comparisons(30))
    with pytest.raises(DataError, match=r"30 problems .*row 2: no label.*and 25 more"):
        judge(tmp_path, comparisons(30))


def test_unlabelled_comparisons_fail_with_a_reason(tmp_path: Path) -> None:
    """One that was never exported, and one whose responses changed after the export."""
    fill(export(tmp_path), good)
    other = Comparison("item/0", "Question 0?", "another answer", "bad answer no. 0")
    found = judge(tmp_path, [Comparison("new", "?", "a", "b"), other, comparisons()[1]])
    assert [judgement.outcome for judgement in found] == [Outcome.MALFORMED, Outcome.MALFORMED, Outcome.OK]
    assert found[0].reason.startswith("no label")
    assert "not those that were exported" in found[1].reason


def test_several_annotators(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everybody gets the shared rows, the rest is dealt out, the majority counts, and the agreement is told."""
    asked = comparisons(10)
    export(tmp_path, asked, annotators=3, overlap=0.4)
    files = [tmp_path / "send" / f"comparisons-{n}.csv" for n in (1, 2, 3)]
    given = [{row["row"] for row in read(file)} for file in files]
    shared = set.intersection(*given)
    assert len(shared) == 4
    assert [len(rows) for rows in given] == [6, 6, 6]
    assert set.union(*given) == {f"q{i:04d}" for i in range(1, 11)}
    for file in files:
        fill(file, lambda row: "tie" if file is files[2] else good(row))  # noqa: B023
    alone = given[2] - shared
    expected = [0.5 if f"q{i + 1:04d}" in alone else 1.0 for i in range(10)]
    assert preferences(judge(tmp_path, asked)) == expected
    assert "33.3% of the pairs of labels agree" in capsys.readouterr().err
    assert preferences(judge(tmp_path, asked, labels=tuple(files))) == expected


def test_absent_annotator_is_named_once(tmp_path: Path) -> None:
    """One problem for a sheet that never came back; leniently the others decide."""
    export(tmp_path, annotators=2)
    for n in (1, 2):
        fill(tmp_path / "send" / f"comparisons-{n}.csv", good)
    (tmp_path / "send" / "comparisons-2.csv").unlink()
    with pytest.raises(DataError, match=r"1 problem .*all rows of annotator 2 are missing"):
        judge(tmp_path)
    assert preferences(judge(tmp_path, lenient=True)) == [1.0] * 6


def test_sheet_sent_in_twice_is_a_double_label(tmp_path: Path) -> None:
    """An extra annotator who used somebody's sheet is reported, not averaged in."""
    sheet = export(tmp_path)
    fill(sheet, good)
    (tmp_path / "send" / "copy.csv").write_bytes(sheet.read_bytes())
    with pytest.raises(DataError, match=r"copy\.csv, row 2: q0001 stands already in comparisons\.csv, row 2"):
        judge(tmp_path)


def test_wrong_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    """No labels yet, no file, no key, no CSV, another encoding, columns taken out, a key that is none."""
    with pytest.raises(UsageError, match="no labels yet"):
        judge(tmp_path, labels=())
    with pytest.raises(DataError, match=r"no key\.json beside"):
        judge(tmp_path)
    sheet = export(tmp_path)
    with pytest.raises(DataError, match="there is no file or folder"):
        judge(tmp_path, labels=(tmp_path / "send" / "absent.csv",))
    rows = fill(sheet, good)
    sheet.write_bytes("row;bétter".encode("latin-1"))
    with pytest.raises(DataError, match="not in UTF-8"):
        judge(tmp_path)
    write(sheet, [{name: row[name] for name in ("row", "better")} for row in rows])
    with pytest.raises(DataError, match="lacks the columns annotator, check, prompt, response_1, response_2"):
        judge(tmp_path)
    sheet.write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        judge(tmp_path)
    (tmp_path / "key.json").write_text(json.dumps({"rows": []}))
    with pytest.raises(DataError, match="not a key"):
        judge(tmp_path)
    sheet.unlink()
    (tmp_path / "key.json").write_text(json.dumps({"schema_version": 1, "rows": []}))
    with pytest.raises(DataError, match="no CSV file"):
        judge(tmp_path)


def test_key_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """It is not read half-way."""
    fill(export(tmp_path), good)
    key = json.loads((tmp_path / "key.json").read_text())
    (tmp_path / "key.json").write_text(json.dumps(key | {"schema_version": 2}))
    with pytest.raises(DataError, match="schema version 2"):
        judge(tmp_path)


def test_texts_too_long_for_a_cell_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Spreadsheets cut them off; who exports learns it at once, and the cut text is found on import."""
    asked = [Comparison("a", "?", "x" * 40_000, "short"), comparisons()[0]]
    sheet = export(tmp_path, asked)
    assert "q0001" in capsys.readouterr().err
    rows = fill(sheet, lambda row: "1")
    write(sheet, [{name: cell[:32_767] for name, cell in row.items()} for row in rows])
    with pytest.raises(DataError, match="the text of q0001 has changed"):
        judge(tmp_path, asked)


@pytest.mark.parametrize("parameters", [{"annotators": 0}, {"overlap": 1.5}])
def test_senseless_designs_are_refused(parameters: dict[str, float]) -> None:
    """Before anything is written."""
    with pytest.raises(ValueError, match="not"):
        Human(**parameters)


def test_command_line_round_trip(tmp_path: Path) -> None:
    """Export, labels that came back as files of their own, import: passes.jsonl, and what is wrong by file and row."""
    for name, word in (("ours", "good"), ("theirs", "bad")):
        rows = [{"id": f"p{i}", "prompt": f"Question {i}?", "response": f"{word} answer to it"} for i in range(4)]
        rows[3]["response"] = "the same answer"
        rows.append({"id": f"only-{name}", "prompt": "?", "response": "alone"})
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def selkit(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "selkit", "judge", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    export = ("export", "ours.jsonl", "theirs.jsonl", "-o", "study", "-p", "annotators=2")
    done = selkit(*export)
    assert done.returncode == 0, done.stderr
    assert "4 comparisons (1 with equal responses" in done.stdout
    assert "2 ids are in one file alone and were left out: only-ours, only-theirs" in done.stderr
    assert selkit(*export).returncode == 4
    (tmp_path / "returned").mkdir()
    for number, person in ((1, "anna"), (2, "ben")):
        fill(tmp_path / "study" / "send" / f"comparisons-{number}.csv", good)
        back = tmp_path / "returned" / f"{person}.csv"
        back.write_bytes((tmp_path / "study" / "send" / f"comparisons-{number}.csv").read_bytes())
    labels = ("study", "returned/anna.csv", "returned/ben.csv")
    done = selkit("import", *labels, "-o", "passes.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["with_verdict"], facts["passes"], facts["first_score"]) == (4, 4, (3 + 0.5) / 4)
    assert "100.0% of the pairs of labels agree" in done.stderr
    assert (facts["several_labels"], facts["pair_agreement"]) == (3, 1.0)
    assert facts["krippendorff_alpha"] in (1.0, None)  # None where the good answer stood on one side throughout
    audited = selkit("audit", "--labels", "passes.jsonl", "--verdicts", "passes.jsonl", "--json")
    assert json.loads(audited.stdout)["accuracy"] == 1.0
    rows = [json.loads(line) for line in (tmp_path / "passes.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["p0", "p1", "p2", "p3"]
    assert {"id", "judge", "order", "raw", "outcome", "preference", "usage"} <= set(rows[0])
    assert rows[0]["raw"].startswith("annotator 1: ")

    spoiled = read(tmp_path / "returned" / "ben.csv")
    spoiled[1]["better"] = "3"
    write(tmp_path / "returned" / "ben.csv", spoiled)
    before = (tmp_path / "passes.jsonl").read_bytes()
    done = selkit("import", *labels, "-o", "passes.jsonl", "--force")
    assert done.returncode == 4
    assert "ben.csv, row 3: the label '3' is none of 1, 2 and tie" in done.stderr
    assert (tmp_path / "passes.jsonl").read_bytes() == before
    assert selkit("import", *labels, "-o", "other.jsonl", "-p", "lenient=true").returncode == 0
