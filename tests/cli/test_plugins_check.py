"""selkit plugins check: the conformance kit without pytest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import faulty_benchmarks
import pytest
from fake_packages import SCORER, FakePackages

from selkit import __version__
from selkit.__main__ import main
from selkit.api import API_VERSION
from selkit.testing import SELECTOR_CHECKS, sample_pool
from selkit.testing.given import read_arms

JUDGE = '''
from dataclasses import dataclass
from selkit.api import PromptJudge, Turn, hookimpl, parse_verdict_letter

@dataclass
class Mine(PromptJudge):
    """Asks a model.

    Args:
        endpoint: Who judges.
    """

    name = "mine"
    endpoint: str = "openai:gpt-4o-mini"

    def messages(self, comparison):
        return [Turn("user", f"{comparison.prompt}|{comparison.first}|{comparison.second}")]

    def parse(self, text):
        return parse_verdict_letter(text)

@hookimpl
def selkit_judges():
    return [Mine]
'''


def _checked(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    assert main(["plugins", "check", *arguments, "--json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_json_has_every_check_and_the_counts(packages: FakePackages, capsys: pytest.CaptureFixture[str]) -> None:
    """Each check once, in order, with how many ran, failed and were skipped, the minimum, and selkit's version."""
    packages.works("acme-good", "good")
    report = _checked(capsys, "good")
    assert [check["name"] for check in report["checks"]] == [check.name for check in SELECTOR_CHECKS]
    states = [check["status"] for check in report["checks"]]
    assert (report["ran"], report["failed"]) == (states.count("passed"), 0)
    assert report["skipped"] == states.count("skipped")
    assert report["ran"] >= report["minimum"] == 21
    assert (report["selkit"], report["api_version"], report["ok"]) == (__version__, API_VERSION, True)
    assert all(check["reason"] for check in report["checks"] if check["status"] != "passed")


def test_people_see_what_did_not_pass_and_one_line(packages: FakePackages, capsys: pytest.CaptureFixture[str]) -> None:
    """The checks that passed are shown with -v alone."""
    packages.works("acme-good", "good")
    assert main(["plugins", "check", "good"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1].startswith("good (selector): ")
    assert "exact_budget" not in out
    assert main(["plugins", "check", "good", "-v"]) == 0
    assert "exact_budget" in capsys.readouterr().out


def test_a_failed_check_is_exit_code_1_unless_opted_out(
    packages: FakePackages, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence on stderr names the check; an opt-out needs a reason and a check of that name."""
    packages.install("acme-bad", SCORER.format(name="bad").replace("        floor: The least that counts.\n", ""))
    assert main(["plugins", "check", "bad"]) == 1
    out, err = capsys.readouterr()
    assert "documents_its_parameters   failed" in out
    assert "1 failed" in err
    assert "(documents_its_parameters)" in err
    report = _checked(capsys, "bad", "--opt-out", "documents_its_parameters=told in the paper")
    (check,) = [check for check in report["checks"] if check["name"] == "documents_its_parameters"]
    assert check["status"] == "skipped"
    assert check["reason"].startswith("opted out: told in the paper (")
    for opt_out, words in (("documents_its_parameters", "gives no reason"), ("no_check=x", "do not exist: no_check")):
        assert main(["plugins", "check", "bad", "--opt-out", opt_out]) == 2
        assert words in capsys.readouterr().err


def test_parameters_and_a_pool_reach_the_component(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-p as in selkit select; --pool for a component that needs a column of its own."""
    pool = tmp_path / "pool.jsonl"
    rows = [
        {"id": r.id, "instruction": r.instruction, "response": r.response, "grade": i}
        for i, r in enumerate(sample_pool())
    ]
    pool.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["plugins", "check", "column", "-p", "column=grade"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("has no column 'grade'") == 1
    assert err.endswith("the checks take its parameters (-p KEY=VALUE) and a pool (--pool FILE)\n")
    assert _checked(capsys, "column", "-p", "column=grade", "--pool", str(pool))["ok"]
    assert main(["plugins", "check", "longest", "-p", "unit=pages"]) == 2
    pool.write_text("".join(json.dumps(row) + "\n" for row in rows[:9]))
    assert main(["plugins", "check", "longest", "--pool", str(pool)]) == 2
    assert "the checks need a pool of at least 10 rows, and this one has 9" in capsys.readouterr().err


def test_a_judge_is_checked_with_completions(
    packages: FakePackages, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a file of answers, where the judge declares no examples."""
    packages.install("acme-judge", JUDGE)
    assert "parses_its_completions" in {
        check["name"] for check in _checked(capsys, "mine", code=1)["checks"] if check["status"] == "failed"
    }
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"[[A]]": 1, "[[B]]": 0, "[[C]]": 0.5}))
    assert _checked(capsys, "mine", "--completions", str(answers))["ok"]
    replies = [{"text": letter, "preference": p, "usage": {}} for letter, p in (("[[A]]", 1), ("[[B]]", 0))]
    answers.write_text(json.dumps(replies))
    assert _checked(capsys, "mine", "--completions", str(answers))["ok"]
    compared = tmp_path / "compared.jsonl"
    rows = [{"id": f"c{i}", "prompt": "Name it.", "first": "Blue" * (i + 1), "second": "Red"} for i in range(3)]
    compared.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ["--completions", str(answers), "--comparisons", str(compared)]
    assert _checked(capsys, "mine", *given)["ok"]
    for wrong in ("[1]", "[]", '{"A": "1"}', '[{"text": "A", "preference": 1, "colour": 2}]', '[{"text": "A"}]', "{"):
        answers.write_text(wrong)
        assert main(["plugins", "check", "mine", "--completions", str(answers)]) == 4
    for wrong in ("", "{}", '{"id": "c", "prompt": "p", "first": "a", "second": 2}', "[", '{"ID": 1}'):
        compared.write_text(wrong)
        assert main(["plugins", "check", "mine", "--comparisons", str(compared)]) == 4


def test_a_benchmark_is_checked_on_local_rows(
    packages: FakePackages, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--data names the folder that holds them."""
    pytest.importorskip("lm_eval")
    imports = "from faulty_benchmarks import Sums\nfrom selkit.api import hookimpl\n"
    hook = f"{imports}@hookimpl\ndef selkit_benchmarks(): return [Sums]\n"
    packages.install("acme-sums", hook)
    (tmp_path / "sums").mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in faulty_benchmarks.ROWS)
    (tmp_path / "sums" / "rows.jsonl").write_text(lines)
    report = _checked(capsys, "sums", "--data", str(tmp_path), "--right", "{{answer}}", "--whole")
    assert (report["kind"], report["ok"]) == ("benchmark", True)
    states = {check["name"]: check["status"] for check in report["checks"]}
    assert (states["right_answers_win"], states["declared_size"]) == ("passed", "passed")
    wrong = _checked(capsys, "sums", "--data", str(tmp_path), "--right", "{{question}}", code=1)
    assert [check["name"] for check in wrong["checks"] if check["status"] == "failed"] == ["right_answers_win"]
    assert main(["plugins", "check", "sums", "--right", "{{answer"]) == 2
    (tmp_path / "sums" / "rows.jsonl").write_text(lines.split("\n", 1)[1])
    short = _checked(capsys, "sums", "--data", str(tmp_path), "--whole", code=1)
    assert [check["name"] for check in short["checks"] if check["status"] == "failed"] == ["declared_size"]
    (tmp_path / "sums" / "rows.jsonl").unlink()
    refused = _checked(capsys, "sums", "--data", str(tmp_path), code=4)
    assert refused["refused"].endswith("the checks take its rows as data (--data DIR)")
    assert {check["reason"] for check in refused["checks"] if check["name"] == "adds_up"} == {refused["refused"]}


def test_other_arms_reach_a_selector(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--arm names a file of ids, or a selection's folder, for a selector that looks at what others chose."""
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    ids = [row.id for row in sorted(sample_pool(), key=lambda row: len(row.response))[::6]]
    (chosen / "selection.jsonl").write_text("".join(json.dumps({"id": row_id}) + "\n" for row_id in ids))
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    both = read_arms([f"mine={chosen}", f" other = {tmp_path / 'ids.txt'}"], sample_pool())
    assert both.chosen == both.named == {"mine": tuple(ids), "other": tuple(ids)}
    command = ["length-matched-random", "-p", "like=mine"]
    assert _checked(capsys, *command, "--arm", f"mine={chosen}")["ok"]
    assert main(["plugins", "check", *command]) == 4
    assert "other arms (--arm NAME=FILE)" in capsys.readouterr().err
    for arm, code, words in (("mine", 2, "given as NAME=FILE"), (f"mine={tmp_path / 'no'}", 4, "no file")):
        assert main(["plugins", "check", *command, "--arm", arm]) == code
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("randm",), 3, "Did you mean 'random'?"),
        (("reference", "--planted"), 2, "--planted tries selectors, and 'reference' is a judge"),
        (("random", "--data", "d"), 2, "'random' is a sampler, which has no use for --data"),
        (("reference", "--model", "tiny:llama"), 2, "has no use for --model"),
        (("reference", "--arm", "a=b"), 2, "has no use for --arm"),
        (("random", "--whole"), 2, "has no use for --whole"),
        (("column",), 2, "needs its parameter 'column'"),
    ],
)
def test_refusals(arguments: tuple[str, ...], code: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, and the exit code of its kind."""
    assert main(["plugins", "check", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err


@pytest.mark.slow
def test_planted_prints_the_table(packages: FakePackages, capsys: pytest.CaptureFixture[str]) -> None:
    """The component's own line, chance, the oracle and built-ins; the same numbers as JSON."""
    packages.works("acme-good", "good")  # counts characters of the response
    assert main(["plugins", "check", "good", "--planted"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines if line and line.split()[0] in _NAMES]
    assert names[1:] == list(_NAMES)  # after the line that sums the checks up
    entries = _checked(capsys, "good", "--planted")["planted"]["entries"]
    assert [entry["name"] for entry in entries] == list(_NAMES)
    assert entries[2]["recall"] == 1.0


_NAMES = ("good", "chance", "oracle", "random", "longest", "shortest", "length-matched-random")


@pytest.mark.slow
def test_it_works_where_pytest_is_not_installed() -> None:
    """An interpreter that refuses to import pytest runs every check all the same."""
    program = (
        "import sys; sys.modules['pytest'] = None; from selkit.__main__ import main;"
        "sys.exit(main(['plugins', 'check', 'random', '-q']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 failed" in done.stdout
