"""Writes golden.json: what alpaca_eval's own function says of the shared annotations.

It is run by hand, in an environment of its own, because alpaca_eval needs an old setuptools::

    python3.11 -m venv golden && golden/bin/pip install alpaca_eval==0.6.6 "setuptools<82"
    golden/bin/python tests/evals/alpaca_eval/compute_golden.py SHARED_DATA/alpaca-eval

alpaca_eval downloads df_gamed.csv; here it is given the shared one. The rows carry the index of the eval set, so that
its lookup by row number finds the right difficulty, except under ``subset_by_row_number``, where they are as it passes
them itself. ``orders`` are the same rows in several orders.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

ORDERS = 6


def main(folder: Path) -> None:
    """Computes and writes the numbers of every model."""
    from alpaca_eval.metrics import glm_winrate

    warnings.simplefilter("ignore")
    glm_winrate.hf_hub_download = lambda filename, **_: str(folder / filename)
    baseline = {row["index"]: row for row in map(json.loads, (folder / "eval-set.jsonl").read_text().splitlines())}
    models = {}
    for path in sorted((folder / "annotations").iterdir()):
        rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        frame = _frame([{**row, "output_1": baseline[row["index"]]["output"]} for row in rows])
        models[path.name.removesuffix(".jsonl.gz")] = _numbers(glm_winrate, frame)
    packages = ("alpaca_eval", "scikit-learn", "pandas", "numpy", "patsy")
    golden = {"versions": {name: version(name) for name in packages}, "models": models}
    Path(__file__).with_name("golden.json").write_text(json.dumps(golden, indent=1) + "\n")


def _numbers(module: Any, frame: Any) -> dict[str, Any]:
    subset = frame[frame["index"] % 8 < 3]
    rates = _rates(module, frame)
    by_row = _rates(module, subset.drop(columns="index").reset_index(drop=True))
    return {
        **{name: float(rates[name]) for name in ("win_rate", "standard_error", "discrete_win_rate")},
        **{name: int(rates[name]) for name in ("n_wins", "n_wins_base", "n_draws", "n_total")},
        "lc_win_rate": rates["length_controlled_winrate"],
        "orders": [_rates(module, _shuffled(frame, k))["length_controlled_winrate"] for k in range(ORDERS)],
        "subset": _rates(module, subset)["length_controlled_winrate"],
        "subset_orders": [_rates(module, _shuffled(subset, k))["length_controlled_winrate"] for k in range(ORDERS)],
        "subset_by_row_number": by_row["length_controlled_winrate"],
    }


def _rates(module: Any, frame: Any) -> dict[str, Any]:
    return dict(
        module.get_length_controlled_winrate(frame.copy(), save_weights_dir=None, is_warn_extreme_changes=False)
    )


def _shuffled(frame: Any, number: int) -> Any:
    ranks = [hashlib.sha256(f"{number} {index}".encode()).hexdigest() for index in frame["index"]]
    return frame.assign(rank=ranks).sort_values("rank").drop(columns="rank")


def _frame(rows: list[dict[str, Any]]) -> Any:
    import pandas

    return pandas.DataFrame(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
