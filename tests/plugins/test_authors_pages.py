"""The pages for plugin authors say what the code says: the template's code, the checks, and commands that are run."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from fake_packages import FakePackages

from selkit.__main__ import main

DOCS = Path(__file__).resolve().parents[2] / "docs"
AGAIN = "run `python docs/build_reference.py` and commit what it writes"


@pytest.fixture(scope="module")
def builder() -> dict[str, Any]:
    """The functions of docs/build_reference.py."""
    return runpy.run_path(str(DOCS / "build_reference.py"))


def test_every_check_is_documented(builder: dict[str, Any]) -> None:
    """The page of checks is the one that the checks give now."""
    assert (DOCS / "reference" / "checks.md").read_text("utf-8") == builder["checks_page"](), AGAIN


@pytest.mark.parametrize("name", ["write-a-scorer.md", "write-a-judge.md", "write-a-benchmark.md"])
def test_the_code_is_the_template_s(name: str, builder: dict[str, Any]) -> None:
    """What the page shows is what `selkit plugins new` writes."""
    page = (DOCS / "how-to" / name).read_text("utf-8")
    assert page == builder["authors_page"](page, *builder["AUTHORS"][name]), AGAIN
    assert "class " in page.partition("begin -->")[2].partition("<!--")[0]


def test_the_commands_of_write_a_selector_say_what_the_page_shows(
    packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the new package to its checks, each command is run and every line that is shown comes, in order."""
    monkeypatch.chdir(tmp_path)
    page = (DOCS / "how-to" / "write-a-scorer.md").read_text("utf-8")
    rows = re.search(r"`qa\.jsonl`:\n\n((?:    .*\n)+)", page)
    assert rows
    (tmp_path / "qa.jsonl").write_text(re.sub(r"^    ", "", rows[1], flags=re.MULTILINE))
    commands = re.findall(r"^    \$ selkit (.*)\n((?:    .*\n|\n(?=    [^$]))*)", page, re.MULTILINE)
    assert len(commands) == 5
    for command, shown in commands:
        code = main(command.split())
        out, err = capsys.readouterr()
        assert code == (2 if "Error:" in shown else 0), (command, err)
        if command.startswith("plugins new"):
            packages.install_folder(tmp_path / "selkit-variety")
        _expect_lines(shown, out + err)


def _expect_lines(shown: str, printed: str) -> None:
    wanted = [line.strip() for line in shown.splitlines() if line.strip() not in ("", "...")]
    lines = iter(line.strip() for line in printed.splitlines())
    for line in wanted:
        assert line in lines, line
