"""What importing a module drags in, seen in a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

HEAVY = (
    "torch",
    "transformers",
    "datasets",
    "vllm",
    "sklearn",
    "pandas",
    "scipy",
    "trl",
    "peft",
    "accelerate",
    "lm_eval",
    "tensorflow",
    "jax",
    "sentence_transformers",
    "openai",
    "ray",
    "deepspeed",
)
"""Packages that take too long to import for a mere listing of plugins."""

_SECONDS = 120
_PROGRAM = """
import importlib, importlib.util, json, sys
name, place, heavy = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
try:
    found = importlib.util.find_spec(name)
except ModuleNotFoundError:
    found = None
if found is not None:
    importlib.import_module(name)
else:
    spec = importlib.util.spec_from_file_location(name, place)
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
print()
print(json.dumps([package for package in heavy if package in sys.modules]))
"""


@dataclass(frozen=True)
class Imported:
    """What importing a module did: the heavy packages it loaded, what it printed, and how it failed."""

    heavy: tuple[str, ...] = ()
    printed: str = ""
    error: str = ""


def import_alone(cls: type) -> Imported:
    """Imports the module of ``cls`` in a fresh interpreter, once per module.

    A module that cannot be found by its name there, such as a test file, is run from its file.
    """
    return _import(cls.__module__, getattr(sys.modules[cls.__module__], "__file__", None) or "")


@cache
def _import(module: str, place: str) -> Imported:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, module, place, ",".join(HEAVY)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=environment,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return Imported(error=lines[-1] if lines else f"exit code {done.returncode}")
    printed, _, last = done.stdout.rstrip("\n").rpartition("\n")
    return Imported(tuple(json.loads(last)), printed.rstrip("\n"))
