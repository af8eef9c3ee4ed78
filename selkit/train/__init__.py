"""Training: recipes, their presets, and supervised fine-tuning through TRL.

Importing this package imports neither torch nor the libraries that train: those load when a training starts.
"""

from selkit.train.loop import precision_on
from selkit.train.machine import DEEPSPEED
from selkit.train.preflight import TrainCheck, check_training
from selkit.train.presets import RECIPES
from selkit.train.ranks import is_main_process, refuse_launcher
from selkit.train.recipes import Lora, Recipe, load_recipe
from selkit.train.report import TrainReport
from selkit.train.sft import train
from selkit.train.versions import training_versions
from selkit.train.workplace import check_output

__all__ = [
    "DEEPSPEED",
    "RECIPES",
    "Lora",
    "Recipe",
    "TrainCheck",
    "TrainReport",
    "check_output",
    "check_training",
    "is_main_process",
    "load_recipe",
    "precision_on",
    "refuse_launcher",
    "train",
    "training_versions",
]
