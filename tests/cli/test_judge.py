"""`selkit judge pairwise`, `replay` and `audit` as people run them: results, exit codes, one sentence on stderr."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_packages import FakePackages

from selkit.__main__ import main
from selkit.cli import judge as commands
from selkit.judge.audit import Unparsed
from selkit.judge.engine import Orders
from selkit.judge.rules import RULES
from selkit.judge.templates import PARSERS

PLUGIN = '''
"""A judge of lengths, and one that is fooled."""
from dataclasses import dataclass
from selkit.api import Judgement, PairwiseJudge, hookimpl

@dataclass
class Shortest(PairwiseJudge):
    """Prefers the shorter response.

    Args:
        by: Characters it must be shorter by.
    """

    name = "shortest"
    by: int = 0

    def compare(self, comparisons, ctx):
        for c in comparisons:
            lead = len(c.second) - len(c.first)
            yield Judgement.of(c, 0.5 if abs(lead) <= self.by else float(lead > 0))

@hookimpl
def selkit_judges():
    return [Shortest]
'''


@pytest.fixture(autouse=True)
def _plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The judge `shortest`, installed as any plugin is; work happens in a folder of its own."""
    packages = FakePackages(tmp_path / "site", monkeypatch)
    packages.install("selkit-shortest", PLUGIN)
    monkeypatch.chdir(tmp_path)
    yield
    packages.forget()


def write(name: str, rows: list[dict[str, object]]) -> str:
    """A file of JSON lines in the working directory."""
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return name


@pytest.fixture
def pair() -> list[str]:
    """Two files with two ids in common."""
    ours = [{"id": "a", "prompt": "?", "response": "x"}, {"id": "b", "prompt": "?", "response": "xxxx"}]
    theirs = [{"id": "b", "prompt": "?", "response": "yy"}, {"id": "a", "prompt": "?", "response": "yy"}]
    return [write("a.jsonl", [*ours, {"id": "mine", "response": ""}]), write("b.jsonl", theirs)]


def test_choices_are_those_of_the_code() -> None:
    """The lists that help spells out."""
    assert commands.RULES == RULES
    assert tuple(PARSERS) == commands.TEMPLATES
    assert set(commands.ORDERS) == set(Orders.__args__)  # type: ignore[attr-defined]
    assert set(commands.UNPARSED) == set(Unparsed.__args__)  # type: ignore[attr-defined]


def test_pairwise(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A table for people, JSON for programs with the same figures, files in the folder, notes on stderr."""
    arguments = ["judge", "pairwise", *pair, "--judge", "shortest"]
    assert main([*arguments, "--dry-run"]) == 0
    assert capsys.readouterr().out == "would ask shortest 4 questions, less those answered already\n"
    assert main([*arguments, "-o", "out"]) == 0
    out, err = capsys.readouterr()
    assert "shortest, rule net: 2 comparisons: 1 won, 0 tied, 1 lost, 0 unparsed" in out
    assert "1 ids are in one file alone and were left out: mine" in err
    assert main([*arguments, "-o", "out", "--json", "-q"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    found = json.loads(out)
    assert found == json.loads(Path("out/summary.json").read_text())
    assert (found["judge"], found["ws"], found["length_bias"]) == ("shortest", 1.0, 0.0)
    assert len(Path("out/passes.jsonl").read_text().splitlines()) == 4
    assert (
        main([*arguments, "-p", "by=1", "--json", "-q", "--rule", "single", "--orders", "random", "--seed", "3"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["tie"] == 1
    assert main([*arguments, "-p", "by=1", "-o", "out"]) == 4
    assert "holds another judging" in capsys.readouterr().err


def test_a_fooled_judge_is_unfit(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The result stands on stdout all the same; one sentence says why it is not to be believed, with exit code 1."""
    assert main(["judge", "pairwise", *pair, "--judge", "shortest", "--canaries", "--json"]) == 1
    out, err = capsys.readouterr()
    found = json.loads(out)["canaries"]
    assert (found["fit"], found["fooled_by"]) == (False, ["empty", "echo"])
    assert "judge 'shortest' is unfit: canaries won more than 5% of their passes (empty 100%, echo 100%)" in err


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (["--judge", "shortes"], 3, "shortest"),
        (["--judge", "shortest", "--rule", "nett"], 2, "net"),
        (["--judge", "shortest", "--orders", "first", "--rule", "strict"], 2, "needs both orders"),
        (["--judge", "shortest", "-p", "size=1"], 2, "size"),
        (["--judge", "human"], 2, "no labels yet"),
        (["--judge", "shortest", "-o", "a.jsonl"], 4, "cannot be written"),
    ],
)
def test_pairwise_refuses(
    pair: list[str], capsys: pytest.CaptureFixture[str], change: list[str], code: int, says: str
) -> None:
    """With the exit code of the kind of mistake."""
    if "human" in change:
        pytest.importorskip("selkit_judge_human")
    assert main(["judge", "pairwise", *pair, *change]) == code
    assert says in capsys.readouterr().err


def test_replay(capsys: pytest.CaptureFixture[str]) -> None:
    """The keys of the documentation and no others; the table has words for them."""
    rows: list[dict[str, object]] = [
        {"id": 1, "instruction": "?", "response_1": "x", "response_2": "yy", "first": "9 8\n", "second": "7 8\n"},
        {"id": 2, "instruction": "?", "response_1": "x", "response_2": "yy", "first": "8 9\n", "second": "none"},
    ]
    arguments = ["judge", "replay", write("log.jsonl", rows), "--template", "two-score"]
    assert main([*arguments, "--rule", "strict", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {
        "n": 2,
        "win": 1,
        "tie": 0,
        "lose": 0,
        "unparsed": 1,
        "ws": 2.0,
        "wr": 1.0,
        "qs": 1.0,
        "first_position_rate": pytest.approx(1 / 3),
        "inconsistency": 0.0,
    }
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "2 comparisons: 1 won, 0 tied, 0 lost, 1 unparsed" in out
    assert "longer response wins" in out
    assert main(["judge", "replay", "log.jsonl", "--template", "moon"]) == 2
    assert main(["judge", "replay", "nosuch.jsonl", "--template", "two-score"]) == 4
    write("log.jsonl", [*rows, {"id": 2, "first": "", "second": ""}])
    capsys.readouterr()
    assert main(arguments) == 4
    assert "line 3: the id '2' stands already in line 2" in capsys.readouterr().err


def test_audit(capsys: pytest.CaptureFixture[str]) -> None:
    """One judge against labels, two judges against each other, and both at once."""
    people = write("people.jsonl", [{"idx": i, "annotator1": i % 3, "annotator2": i % 3} for i in range(9)])
    good = write("good.jsonl", [{"idx": i, "verdict": ("tie", "1", 2)[i % 3]} for i in range(9)])
    poor = write("poor.jsonl", [{"idx": i, "poor_result": "garbage" if i == 4 else i % 2} for i in range(9)])
    assert main(["judge", "audit", "--labels", people, "--verdicts", good, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["accuracy"], found["kappa"], found["annotator_kappa"]) == (1.0, 1.0, [1.0])
    assert found["intervals"]["accuracy"][0] > 0.6
    assert main(["judge", "audit", "--verdicts", good, "--verdicts", poor, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n"], found["left_out"], found["agreement"]) == (8, 1, pytest.approx(4 / 8))
    assert main(["judge", "audit", "--labels", people, "--verdicts", good, "--verdicts", poor, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["verdicts"] for row in found["judges"]] == [good, poor]
    assert len(found["agreement"]) == 1
    assert main(["judge", "audit", "--labels", people, "--verdicts", poor, "--unparsed", "drop"]) == 0
    out = capsys.readouterr().out
    assert "poor.jsonl: 8 comparisons, 1 verdicts unreadable and left out" in out
    assert "kappa of each pair of annotators: 1.000" in out
    assert main(["judge", "audit", "--verdicts", good]) == 2
    assert "name --labels, or --verdicts a second time" in capsys.readouterr().err


def test_a_dry_run_says_what_would_be_asked(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """In words, and as JSON for programs; nothing is judged or written."""
    command = ["judge", "pairwise", *pair, "--judge", "shortest", "--canaries", "--dry-run"]
    assert main(command) == 0
    words = capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert f"would ask shortest {facts['questions']} questions and {facts['canaries']} about canaries" in words
    assert facts["comparisons"] >= facts["questions"] // 2 > 0
    assert facts["canaries"] > 0


def test_a_group_without_a_command_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    """As a page and not as one long line; exit code 2, nothing on stdout."""
    assert main(["judge"]) == 2
    done = capsys.readouterr()
    assert not done.out
    assert "  pairwise " in done.err
    assert len(done.err.splitlines()) > 8
