"""What is wrong with the arms of an experiment, and what they do not allow to claim: known before any row is scored."""

from __future__ import annotations

from collections.abc import Mapping

from selkit.api import Budget, BudgetError, Pool, UsageError
from selkit.experiment.setup.grid import Arm
from selkit.experiment.spec.spec import Spec
from selkit.experiment.spec.wording import in_a_spec
from selkit.models import HostContext
from selkit.plugins import did_you_mean
from selkit.plugins.builtin.controls import StrictRandom
from selkit.select import fill_models, preflight
from selkit.stats import MIN_CONTROL_RUNS, advised_control_runs
from selkit.store import Store


def check_arm_names(spec: Spec, arms: tuple[Arm, ...]) -> None:
    """Refuses what the spec says of arms that are not there. An experiment may do without random, and says so."""
    known = [*(arm.name for arm in arms), *(entry.arm for entry in spec.given)]
    listed = ", ".join(known)
    if wrong := next((name for name in spec.runs if name not in (*known, spec.control, "default")), None):
        raise UsageError(
            f"runs: there is no arm {wrong!r}.{did_you_mean(wrong, [*known, 'default'])} The arms are {listed}"
        )
    if spec.control not in (*known, "random"):
        raise UsageError(
            f"control: there is no arm {spec.control!r}.{did_you_mean(spec.control, known)} The arms are {listed}"
        )


def check_arms(spec: Spec, pool: Pool, arms: tuple[Arm, ...], model: str, store: Store) -> None:
    """Refuses what an arm cannot do on a pool, as far as that shows without scoring. Raises a SelkitError."""
    ctx = HostContext(seed=0, cache_dir=store.root, base_model=model, pool=pool)
    for arm in arms:
        with in_a_spec(f"under the parameters of arm {arm.name!r}"):
            for budget in spec.budgets if arm.selector.sized else (None,):
                preflight(pool, fill_models(arm.selector, model), budget, ctx)


def check_complements(spec: Spec, pool: Pool, arms: tuple[Arm, ...], own: Mapping[str, int]) -> None:
    """Refuses strict-random where one other arm alone leaves it too few rows: known before any row is scored.

    Args:
        spec: The experiment.
        pool: The pool.
        arms: The arms.
        own: Rows of the arms that have a size of their own, by name.
    """
    rows = {str(budget): Budget.parse(budget).rows(len(pool), f"pool {pool.name!r}") for budget in spec.budgets}
    taken = {arm.name: max(rows.values()) for arm in arms if arm.selector.sized and not arm.selector.baseline}
    taken.update(own)
    for arm in arms:
        if not isinstance(arm.selector, StrictRandom):
            continue
        others = {
            name: size for name, size in taken.items() if not arm.selector.without or name in arm.selector.without
        }
        most = max(others, key=lambda name: others[name], default=None)
        for budget, size in rows.items():
            if most is not None and size > len(pool) - others[most]:
                raise BudgetError(
                    f"{arm.name} at {budget} needs {size} rows that no other arm chose, and {most} alone chooses "
                    f"{others[most]} of the {len(pool)} of pool {pool.name!r}: take a smaller budget"
                )


def claims(spec: Spec, arms: tuple[Arm, ...]) -> list[str]:
    """What the design of the experiment does not allow to say."""
    notes = []
    if not spec.testsets and not spec.benchmarks:
        notes.append("There is neither a test set nor a benchmark: models are trained, and nothing is said of them.")
    control = next((arm for arm in arms if arm.name == spec.control), None)
    if control is None:
        notes.append(
            f"There is no arm {spec.control!r}: nothing can be said on whether a selector beats random choice."
        )
    elif others := len(arms) - 1 + len(spec.given):
        notes += _control_claims(control, others)
    if spec.seeds.selection is not None:
        notes.append(
            f"The selection seed is pinned at {spec.seeds.selection}: runs differ by their training alone, and nothing "
            "is said on other draws of rows."
        )
    if spec.seeds.training is not None:
        notes.append(
            f"The training seed is pinned at {spec.seeds.training}: runs differ by their rows alone, and nothing is "
            "said on other trainings."
        )
    single = [arm.name for arm in arms if arm.runs == 1] + [entry.arm for entry in spec.given]
    if single:
        lent = any(arm.runs > 1 for arm in arms)
        how = "Their run variance is borrowed from the other arms" if lent else "No arm tells how much runs differ"
        notes.append(f"One run only: {', '.join(single)}. {how}.")
    return notes


def _control_claims(control: Arm, others: int) -> list[str]:
    """What the control's runs are too few for, beside so many other arms."""
    have, advised = f"{control.runs} run{'s' if control.runs > 1 else ''}", advised_control_runs(others)
    if control.runs < MIN_CONTROL_RUNS:
        said = f"under {MIN_CONTROL_RUNS} its own variation is not known, so every verdict is UNDERPOWERED"
        return [f"{control.name} has {have}; {said}. For {_counted(others)} {advised} are advised."]
    if control.runs < advised:
        said = "every verdict rests on them, so that only larger differences are found"
        return [f"{control.name} has {have}, and {advised} are advised for {_counted(others)}: {said}."]
    return []


def _counted(arms: int) -> str:
    return "1 other arm" if arms == 1 else f"{arms} other arms"
