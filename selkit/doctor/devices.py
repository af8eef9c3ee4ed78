"""Processors, memory and GPUs. torch is asked in a process of its own: importing it takes seconds and may crash."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from selkit.doctor.disk import GIB
from selkit.doctor.finding import Finding
from selkit.store import package_version
from selkit.store.measure import machine

PATIENCE = 120.0
"""Seconds that torch has to be imported and to answer."""

_LITTLE_MEMORY = 4 * GIB

_ASK = """
import json, torch
gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
said = [{"name": g.name, "memory_bytes": g.total_memory} for g in gpus] if torch.cuda.is_available() else []
built_for = torch.version.cuda or torch.version.hip or ""
print(json.dumps({"gpus": said, "built_for": built_for, "threads": torch.get_num_threads()}))
"""


def device_findings() -> Iterator[Finding]:
    """CPU threads and memory; then what torch sees, where it is installed."""
    facts = machine()
    yield _cpu(facts)
    memory = facts["memory_bytes"]
    if 0 < memory < _LITTLE_MEMORY:
        yield Finding("devices", "note", f"{memory / GIB:.1f} GiB of memory", "take small models and batches")
    if (version := package_version("torch")) is None:
        yield Finding(
            "devices",
            "note",
            "torch is not installed: models run nowhere here",
            "pip install 'selkit-eval[train,eval]'",
        )
        return
    answer = ask_torch()
    if isinstance(answer, str):
        yield Finding("devices", "failed", f"torch {version} does not work: {answer}", "install torch anew")
        return
    yield _gpus(version, answer)
    yield from _chosen(os.environ.get("SELKIT_DEVICE", ""), len(answer["gpus"]))


def ask_torch() -> dict[str, Any] | str:
    """GPUs (name, memory), what the build is for ('' for a CPU), and threads; or in a line why torch did not say."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        if done.returncode == 0:
            said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
            return said
    except subprocess.TimeoutExpired:
        return f"it was not imported within {PATIENCE:.0f} s"
    except (ValueError, IndexError):
        return "its import prints instead of answering"
    lines = done.stderr.strip().splitlines() or [f"its import ended with {done.returncode}"]
    return lines[-1][:200]


def _cpu(facts: Mapping[str, Any]) -> Finding:
    text = f"{facts['cores']} CPU cores, {facts['memory_bytes'] / GIB:.1f} GiB of memory, {facts['processor']}"
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdigit() and int(threads) > facts["cores"]:
        return Finding(
            "devices",
            "note",
            f"{text}; OMP_NUM_THREADS is {threads}, more than there are cores",
            f"set OMP_NUM_THREADS to {facts['cores']} or less (scores are stored per number of threads)",
        )
    return Finding("devices", "ok", text + (f"; OMP_NUM_THREADS is {threads}" if threads else ""))


def _gpus(version: str, answer: Mapping[str, Any]) -> Finding:
    gpus = answer["gpus"]
    if gpus:
        shown = ", ".join(f"{gpu['name']} ({gpu['memory_bytes'] / GIB:.0f} GiB)" for gpu in gpus)
        return Finding("devices", "ok", f"torch {version} sees {shown}")
    if not gpus_of_driver():
        return Finding("devices", "ok", f"torch {version} runs on the CPU, {answer['threads']} threads; no GPU")
    why = f"it is built for {answer['built_for']}" if answer["built_for"] else "it is built for a CPU"
    return Finding(
        "devices",
        "failed",
        f"the driver shows {', '.join(gpus_of_driver())}, and torch {version} does not see it: {why}",
        "install the build of torch that fits the driver, and look at CUDA_VISIBLE_DEVICES",
    )


def gpus_of_driver() -> list[str]:
    """Names of the GPUs that nvidia-smi lists; none where it is missing or does not answer soon."""
    command = shutil.which("nvidia-smi")
    if command is None or os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1"):
        return []
    query = [command, "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=15, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def _chosen(devices: str, number: int) -> Iterator[Finding]:
    """What is wrong with SELKIT_DEVICE."""
    for device in filter(None, (part.strip() for part in devices.split(","))):
        kind, _, place = device.partition(":")
        if kind == "cuda" and (not number or (place.isdigit() and int(place) >= number)):
            text = f"SELKIT_DEVICE is {devices}, and torch sees {number or 'no'} GPU{'s' if number != 1 else ''}"
            yield Finding("devices", "failed", text, "set it to a device that is there, or unset it")
            return
