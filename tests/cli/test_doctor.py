"""selkit doctor: each fault has a line with its remedy, and only faults end it with exit code 1."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_packages import FakePackages
from hub_server import hub_server

from selkit.__main__ import main
from selkit.doctor import hub_finding
from selkit.store import Draft, Key, Store

TORCH = """
class cuda:
    class _Properties:
        name, total_memory = "Made-up GPU", 8 * 2**30
    is_available = staticmethod(lambda: {gpus} > 0)
    device_count = staticmethod(lambda: {gpus})
    get_device_properties = staticmethod(lambda number: cuda._Properties)

class version:
    cuda, hip = {cuda!r}, None

get_num_threads = lambda: 3
"""
"""A torch that answers as the real one does, in milliseconds; it comes first on the path of child processes."""

Doctor = Callable[..., tuple[int, list[dict[str, str]]]]


@pytest.fixture
def doctor(
    packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Doctor:
    """Runs `selkit doctor --json ARGUMENTS` on a machine where nothing is wrong; returns exit code and findings."""
    for name in [name for name in os.environ if name.startswith("SELKIT_") and name != "SELKIT_STORE"]:
        monkeypatch.delenv(name)
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_DATASETS_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("SELKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run(*arguments: str) -> tuple[int, list[dict[str, str]]]:
        if not (packages.folder / "torch.py").exists():
            install_torch(packages)
        code = main(["doctor", "--json", *arguments])
        said: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert said["ok"] == (code == 0)
        assert all(finding["remedy"] for finding in said["findings"] if finding["state"] != "ok")
        return code, said["findings"]

    return run


def install_torch(packages: FakePackages, gpus: int = 0, cuda: str | None = None, version: str = "99.1") -> None:
    """Puts a made-up torch in front of the real one."""
    packages.metadata("torch", "", version)
    (packages.folder / "torch.py").write_text(TORCH.format(gpus=gpus, cuda=cuda), encoding="utf-8")


def about(findings: list[dict[str, str]], topic: str, word: str = "") -> dict[str, str]:
    """The only finding of a topic whose text has a word."""
    (finding,) = [one for one in findings if one["topic"] == topic and word in one["text"]]
    return finding


def test_a_sound_machine_is_told_in_lines_and_exit_code_0(
    doctor: Doctor, packages: FakePackages, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line per finding on stdout, a count on stderr; the JSON has the same findings."""
    packages.works("acme-good", "good")
    code, findings = doctor()
    assert code == 0
    topics = {"python", "packages", "devices", "data", "hub", "caches", "plugins", "store"}
    assert {one["topic"] for one in findings} == topics
    assert about(findings, "plugins", "acme-good")["text"] == "acme-good 0.1: good"
    assert main(["doctor"]) == 0
    out, err = capsys.readouterr()
    lines = [f"{one['state']:<7}{one['topic']}: {one['text']}" for one in findings]
    assert len(out.splitlines()) == len(lines)
    assert all(shown.startswith(line) for shown, line in zip(out.splitlines(), lines, strict=True))
    assert f"{len(findings)} checks, none failed" in err


def test_packages_that_do_not_fit(doctor: Doctor, packages: FakePackages) -> None:
    """Too old a torch, the unrelated project of the same name, and an extra that is not here."""
    install_torch(packages, version="2.1")
    packages.metadata("selkit", "", "0.1.0")
    code, findings = doctor()
    assert code == 1
    old = about(findings, "packages", "extra train")
    assert (old["state"], "torch 2.1, which is not >=2.6" in old["text"]) == ("failed", True)
    assert old["remedy"] == "pip install --upgrade 'selkit-eval[train]'"
    namesake = about(findings, "packages", "unrelated")
    assert namesake["state"] == "failed"
    assert namesake["remedy"].startswith("pip uninstall selkit, ")
    absent = about(findings, "packages", "flash-attn")
    assert (absent["state"], "flash-attn missing" in absent["text"]) == ("note", True)


def test_gpus_are_those_that_torch_sees(
    doctor: Doctor, packages: FakePackages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With their memory; a device that SELKIT_DEVICE names must be among them."""
    install_torch(packages, gpus=2, cuda="13.0")
    monkeypatch.setenv("SELKIT_DEVICE", "cuda:1")
    code, findings = doctor()
    assert code == 0
    assert about(findings, "devices", "torch")["text"] == "torch 99.1 sees Made-up GPU (8 GiB), Made-up GPU (8 GiB)"
    monkeypatch.setenv("SELKIT_DEVICE", "cuda:0,cuda:2")
    code, findings = doctor()
    assert code == 1
    assert about(findings, "devices", "SELKIT_DEVICE")["text"].endswith("torch sees 2 GPUs")


def test_a_gpu_that_torch_does_not_see(
    doctor: Doctor, packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver lists it and the build of torch is for a CPU."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho NVIDIA Old\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    install_torch(packages)
    code, findings = doctor()
    assert code == 1
    found = about(findings, "devices", "NVIDIA Old")
    assert (found["state"], found["text"].endswith("it is built for a CPU")) == ("failed", True)


def test_a_torch_that_cannot_be_imported(doctor: Doctor, packages: FakePackages) -> None:
    """Its last word is in the line, and nothing else stops."""
    install_torch(packages)
    (packages.folder / "torch.py").write_text("raise OSError('libcudart.so.12 is not there')")
    code, findings = doctor()
    assert code == 1
    assert "OSError: libcudart.so.12 is not there" in about(findings, "devices", "torch")["text"]
    assert about(findings, "store", "written")


def test_plugins_in_every_state(doctor: Doctor, packages: FakePackages, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed one and one that does not fit fail the check; a blocked one, a rival and a missing package are noted."""
    packages.install("acme-bad", "raise RuntimeError('no licence')")
    packages.install("acme-new", "from selkit.api import FromTheFuture")
    packages.works("acme-off", "off")
    packages.works("acme-rival", "random")
    source = (packages.folder / "acme_rival.py").read_text()
    needy = source.replace('name = "random"', 'name = "needy"; requires = ("no_such_thing",)')
    packages.install("acme-needy", needy)
    monkeypatch.setenv("SELKIT_DISABLE_PLUGINS", "acme-off")
    code, findings = doctor()
    assert code == 1
    states = {word: about(findings, "plugins", word) for word in ("acme-bad", "acme-new", "acme-off")}
    assert [one["state"] for one in states.values()] == ["failed", "failed", "note"]
    assert "RuntimeError: no licence" in states["acme-bad"]["text"]
    assert states["acme-new"]["remedy"] == "pip install --upgrade selkit-eval acme-new"
    assert about(findings, "plugins", "random of acme-rival")["remedy"] == "ask for 'acme-rival:random'"
    assert about(findings, "plugins", "selector needy")["remedy"] == "pip install no_such_thing"


def test_places_that_variables_name(doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not there is told, and so is what is of another kind."""
    monkeypatch.setenv("SELKIT_POOLS", str(tmp_path))
    monkeypatch.setenv("SELKIT_TESTSETS", str(tmp_path / "mistyped"))
    monkeypatch.setenv("SELKIT_PRICES", str(tmp_path))
    code, findings = doctor()
    assert code == 1
    words = ("SELKIT_POOLS is", "SELKIT_TESTSETS names /", "SELKIT_PRICES names /")
    assert [about(findings, "data", word)["state"] for word in words] == ["ok", "failed", "failed"]
    assert about(findings, "data", "PRICES")["text"].endswith("there is no such file")


def test_named_pools_are_found_in_a_folder_and_in_the_cache_of_the_hub(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without one is noted; offline the others are named as out of reach, with what to do."""
    folder = tmp_path / "pools"
    folder.mkdir()
    (folder / "my-dolly.jsonl").write_text("{}")
    monkeypatch.setenv("SELKIT_POOLS", str(folder))
    code, findings = doctor()
    assert (code, about(findings, "data", "no file in")["state"]) == (0, "note")
    pools = about(findings, "data", "named pools")
    assert (pools["state"], "here: none; 9 others cannot be fetched (HF_HUB_OFFLINE=1)" in pools["text"]) == (
        "note",
        True,
    )
    assert "selkit eval prefetch" in pools["remedy"]
    (folder / "my-dolly.jsonl").rename(folder / "dolly.jsonl")
    (tmp_path / "hub" / "datasets" / "Hello-SimpleAI___hc3" / "default" / "0.0.0" / "abc").mkdir(parents=True)
    (tmp_path / "hub" / "datasets" / "GAIR___lima").mkdir()  # begun and never built
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    _, findings = doctor()
    assert not [one for one in findings if "no file in" in one["text"]]
    text = about(findings, "data", "named pools")["text"]
    assert text.startswith("named pools here: dolly in SELKIT_POOLS; hc3 in the hub's cache; ")
    assert "7 others" in text


def test_test_sets_and_shared_data_are_counted(doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a published name, wherever they are looked up; a folder that serves nothing is noted."""
    code, findings = doctor()
    assert about(findings, "data", "test sets here")["text"].startswith("published test sets here: none; not here: vic")
    monkeypatch.setenv("SELKIT_SHARED_DATA", str(tmp_path))
    code, findings = doctor()
    assert (code, about(findings, "data", "serves nothing")["state"]) == (0, "note")
    for place in ("testsets/koala", "testsets/mine", "alpaca-eval/eval-set", "benchmarks/gsm8k/test"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{place}.jsonl").write_text("{}")
    code, findings = doctor()
    assert about(findings, "data", "serves files of test sets: 2, of benchmarks: 1")["state"] == "ok"
    assert "here: koala, alpaca-eval; not here: vicuna, " in about(findings, "data", "published test sets")["text"]


def test_a_cache_that_cannot_be_written_to(doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """selkit's own has to be; the hub's only where something is to be fetched."""
    (tmp_path / "taken").write_text("mine")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "taken"))
    code, findings = doctor()
    assert code == 0
    assert about(findings, "caches", "of data sets")["text"].endswith("can only be read, which is enough offline")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("SELKIT_CACHE", str(tmp_path / "taken" / "cache"))
    code, findings = doctor()
    states = {word: about(findings, "caches", word) for word in ("selkit's", "of models", "of data sets")}
    assert (code, {one["state"] for one in states.values()}) == (1, {"failed"})
    assert [one["remedy"] for one in states.values()] == [
        f"set {name} to another folder" for name in ("SELKIT_CACHE", "HF_HOME", "HF_HOME")
    ]
    monkeypatch.setenv("SELKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("selkit.doctor.caches.LITTLE_ROOM", 2**62)
    assert about(doctor()[1], "caches", "selkit's")["state"] == "note"


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_mode_asks_nobody(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, and says how to bring what is needed."""
    for other in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    found = hub_finding()
    assert (found.state, f"{name}=1" in found.text) == ("ok", True)
    assert "selkit eval prefetch" in found.remedy


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets the hub's address, with no offline mode and no proxy in the way."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return lambda address: monkeypatch.setenv("HF_ENDPOINT", address)


def test_any_answer_of_the_hub_will_do(online: Callable[[str], None]) -> None:
    """Also one that refuses; where nobody listens, the reason and the way to work offline are told."""
    with hub_server({}) as address:
        online(address)
        found = hub_finding()
    assert (found.state, found.text) == ("ok", f"{address} answers")
    found = hub_finding()
    assert (found.state, "Connection refused" in found.text) == ("failed", True)
    assert "HF_HUB_OFFLINE=1" in found.remedy
    online("no address")
    assert hub_finding().state == "failed"


def test_a_hub_that_never_answers_is_not_waited_for(online: Callable[[str], None]) -> None:
    """Somebody listens and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        online(f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        found = hub_finding(patience=0.3)
        assert time.monotonic() - started < 10
    assert found.state == "failed"


KEY = Key("scores", component="longest")


def test_a_store_that_cannot_be_used(doctor: Doctor, tmp_path: Path) -> None:
    """A file stands where its folder should be; a new one is fine, and is not made."""
    (tmp_path / "taken").write_text("mine")
    code, findings = doctor("--store", str(tmp_path / "taken" / "store"))
    assert (code, about(findings, "store", "cannot be used")["state"]) == (1, "failed")
    assert "--store" in about(findings, "store", "cannot be used")["remedy"]
    code, findings = doctor("--store", str(tmp_path / "new"))
    assert (code, about(findings, "store", "not made yet")["state"]) == (0, "ok")
    assert not (tmp_path / "new").exists()


def test_little_room_is_told(doctor: Doctor, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below one limit it is noted, below the other it fails."""
    monkeypatch.setattr("selkit.doctor.store.LITTLE_ROOM", 2**62)
    code, findings = doctor("--store", str(store.root))
    assert (code, about(findings, "store", "GiB free")["state"]) == (0, "note")
    monkeypatch.setattr("selkit.doctor.store.NO_ROOM", 2**62)
    code, findings = doctor("--store", str(store.root))
    assert (code, about(findings, "store", "GiB free")["state"]) == (1, "failed")


def test_damaged_results_are_counted_and_left_where_they_are(doctor: Doctor, store: Store) -> None:
    """By their sizes; the next command that needs one puts it aside, and that is told from then on."""
    made = store.obtain(KEY, lambda draft: _write(draft, "whole"))
    store.obtain(Key("scores", component="shortest"), lambda draft: _write(draft, "also"))
    (made.directory / "scores.txt").write_text("cut")
    code, findings = doctor("--store", str(store.root))
    assert code == 1
    assert about(findings, "store", "whole, by")["text"].startswith("1 result whole")
    damaged = about(findings, "store", "damaged result")
    assert damaged["text"] == (f"1 damaged result, the first {made.digest[:12]}: scores.txt has 3 bytes instead of 5")
    store.find(KEY)
    code, findings = doctor("--store", str(store.root))
    assert (code, about(findings, "store", "put aside earlier")["state"]) == (0, "note")


def test_changed_bytes_are_found_where_everything_is_read(doctor: Doctor, store: Store) -> None:
    """Sizes do not tell them; with --deep each is named and put aside, and what needs it makes it anew."""
    made = store.obtain(KEY, lambda draft: _write(draft, "whole"))
    store.obtain(Key("scores", component="shortest"), lambda draft: _write(draft, "also"))
    (made.directory / "scores.txt").write_text("whale")
    assert doctor("--store", str(store.root))[0] == 0
    code, findings = doctor("--store", str(store.root), "--deep")
    assert code == 1
    assert about(findings, "store", "whole, by the bytes")["text"].startswith("1 result whole")
    damaged = about(findings, "store", "is damaged")
    assert damaged["text"] == f"the {KEY.stage} {made.digest[:12]} is damaged: scores.txt was changed"
    assert damaged["remedy"].startswith("it was put aside: run what needs it again")
    assert store.find(KEY) is None
    assert doctor("--store", str(store.root), "--deep")[0] == 0


def test_a_lease_of_the_living_and_one_of_the_dead(doctor: Doctor, store: Store) -> None:
    """Work under way is no fault; a killed process leaves a lease that is stale, and its partial work."""
    seen: list[dict[str, str]] = []

    def make(draft: Draft) -> None:
        _write(draft, "done")
        seen.extend(doctor("--store", str(store.root))[1])

    store.obtain(KEY, make)
    assert about(seen, "store", "being made now")["state"] == "ok"
    assert not [one for one in seen if "stale" in one["text"]]
    script = (
        "import os, sys; from selkit.store import Key, Store\n"
        "def make(draft):\n"
        "    draft.partial_directory.mkdir(parents=True, exist_ok=True)\n"
        "    (draft.partial_directory / 'rows').write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
        "Store(sys.argv[1]).obtain(Key('scores', component='killed'), make)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(store.root)], check=False)
    code, findings = doctor("--store", str(store.root))
    stale = about(findings, "store", "stale")
    assert (code, stale["state"]) == (0, "note")
    assert "which made scores/killed" in stale["text"]
    assert about(findings, "store", "broken off")["text"].startswith("1 piece of work")


def _write(draft: Draft, text: str) -> None:
    (draft.directory / "scores.txt").write_text(text)
