"""Token losses against a loop that computes everything, one row at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from selkit.api import ALPACA, Continuation, DataError, Example, WorkFailed
from selkit.models import load_model, resolve
from selkit.models.hf import HFModel, Limits

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("one_thread")

TINY = "tiny:bytes?hidden=32&heads=2&layers=2&context=256&seed=5"
TEXTS = [
    ("Add one and two.", "three"),
    ("Say hello in Chinese.", "你好"),
    ("Say nothing.", ""),
    ("", "No instruction at all."),
    ("Shout.", "HEY! " * 12),
    ("Add one and two.", "three"),
    ("Emoji?", "🙂 yes"),
]


def pairs() -> list[Continuation]:
    """Prompts with the template's long shared start, bare ones, and an empty one."""
    rows = [Continuation(ALPACA.prompt(Example("x", question)), answer) for question, answer in TEXTS]
    same = [
        Continuation("The same long prompt for both.", end) for end in ("the same start, one", "the same start, two")
    ]
    return [*rows, *same, *(Continuation("### Response:", answer) for _, answer in TEXTS), Continuation("", "alone")]


def brute_force(model: HFModel, pair: Continuation, limit: int = 10**9) -> np.ndarray:
    """Full logits of one row, a log-softmax per token; the boundary found by counting the prompt's bytes."""
    ids = model.tokenizer(pair.prompt + pair.completion)["input_ids"][:limit]
    first = 1 + len(pair.prompt.encode())  # a token a byte, after the start token
    with torch.inference_mode():
        logits = model.model(torch.tensor([ids])).logits[0]
    found = [-torch.log_softmax(logits[i - 1].double(), -1)[ids[i]].item() for i in range(first, len(ids))]
    return np.array(found)


@pytest.fixture(scope="module")
def model() -> HFModel:
    """A tiny model of bytes."""
    return load_model(TINY, device="cpu")


@pytest.mark.parametrize("budget", [64, 4096])
def test_losses_equal_the_brute_force_loop(model: HFModel, budget: int) -> None:
    """In small and in large batches, for empty, short, long and non-Latin texts, in the order of the input."""
    engine = HFModel(resolve(TINY), model.model, model.tokenizer, Limits(budget, 2 * budget, 20))
    found = list(engine.token_losses(pairs()))
    assert len(found) == len(pairs())
    for losses, pair in zip(found, pairs(), strict=True):
        np.testing.assert_allclose(losses.losses, brute_force(model, pair, engine.context), atol=1e-4)
        assert losses.prompt_tokens == 1 + len(pair.prompt.encode())


def test_a_batch_changes_nothing(model: HFModel) -> None:
    """One row at a time gives the losses of all rows together, to 1e-5."""
    together = list(model.token_losses(pairs()))
    for losses, pair in zip(together, pairs(), strict=True):
        [alone] = model.token_losses([pair])
        np.testing.assert_allclose(losses.losses, alone.losses, atol=1e-5)


def test_the_shared_start_is_computed_once(model: HFModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The template's start runs through the model once, and the losses stay the same."""
    rows = [Continuation(ALPACA.prompt(Example("x", f"Question {n}?")), f"answer {n}") for n in range(4)]
    wanted = list(model.token_losses(rows))
    tokens = 0
    run = model.model.base_model.forward

    def counting(*args: object, **kwargs: torch.Tensor) -> object:
        nonlocal tokens
        tokens += kwargs["input_ids"].numel()
        return run(*args, **kwargs)

    monkeypatch.setattr(model.model.base_model, "forward", counting)
    found = list(model.token_losses(rows))
    shared = len(ALPACA.preamble) + len("### Instruction:\nQuestion ")
    assert tokens == sum(len(pair.prompt + pair.completion) for pair in rows) - 3 * (shared + 1)
    for a, b in zip(wanted, found, strict=True):
        np.testing.assert_allclose(a.losses, b.losses, atol=1e-5)


def test_the_same_pairs_give_the_same_bits(model: HFModel) -> None:
    """Whatever the model was asked before; a resumed experiment needs this."""
    first = list(model.token_losses(pairs()))
    list(model.token_losses([Continuation(ALPACA.preamble + "other", "rows")] * 3))
    for a, b in zip(first, model.token_losses(pairs()), strict=True):
        np.testing.assert_array_equal(a.losses, b.losses)


def test_rows_that_come_again_are_computed_once(model: HFModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of copies of a row, over several windows, cost one."""
    list(model.token_losses([Continuation("warm", "up")]))
    calls = []
    assert model._forward is not None
    monkeypatch.setattr(
        model._forward, "losses", lambda rows, targets: calls.append(len(rows)) or torch.zeros(len(targets))
    )
    assert len(list(model.token_losses([Continuation("a", "b")] * 5000))) == 5000
    assert calls == [1]


def test_long_texts_lose_their_end_and_say_so(model: HFModel) -> None:
    """Only the row over the limit is flagged, and its losses are those of the tokens that stay."""
    short, long = model.token_losses([Continuation("ab", "cd"), Continuation("ab", "c" * 50)], max_length=20)
    assert (short.truncated, long.truncated) == (False, True)
    assert len(long.losses) == 20 - 3
    np.testing.assert_allclose(long.losses, brute_force(model, Continuation("ab", "c" * 17)), atol=1e-4)
    [filled] = model.token_losses([Continuation("p" * 50, "c")], max_length=20)
    assert filled.truncated
    assert len(filled.losses) == 0
    assert np.isnan(filled.mean)


def test_ten_thousand_tokens_are_survived(model: HFModel) -> None:
    """A row far beyond the context is cut to it."""
    [long] = model.token_losses([Continuation("p", "word " * 2000)])
    assert long.truncated
    assert len(long.losses) == model.context - 2


def test_the_start_token_is_the_callers_choice(model: HFModel) -> None:
    """Without it the first token of an unprompted text has no loss; with it, it has one."""
    text = [Continuation("", "abc")]
    assert [len(next(model.token_losses(text, start=s)).losses) for s in ("auto", "always", "never")] == [3, 3, 2]  # type: ignore[arg-type]


def test_lone_surrogates_are_survived(model: HFModel) -> None:
    """Text that has no UTF-8 is scored with question marks in its place."""
    [bad] = model.token_losses([Continuation("p", "a\ud800b")])
    [mark] = model.token_losses([Continuation("p", "a?b")])
    np.testing.assert_array_equal(bad.losses, mark.losses)


def test_results_come_before_the_input_ends(model: HFModel) -> None:
    """An endless stream is answered window by window."""

    def endless() -> Iterator[Continuation]:
        number = 0
        while True:
            number += 1
            yield Continuation(str(number), "answer " * 20)

    stream = model.token_losses(endless())
    assert len([next(stream) for _ in range(50)]) == 50


def test_memory_that_runs_out_halves_the_batch(model: HFModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches shrink until they fit, with the same losses; a row that never fits is an error in one sentence."""
    wanted = list(model.token_losses(pairs()))
    engine = HFModel(resolve(TINY), model.model, model.tokenizer, Limits(8192, 8192, 10_000))
    list(engine.token_losses([Continuation("warm", "up")]))
    forward = engine._forward
    assert forward is not None
    losses, most = forward.losses, 3

    def limited(rows: list, targets: list) -> object:  # type: ignore[type-arg]
        if len(rows) > most:
            raise torch.OutOfMemoryError("out of memory")
        return losses(rows, targets)

    monkeypatch.setattr(forward, "losses", limited)
    for a, b in zip(wanted, engine.token_losses(pairs()), strict=True):
        np.testing.assert_allclose(a.losses, b.losses, atol=1e-5)
    most = 0
    with pytest.raises(WorkFailed, match="memory does not suffice for one row"):
        list(engine.token_losses(pairs()))


@pytest.mark.parametrize("kind", ["gemma2", "gpt2", "qwen2"])
def test_other_architectures_agree_with_the_loop(kind: str, model: HFModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose logits are not the plain head's (Gemma 2 caps them) is found out and run in full."""
    import transformers

    small = {
        "gemma2": lambda: transformers.Gemma2Config(
            vocab_size=260, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, head_dim=16, final_logit_softcapping=0.1, sliding_window=16,
        ),
        "gpt2": lambda: transformers.GPT2Config(vocab_size=260, n_embd=32, n_layer=2, n_head=2, n_positions=256),
        "qwen2": lambda: transformers.Qwen2Config(
            vocab_size=260, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1,
        ),
    }  # fmt: skip
    torch.manual_seed(0)
    other = transformers.AutoModelForCausalLM.from_config(small[kind]()).eval()
    engine = HFModel(resolve(TINY), other, model.tokenizer, Limits(8192, 8192, 10_000))
    for losses, pair in zip(engine.token_losses(pairs()), pairs(), strict=True):
        np.testing.assert_allclose(losses.losses, brute_force(engine, pair, engine.context), atol=1e-4)
    assert engine._forward is not None
    assert engine._forward.plain_head == (kind != "gemma2")


def test_an_encoder_has_no_losses(model: HFModel) -> None:
    """It is refused in one sentence that says what to name instead."""
    import transformers

    config = transformers.BertConfig(
        vocab_size=260, hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16
    )
    engine = HFModel(resolve(TINY), transformers.BertModel(config).eval(), model.tokenizer)
    with pytest.raises(DataError, match="text encoder and gives no token losses: name a causal language model"):
        list(engine.token_losses(pairs()))
