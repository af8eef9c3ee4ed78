"""Models: references, tokenizers, engines, and the context that serves them to components."""

from selkit.models.context import HostContext
from selkit.models.refs import ModelFolder, check_model, models_cache, resolve
from selkit.models.tokens import FastTokenizer, load_tokenizer

__all__ = [
    "FastTokenizer",
    "HostContext",
    "ModelFolder",
    "check_model",
    "load_tokenizer",
    "models_cache",
    "resolve",
]
