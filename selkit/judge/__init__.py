"""Judging: comparisons in both orders, stored raw passes, and scores as pure functions over them."""

from selkit.judge.engine import judge_pairs
from selkit.judge.passes import item_scores, judge_health, pass_from_row, pass_row
from selkit.judge.responses import Response, join_responses, read_responses

__all__ = [
    "Response",
    "item_scores",
    "join_responses",
    "judge_health",
    "judge_pairs",
    "pass_from_row",
    "pass_row",
    "read_responses",
]
