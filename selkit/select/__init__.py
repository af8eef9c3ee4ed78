"""Selection: running a selector on a pool, enforcing budgets and ties, and measuring overlap."""

from selkit.select.engine import fill_models, preflight, select
from selkit.select.keys import choice_conditions, choice_versions, component_inputs, score_key
from selkit.select.marking import write_marked
from selkit.select.output import (
    check_same,
    manifest_of,
    prepare_output,
    read_manifest,
    read_selection,
    write_selection,
)
from selkit.select.overlap import overlap_matrix, overlap_rows, shared_rows
from selkit.select.processes import LocalShards
from selkit.select.ranking import best, rank, ties_at_cut
from selkit.select.result import Arms, SelectionResult
from selkit.select.scores import Scores
from selkit.select.scoring import MAX_FAILED, scoring_pass, stored_scores
from selkit.select.shards import Shards, scoring_in
from selkit.select.training import Recipe, Trained, Training, check_trainings, needs_training

__all__ = [
    "MAX_FAILED",
    "Arms",
    "LocalShards",
    "Recipe",
    "Scores",
    "SelectionResult",
    "Shards",
    "Trained",
    "Training",
    "best",
    "check_same",
    "check_trainings",
    "choice_conditions",
    "choice_versions",
    "component_inputs",
    "fill_models",
    "manifest_of",
    "needs_training",
    "overlap_matrix",
    "overlap_rows",
    "preflight",
    "prepare_output",
    "rank",
    "read_manifest",
    "read_selection",
    "score_key",
    "scoring_in",
    "scoring_pass",
    "select",
    "shared_rows",
    "stored_scores",
    "ties_at_cut",
    "write_marked",
    "write_selection",
]
