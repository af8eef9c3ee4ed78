"""The graph of stages and the estimate: what is shared, what is stored, and what is told before anything is spent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("sacrebleu")

from selkit.experiment import Spec, parse_spec, plan, run_experiment
from selkit.experiment.cells.job import CellJob, record_key, responses_key
from selkit.experiment.outlook.estimate import Estimate, estimate
from selkit.experiment.outlook.survey import survey
from selkit.experiment.setup.experiment import prepare
from selkit.experiment.setup.stages import KINDS, Survey
from selkit.models.client.prices import prices_place
from selkit.store import Draft, Store
from selkit.testing.chat_server import Call, ChatServer
from selkit.train import TrainReport

SPEC: dict[str, Any] = {
    "name": "tiny",
    "pools": [{"name": "planted", "source": {"name": "planted", "rows": 120}}],
    "model": "tiny:words?hidden=32&layers=1",
    "recipe": {"preset": "quickstart", "max_steps": 2, "batch_size": 4},
    "selectors": ["random", "oracle", "longest", "strict-random", "full"],
    "budgets": [20, 30],
    "runs": {"random": 3, "longest": 3, "default": 1},
    "testsets": {"planted": {"prompts": 6, "max_new_tokens": 4}},
    "workers": 2,
    "threads": 1,
}


def surveyed(store: Store, **changes: Any) -> Survey:
    """The stages of the spec above."""
    return survey(prepare(parse_spec({**SPEC, **changes}), store))


def counts(found: Survey) -> dict[str, tuple[int, int]]:
    """Stages in all and stored ones, by kind."""
    return {kind: (len(found.of(kind)), sum(one.stored for one in found.of(kind))) for kind in KINDS if found.of(kind)}


def line(expected: Estimate, kind: str) -> Any:
    """The only line of a kind."""
    (only,) = [one for one in expected.lines if one.kind == kind]
    return only


def test_every_stage_stands_there_once(tmp_path: Path) -> None:
    """One pass for all budgets; one selection for the runs of an arm that draws nothing, and a training for each run;
    a pool's full training beside all budgets."""
    found = surveyed(Store(tmp_path / "store"))
    # two anchors, and for each budget 3 random, 1 oracle, 3 longest and 1 strict-random, with the full pool once
    assert len(found.cells) == 2 + 2 * (3 + 1 + 3 + 1) + 1
    assert counts(found) == {
        "scoring": (1, 0),
        "selection": (2 + 2 * (3 + 1 + 1 + 1) + 1, 0),
        "training": (19, 0),
        "answers": (19, 0),
        "judging": (17 + 1, 0),  # the full pool meets the anchor of both budgets
    }
    for stage in found.stages.values():
        assert all(found.stages[need] for need in stage.needs)
    order = list(found.stages)
    assert all(order.index(need) < order.index(one.id) for one in found.stages.values() for need in one.needs)


def test_a_survey_computes_and_stores_nothing(tmp_path: Path) -> None:
    """The store stays as it is, however often one looks."""
    store = Store(tmp_path / "store")
    surveyed(store)
    assert not list(store.artifacts())


def test_stored_selections_are_known_and_those_behind_them_waited_for(tmp_path: Path) -> None:
    """After the selections are made each stage has the very key that the run will use."""
    store = Store(tmp_path / "store")
    planned = plan(parse_spec(SPEC), store)
    found = surveyed(store)
    assert counts(found)["selection"] == (15, 15)
    for cell, job in planned.jobs.items():
        assert found.jobs[cell.label].training == job.training


def test_a_pass_behind_a_stored_selection_is_not_made_again(tmp_path: Path) -> None:
    """A pass that is gone, as after a clean-up, stands in no list of what is to do; behind a new budget it does."""
    store = Store(tmp_path / "store")
    plan(parse_spec(SPEC), store)
    (scored,) = surveyed(store).of("scoring")
    shutil.rmtree(store.layout.object(scored.id))
    assert "scoring" not in counts(surveyed(store))
    assert counts(surveyed(store, budgets=[20, 30, 40]))["scoring"] == (1, 0)


def test_budgets_of_one_size_share_what_they_need(tmp_path: Path) -> None:
    """24 rows and a fifth of 120 are one selection and one training in the pool where they are the same; a pool is
    called by its name in the spec."""
    pools = [{"name": name, "source": {"name": "planted", "rows": rows}} for name, rows in (("a", 120), ("b", 60))]
    changes = {"pools": pools, "selectors": ["random", "oracle"], "runs": {"random": 1, "oracle": 1}}
    one, both = (surveyed(Store(tmp_path / "store"), budgets=budgets, **changes) for budgets in ([24], [24, "20%"]))
    # of pool b another budget, for the anchor, random and the oracle
    assert counts(one)["training"][0] == 2 * 3
    assert counts(both)["training"][0] == counts(both)["selection"][0] == 3 * 3
    assert "24 and 20% are both 24 rows of pool 'a': they share" in both.experiment.notes[-1]
    assert [pool.name for pool in both.experiment.pools.values()] == ["a", "b"]


def test_an_unwritten_rule_is_never_used_in_silence(tmp_path: Path) -> None:
    """Every line names the rule behind it; the figures follow from the sizes and the operations of the price file."""
    expected = estimate(surveyed(Store(tmp_path / "store")))
    training = line(expected, "training")
    assert training.source == "rule: parameters x tokens x 6 / flops"
    assert all(one.source for one in expected.lines)
    # tiny:words with 32 wide and one layer; 2 steps of 4 rows each; 2e10 operations a second
    from selkit.experiment.outlook.rates import parameters_of

    rows = 19 * 2 * 4
    tokens = training.device_seconds * 2e10 / 6 / parameters_of(SPEC["model"])
    assert 5 * rows < tokens < 60 * rows
    assert expected.dollars == {"device": 0.0, "calls": 0.0}


def test_prices_and_operations_come_from_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another device takes its own operations and price; one that nobody describes gives no hours, and a note."""
    prices = tmp_path / "prices.yaml"
    prices.write_text("devices: {A100: {dollars_per_hour: 3600}, SlowCard: {flops: 1.0e+9}}\n", encoding="utf-8")
    monkeypatch.setenv("SELKIT_PRICES", str(prices))
    assert prices_place() == prices
    found = surveyed(Store(tmp_path / "store"))
    fast, slow, unknown = (estimate(found, device) for device in ("NVIDIA A100-SXM4", "SlowCard", "Abacus"))
    assert line(slow, "training").device_seconds == pytest.approx(line(fast, "training").device_seconds * 1.2e5)
    assert fast.dollars["device"] == pytest.approx(fast.device_seconds)
    assert slow.dollars["device"] is None
    assert f'{prices} names no price for an hour of SlowCard; write devices: {{"SlowCard": ' in slow.notes[0]
    assert line(unknown, "training").device_seconds is None
    assert "no flops for device 'Abacus'" in unknown.notes[0]


@pytest.mark.parametrize("where", ["spec", "environment"])
def test_a_gpu_of_another_machine_is_planned_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """What is to run on a GPU gets no hours of this machine's CPU; a device that is named gets its own."""
    monkeypatch.setattr("selkit.experiment.outlook.estimate.has_gpu", lambda: False)
    if where == "environment":
        monkeypatch.setenv("SELKIT_DEVICE", "cuda")
    found = surveyed(Store(tmp_path / "store"), **({"device": "cuda"} if where == "spec" else {}))
    unnamed, named = estimate(found), estimate(found, "A100")
    assert unnamed.device == "cuda"
    assert line(unnamed, "training").device_seconds is None
    assert unnamed.notes[0].endswith("this machine has none: name it with --device, such as A100.")
    assert line(named, "training").device_seconds > 0
    assert not any("--device" in note for note in named.notes)


def test_calls_of_an_endpoint_are_counted_and_priced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons times orders, in the tokens that are told, at the price of the file."""
    pytest.importorskip("selkit_judge_openai")
    monkeypatch.setenv("OPENAI_API_KEY", "sentinel-key")
    testset: dict[str, Any] = {"prompts": 6, "max_new_tokens": 4}
    testset |= {"judges": [{"name": "openai", "endpoint": "openai:gpt-4o-mini"}]}
    expected = estimate(surveyed(Store(tmp_path / "store"), testsets={"planted": testset}))
    judging = line(expected, "judging")
    assert judging.calls == 18 * 6 * 2
    assert judging.dollars == pytest.approx(judging.calls * (300 * 0.15 + 256 * 0.6) / 1e6, rel=0.5)
    assert "rule" in judging.source
    again = {**testset, "judges": [{**testset["judges"][0], "reasks": 1}]}  # answers without a verdict, once more
    expected = estimate(surveyed(Store(tmp_path / "store"), testsets={"planted": again}, max_cost=0.01))
    assert line(expected, "judging").calls == 18 * 6 * 2 * 2
    assert "and max_cost is $0.01, earlier calls included" in expected.notes[-1]
    unpriced = {**testset, "judges": [{"name": "openai", "endpoint": "http://localhost:1/v1#unheard-of"}]}
    expected = estimate(surveyed(Store(tmp_path / "store"), testsets={"planted": unpriced}))
    assert line(expected, "judging").dollars is None
    assert expected.notes[0].endswith(
        'names no price; write models: {"unheard-of": {input: PRICE, output: PRICE}}, per million tokens.'
    )


SEARCHED: dict[str, Any] = {
    **{name: value for name, value in SPEC.items() if name != "recipe"},
    "recipes": [
        {"preset": "quickstart", "name": name, "max_steps": steps} for steps, name in ((1, "one"), (2, "other"))
    ],
    "selectors": ["random", "oracle", "base"],
    "budgets": [10, 20],
    "runs": {"random": 1, "oracle": 1},
    "compare": [[{"arm": "oracle", "budget": 10}, {"arm": "oracle", "budget": 20}]],
}


def judged_by(server: ChatServer) -> Spec:
    """The spec above with a judge behind an endpoint: a search, canaries, a pair, and direct judging."""
    judge = {"name": "openai", "endpoint": server.endpoint()}
    testset = {"prompts": 5, "direct": "paired", "judges": [{**judge, "canaries": ["empty", "filler"]}]}
    search = {"by": "judged", "judge": judge, "share": 0.05}
    return parse_spec({**SEARCHED, "testsets": {"planted": testset}, "search": search})


def taught(job: CellJob, store: Store) -> None:
    """Stores what a cell leaves, each answer a text of its own that names the cell."""

    def record(draft: Draft) -> None:
        (draft.directory / "training.json").write_text(RECORD.to_json(), encoding="utf-8")

    if job.training:
        store.obtain(record_key(job, job.training), record)
    for asked in job.prompts:
        rows = [
            {"id": one.id, "prompt": one.prompt.question, "response": f"{one.id} by {job.label}.", "tokens": 9}
            for one in asked.testset.prompts
        ]

        def answer(draft: Draft, rows: list[dict[str, Any]] = rows) -> None:
            text = "".join(json.dumps({**row, "finish_reason": "stop", "history": []}) + "\n" for row in rows)
            (draft.directory / "responses.jsonl").write_text(text, encoding="utf-8")

        store.obtain(responses_key(job, asked), answer)


RECORD = TrainReport(
    model="m",
    model_digest="m",
    recipe={},
    template={"name": "plain", "digest": ""},
    data="rows",
    turns="last",
    n_selected=1,
    n_trained=1,
    n_truncated=0,
    n_dropped=0,
    n_merged=0,
    n_sequences=1,
    dropped=(),
    max_length=64,
    supervised_tokens=9,
    total_tokens=9,
    steps=1,
    epochs=1.0,
    loss_curve=((1, 2.0),),
    final_loss=2.0,
    batch_size=1,
    micro_batch=1,
    accumulation=1,
    seeds={},
    versions={},
    device="cpu",
    precision="float32",
    threads=1,
    seconds=1.0,
    tokens_per_second=9.0,
)


@pytest.mark.slow
def test_the_plan_counts_every_call_that_judges_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Test sets, canaries, validation answers, pairs, and arms under other recipes than the control's: the server gets
    as many calls as the plan says, and afterwards nothing is left to ask."""
    for package in ("trl", "statsmodels", "selkit_judge_openai", "openai"):
        pytest.importorskip(package)
    monkeypatch.setenv("SELKIT_DEVICE", "cpu")
    store = Store(tmp_path / "store")

    def better(call: Call) -> str:
        """Of answers to validation rows random's are good under one recipe and oracle's under the other."""
        first, _, second = call.text.partition("[The Start of Assistant 2's Answer]")
        good = [any(name in part for name in ("random/1/one.", "oracle/1/other.")) for part in (first, second)]
        return f"{5 + good[0]} {5 + good[1]}"

    with ChatServer(better) as server:
        spec = judged_by(server)
        expected = estimate(survey(prepare(spec, store)))
        planned = plan(spec, store)
        for job in [*planned.anchors.values(), *planned.jobs.values()]:
            taught(job, store)
        document = run_experiment(spec, tmp_path / "out", store=store)
        made = len(server.calls)
        again = estimate(survey(prepare(spec, store)))
    recipes = {(one["arm"], one["recipe"]) for one in document["search"]["choices"]}
    assert recipes == {("oracle", "other"), ("random", "one")}
    calls = {one.what.partition(": ")[2]: one.calls for one in expected.lines if one.kind == "judging"}
    assert calls == {
        # of 2 budgets, 2 recipes and 2 arms; base beside all 4 anchors, and it and oracle meet random's runs as well
        "": (2 * 2 * 2 + 4 + 2 * 4) * 5 * 2,
        "canaries": 2 * 5 * 2,
        "validation answers": 2 * 2 * 2 * 6 * 2,
        "pairs of compare": 2 * 5 * 2,
        "under chosen recipes, at most": 2 * 5 * 2,
    }
    assert sum(calls.values()) == made
    assert sum(one.calls for one in again.lines) == 0
    assert sum(one.to_do for one in again.lines if one.kind == "judging") == 0
