"""What a benchmark runs on: names and versions, clock, memory, and how fast memory is."""

import gc
import platform
import re
import resource
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers


def machine(device: torch.device) -> dict[str, Any]:
    """Processor, GPU if there is one, and versions."""
    facts = {
        "cpu": _cpu_name(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    if device.type == "cuda":
        seen = torch.cuda.get_device_properties(device)
        facts |= {
            "gpu": seen.name,
            "gpu memory GB": round(seen.total_memory / 1e9, 1),
            "cuda": torch.version.cuda,
            "triton": find_spec("triton") is not None,
        }
    return facts


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.is_file() else ""
    found = re.search(r"model name\s*:\s*(.+)", text)
    return found[1] if found else platform.processor() or platform.machine()


def bandwidth_gb_s(device: torch.device, size: int) -> float:
    """Bytes read and written a second, in GB, by the best of some copies of `size` bytes."""
    source = torch.zeros(size, dtype=torch.uint8, device=device).random_()
    target = torch.empty_like(source)
    best = min(seconds(partial(target.copy_, source), device) for _ in range(8))
    return 2 * size / best / 1e9


def seconds(work: Callable[[], Any], device: torch.device) -> float:
    """How long some work takes, a GPU's part of it included."""
    _wait(device)
    started = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - started


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_memory(device: torch.device) -> None:
    """Give back what is not in use, and begin to watch `memory` anew."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def memory(device: torch.device) -> dict[str, float]:
    """Most memory since the reset on a GPU; on a CPU, that of the process since its start."""
    if device.type == "cuda":
        return {
            "peak GB": torch.cuda.max_memory_allocated(device) / 1e9,
            "held GB": torch.cuda.max_memory_reserved(device) / 1e9,
        }
    unit = 1 if platform.system() == "Darwin" else 1024
    return {"peak GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9}
