"""The one place that writes to the terminal: results to stdout; notes, progress and errors to stderr.

Bars are drawn only where stderr is a terminal that can redraw a line; elsewhere a plain line appears now and then, so
that the log of a batch job stays readable. rich is imported only when it draws something.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")

_FIRST_LINE_SECONDS = 2.0  # shorter work needs no progress report
_LINE_SECONDS = 30.0
_CONTROL = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


class Console:
    """Where a command says things.

    Args:
        quiet: Whether notes and progress are left out. Results and errors never are.
        verbose: How many times ``-v`` was given; from 1 on, details are shown.
    """

    def __init__(self, *, quiet: bool = False, verbose: int = 0) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self._progress: Progress | None = None
        self._tracked = 0

    def note(self, message: str) -> None:
        """Writes a line for the person who waits to stderr, unless quiet."""
        if not self.quiet:
            self._say(message)

    def detail(self, message: str) -> None:
        """Writes a line to stderr that only ``-v`` shows."""
        if self.verbose and not self.quiet:
            self._say(message)

    def error(self, message: str) -> None:
        """Writes a line to stderr that is shown even when quiet."""
        self._say(message)

    def result(self, text: str) -> None:
        """Writes a result to stdout, with a line break at its end."""
        print(text, file=sys.stdout)  # noqa: T201

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Writes a table to stdout; whole cells, however wide, where stdout is not a terminal.

        Args:
            title: A line above the table; may be empty.
            columns: The headings.
            rows: One cell per heading each; cells are shown as ``str`` gives them, None as nothing.
        """
        from rich import box
        from rich.console import Console as RichConsole
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        body = [list(row) for row in rows]
        for position, heading in enumerate(columns):
            numeric = bool(body) and all(_is_number(row[position]) for row in body)
            table.add_column(Text(heading), justify="right" if numeric else "left", overflow="fold")
        for row in body:
            table.add_row(*(Text("" if cell is None else printable(str(cell))) for cell in row))
        width = None if sys.stdout.isatty() else 10_000
        console = RichConsole(file=sys.stdout, width=width, highlight=False)
        with console.capture() as captured:
            console.print(table)
        if title:  # not the table's own title, which rich wraps at the table's width
            self.result(printable(title))
        self.result("\n".join(line.rstrip() for line in captured.get().splitlines()))

    def track(self, items: Iterable[T], total: int | None = None, description: str = "") -> Iterator[T]:
        """``items``, with progress shown on stderr while they are consumed.

        Args:
            items: Anything that can be iterated over.
            total: How many there are, where ``len(items)`` does not say.
            description: A word or two on what is being done.
        """
        if total is None and isinstance(items, Sized):
            total = len(items)
        if self.quiet:
            return iter(items)
        if _can_redraw():
            return self._with_bar(items, total, description)
        return self._with_lines(items, total, description)

    @contextmanager
    def screen(self) -> Iterator[Callable[[str, Sequence[str]], None]]:
        """A function that shows how things stand on stderr: a heading, and lines below it.

        On a terminal each call replaces what the one before showed, and at the end nothing of it stays. Elsewhere a
        heading is a line when it is another than the last one, and the lines below are left out.
        """
        if self.quiet:
            yield lambda heading, lines: None
        elif _can_redraw():
            from rich.console import Console as RichConsole
            from rich.live import Live
            from rich.text import Text

            with Live(console=RichConsole(stderr=True, highlight=False), transient=True) as live:
                yield lambda heading, lines: live.update(Text(printable("\n".join([heading, *lines]))), refresh=True)
        else:
            said = [""]

            def say(heading: str, lines: Sequence[str]) -> None:
                if heading != said[0]:
                    self._say(heading)
                said[0] = heading

            yield say

    def _say(self, message: str) -> None:
        text = printable(message)
        if self._progress is not None:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)  # noqa: T201

    def _with_bar(self, items: Iterable[T], total: int | None, description: str) -> Iterator[T]:
        progress = self._open_progress()
        task = progress.add_task(printable(description) or "working", total=total)
        try:
            for item in items:
                yield item
                progress.advance(task)
        finally:
            self._tracked -= 1
            if self._tracked == 0:
                progress.stop()
                self._progress = None

    def _open_progress(self) -> Progress:
        """The progress display; a nested ``track`` adds a line to the one that is open, as rich allows only one."""
        self._tracked += 1
        if self._progress is None:
            self._progress = _new_progress()
            self._progress.start()
        return self._progress

    def _with_lines(self, items: Iterable[T], total: int | None, description: str) -> Iterator[T]:
        lines = _Lines(total, printable(description) or "working")
        for done, item in enumerate(items):
            if (line := lines.due(done)) is not None:
                self._say(line)
            yield item
            lines.done = done + 1
        if (line := lines.last()) is not None:
            self._say(line)


class _Lines:
    """Decides when a plain progress line is due, and words it."""

    def __init__(self, total: int | None, description: str) -> None:
        self.total = total
        self.description = description
        self.done = 0
        self._start = self._said = time.monotonic()
        self._tenth = 0

    def due(self, done: int) -> str | None:
        """The line to show after ``done`` items, or None: at each tenth, and when 30 s went by without a word."""
        now = time.monotonic()
        tenth = 10 * done // self.total if self.total else 0
        waited = now - self._said
        if waited < _FIRST_LINE_SECONDS or (tenth <= self._tenth and waited < _LINE_SECONDS):
            return None
        self._said, self._tenth = now, tenth
        return self._line(done, now - self._start)

    def last(self) -> str | None:
        """The closing line, or None where the work was too short to speak of."""
        elapsed = time.monotonic() - self._start
        if elapsed < _FIRST_LINE_SECONDS:
            return None
        return f"{self.description}: {self.done} done in {_duration(elapsed)}"

    def _line(self, done: int, elapsed: float) -> str:
        rate = done / elapsed if elapsed > 0 else 0.0
        if not self.total:
            return f"{self.description}: {done} done, {rate:.3g} a second"
        left = f", {_duration((self.total - done) / rate)} left" if rate > 0 else ""
        share = 100 * done // self.total
        return f"{self.description}: {done} of {self.total} ({share}%), {rate:.3g} a second{left}"


def printable(text: str) -> str:
    """``text`` without control characters other than line breaks and tabs: data must not drive the terminal."""
    return text.translate(_CONTROL)


def _can_redraw() -> bool:
    """Whether stderr is a terminal on which a line can be drawn again."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") != "dumb" and not os.environ.get("CI")


def _new_progress() -> Progress:
    from rich.console import Console as RichConsole
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """How many are done in a second, of late."""

        def render(self, task: Task) -> Text:
            """The rate; nothing as long as it is not known."""
            return Text(f"{task.speed:.3g} a second" if task.speed else "")

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=RichConsole(stderr=True, highlight=False), transient=True)


def _is_number(cell: object) -> bool:
    return cell is None or (isinstance(cell, (int, float)) and not isinstance(cell, bool))


def _duration(seconds: float) -> str:
    """Seconds as people say them: '8 s', '3 min 20 s', '2 h 5 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


_current = Console()


def get_console() -> Console:
    """The console of this process; outside the command line one that shows notes and no details."""
    return _current


def set_console(console: Console) -> None:
    """Makes ``console`` the one that :func:`get_console` returns."""
    global _current
    _current = console
