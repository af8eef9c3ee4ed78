"""What `selkit plan`, `status` and `run` tell of stages, runs and failures, without any of them having run."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, cast

import pytest

from selkit.api import UsageError
from selkit.cli.run import _failed
from selkit.console import Console
from selkit.experiment.outlook.graph import mermaid
from selkit.experiment.outlook.live import announced, counted, details, watched
from selkit.experiment.outlook.status import CellStatus, Holder, Status, status_of
from selkit.experiment.setup.budgets import alike_budgets
from selkit.experiment.setup.stages import Stage, Survey
from selkit.store import Store

RUN = Holder("run small", 7, "here", 30)
"""Somebody who runs the experiment."""


def stage(kind: Any, component: str, needs: tuple[str, ...] = (), *, stored: bool = False, **more: Any) -> Stage:
    """A stage that is called by its kind and component."""
    name = f"{kind} {component}"
    return Stage(kind, name, name, stored, needs=needs, component=component, **more)


def survey_of(store: Store | None, *stages: Stage) -> Survey:
    """An experiment 'small' of these stages, all in one cell."""

    class Experiment:
        """What a status needs of one."""

        class spec:
            name = "small"

    Experiment.store = store  # type: ignore[attr-defined]
    found = {one.id: one for one in stages}
    return Survey(cast(Any, Experiment), found, {"a": tuple(found)}, {})


def test_the_graph_has_a_node_for_what_computes_and_an_arrow_for_what_it_needs() -> None:
    """Stages of one kind and component are one node, with how many are stored."""
    passed, chosen = stage("scoring", "ifd", stored=True), stage("selection", "ifd", ("scoring ifd",))
    judged = stage("judging", 'a "judge"', ("selection ifd",), detail={"what": "canaries"})
    assert mermaid(survey_of(None, judged, chosen, passed)).splitlines() == [
        "flowchart LR",
        '  n0["scoring<br/>ifd<br/>1 of 1 stored"]',
        '  n1["selection<br/>ifd<br/>0 of 1 stored"]',
        '  n2["judging<br/>a #quot;judge#quot;: canaries<br/>0 of 1 stored"]',
        "  n0 --> n1",
        "  n1 --> n2",
    ]


def test_a_run_is_seen_while_it_goes_on_and_no_longer(tmp_path: Path) -> None:
    """By its lease; another experiment's run is none of this one."""
    store = Store(tmp_path / "store")
    found = survey_of(store, stage("answers", "hf", stored=True), stage("judging", "reference"))
    seen: list[Status] = []

    def look() -> None:  # from another thread: for the one that holds it, a lease is free to go on with
        thread = threading.Thread(target=lambda: seen.append(status_of(found)))
        thread.start()
        thread.join()

    for name in ("small", "large"):
        with announced(store, name, tmp_path / name), announced(store, name, tmp_path / name):
            look()
    look()
    assert [[run.stage for run in one.runs] for one in seen] == [["run small"], [], []]
    assert counted("small", seen[0]) == (
        "small: 0 done, 0 running, 0 failed, 1 to judge, 0 to do; 1 of 2 stages stored"
    )


def test_watching_ends_with_the_run() -> None:
    """However many cells are left; between two looks it waits."""
    waits: list[float] = []
    states = iter([Status((), 0, None, (RUN,)), Status((), 0, None, (RUN,)), Status((), 0, None)])
    seen = list(watched(lambda: next(states), waits.append, wait=3))
    assert [bool(one.runs) for one in seen] == [True, True, False]
    assert waits == [3, 3]


def test_elsewhere_than_on_a_terminal_a_screen_is_a_line_for_every_change(capsys: pytest.CaptureFixture[str]) -> None:
    """And none for what stands below the heading; nothing when quiet."""
    for quiet in (False, True):
        with Console(quiet=quiet).screen() as show:
            for heading in ("1 done", "1 done", "2 done"):
                show(heading, ["more"])
    assert capsys.readouterr().err.splitlines() == ["1 done", "2 done"]


def test_details_name_who_works_on_what() -> None:
    """With how fast it goes first; of many cells the first."""
    cells = tuple(CellStatus(f"c{n}", "running", 0, 3, (Holder("weights/sft", n, "node", 100),)) for n in range(3))
    assert details(Status(cells, 12, 1200), most=2) == [
        "12.0 cells an hour of late: 20 min left at that rate",
        "c0: weights/sft by process 0 on node for 2 min",
        "c1: weights/sft by process 1 on node for 2 min",
        "and 1 more",
    ]


def test_a_failed_run_names_reason_and_log_of_every_cell() -> None:
    """Judgings have no log; of very many failures the first."""
    failures = [{"cell": "a/1", "error": "no"}, {"cell": "a/1/judge", "error": "2 of 4 passes are missing"}]
    assert _failed(failures, {"a/1": "/s/failed/1.log"}) == (
        "2 cells failed: a/1 (no; log: /s/failed/1.log), a/1/judge (2 of 4 passes are missing): the others are stored "
        "and reported, and the same command tries these again"
    )
    assert "a/1 (no) and 1 more, which `selkit status` lists: the others" in _failed(failures, {}, most=1)


def test_budgets_that_are_the_same_are_refused_or_told() -> None:
    """In every pool: one verdict would count twice. In some pools: a note names them."""
    sizes = {"small": 200, "large": 400}
    assert alike_budgets([20, 30, "20%"], sizes) == []
    (note,) = alike_budgets([20, "10%"], sizes)
    assert note.startswith("The budgets 20 and 10% are both 20 rows of pool 'small': they share")
    with pytest.raises(UsageError, match="budgets: 20 and 10% are both 20 rows of pool 'small': leave one out"):
        alike_budgets([20, "10%"], {"small": 200})
    with pytest.raises(UsageError, match="budgets: 20 and 20 are both"):
        alike_budgets([20, 30, "20"], sizes)
