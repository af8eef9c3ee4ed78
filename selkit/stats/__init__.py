"""Score table -> intervals, tests, verdicts. Pure functions on arrays; scipy is loaded when a p value is asked for."""

from selkit.stats.compare import compare, verdicts
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
    "compare",
    "sentence",
    "to_json",
    "verdicts",
]
