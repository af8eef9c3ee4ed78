"""The engines that scorers, judges, training and evaluation share.

Importing this package imports neither torch nor transformers: those load with the first model.
"""

from selkit.models.context import HostContext, default_device, default_threads, device_here, device_of, has_gpu, kind_of
from selkit.models.folder import ModelFolder
from selkit.models.load import forget_models, load_model, load_tokenizer
from selkit.models.refs import check_model, models_cache, resolve
from selkit.models.templates import ChatTemplate, check_template, has_chat_template, prompt_template

__all__ = [
    "ChatTemplate",
    "HostContext",
    "ModelFolder",
    "check_model",
    "check_template",
    "default_device",
    "default_threads",
    "device_here",
    "device_of",
    "forget_models",
    "has_chat_template",
    "has_gpu",
    "kind_of",
    "load_model",
    "load_tokenizer",
    "models_cache",
    "prompt_template",
    "resolve",
]
