"""Selection: running a selector on a pool, enforcing budgets and ties, and measuring overlap."""

from selkit.select.engine import component_inputs, fill_models, preflight, score_key, select
from selkit.select.output import (
    check_same,
    manifest_of,
    prepare_output,
    read_manifest,
    read_selection,
    write_selection,
)
from selkit.select.overlap import overlap_matrix, overlap_rows, shared_rows
from selkit.select.ranking import rank, ties_at_cut
from selkit.select.result import Arms, SelectionResult
from selkit.select.scoring import Scores, scoring_pass

__all__ = [
    "Arms",
    "Scores",
    "SelectionResult",
    "check_same",
    "component_inputs",
    "fill_models",
    "manifest_of",
    "overlap_matrix",
    "overlap_rows",
    "preflight",
    "prepare_output",
    "rank",
    "read_manifest",
    "read_selection",
    "score_key",
    "scoring_pass",
    "select",
    "shared_rows",
    "ties_at_cut",
    "write_selection",
]
