"""The one module that plugins import: data types, base classes, context, templates, decoding, errors."""

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
from selkit.api.judges import Comparison, Judgement, Outcome, PairwiseJudge, PromptJudge, RoundTripJudge
from selkit.api.models import (
    Chat,
    ChatReply,
    Continuation,
    Generation,
    LanguageModel,
    Pooling,
    Tokenizer,
    TokenLosses,
)
from selkit.api.selectors import BaseSelector, Sampler, Scorer, Selector
from selkit.api.templates import ALPACA, PLAIN, TEMPLATES, WIZARDLM, PromptTemplate, Template

__all__ = [
    "ALPACA",
    "API_VERSION",
    "CORE_SCHEMA",
    "DECODINGS",
    "PLAIN",
    "TEMPLATES",
    "WIZARDLM",
    "BaseSelector",
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
    "Dropped",
    "Example",
    "Generation",
    "Judgement",
    "LanguageModel",
    "MissingExtra",
    "Outcome",
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
    "Template",
    "TokenLosses",
    "Tokenizer",
    "Turn",
    "Turns",
    "UnknownComponent",
    "UsageError",
    "WorkFailed",
    "hookimpl",
]
