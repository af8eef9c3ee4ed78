"""The one module that plugins import: data types, base classes, context, templates, decoding, errors.

Each name loads the module it lives in when it is first used, so that ``selkit.api.errors`` alone brings neither numpy
nor pyarrow with it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from selkit.api.deprecation import Deprecation, warn_if_deprecated

if TYPE_CHECKING:
    from selkit.api.benchmarks import BaseBenchmark, Benchmark, BenchmarkGroup, BenchmarkItem, HubData
    from selkit.api.components import API_VERSION, Component
    from selkit.api.context import Context
    from selkit.api.data import (
        CORE_SCHEMA,
        Budget,
        Dropped,
        Example,
        Pool,
        RowScore,
        Selection,
        Turn,
        Turns,
    )
    from selkit.api.decoding import DECODINGS, Decoding
    from selkit.api.errors import (
        BudgetError,
        ComponentError,
        ContractViolation,
        DataError,
        MissingExtra,
        PluginFailed,
        SelkitError,
        UnknownComponent,
        UsageError,
        WorkFailed,
    )
    from selkit.api.hooks import hookimpl
    from selkit.api.judges import (
        Comparison,
        EarlierTurn,
        Judgement,
        Outcome,
        PairwiseJudge,
        PromptJudge,
        RoundTripJudge,
    )
    from selkit.api.models import (
        Chat,
        ChatReply,
        Continuation,
        Embeddings,
        Generation,
        LanguageModel,
        LocalEngine,
        ModelFiles,
        Pooling,
        Tokenizer,
        TokenLosses,
    )
    from selkit.api.parsing import (
        VERDICT_SCHEMA,
        PairScores,
        parse_output_ab,
        parse_structured,
        parse_two_score,
        parse_verdict_letter,
    )
    from selkit.api.programs import open_context
    from selkit.api.selectors import BaseSelector, Sampler, Scorer, Selector
    from selkit.api.tasks import task_yaml
    from selkit.api.templates import ALPACA, PLAIN, RAW, TEMPLATES, WIZARDLM, PromptTemplate, Template

__all__ = [
    "ALPACA",
    "API_VERSION",
    "CORE_SCHEMA",
    "DECODINGS",
    "PLAIN",
    "RAW",
    "TEMPLATES",
    "VERDICT_SCHEMA",
    "WIZARDLM",
    "BaseBenchmark",
    "BaseSelector",
    "Benchmark",
    "BenchmarkGroup",
    "BenchmarkItem",
    "Budget",
    "BudgetError",
    "Chat",
    "ChatReply",
    "Comparison",
    "Component",
    "ComponentError",
    "Context",
    "Continuation",
    "ContractViolation",
    "DataError",
    "Decoding",
    "Deprecation",
    "Dropped",
    "EarlierTurn",
    "Embeddings",
    "Example",
    "Generation",
    "HubData",
    "Judgement",
    "LanguageModel",
    "LocalEngine",
    "MissingExtra",
    "ModelFiles",
    "Outcome",
    "PairScores",
    "PairwiseJudge",
    "PluginFailed",
    "Pool",
    "Pooling",
    "PromptJudge",
    "PromptTemplate",
    "RoundTripJudge",
    "RowScore",
    "Sampler",
    "Scorer",
    "Selection",
    "Selector",
    "SelkitError",
    "StartToken",
    "Template",
    "TokenLosses",
    "Tokenizer",
    "Turn",
    "Turns",
    "UnknownComponent",
    "UsageError",
    "WorkFailed",
    "hookimpl",
    "open_context",
    "parse_output_ab",
    "parse_structured",
    "parse_two_score",
    "parse_verdict_letter",
    "task_yaml",
]

_MODULES = (
    "errors",
    "decoding",
    "hooks",
    "components",
    "data",
    "context",
    "models",
    "selectors",
    "parsing",
    "judges",
    "templates",
    "benchmarks",
    "programs",
    "tasks",
)
"""Where the names live; those that are quick to load come first."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        warn_if_deprecated(name)
        for module in _MODULES:
            home = import_module(f"{__name__}.{module}")
            if name in vars(home):
                return globals().setdefault(name, vars(home)[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
