"""Experiments: the spec, its plan, and the run from pools to a report."""

from selkit.experiment.jobs import Plan, plan
from selkit.experiment.run import run_experiment
from selkit.experiment.spec.loading import load_spec, parse_spec
from selkit.experiment.spec.spec import Spec
from selkit.experiment.spec.starter import quickstart_spec, write_spec
from selkit.report import read_document

PLAN_COLUMNS = ("pool", "budget", "arm", "run", "recipe", "model", "rows", "state")

__all__ = [
    "PLAN_COLUMNS",
    "Plan",
    "Spec",
    "load_spec",
    "parse_spec",
    "plan",
    "quickstart_spec",
    "read_document",
    "run_experiment",
    "write_spec",
]
