"""Score table -> intervals, tests, verdicts. Pure functions on arrays; scipy is loaded when a p value is asked for."""

from selkit.stats.analysis import analyse, compare
from selkit.stats.rules import PRIMARY, Gap, Rules, equal_weights
from selkit.stats.study import Study, study
from selkit.stats.table import COLUMNS, OPTIONAL, REQUIRED, ScoreTable
from selkit.stats.verdicts import COMPOSITE, Flag, VerdictRow, Word, sentence, to_json

__all__ = [
    "COLUMNS",
    "COMPOSITE",
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
    "analyse",
    "compare",
    "equal_weights",
    "sentence",
    "study",
    "to_json",
]
