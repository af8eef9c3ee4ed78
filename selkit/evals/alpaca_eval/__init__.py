"""AlpacaEval's files and its length-controlled win rate, and the win rate against any other baseline."""

from selkit.evals.alpaca_eval.annotations import Annotation, Annotations, LeftOut, read_annotations
from selkit.evals.alpaca_eval.assets import BASELINE, LcAssets, read_assets
from selkit.evals.alpaca_eval.judged import (
    Sides,
    annotation_records,
    check_annotations,
    check_model_outputs,
    side_names,
    write_annotations,
    write_model_outputs,
)
from selkit.evals.alpaca_eval.leaderboard import leaderboard_rows, merged, read_leaderboard, write_leaderboard
from selkit.evals.alpaca_eval.outputs import EvalSet, Output, draw_outputs, read_eval_set, read_outputs, write_outputs
from selkit.evals.alpaca_eval.rates import ModelRates, RateSettings, other_baselines, win_rates
from selkit.evals.alpaca_eval.results import check_folder, document, write_results

__all__ = [
    "BASELINE",
    "Annotation",
    "Annotations",
    "EvalSet",
    "LcAssets",
    "LeftOut",
    "ModelRates",
    "Output",
    "RateSettings",
    "Sides",
    "annotation_records",
    "check_annotations",
    "check_folder",
    "check_model_outputs",
    "document",
    "draw_outputs",
    "leaderboard_rows",
    "merged",
    "other_baselines",
    "read_annotations",
    "read_assets",
    "read_eval_set",
    "read_leaderboard",
    "read_outputs",
    "side_names",
    "win_rates",
    "write_annotations",
    "write_leaderboard",
    "write_model_outputs",
    "write_outputs",
    "write_results",
]
