"""The GPUs that this process uses, asked of torch only where torch is loaded and has started them."""

from __future__ import annotations

import sys
from typing import Any


def gpu_use() -> dict[str, Any]:
    """Names of the GPUs that this process has started, and the most memory that it held on them, in bytes; {} for none.

    vLLM computes in a process of its own, where torch's count of memory does not reach: its GPUs are those that this
    process could use, and no memory is said.
    """
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not cuda.is_available():
        return {}
    if cuda.is_initialized():
        used = [number for number in range(cuda.device_count()) if cuda.max_memory_allocated(number) > 0]
        memory = {"peak_gpu_memory_bytes": sum(cuda.max_memory_allocated(number) for number in used)}
    else:
        used, memory = list(range(cuda.device_count())) if "vllm" in sys.modules else [], {}
    return {"gpus": [cuda.get_device_name(number) for number in used], **memory} if used else {}
