"""Score table -> intervals, tests, verdicts. Pure functions on arrays; scipy is loaded when a p value is asked for."""

from selkit.stats.analysis import analyse, compare
from selkit.stats.rules import MIN_CONTROL_RUNS, PRIMARY, Gap, Rules, advised_control_runs, equal_weights
from selkit.stats.study import Study, study
from selkit.stats.table import COLUMNS, OPTIONAL, REQUIRED, ScoreTable
from selkit.stats.verdicts import COMPOSITE, Flag, VerdictRow, Word, sentence, to_json

__all__ = [
    "COLUMNS",
    "COMPOSITE",
    "MIN_CONTROL_RUNS",
    "OPTIONAL",
    "PRIMARY",
    "REQUIRED",
    "Flag",
    "Gap",
    "Rules",
    "ScoreTable",
    "Study",
    "VerdictRow",
    "Word",
    "advised_control_runs",
    "analyse",
    "compare",
    "equal_weights",
    "sentence",
    "study",
    "to_json",
]
