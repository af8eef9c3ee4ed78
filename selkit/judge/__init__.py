"""Judging: comparisons in both orders, stored raw passes, and everything that follows from them as pure functions."""

from selkit.judge.audit import agree_files, audit_files
from selkit.judge.canaries import (
    CANARIES,
    CanaryReport,
    canary_comparisons,
    canary_report,
    holds_verdict,
    judge_canaries,
)
from selkit.judge.engine import Orders, judge_pairs
from selkit.judge.pairwise import PairwiseJob, PairwiseResult, run_pairwise, write_result
from selkit.judge.passes import (
    item_scores,
    judge_health,
    order_bias,
    outcome_counts,
    pass_from_row,
    pass_row,
    score_bounds,
)
from selkit.judge.rates import Rates, length_bias, length_bias_of_scores
from selkit.judge.replay import replay_log
from selkit.judge.responses import (
    Response,
    compared,
    join_files,
    join_responses,
    read_responses,
    responses_of,
    with_ids,
)
from selkit.judge.rules import Rule, Verdict, verdict, verdicts
from selkit.judge.templates import PARSERS

__all__ = [
    "CANARIES",
    "PARSERS",
    "CanaryReport",
    "Orders",
    "PairwiseJob",
    "PairwiseResult",
    "Rates",
    "Response",
    "Rule",
    "Verdict",
    "agree_files",
    "audit_files",
    "canary_comparisons",
    "canary_report",
    "compared",
    "holds_verdict",
    "item_scores",
    "join_files",
    "join_responses",
    "judge_canaries",
    "judge_health",
    "judge_pairs",
    "length_bias",
    "length_bias_of_scores",
    "order_bias",
    "outcome_counts",
    "pass_from_row",
    "pass_row",
    "read_responses",
    "replay_log",
    "responses_of",
    "run_pairwise",
    "score_bounds",
    "verdict",
    "verdicts",
    "with_ids",
    "write_result",
]
