"""The engines that scorers, judges, training and evaluation share.

Importing this package imports neither torch nor transformers: those load with the first model.
"""

from selkit.models.context import HostContext, default_device
from selkit.models.folder import ModelFolder
from selkit.models.load import forget_models, load_model, load_tokenizer
from selkit.models.refs import check_model, models_cache, resolve

__all__ = [
    "HostContext",
    "ModelFolder",
    "check_model",
    "default_device",
    "forget_models",
    "load_model",
    "load_tokenizer",
    "models_cache",
    "resolve",
]
