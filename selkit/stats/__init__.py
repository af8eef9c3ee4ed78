"""Score table -> intervals, tests, verdicts. Pure functions on arrays; scipy is loaded when a p value is asked for."""

from selkit.stats.analysis import analyse, compare
from selkit.stats.rules import Gap, Rules
from selkit.stats.table import COLUMNS, OPTIONAL, REQUIRED, ScoreTable
from selkit.stats.verdicts import COMPOSITE, Flag, VerdictRow, Word, sentence, to_json

__all__ = [
    "COLUMNS",
    "COMPOSITE",
    "OPTIONAL",
    "REQUIRED",
    "Flag",
    "Gap",
    "Rules",
    "ScoreTable",
    "VerdictRow",
    "Word",
    "analyse",
    "compare",
    "sentence",
    "to_json",
]
