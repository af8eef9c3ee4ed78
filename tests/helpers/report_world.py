"""A made-up finished run for tests of the reports: a document with everything in it, and a folder with its items."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

ARMS = ("random", "oracle", "longest", "ifd", "car", "strict-random")
POOLS = ("dolly", "alpaca")
BUDGETS = ("500", "1000", "4000")
RECIPES = ("lora-16", "full-ft")
BENCHMARKS = ("coachlm", "ifeval")
WORDS = ("BEATS", "WORSE", "EQUIVALENT", "NOT_WORSE", "INCONCLUSIVE", "UNDERPOWERED", "INCOMPLETE")
CATEGORIES = ("writing", "coding", "maths", "chat")

Row = dict[str, Any]
Text = Callable[[str], str]


def plain(text: str) -> str:
    """The text itself."""
    return text


def document(
    *,
    arms: Sequence[str] = ARMS,
    pools: Sequence[str] = POOLS,
    budgets: Sequence[str] = BUDGETS,
    recipes: Sequence[str] = RECIPES,
    say: Text = plain,
) -> Row:
    """A document of report.json with every part filled, the same every time; ``say`` may change its texts."""
    rng = np.random.default_rng(5)
    arms, pools, recipes = [say(one) for one in arms], [say(one) for one in pools], [say(one) for one in recipes]
    benchmarks = [say(one) for one in BENCHMARKS]
    places = list(product(pools, budgets))
    verdicts = [
        _verdict(
            arm,
            pool,
            budget,
            benchmark,
            rng,
            (number + place) % len(WORDS),
            say,
            recipes[0] if len(recipes) == 1 else None,
        )
        for place, (pool, budget) in enumerate(places)
        for benchmark in benchmarks
        for number, arm in enumerate(arms[1:])
    ]
    cells = [
        {"pool": pool, "budget": budget, "arm": arm, "run": run, "recipe": recipe, "model": say("tiny")}
        for (pool, budget), recipe, (number, arm) in product(places, recipes, enumerate(arms))
        for run in range(1, 6 if number == 0 else 4)
    ]
    return {
        "schema_version": 1,
        "name": say("world"),
        "selkit": "0.0",
        "note": say("A made-up experiment."),
        "spec": {"name": "world", "control": arms[0], "alpha": 0.05, "model": say("tiny"), "models": None},
        "recipes": [{"name": name, "learning_rate": 0.001} for name in recipes],
        "rules": {"margins": {benchmarks[0]: 2.5}, "digest": "0" * 64, "key": "1" * 64},
        "claims": [say("One run only: car.")],
        "failures": [{"cell": say("dolly/500/ifd/3"), "error": say("out of memory")}],
        "verdicts": verdicts,
        "sentences": [say(f"{row['arm']} against {row['control']} is {row['verdict']}") for row in verdicts],
        "grid": _grid(arms, pools, budgets, recipes, benchmarks, rng),
        "scores": [
            {**cell, "benchmark": benchmark, "score": float(np.clip(rng.normal(0.5, 0.03), 0, 1)), "items": 100}
            for cell in cells
            for benchmark in benchmarks
        ],
        "win_rates": [_rate(arm, pool, budget, benchmarks[0]) for (pool, budget), arm in product(places, arms)],
        "direct": [_rate(arms[1], pools[0], budgets[0], benchmarks[0])],
        "judges": [_judge(say, benchmarks[0])],
        "missing": [_missing(arm, pools[0], budgets[0], benchmarks[0], say) for arm in arms],
        "selections": [_selection(cell, say) for cell in cells if cell["recipe"] == recipes[0]],
        "overlap": [_overlap(pool, budget, arms) for pool, budget in places],
        "contamination": _contamination(arms, pools, budgets, benchmarks[0], say),
        "diagnostics": _diagnostics(arms, pools, budgets, benchmarks[0], say, rng),
        "training": [_training(cell, rng) for cell in cells if cell["run"] == 1 and cell["pool"] == pools[0]],
        "keys": ["2" * 64],
        "measured": _measured(arms, pools, budgets, recipes, say),
    }


def _verdict(
    arm: str, pool: str, budget: str, benchmark: str, rng: np.random.Generator, word: int, say: Text, recipe: str | None
) -> Row:
    effect = [6.2, -7.4, 0.3, 1.4, 2.1, 0.0, 3.3][word] + float(rng.normal(0, 0.4))
    half = [2.1, 3.0, 1.2, 2.2, 4.8, 12.0, 3.0][word]
    return {
        "arm": arm,
        "control": say(ARMS[0]),
        "benchmark": benchmark,
        "pool": pool,
        "budget": budget,
        "model": None,
        "recipe": recipe,
        "recipes": 2,
        "effect": effect,
        "ci_low": effect - half,
        "ci_high": effect + half,
        "simultaneous_low": effect - 1.4 * half,
        "simultaneous_high": effect + 1.4 * half,
        "se": half / 2,
        "df": 6.0,
        "equivalence_low": effect - 0.8 * half,
        "equivalence_high": effect + 0.8 * half,
        "p": 0.01,
        "p_holm": 0.0001,
        "family": "primary",
        "family_size": 5,
        "margin": 2.5,
        "verdict": WORDS[word],
        "reason": say("too few items"),
        "items": 100,
        "clusters": 100,
        "runs": 3,
        "control_runs": 5,
        "arm_score": 52.0,
        "control_score": 50.0,
        "run_sd": 1.1,
        "control_run_sd": 1.3,
        "mde": 3.21,
        "runs_to_settle": 9,
        "items_to_settle": 900,
        "flags": ["few_runs"],
    }


def _grid(
    arms: list[str], pools: list[str], budgets: Sequence[str], recipes: list[str], benchmarks: list[str], rng: Any
) -> dict[str, list[Row]]:
    if len(recipes) < 2:
        return {}
    where = {"pool": pools[0], "budget": budgets[0], "model": None, "benchmark": benchmarks[0]}
    by_recipe = []
    for arm, recipe in product(arms[1:], recipes):
        effect = float(rng.normal(1, 2))
        interval = {"effect": effect, "ci_low": effect - 2, "ci_high": effect + 2}
        by_recipe.append({**where, "arm": arm, "recipe": recipe, **interval, "p": 0.2, "runs": 3, "control_runs": 5})
    tau = {"points": 5, "tau": 0.6, "ci_low": -0.2, "ci_high": 1.0, "p": 0.23, "detectable": 1.0, "mde_first": 2.0}
    flips = [
        {
            **where,
            "arm": arm,
            "recipes": 2,
            "better": 1,
            "worse": 1,
            "share": 0.5,
            "chance_share": 0.31,
            "chance": 0.4,
            "q": 4.4,
            "q_df": 1,
            "q_p": 0.036,
            "i2": 0.77,
            "tau": 2.0,
            "interaction_p": 0.04,
            "interaction_p_holm": 0.2,
            "opposite": False,
            "flips": False,
        }
        for arm in arms[1:]
    ]
    pair = {"first": benchmarks[0], "second": benchmarks[1], **tau, "mde_second": 3.0, "lora": False}
    return {"recipes": by_recipe, "flips": flips, "agreement": [{**where, "recipe": None, **pair}]}


def _rate(arm: str, pool: str, budget: str, testset: str) -> Row:
    return {
        "pool": pool,
        "budget": budget,
        "testset": testset,
        "arm": arm,
        "recipe": None,
        "model": None,
        "n": 200,
        "prompts": 100,
        "win_rate": 53.21,
        "lc_win_rate": 52.1,
        "lc_se": 2.0,
        "lc_low": 48.0,
        "lc_high": 56.0,
        "theta": 0.1,
        "overlap": 0.4,
        "identified": True,
        "reason": "",
        "words": 123.4,
    }


def _judge(say: Text, testset: str) -> Row:
    canary = {"name": say("null"), "wins": 3, "verdicts": 20, "win_rate": 0.15, "interval": [0.05, 0.36], "passes": 21}
    return {
        "testset": testset,
        "judge": say("gpt"),
        "passes": 400,
        "outcomes": {"ok": 398, say("refused"): 2},
        "first_position_rate": 0.56,
        "inconsistency": 0.12,
        "length_bias": 0.625,
        "length_bias_n": 160,
        "equal_length": 12,
        "equal_length_ties": 11,
        "intervals": {
            "first_position_rate": [0.51, 0.61],
            "inconsistency": [0.08, 0.17],
            "length_bias": [0.55, 0.7],
        },
        "served": {say("m-1"): 300, say("m-2"): 100},
        "canaries": {"fit": False, "limit": 0.05, "fooled_by": [say("null")], "canaries": [canary]},
    }


def _missing(arm: str, pool: str, budget: str, testset: str, say: Text) -> Row:
    return {
        "pool": pool,
        "budget": budget,
        "testset": testset,
        "arm": arm,
        "recipe": None,
        "model": None,
        "comparisons": 100,
        "missing": 2,
        "outcomes": {"ok": 198, say("refused"): 2},
        "win_rate": 51.0,
        "lowest": 50.0,
        "highest": 52.0,
        "verdict_like": 0.01,
    }


def _selection(cell: Row, say: Text) -> Row:
    facts = {"shortfall": say("fewer rows"), "excluded": {say("too long"): 3}, "ties_at_cut": 4}
    return {**cell, "rows": int(cell["budget"]), "mean_words": 55.5, "key": "3" * 64, "facts": facts}


def _overlap(pool: str, budget: str, arms: list[str]) -> Row:
    names = [f"{arm}/{run}" for arm in arms for run in (1, 2)]
    matrix = [
        [1.0 if a == b else round(abs(a - b) / len(names), 3) for b in range(len(names))] for a in range(len(names))
    ]
    return {"pool": pool, "budget": budget, "model": None, "selections": names, "matrix": matrix}


def _contamination(arms: list[str], pools: list[str], budgets: Sequence[str], testset: str, say: Text) -> Row:
    share = {"testset": testset, "items": 2, "of": 100, "share": 0.02, "rows": 1}
    cells = [{"pool": pools[0], "budget": budgets[0], "arm": arm, "run": 1} for arm in arms]
    selections = [{**cell, **share, "ids": [say("item-1")]} for cell in cells]
    return {"rule": "13 words.", "pools": [{"pool": pool, **share} for pool in pools], "selections": selections}


def _diagnostics(
    arms: list[str], pools: list[str], budgets: Sequence[str], testset: str, say: Text, rng: np.random.Generator
) -> Row:
    words = {part: {"mean": 40.0, "sd": 20.0, "quantiles": [1, 2, 3, 4, 5]} for part in ("instruction", "response")}
    verbs = {
        "verbs": [[say("write"), 90], [say("name"), 30]],
        "distinct": 2,
        "imperative": 120,
        "question": 60,
        "other": 20,
    }
    profile = {"rows": 200, "words": words, "verbs": verbs}
    cells = [
        {"pool": pool, "budget": budgets[0], "arm": arm, "run": run}
        for pool in pools
        for arm in arms
        for run in (1, 2, 3)
    ]
    edges = [float(edge) for edge in np.linspace(0, 3, 31)]
    counts = np.histogram(rng.gamma(2, 0.5, 1000), edges)[0].tolist()
    row = {"id": "a1", "score": 2.9, "instruction": say("Write a poem."), "response": say("A poem.")}
    return {
        "verb_method": say("The first word."),
        "pools": [{"pool": pool, **profile} for pool in pools],
        "selections": [{**cell, **profile, "shift": _shift(rng)} for cell in cells],
        "scores": [
            {
                "pool": pools[0],
                "scorer": say("ifd"),
                "parameters": {},
                "higher_is_better": True,
                "key": "4" * 64,
                "scored": 1000,
                "edges": edges,
                "counts": counts,
                "below": 1,
                "above": 2,
                "highest": [row],
                "lowest": [{**row, "id": "a2", "score": 0.01}],
                "selections": [{**cells[3], "counts": [0] * 15 + counts[15:], "below": 0, "above": 2}],
            }
        ],
        "diversity": [{**cells[-1], "rows": 500, "changed": 40, "facts": {"clusters": 178}}],
        "categories": [
            {
                "pool": pool,
                "budget": budgets[0],
                "testset": testset,
                "arm": arm,
                "category": say(category),
                "n": 25,
                "win": 10,
                "tie": 5,
                "lose": 10,
                "win_rate": 50 + 4.0 * number - 3 * place,
                "ws": 1.0,
            }
            for pool in pools
            for number, arm in enumerate(arms)
            for place, category in enumerate(CATEGORIES)
        ],
    }


def _shift(rng: np.random.Generator) -> Row:
    return {part: {"words": 8.0, "deviations": float(rng.normal(0.4, 0.2))} for part in ("instruction", "response")}


def _training(cell: Row, rng: np.random.Generator) -> Row:
    losses = 3 * np.exp(-np.arange(200) / 60) + rng.normal(0, 0.05, 200) + 0.8
    return {
        **cell,
        "n_trained": 500,
        "n_selected": 500,
        "n_truncated": 3,
        "n_dropped": 0,
        "supervised_tokens": 44444,
        "steps": 200,
        "final_loss": float(losses[-1]),
        "dropped": [],
        "loss_curve": [[step + 1, float(loss)] for step, loss in enumerate(losses)],
    }


def _measured(arms: list[str], pools: list[str], budgets: Sequence[str], recipes: list[str], say: Text) -> Row:
    costs = [
        {
            **_place_of(pool, budget, arm, recipe, say),
            "runs": 3,
            "selection_seconds": 100.0 * number,
            "selection_seconds_shared": 30.0 * number,
            "selection_dollars": 0.0,
            "selection_dollars_shared": 0.0,
            "training_seconds": float(budget) / 2,
            "answering_seconds": 12.0,
            "judging_seconds": 3.0,
            "judging_dollars": 0.25,
            "judge_calls": 400,
            "seconds": 100.0 * number + float(budget) / 2,
            "dollars": 0.0,
            "times_control": (100.0 * number + float(budget) / 2) / (float(budget) / 2),
            "full_seconds": 4000.0,
            "full_source": say("measured"),
            "of_full": 0.1,
        }
        for pool, budget, recipe in product(pools, budgets, recipes)
        for number, arm in enumerate(arms)
    ]
    return {
        "started": "2026-01-01T00:00:00Z",
        "finished": "2026-01-01T00:10:00Z",
        "wall_seconds": 600.0,
        "cpu_seconds": 500.0,
        "peak_memory_bytes": 10**9,
        "machine": {"cores": 2},
        "python": "3.11",
        "selkit": "0.0",
        "training": [],
        "totals": {"training.seconds": 1234.5, "tokens.trained": 1e6},
        "costs": costs,
        "costing": {"device": "cpu", "dollars_per_hour": 0.0, "prices": "prices.yaml"},
        "sentences": [say(f"{arm} costs more") for arm in arms],
        "scoring": [
            {"pool": pools[0], "scorer": say("ifd"), "key": "5" * 64, "rows": 3000, "per_1000": {"gpu_seconds": 1.234}}
        ],
    }


def _place_of(pool: str, budget: str, arm: str, recipe: str, say: Text) -> Row:
    return {"pool": pool, "budget": budget, "arm": arm, "recipe": recipe, "model": say("tiny")}


def write_run(
    folder: Path, *, prompts: int = 12, arms: Sequence[str] = ("random", "oracle"), say: Text = plain
) -> Path:
    """A run's folder with files.json and items of ``prompts`` prompts: a judged test set and a benchmark."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(7)
    names = [f"p{number}" for number in range(prompts)]
    cells = [
        {
            "pool": say("dolly"),
            "budget": "500",
            "arm": say(arm),
            "run": run,
            "recipe": say("lora-16"),
            "model": say("tiny"),
        }
        for arm in arms
        for run in (1, 2)
    ]
    known = [
        {"id": name, "category": say(CATEGORIES[n % 4]), "reference": say(f"reference {n}")}
        for n, name in enumerate(names)
    ]
    files: Row = {"schema_version": 1, "testsets": [], "responses": [], "passes": [], "benchmarks": []}
    _lines(folder / "testsets/coachlm.jsonl", known)
    files["testsets"].append({"file": "testsets/coachlm.jsonl", "testset": "coachlm"})
    _lines(folder / "opponents/a.jsonl", [{"id": name, "response": say(f"anchor on {name}")} for name in names])
    for number, cell in enumerate(cells):
        answers = [
            {"id": name, "prompt": say(f"Question {name}?"), "response": say(f"answer of cell {number} on {name}")}
            for name in names
        ]
        _lines(folder / f"responses/{number}.jsonl", answers)
        files["responses"].append({"file": f"responses/{number}.jsonl", **cell, "testset": "coachlm"})
        _lines(folder / f"passes/{number}.jsonl", [one for name in names for one in _passes(name, number, rng, say)])
        place = {"benchmark": say("coachlm"), "testset": "coachlm", "judge": say("gpt"), "opponent": "anchor"}
        files["passes"].append({"file": f"passes/{number}.jsonl", **cell, **place, "against": "opponents/a.jsonl"})
        scored = pa.table(
            {"item": names, "prompt": [say(f"Task {n}") for n in names], "acc": [1.0, 0.0] * (prompts // 2)}
        )
        (folder / "benchmarks").mkdir(exist_ok=True)
        pq.write_table(scored, folder / f"benchmarks/{number}.parquet")
        task = {"benchmark": say("ifeval"), "task": say("ifeval"), "score": "acc"}
        files["benchmarks"].append({"file": f"benchmarks/{number}.parquet", **cell, **task})
    (folder / "files.json").write_text(json.dumps(files), encoding="utf-8")
    return folder


def _passes(name: str, cell: int, rng: np.random.Generator, say: Text) -> list[Row]:
    if name == "p3":
        silent = {"raw": "", "outcome": "refused", "preference": None, "reason": say("the judge declined"), "usage": {}}
        return [{"id": name, "judge": "gpt", "order": order, **silent} for order in ("first", "second")]
    preference = float(rng.choice([0.0, 0.5, 1.0]))
    turned = preference if name == "p5" else 1 - preference
    return [
        {
            "id": name,
            "judge": "gpt",
            "order": order,
            "raw": say(f"said of cell {cell} on {name} {order}"),
            "outcome": "ok",
            "preference": value,
            "reason": "",
            "usage": {},
        }
        for order, value in (("first", preference), ("second", turned))
    ]


def _lines(path: Path, rows: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
