"""Training end to end on a tiny model: what is learnt from, what is counted, what stops it, what is left behind."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selkit.api import PLAIN, WIZARDLM, ContractViolation, DataError, Example, Pool, UsageError, WorkFailed
from selkit.train import Recipe, TrainReport, load_recipe, train
from selkit.train.batches import BatchPlan
from selkit.train.loop import LoopSettings, load_weights, make_trainer, sft_config
from selkit.train.sequences import prepare
from selkit.train.turns import training_pairs

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

Make = Callable[..., Recipe]
Digest = Callable[[Path], str]


def fit(model: str, pool: Pool, recipe: Recipe | Any, output: Path, **options: Any) -> TrainReport:
    """Trains on one thread of the processor."""
    return train(model, pool, recipe, output, device="cpu", threads=1, **options)


def trainer_for(model: str, pool: Pool, recipe: Recipe, folder: Path, template: Any = PLAIN) -> Any:
    """The trainer as training sets it up, before its first step."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    prepared = prepare(training_pairs(pool, template), tokenizer, recipe.max_length)
    settings = LoopSettings(folder, 0, "cpu", recipe.max_length)
    config = sft_config(recipe, BatchPlan(recipe.batch_size, 1), settings)
    return make_trainer(load_weights(Path(model), recipe), tokenizer, prepared, recipe, config)


def test_the_loss_begins_right_after_the_template(model: str, rows: Pool, recipe: Make, tmp_path: Path) -> None:
    """Token by token, against tokenising by hand: start mark and prompt without loss, then response and end mark."""
    trainer = trainer_for(model, rows, recipe(template="wizardlm"), tmp_path, WIZARDLM)
    tokenizer = trainer.processing_class
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    for example, found in zip(rows, trainer.train_dataset, strict=True):
        before = [start, *tokenizer.encode(WIZARDLM.prompt(example), add_special_tokens=False)]
        after = [*tokenizer.encode(example.response, add_special_tokens=False), end]
        assert WIZARDLM.prompt(example).endswith("### Response:")
        assert found["input_ids"] == before + after
        assert found["labels"] == [-100] * len(before) + after


def test_padding_carries_no_loss_and_goes_to_the_longest_of_the_batch(
    model: str, rows: Pool, recipe: Make, tmp_path: Path
) -> None:
    """A batch is as wide as its longest row, and its padding is masked and unlabelled."""
    trainer = trainer_for(model, rows, recipe(batch_size=12), tmp_path)
    batch = next(iter(trainer.get_train_dataloader()))
    lengths = sorted(len(row["input_ids"]) for row in trainer.train_dataset)
    assert batch["input_ids"].shape == (12, max(lengths))
    assert sorted(batch["attention_mask"].sum(1).tolist()) == lengths
    assert bool((batch["labels"][batch["attention_mask"] == 0] == -100).all())


def test_counts_against_brute_force(model: str, recipe: Make, tmp_path: Path) -> None:
    """Selected, trained, cut off, dropped, supervised and total tokens, counted here in bytes."""
    length = 24
    made = [Example(f"row-{n:02d}", "q" * (3 * n), "", "r" * (2 * n + 1)) for n in range(1, 11)]
    report = fit(model, Pool.from_examples(made), recipe(max_length=length), tmp_path / "out")
    prompts = {row.id: 1 + len(PLAIN.prompt(row)) for row in made}
    totals = {row.id: prompts[row.id] + len(row.response) + 1 for row in made}
    kept = [id_ for id_ in prompts if prompts[id_] < length]
    assert report.n_selected == 10
    assert report.n_trained == report.n_sequences == len(kept)
    assert report.n_truncated == sum(totals[id_] > length for id_ in kept)
    assert [drop.id for drop in report.dropped] == [id_ for id_ in prompts if id_ not in kept]
    assert report.n_dropped == len(report.dropped) == 10 - len(kept) > 0
    assert all(f"takes {prompts[drop.id]} tokens of the {length}" in drop.reason for drop in report.dropped)
    assert report.supervised_tokens == sum(min(totals[id_], length) - prompts[id_] for id_ in kept)
    assert report.total_tokens == sum(min(totals[id_], length) for id_ in kept)
    assert (report.n_merged, report.max_length) == (0, length)


def test_all_turns_train_and_count_as_rows(model: str, conversations: Pool, recipe: Make, tmp_path: Path) -> None:
    """A row with three turns is three sequences and one trained row, and each turn's tokens carry loss."""
    report = fit(model, conversations, recipe(), tmp_path / "out")
    assert (report.n_selected, report.n_trained, report.n_sequences, report.turns) == (2, 2, 4, "all")
    assert report.supervised_tokens == sum(len(word) + 1 for word in ("eins", "zwei", "drei", "vier"))


def test_a_row_loses_its_long_turns_alone(model: str, conversations: Pool, recipe: Make, tmp_path: Path) -> None:
    """Turns whose prompt leaves no room are listed as dropped; the row still counts as trained."""
    report = fit(model, conversations, recipe(max_length=25), tmp_path / "out")
    assert (report.n_trained, report.n_dropped, report.n_sequences) == (2, 0, 2)
    assert [(drop.id, "turn 2" in drop.reason) for drop in report.dropped] == [("talk", True), ("talk", False)]


def test_the_seed_fixes_the_weights(model: str, rows: Pool, recipe: Make, tmp_path: Path, digest: Digest) -> None:
    """Scenario 50: the same seed gives the same bytes, another seed others; the global generators are left alone."""
    import random

    import numpy as np

    before = (random.getstate()[1], np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist())
    for name, seed in (("one", 5), ("again", 5), ("other", 6)):
        assert fit(model, rows, recipe(), tmp_path / name, seed=seed).seeds == {"training": seed}
    after = (random.getstate()[1], np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist())
    assert digest(tmp_path / "one") == digest(tmp_path / "again") != digest(tmp_path / "other")
    assert before == after


def test_the_seed_fixes_adapters_too(model: str, rows: Pool, recipe: Make, tmp_path: Path, digest: Digest) -> None:
    """Scenario 50: adapters start from drawn weights, which the seed fixes as well, whatever was drawn before."""
    lora = recipe(lora={"r": 2}, neftune_alpha=5.0)
    for name, seed in (("one", 5), ("again", 5), ("other", 6)):
        torch.rand(1)
        fit(model, rows, lora, tmp_path / name, seed=seed)
    assert digest(tmp_path / "one") == digest(tmp_path / "again") != digest(tmp_path / "other")


def test_the_order_of_the_rows_changes_nothing(
    model: str, rows: Pool, recipe: Make, tmp_path: Path, digest: Digest
) -> None:
    """The same rows, however they come, give the same weights."""
    fit(model, rows, recipe(), tmp_path / "one")
    fit(model, rows.take(rows.ids[::-1]), recipe(), tmp_path / "two")
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_the_micro_batch_does_not_change_the_loss(model: str, rows: Pool, recipe: Make, tmp_path: Path) -> None:
    """The loss is per supervised token of the whole batch, however it is cut up."""
    whole = fit(model, rows, recipe(epochs=2), tmp_path / "whole")
    parts = fit(model, rows, recipe(epochs=2, micro_batch=1), tmp_path / "parts")
    assert (whole.micro_batch, whole.accumulation) == (4, 1)
    assert (parts.micro_batch, parts.accumulation) == (1, 4)
    assert (whole.steps, whole.epochs) == (parts.steps, parts.epochs) == (6, 2.0)
    assert [loss for _, loss in parts.loss_curve] == pytest.approx([loss for _, loss in whole.loss_curve], rel=1e-4)


def test_packed_rows_do_not_see_each_other(model: str, rows: Pool, recipe: Make, tmp_path: Path) -> None:
    """Of a model that is no longer blank, the loss over packed rows is the loss over the same rows one by one."""
    base = tmp_path / "base"
    fit(model, rows, recipe(epochs=10, learning_rate=3e-2), base)
    one_step = {"batch_size": 12, "max_steps": 1}
    alone = fit(str(base), rows, recipe(**one_step), tmp_path / "alone")
    packed = fit(str(base), rows, recipe(**one_step, packing=True), tmp_path / "packed")
    assert packed.final_loss == pytest.approx(alone.final_loss, rel=1e-4)


def test_rows_without_padding_do_not_see_each_other(model: str, rows: Pool, recipe: Make, tmp_path: Path) -> None:
    """Of a model that is no longer blank, rows without padding have the loss of padded rows, cut off or not."""
    base = tmp_path / "base"
    fit(model, rows, recipe(epochs=10, learning_rate=3e-2), base)
    small = recipe(epochs=2, max_length=20)
    padded = fit(str(base), rows, small, tmp_path / "padded")
    free = fit(str(base), rows, replace(small, padding_free=True), tmp_path / "free")
    assert padded.n_truncated > 0
    assert free.supervised_tokens == padded.supervised_tokens
    assert [loss for _, loss in free.loss_curve] == pytest.approx([loss for _, loss in padded.loss_curve], rel=1e-3)


def test_rows_without_padding_stand_in_one_sequence(model: str, rows: Pool, recipe: Make, tmp_path: Path) -> None:
    """A forward pass sees the tokens of its rows end to end, each counted from its own beginning."""
    trainer = trainer_for(model, rows, recipe(batch_size=12, padding_free=True), tmp_path)
    batch = next(iter(trainer.get_train_dataloader()))
    lengths = [len(row["input_ids"]) for row in trainer.train_dataset]
    assert batch["input_ids"].shape == (1, sum(lengths))
    assert int((batch["position_ids"] == 0).sum()) == 12


def test_computing_activations_twice_changes_nothing(model: str, rows: Pool, recipe: Make, tmp_path: Path) -> None:
    """Gradient checkpointing saves memory and not more: the same curve."""
    once = fit(model, rows, recipe(), tmp_path / "once")
    twice = fit(model, rows, recipe(gradient_checkpointing=True), tmp_path / "twice")
    assert [loss for _, loss in twice.loss_curve] == pytest.approx([loss for _, loss in once.loss_curve], rel=1e-5)


def test_neftune_adds_its_noise(model: str, rows: Pool, recipe: Make, tmp_path: Path) -> None:
    """Uniform up to alpha / sqrt(length x width) on every number of the embeddings, and none once training is over.

    Source: N. Jain et al., 'NEFTune: Noisy Embeddings Improve Instruction Finetuning', 2023, algorithm 1.
    """
    trainer = trainer_for(model, rows, recipe(neftune_alpha=5.0, batch_size=12, max_steps=1), tmp_path)
    embedding, seen = trainer.model.get_input_embeddings(), []
    embedding.register_forward_pre_hook(lambda layer, args: seen.append([args[0].clone(), layer.weight.clone()]))
    first = trainer.model.model.layers[0]
    first.register_forward_pre_hook(lambda layer, args, kwargs: seen[-1].append(args[0].clone()), with_kwargs=True)
    trainer.train()
    ids, weight, hidden = seen[0]
    noise = (hidden - weight[ids]).detach()
    bound = 5.0 / math.sqrt(hidden.shape[1] * hidden.shape[2])
    assert float(noise.abs().max()) == pytest.approx(bound, rel=0.01)
    assert float(noise.abs().max()) <= bound * (1 + 1e-4)
    assert float(noise.std()) == pytest.approx(bound / math.sqrt(3), rel=0.02)
    trainer.model.eval()
    with torch.no_grad():
        trainer.model(input_ids=ids)
    assert torch.equal(seen[-1][2], trainer.model.get_input_embeddings().weight[ids])


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_attention_is_the_one_asked_for(model: str, rows: Pool, recipe: Make, tmp_path: Path, attention: str) -> None:
    """The kind of attention arrives in the model."""
    trainer = trainer_for(model, rows, recipe(attention=attention), tmp_path)
    assert trainer.model.config._attn_implementation == attention


def test_four_rows_are_learnt_by_heart(model: str, recipe: Make, tmp_path: Path) -> None:
    """The saved folder loads as any model does, and answers greedily what it was taught, ending by itself."""
    from selkit.api import Decoding
    from selkit.models import load_model

    taught = {"red": "apple", "blue": "sky", "green": "leaf", "white": "snow"}
    pool = Pool.from_examples(Example(word, word, "", answer) for word, answer in taught.items())
    report = fit(model, pool, recipe(max_steps=80, scheduler="cosine"), tmp_path / "out")
    assert report.final_loss < 0.1 < report.loss_curve[0][1]
    trained = load_model(str(tmp_path / "out"), device="cpu")
    answers = trained.generate([f"{word}\n" for word in taught], Decoding(max_new_tokens=12))
    assert [(answer.text, answer.finish_reason) for (answer,) in answers] == [(a, "stop") for a in taught.values()]


def test_the_folder_is_a_plain_model(model: str, rows: Pool, recipe: Make, tmp_path: Path) -> None:
    """Weights, configuration, tokenizer and report; no pickle, no working folder; the configuration is the base's."""
    fit(model, rows, recipe(), tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pth"))]
    assert {"model.safetensors", "config.json", "tokenizer.json", "training.json"} <= set(names)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        assert json.loads((tmp_path / "out" / name).read_text()) == json.loads((Path(model) / name).read_text())
    assert os.stat(tmp_path / "out" / "model.safetensors").st_mode == os.stat(tmp_path / "out" / "config.json").st_mode


def test_adapters_are_saved_and_merged(model: str, rows: Pool, recipe: Make, tmp_path: Path) -> None:
    """The folder is an ordinary model; loading the adapters onto the base gives the same weights."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    fit(model, rows, recipe(lora={"r": 2, "targets": ["q_proj", "v_proj"]}), tmp_path / "out")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "out").state_dict()
    base = AutoModelForCausalLM.from_pretrained(model)
    changed = {name for name, weight in base.state_dict().items() if not torch.equal(weight, merged[name])}
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in changed} == {"q_proj", "v_proj"}
    again = PeftModel.from_pretrained(base, tmp_path / "out" / "adapter").merge_and_unload().state_dict()
    assert all(torch.allclose(again[name], weight, atol=1e-6) for name, weight in merged.items())
    config = json.loads((tmp_path / "out" / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == model


def test_the_report_holds_every_step(model: str, rows: Pool, recipe: Make, tmp_path: Path) -> None:
    """The loss of each step, the passes, the versions; and the file in the folder is the report that was returned."""
    report = fit(model, rows, recipe(max_steps=4), tmp_path / "out")
    assert [step for step, _ in report.loss_curve] == [1, 2, 3, 4]
    assert report.final_loss == report.loss_curve[-1][1]
    assert report.loss_curve[0][1] == pytest.approx(math.log(260), rel=0.1)  # an untrained model knows nothing
    assert report.epochs == pytest.approx(4 / 3)
    assert {"selkit", "torch", "transformers", "trl"} <= set(report.versions)
    assert (report.device, report.precision, report.threads) == ("cpu", "float32", 1)
    assert TrainReport.read(tmp_path / "out") == report


def test_divergence_stops_at_its_step(model: str, rows: Pool, recipe: Make, tmp_path: Path) -> None:
    """Scenario 44: a learning rate out of all proportion ends in one sentence with the step, and leaves nothing
    behind."""
    with pytest.raises(WorkFailed, match=r"training diverged at step \d+ \(.* nan\): lower the learning rate"):
        fit(model, rows, recipe(learning_rate=1e30, max_steps=20), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_divergence_in_the_last_update_is_seen(model: str, rows: Pool, recipe: Make, tmp_path: Path) -> None:
    """Scenario 44: with one step the loss is still fine; the weights are not, and that stops it too."""
    with pytest.raises(WorkFailed, match=r"diverged at step 1 \(the weights are no longer finite\)"):
        fit(model, rows, recipe(learning_rate=1e39, max_steps=1), tmp_path / "out")


def test_a_batch_that_does_not_fit_is_halved(
    model: str, rows: Pool, recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digest: Digest
) -> None:
    """Scenario 41: a layer runs out of memory above two rows: accumulation doubles, the weights are those of two rows
    at once."""
    real = torch.nn.Embedding.forward

    def cramped(self: Any, tokens: Any) -> Any:
        if len(tokens) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        return real(self, tokens)

    two = fit(model, rows, recipe(micro_batch=2), tmp_path / "two")
    monkeypatch.setattr(torch.nn.Embedding, "forward", cramped)
    halved = fit(model, rows, recipe(), tmp_path / "halved")
    assert (halved.micro_batch, halved.accumulation, halved.halvings) == (2, 2, 1)
    assert halved.loss_curve == two.loss_curve
    assert digest(tmp_path / "halved") == digest(tmp_path / "two")


def test_one_row_that_does_not_fit_is_the_end(
    model: str, rows: Pool, recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where even one row is too much, the error names its length and what to change."""

    def cramped(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(torch.nn.Embedding, "forward", cramped)
    with pytest.raises(WorkFailed, match=r"one sequence of \d+ tokens does not fit into memory: lower max_length"):
        fit(model, rows, recipe(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_trl_that_counts_otherwise_is_refused(
    model: str, rows: Pool, recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should a version of TRL place the loss elsewhere, the report would be wrong, so training does not start."""
    from trl.trainer import sft_trainer

    if not hasattr(sft_trainer, "common_prefix_length"):
        pytest.skip("this version of TRL has another place where it decides what to leave out of the loss")
    monkeypatch.setattr(sft_trainer, "common_prefix_length", lambda prompt, whole: len(prompt) - 1)
    with pytest.raises(ContractViolation, match="TRL prepared 12 sequences with"):
        fit(model, rows, recipe(), tmp_path / "out")


def test_a_full_output_needs_force(model: str, rows: Pool, recipe: Make, tmp_path: Path, digest: Digest) -> None:
    """A trained model is not overwritten unless asked for, and then replaced as a whole."""
    fit(model, rows, recipe(), tmp_path / "out", seed=1)
    first = digest(tmp_path / "out")
    with pytest.raises(DataError, match=r"is not empty.*--force"):
        fit(model, rows, recipe(), tmp_path / "out", seed=2)
    (tmp_path / "out" / "stray.txt").write_text("old")
    fit(model, rows, recipe(), tmp_path / "out", seed=2, force=True)
    assert digest(tmp_path / "out") != first
    assert not (tmp_path / "out" / "stray.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_tokenizer_without_an_end_is_refused(model: str, rows: Pool, recipe: Make, tmp_path: Path) -> None:
    """A model cannot learn to stop without an end mark."""
    import shutil

    folder = tmp_path / "endless"
    shutil.copytree(model, folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("eos_token")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="no end-of-sequence token"):
        fit(str(folder), rows, recipe(), tmp_path / "out")


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_numpy_refuses_is_refused_first(rows: Pool, recipe: Make, tmp_path: Path, seed: int) -> None:
    """In one sentence rather than with a traceback of numpy."""
    with pytest.raises(UsageError, match="from 0 to 4294967295"):
        fit("nowhere", rows, recipe(), tmp_path / "out", seed=seed)


def test_a_full_disk_is_told(
    model: str, rows: Pool, recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scenario 14: where the weights do not fit on the disk, one sentence says so, and no half-written model is
    left."""
    from transformers import PreTrainedModel

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", full)
    with pytest.raises(DataError, match=r"no room to write .*out"):
        fit(model, rows, recipe(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_recipe_is_refused_first(model: str, rows: Pool, tmp_path: Path) -> None:
    """A typo in the recipe shows before the model is looked for."""
    with pytest.raises(UsageError, match="Did you mean 'lima'"):
        fit("nowhere", rows, "lmia", tmp_path / "out")


def test_nothing_is_said_on_stdout(
    model: str, rows: Pool, recipe: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The libraries keep quiet: no bars, no logs, no warnings, on either stream."""
    fit(model, rows, recipe(), tmp_path / "out")
    assert capfd.readouterr() == ("", "")


def test_the_caches_of_the_user_stay_empty(
    model: str, rows: Pool, recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training data is not written into the cache of datasets, nor anything else outside the output."""
    import datasets

    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    monkeypatch.setenv("HOME", str(cache))
    fit(model, rows, recipe(), tmp_path / "out")
    assert list(cache.iterdir()) == []


def test_nothing_is_asked_of_the_network(
    model: str, rows: Pool, recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No hub, no telemetry: no name is looked up and no connection opened, not even by a thread on the side."""
    import socket
    import threading

    asked: list[object] = []

    def refuse(*arguments: object, **options: object) -> None:
        asked.append(arguments)
        raise OSError("no network in this test")

    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    before = set(threading.enumerate())
    fit(model, rows, recipe(), tmp_path / "out")
    for thread in set(threading.enumerate()) - before:
        thread.join(2.0)
    assert asked == []


def test_lima_ends_at_its_last_learning_rate(model: str, rows: Pool, tmp_path: Path) -> None:
    """The polynomial schedule runs from 1e-5 to 1e-6, as the paper's linear decay does."""
    trainer = trainer_for(model, rows, load_recipe({"preset": "lima", "batch_size": 4, "epochs": 10}), tmp_path)
    trainer.create_optimizer_and_scheduler(30)
    rates = []
    for _ in range(30):
        rates.append(trainer.optimizer.param_groups[0]["lr"])
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
    assert rates[0] == pytest.approx(1e-5)
    assert rates[15] == pytest.approx((1e-5 + 1e-6) / 2)
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(1e-6)
