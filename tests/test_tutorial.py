"""The tutorial `your first selector`: its files are written, its commands run, and what it shows is what comes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_packages import FakePackages

from selkit.__main__ import main

PAGE = Path(__file__).resolve().parents[1] / "docs" / "tutorial" / "first-selector.md"
SLOW = ("pytest", "selkit run")

Walk = Callable[..., list[str]]


def blocks() -> Iterator[tuple[str, str]]:
    """(file name, content) of each file, and (command, what it shows) of each command, in the order of the page."""
    for above, block in re.findall(r"(.*)\n\n((?:    .*\n|\n(?=\n*    ))+)", PAGE.read_text("utf-8")):
        text = re.sub(r"^    ", "", block, flags=re.MULTILINE)
        if named := re.fullmatch(r"`(\S+)`:", above):
            yield named[1], text
        else:
            assert text.startswith("$ "), text
            for command in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                line, _, shown = command.partition("\n")
                yield f"$ {line}", shown


@pytest.fixture
def walk(
    packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Walk:
    """Does what the page says, but for commands that begin with one of some words; returns what was done."""
    monkeypatch.chdir(tmp_path)

    def run(command: str) -> str:
        words = shlex.split(command)
        if command.startswith("pip install -e "):
            packages.install_folder(tmp_path / words[-1])
        elif words[0] == "pytest":
            done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout
            return done.stdout
        else:
            assert words[0] == "selkit"
            assert main(words[1:]) == 0, capfd.readouterr()
        return capfd.readouterr().out

    def follow(left_out: tuple[str, ...] = ()) -> list[str]:
        done = []
        for name, text in blocks():
            if not name.startswith("$ "):
                Path(name).write_text(text, "utf-8")
            elif not name[2:].startswith(left_out or ("#",)):
                expect(text, run(name[2:]))
                done.append(name[2:])
        return done

    return follow


def expect(shown: str, printed: str) -> None:
    """Every line that the page shows begins a line of what was printed, in order."""
    lines = iter(line.strip() for line in printed.splitlines())
    for wanted in (line.strip() for line in shown.splitlines()):
        if wanted not in ("", "..."):
            assert any(line.startswith(wanted) for line in lines), (wanted, printed)


def test_the_package_is_made_checked_and_used(walk: Walk) -> None:
    """All but what trains models or starts pytest."""
    assert [command.split()[1] for command in walk(SLOW)] == ["plugins", "install", "plugins", "select"]


@pytest.mark.slow
def test_from_nothing_to_a_verdict(walk: Walk) -> None:
    """The whole page: the package's own tests are green, and the run ends with a report."""
    pytest.importorskip("torch")
    pytest.importorskip("trl")
    assert len(walk()) == 6
