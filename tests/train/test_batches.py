"""How the global batch is cut up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from selkit.train.batches import BatchPlan, divisors, plan_batches, rows_that_fit

LLAMA_7B = {"num_hidden_layers": 32, "hidden_size": 4096}
SMOLLM2 = {"num_hidden_layers": 30, "hidden_size": 576}


@given(batch=st.integers(1, 300), fits=st.integers(1, 400), devices=st.integers(1, 8))
def test_the_global_batch_is_kept(batch: int, fits: int, devices: int) -> None:
    """Micro-batch times accumulation times devices is the recipe's batch, and no larger micro-batch would fit."""
    plan = plan_batches(batch, fits, devices)
    if batch % devices:
        assert plan is None
        return
    assert plan is not None
    assert plan.rows == batch
    share = batch // devices
    assert plan.micro == max(size for size in range(1, share + 1) if share % size == 0 and size <= max(fits, 1))


@given(batch=st.integers(1, 300), fits=st.integers(1, 300))
def test_halving_keeps_the_global_batch_and_ends_at_one_row(batch: int, fits: int) -> None:
    """Scenario 41: each step down at least halves the micro-batch, until one row at a time is left."""
    plan = plan_batches(batch, fits)
    while plan is not None:
        assert plan.rows == batch
        smaller = plan.halved()
        assert smaller is None or smaller.micro <= plan.micro // 2
        last, plan = plan, smaller
    assert last.micro == 1


def test_a_power_of_two_is_halved_exactly() -> None:
    """The usual batch goes 8, 4, 2, 1 with 8, 16, 32, 64 accumulated."""
    plan: BatchPlan | None = BatchPlan(8, 8)
    seen = []
    while plan is not None:
        seen.append((plan.micro, plan.accumulation))
        plan = plan.halved()
    assert seen == [(8, 8), (4, 16), (2, 32), (1, 64)]


def test_what_fits_grows_with_memory_and_falls_with_length() -> None:
    """Twice the memory takes twice the rows, twice the tokens half; checkpointing takes more; never none."""
    gpu = rows_that_fit(LLAMA_7B, 512, 80 << 30, False)
    assert rows_that_fit(LLAMA_7B, 512, 160 << 30, False) == 2 * gpu
    assert rows_that_fit(LLAMA_7B, 1024, 80 << 30, False) == gpu // 2
    assert rows_that_fit(LLAMA_7B, 512, 80 << 30, True) > 10 * gpu
    assert rows_that_fit(LLAMA_7B, 10**6, None, False) == 1
    assert rows_that_fit({"text_config": SMOLLM2}, 256, None, False) == rows_that_fit(SMOLLM2, 256, None, False)


def test_divisors() -> None:
    """All of them, ascending."""
    assert divisors(12) == [1, 2, 3, 4, 6, 12]
