"""What goes to stdout, what to stderr, and how progress is told where there is no terminal."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator

import pytest

from selkit import console as module
from selkit.console import Console, get_console, printable, set_console


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the console sees, in a list of one."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def _terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Makes stderr a terminal that can redraw; in the test itself, as pytest sets stderr anew after the fixtures."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    return screen


def _slowly(items: Iterator[int], clock: list[float], seconds: float) -> None:
    for _ in items:
        clock[0] += seconds


@pytest.mark.parametrize(
    ("quiet", "verbose", "said"), [(False, 0, "note\n"), (False, 1, "note\ndetail\n"), (True, 1, "")]
)
def test_notes_go_to_stderr(capsys: pytest.CaptureFixture[str], quiet: bool, verbose: int, said: str) -> None:
    """Notes unless quiet, details when verbose, results always and alone on stdout."""
    console = Console(quiet=quiet, verbose=verbose)
    console.note("note")
    console.detail("detail")
    console.result("result")
    console.error("error")
    assert capsys.readouterr() == ("result\n", f"{said}error\n")


def test_data_does_not_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences and other control characters of data are left out; text of any script stays."""
    assert printable("a\x1b[31mb\x07\x9bc\td\n漢\u202f") == "a[31mbc\td\n漢\u202f"
    console = Console()
    console.note("\x1b]0;title\x07")
    console.table("", ["\u540d"], [["\x1b[2Jx"], ["[red]y[/red]"]])
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert "[red]y[/red]" in out


def test_a_table_holds_whole_cells_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe a long cell is neither cut nor wrapped, None is blank, and numbers stand to the right."""
    Console().table("Title", ["name", "n"], [["x" * 300, 5], ["y", None], ["z", 1234]])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "Title"
    assert lines[3] == f"{'x' * 300}      5"
    assert lines[4] == "y"
    assert lines[5].endswith(" 1234")
    assert len(lines) == 6


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR a table on a terminal has no colours."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    Console().table("Title", ["name"], [["x"]])
    assert "Title" in screen.getvalue()
    assert not re.search(r"\x1b\[[0-9;]*[34][0-9]", screen.getvalue())


@pytest.mark.parametrize("quiet", [True, False])
def test_track_hands_on_every_item(quiet: bool) -> None:
    """Tracking changes nothing about the items, with or without a length."""
    console = Console(quiet=quiet)
    assert list(console.track([3, 1, 2])) == [3, 1, 2]
    assert list(console.track(iter("abc"), total=3)) == ["a", "b", "c"]
    assert list(console.track(iter([]))) == []


def test_track_is_lazy() -> None:
    """Items are taken one at a time: a scoring pass may be killed between any two."""
    taken: list[int] = []
    tracked = Console().track(taken.append(i) or i for i in range(5))
    assert [next(tracked), next(tracked)] == [0, 1]
    assert taken == [0, 1]


def test_a_line_at_each_tenth(capsys: pytest.CaptureFixture[str], clock: list[float]) -> None:
    """Without a terminal there is a line at each tenth, with the rate and the time left, and one at the end."""
    _slowly(Console().track(range(100), description="ifd"), clock, 0.5)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "ifd: 10 of 100 (10%), 2 a second, 45 s left"
    assert [line.split()[1] for line in lines] == ["10", "20", "30", "40", "50", "60", "70", "80", "90", "100"]
    assert lines[-1] == "ifd: 100 done in 50 s"


def test_a_line_after_half_a_minute(capsys: pytest.CaptureFixture[str], clock: list[float]) -> None:
    """Slow work is heard of every 30 s, in the units that people use."""
    _slowly(Console().track(range(1000), description="judge"), clock, 10.0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "judge: 3 of 1000 (0%), 0.1 a second, 2 h 46 min left"
    assert lines[1].startswith("judge: 6 of 1000")
    assert lines[-1] == "judge: 1000 done in 2 h 46 min"


def test_an_unknown_total_has_no_share(capsys: pytest.CaptureFixture[str], clock: list[float]) -> None:
    """Where the number of items is unknown, a line says how many are done."""
    _slowly(Console().track(iter(range(7)), description="read"), clock, 10.0)
    assert capsys.readouterr().err.splitlines() == [
        "read: 3 done, 0.1 a second",
        "read: 6 done, 0.1 a second",
        "read: 7 done in 1 min 10 s",
    ]


@pytest.mark.parametrize(("quiet", "seconds"), [(False, 0.001), (True, 10.0)])
def test_short_work_and_quiet_work_are_silent(
    capsys: pytest.CaptureFixture[str], clock: list[float], quiet: bool, seconds: float
) -> None:
    """Nothing is said of work under two seconds, nor with -q."""
    _slowly(Console(quiet=quiet).track(range(1000)), clock, seconds)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_has_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar is drawn, notes stand above it, and nested work adds a line instead of failing."""
    terminal = _terminal(monkeypatch)
    console = Console()
    for _ in console.track(range(2), description="outer work"):
        console.note("a note")
        assert list(console.track(iter([7]), description="inner work")) == [7]
    shown = terminal.getvalue()
    assert "outer work" in shown
    assert shown.count("a note") == 2
    assert shown.index("\x1b[?25l") < shown.rindex("\x1b[?25h")  # the cursor is hidden, and shown again
    assert shown.count("\x1b[?25l") == 1  # one display for both
    console.note("after")
    assert terminal.getvalue().endswith("after\n")


def test_a_bar_goes_away_when_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in the middle leaves a terminal on which one can type."""
    terminal = _terminal(monkeypatch)
    console = Console()
    with pytest.raises(ZeroDivisionError):
        list(console.track((1 // n for n in (1, 0)), total=2))
    assert "\x1b[?25h" in terminal.getvalue()
    assert list(console.track([1])) == [1]


@pytest.mark.parametrize(("variable", "value"), [("TERM", "dumb"), ("CI", "true")])
def test_no_bar_where_a_line_cannot_be_redrawn(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """A dumb terminal and a CI log get plain lines."""
    terminal = _terminal(monkeypatch)
    monkeypatch.setenv(variable, value)
    _slowly(Console().track(range(10), description="work"), clock, 3.0)
    assert "\x1b" not in terminal.getvalue()
    assert "work: 1 of 10 (10%)" in terminal.getvalue()


def test_the_current_console_can_be_replaced() -> None:
    """Code below the command line asks for the current console; a notebook may set its own."""
    before, mine = get_console(), Console(quiet=True)
    try:
        set_console(mine)
        assert get_console() is mine
    finally:
        set_console(before)
