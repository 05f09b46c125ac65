"""Speed and memory of reading and fine-tuning, on random weights of the released 8B's shapes.

`python -m benchmarks.gpu [--out FILE] [--tokens 256]` downloads nothing. On a CUDA GPU it
builds the 8B in bfloat16 and reads one simulated ECG with one arm ("both") and with all three,
by transformers' plain `generate` on the plain batch, by `ecg_r1.decode` with layers that are
not compiled, and as the app does; then it takes LoRA steps, and reads in 4 and 8 bits where
bitsandbytes is installed. Without a GPU it says so and does the same, few bits apart, with
nano's shipped weights in float32. `--config tiny` is the same in seconds.

- prefill: from prompts in memory to the first token of all arms, encoders included.
- first token: the same from the record, so that page, resizing and tokens count too.
- step: median time between two tokens; tokens/s are those of all arms together.
- bound: bytes of the decoder's weights, the head, and the keys and values of real tokens, read
  once a step, over the bandwidth that a large copy reaches here (bytes read and written).
- whole: all tokens of a reading in its second run, prefill and recording included; the first
  run, in which layers compile, is told apart.

What differs from the released model: words are split by nano's tokenizer, so that a prompt is
some tens of tokens shorter or longer, and random weights never end a reading. Nothing of the
GPU part had run on a GPU when this was written, 4 and 8 bits nowhere.
"""

import argparse
import gc
import json
import platform
import re
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import transformers
from torch import nn
from transformers.generation.streamers import BaseStreamer

from benchmarks.random_weights import SHAPES, random_model
from benchmarks.tables import Table
from ecg_r1.decode import greedy, prompts_of
from ecg_r1.ecg import ECG
from ecg_r1.loading import LoadedModel, load_model
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.page import draw_page
from ecg_r1.processing import NO_LOSS, ECGR1Processor, tower_input
from ecg_r1.quantise import BYTES_PER_WEIGHT, quantisation
from ecg_r1.sft.parts import with_lora
from ecg_r1.simulate import HeartSpec, simulate

RESULTS = Path(__file__).parent / "results"
ARMS = {1: ["signal+image"], 3: ["signal", "image", "signal+image"]}
LORA_RANK, LORA_STEPS, ANSWER_TOKENS = 16, 4, 700


def bandwidth_gb_s(device: torch.device, size: int) -> float:
    """Bytes read and written a second, in GB, by the best of some copies of `size` bytes."""
    source = torch.zeros(size, dtype=torch.uint8, device=device).random_()
    target = torch.empty_like(source)
    best = min(_seconds(partial(target.copy_, source), device) for _ in range(8))
    return 2 * size / best / 1e9


def _seconds(work: Callable[[], Any], device: torch.device) -> float:
    _wait(device)
    started = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - started


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class _Steps(BaseStreamer):
    """The tokens of `generate` and when they came."""

    def __init__(self) -> None:
        self.tokens: list[list[int]] = []
        self.times: list[float] = []

    def put(self, value: torch.Tensor) -> None:
        if value.dim() == 1:  # the prompt is the one with two dimensions
            self.tokens.append(value.tolist())
            self.times.append(time.perf_counter())

    def end(self) -> None:
        """Nothing is held back."""


@dataclass(frozen=True)
class Case:
    """One ECG for some arms."""

    loaded: LoadedModel
    ecg: ECG
    environments: list[str]
    tokens: int  # of a reading

    def shown(self) -> tuple[list[Any], list[Any]]:
        """Signals and pictures of the rows, drawn anew: one object each for all rows."""
        signal = tower_input(self.ecg, self.loaded.processor.prompt)
        page = draw_page(self.ecg, **self.loaded.page)
        return (
            [signal for environment in self.environments if "signal" in environment],
            [page for environment in self.environments if "image" in environment],
        )

    @property
    def never(self) -> list[int]:
        """Tokens that are not written: placeholders, and the end."""
        end = self.loaded.processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
        return [*self.loaded.processor.placeholder_ids, end]


def plain_prompts(case: Case) -> Any:
    """The plain batch: each row brings its own copy of signal and page."""
    ecgs, images = case.shown()
    return case.loaded.processor(case.environments, ecgs=ecgs, images=images)


def plain_steps(case: Case, prompts: Any) -> tuple[list[list[int]], list[float]]:
    """Plain `generate` of transformers: tokens and when they were there."""
    seen = _Steps()
    case.loaded.model.generate(
        **prompts.to(case.loaded.device),
        do_sample=False,
        max_new_tokens=case.tokens,
        suppress_tokens=case.never,
        pad_token_id=case.loaded.processor.tokenizer.pad_token_id,
        streamer=seen,
    )
    return seen.tokens, seen.times


def our_prompts(case: Case) -> Any:
    """Prompts as `ecg_r1.reading` makes them."""
    ecgs, images = case.shown()
    return prompts_of(case.loaded.processor, case.environments, ecgs=ecgs, images=images)


def our_steps(case: Case, prompts: Any) -> tuple[list[list[int]], list[float]]:
    """`ecg_r1.decode` as `ecg_r1.reading` calls it."""
    tokens, times = [], []
    for step in greedy(
        case.loaded.model,
        prompts,
        max_new_tokens=case.tokens,
        end_id=None,
        suppressed=case.never,
    ):
        tokens.append(step)
        times.append(time.perf_counter())
    return tokens, times


def uncompiled_steps(case: Case, prompts: Any) -> tuple[list[list[int]], list[float]]:
    """The same without compiled layers."""
    with patch("ecg_r1.decode._compiles", return_value=False):
        return our_steps(case, prompts)


WAYS: dict[str, tuple[Callable, Callable]] = {
    "plain generate": (plain_prompts, plain_steps),
    "ours, not compiled": (our_prompts, uncompiled_steps),
    "ours": (our_prompts, our_steps),
}


def step_bytes(loaded: LoadedModel, prompts: Any, tokens: int) -> float:
    """Least bytes to read for one token of each row, at the middle of a reading."""
    model, text = loaded.model, loaded.model.config.text_config
    parts = [*model.model.language_model.layers, model.model.language_model.norm, model.lm_head]
    weights = sum(p.numel() * p.element_size() for part in parts for p in part.parameters())
    rows = len(prompts.input_ids)
    kept = int(prompts.attention_mask.sum()) + rows * tokens / 2
    width = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim
    return weights + kept * width * model.dtype.itemsize


def reading_row(case: Case, way: str, bandwidth: float) -> dict[str, Any]:
    """Read twice by one way; times are of the second reading."""
    make, run = WAYS[way]
    device = case.loaded.device
    compiling = _seconds(lambda: run(case, make(case)), device)
    _reset_peak(device)
    asked = time.perf_counter()
    prompts = make(case)
    started = time.perf_counter()
    tokens, times = run(case, prompts)
    step = statistics.median(after - before for before, after in pairwise(times))
    rows = len(case.environments)
    least = step_bytes(case.loaded, our_prompts(case), case.tokens)
    return {
        "arms": rows,
        "way": way,
        "first token ms": 1e3 * (times[0] - asked),
        "prompt tokens": prompts.input_ids.shape[1],
        "prefill ms": 1e3 * (times[0] - started),
        "step ms": 1e3 * step,
        "tokens/s": rows / step,
        "share of bound %": 100 * least / (bandwidth * 1e9) / step,
        "whole s": times[-1] - started,
        "first run s": compiling,
        "peak GB": _peak_gb(device),
        "tokens": tokens,
    }


def readings(loaded: LoadedModel, ecg: ECG, tokens: int, bandwidth: float) -> list[dict]:
    """All ways with one arm and with three; how far tokens are those of plain `generate`."""
    ways = [way for way in WAYS if loaded.device.type == "cuda" or way != "ours, not compiled"]
    rows = []
    for environments in ARMS.values():
        case = Case(loaded, ecg, environments, tokens)
        found = [reading_row(case, way, bandwidth) for way in ways]
        theirs = found[0]["tokens"]
        for row in found:
            pairs = zip(row.pop("tokens"), theirs, strict=True)
            alike = [one == other for one, other in pairs]
            row["same tokens"] = (*alike, False).index(False)
        rows += found
    return rows


def lora_row(loaded: LoadedModel, ecg: ECG) -> dict[str, Any]:
    """Steps of LoRA on one sample, with gradient checkpointing; the model is changed."""
    device, processor = loaded.device, loaded.processor
    batch = processor(
        ["signal+image"],
        ecgs=[tower_input(ecg, processor.prompt)],
        images=[draw_page(ecg, **loaded.page)],
        answers=[" sinus" * ANSWER_TOKENS],
    ).to(device)
    labels = batch.pop("labels")
    first = int((labels != NO_LOSS).any(dim=0).int().argmax()) - 1
    kept = torch.arange(first, labels.shape[1] - 1, device=device)
    enable = getattr(loaded.model, "activation_checkpointing_enable", None)  # newer name
    (enable or loaded.model.gradient_checkpointing_enable)({"use_reentrant": False})
    model = with_lora(loaded.model, LORA_RANK, "paper").train()
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=1e-4)
    mixed = torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()

    def step() -> None:
        with mixed:
            logits = model(**batch, logits_to_keep=kept, use_cache=False).logits
            loss = nn.functional.cross_entropy(logits[0].float(), labels[0, kept + 1])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    _reset_peak(device)
    times = [_seconds(step, device) for _ in range(LORA_STEPS)]
    return {
        "rank": LORA_RANK,
        "tokens": labels.shape[1],
        "learned parameters": sum(parameter.numel() for parameter in learned),
        "first step ms": 1e3 * times[0],
        "step ms": 1e3 * statistics.median(times[1:]),
        "peak GB": _peak_gb(device),
    }


def few_bits_rows(folder: str, processor: ECGR1Processor, measure: Callable) -> list[dict]:
    """Readings with the decoder in 4 and in 8 bits, loaded as `load_model` does it.

    Args:
        folder: Holds the weights in full.
        processor: Theirs.
        measure: Row of a model and a number of arms.
    """
    rows = []
    for kind in BYTES_PER_WEIGHT:
        model = ECGR1ForConditionalGeneration.from_pretrained(
            folder,
            dtype=torch.bfloat16,
            device_map={"": torch.device("cuda")},
            quantization_config=quantisation(kind, torch.bfloat16),
        )
        loaded = LoadedModel(kind, model.eval(), processor)
        for arms in ARMS:
            row = {"bits": kind} | measure(loaded, arms)
            rows.append({name: value for name, value in row.items() if name != "tokens"})
        del model, loaded
    return rows


def _reset_peak(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _peak_gb(device: torch.device) -> float:
    """Most memory since the reset on a GPU; on a CPU, that of the process since its start."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def targets(rows: Sequence[dict], few_bits: Sequence[dict] | None) -> list[dict[str, Any]]:
    """What must be reached on an H100, beside what was."""
    ours = {row["arms"]: row for row in rows if row["way"] == "ours"}
    ratio = ours[3]["step ms"] / ours[1]["step ms"]
    checks = [
        ("share of the bandwidth bound, one arm (%)", ours[1]["share of bound %"], ">=", 60.0),
        ("three arms over one, time of a step", ratio, "<=", 1.3),
        ("first token of three arms (s)", ours[3]["first token ms"] / 1e3, "<", 1.0),
        ("memory of three arms (GB)", ours[3]["peak GB"], "<", 24.0),
    ]
    small = [row["peak GB"] for row in few_bits or [] if row["bits"] == "4bit"]
    checks += [("memory in 4 bits (GB)", max(small), "<", 10.0)] if small else []
    met = {">=": float.__ge__, "<=": float.__le__, "<": float.__lt__}
    return [
        {
            "": name,
            "found": found,
            "wanted": f"{sign} {limit:g}",
            "met": met[sign](found, limit),
        }
        for name, found, sign, limit in checks
    ]


def machine(device: torch.device) -> dict[str, Any]:
    """What it ran on."""
    facts = {
        "cpu": _cpu_name(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    if device.type == "cuda":
        seen = torch.cuda.get_device_properties(device)
        facts |= {"gpu": seen.name, "gpu memory GB": round(seen.total_memory / 1e9, 1)}
    return facts


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.is_file() else ""
    found = re.search(r"model name\s*:\s*(.+)", text)
    return found[1] if found else platform.processor() or platform.machine()


def measured(config: str, device: torch.device, tokens: int) -> dict[str, Any]:
    """All of it, as the JSON file has it."""

    def model() -> LoadedModel:
        if config == "nano":
            return load_model("nano", device=str(device))
        return random_model(SHAPES[config], device)

    ecg = simulate(HeartSpec(hr_bpm=72), seed=1)
    size = 2**32 if device.type == "cuda" else 2**28
    bandwidth = bandwidth_gb_s(device, size)
    loaded = model()
    found = {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": machine(device),
        "config": config,
        "parameters": loaded.model.num_parameters(),
        "dtype": str(loaded.model.dtype).removeprefix("torch."),
        "bandwidth GB/s": bandwidth,
        "tokens of a reading": tokens,
        "readings": readings(loaded, ecg, tokens, bandwidth),
        "lora": None,
        "few bits": None,
    }
    if find_spec("peft"):
        found["lora"] = lora_row(loaded, ecg)
    del loaded
    if device.type == "cuda" and find_spec("bitsandbytes"):
        with tempfile.TemporaryDirectory() as folder:
            loaded = model()
            loaded.model.save_pretrained(folder)
            processor = loaded.processor
            del loaded
            found["few bits"] = few_bits_rows(
                folder,
                processor,
                lambda loaded, arms: reading_row(
                    Case(loaded, ecg, ARMS[arms], tokens), "ours", bandwidth
                ),
            )
    return found


def told(found: dict[str, Any]) -> list[Table]:
    """The tables to print."""
    on_gpu = "gpu" in found["machine"]
    where = found["machine"].get("gpu", found["machine"]["cpu"])
    billions = found["parameters"] / 1e9
    title = f"{found['config']}, {billions:.3f} billion parameters, {found['dtype']}, {where}"
    note = f"A large copy moves {found['bandwidth GB/s']:.0f} GB/s here."
    if not on_gpu:
        note += " Memory is that of the whole process so far."
    tables = [Table(title, found["readings"], [note])]
    if on_gpu and found["config"] == "8b":
        reached = targets(found["readings"], found["few bits"])
        tables.append(Table("Must reach on an H100", reached, decimals=2))
    if found["lora"]:
        tables.append(Table("One step of LoRA, one sample", [found["lora"]]))
    else:
        tables.append(Table("LoRA", [], ["Not measured: peft is not installed."]))
    reason = "bitsandbytes is not installed" if on_gpu else "there is no GPU"
    missing = [] if found["few bits"] else [f"Not measured: {reason}."]
    tables.append(Table("Decoder in 4 and 8 bits", found["few bits"] or [], missing))
    return tables


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--config", choices=("8b", "nano", "tiny"), help="default: 8b on a GPU, else nano"
    )
    parser.add_argument("--tokens", type=int, default=256, help="of a reading (256)")
    parser.add_argument(
        "--out", type=Path, help="JSON file; default: benchmarks/results/MACHINE.json"
    )
    options = parser.parse_args(arguments)
    if options.tokens < 3:
        parser.error(f"--tokens must be at least 3, got {options.tokens}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        print("There is no CUDA GPU: only the CPU part is done.\n")
        if options.config == "8b":
            parser.error(
                "--config 8b needs a CUDA GPU with 24 GB; leave it out to measure nano"
            )
    config = options.config or ("8b" if device.type == "cuda" else "nano")
    found = measured(config, device, options.tokens)
    for table in told(found):
        print(table.markdown())
    named = found["machine"].get("gpu", found["machine"]["cpu"])
    slug = re.sub(r"[^a-z0-9]+", "-", f"{config} {named}".lower()).strip("-")
    out = options.out or RESULTS / f"{slug}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"written to {out}")


if __name__ == "__main__":
    main()
