"""Speed and memory of reading and fine-tuning, on random weights of the released 8B's shapes.

`python -m benchmarks.gpu [--parts readings lora bits] [--out FILE]` downloads nothing. On a
CUDA GPU it builds the 8B in bfloat16 and reads one simulated ECG with one arm ("both") and with
all three, by transformers' plain `generate` on the plain batch, by `ecg_r1.decode` with layers
that are not compiled, and as the app does (`readings`); it takes LoRA steps (`lora`); and where
bitsandbytes works it reads in 4 and 8 bits and fine-tunes in 4 (`bits`). The file is written
after each part, and a part that is run later joins those in it, so that they may be run one at
a time. Without a GPU it says so and does the same, few bits apart, with nano's shipped weights
in float32. `--config tiny` is the same in seconds.

- prefill: from prompts in memory to the first token of all arms, encoders included.
- first token: the same from the record, so that page, resizing and tokens count too.
- step: median time between two tokens; tokens/s are those of all arms together.
- bound: bytes of the decoder's weights, the head, and the keys and values of real tokens, read
  once a step, over the bandwidth that a large copy reaches here (bytes read and written).
- whole: all tokens of a reading in its second run, prefill and recording included; the first
  run, in which layers compile, is told apart.
- peak: most memory in tensors, room for the longest reading included; held is what torch took
  from the GPU for it, which a smaller GPU must have, beside some 0.5 GB of CUDA itself.

What differs from the released model: words are split by nano's tokenizer, so that a prompt is
some tens of tokens shorter or longer, and random weights never end a reading. Nothing of the
GPU part had run on a GPU when this was written, 4 and 8 bits nowhere.
"""

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from transformers.generation.streamers import BaseStreamer
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionPatchEmbed

from benchmarks.machine import bandwidth_gb_s, machine, memory, reset_memory, seconds
from benchmarks.random_weights import SHAPES, random_model
from benchmarks.tables import Table
from ecg_r1.decode import greedy, prompts_of
from ecg_r1.ecg import ECG, ECGError
from ecg_r1.loading import LoadedModel, load_model
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.page import draw_page
from ecg_r1.processing import NO_LOSS, ECGR1Processor, tower_input
from ecg_r1.quantise import BYTES_PER_WEIGHT, check_quantise, quantisation
from ecg_r1.sft.parts import with_lora
from ecg_r1.simulate import HeartSpec, simulate

RESULTS = Path(__file__).parent / "results"
PARTS = ("readings", "lora", "bits")
ARMS = {1: ["signal+image"], 3: ["signal", "image", "signal+image"]}
LORA_RANK, LORA_STEPS = 16, 4


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
    with _without_our_changes(case.loaded.model):
        case.loaded.model.generate(
            **prompts.to(case.loaded.device),
            do_sample=False,
            max_new_tokens=case.tokens,
            suppress_tokens=case.never,
            pad_token_id=case.loaded.processor.tokenizer.pad_token_id,
            streamer=seen,
        )
    return seen.tokens, seen.times


@contextmanager
def _without_our_changes(model: ECGR1ForConditionalGeneration) -> Iterator[None]:
    """Attention as torch chooses it, and patches by convolution, as transformers has them."""
    stem = type(model.model.visual.patch_embed)
    qwens = issubclass(stem, Qwen3VLVisionPatchEmbed)  # nano's is its own
    torch.backends.cuda.enable_cudnn_sdp(True)  # noqa: FBT003  it takes no name
    try:
        with patch.object(
            stem, "forward", Qwen3VLVisionPatchEmbed.forward if qwens else stem.forward
        ):
            yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(False)  # noqa: FBT003


def our_prompts(case: Case) -> Any:
    """Prompts as `ecg_r1.reading` makes them."""
    ecgs, images = case.shown()
    return prompts_of(case.loaded.processor, case.environments, ecgs=ecgs, images=images)


def our_steps(case: Case, prompts: Any) -> tuple[list[list[int]], list[float]]:
    """`ecg_r1.decode` as `ecg_r1.reading` calls it, with room for the longest reading."""
    tokens, times = [], []
    steps = greedy(
        case.loaded.model,
        prompts,
        max_new_tokens=max(case.tokens, case.loaded.processor.prompt.max_new_tokens),
        end_id=None,
        suppressed=case.never,
    )
    for step in islice(steps, case.tokens):
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
    compiling = seconds(lambda: run(case, make(case)), device)
    reset_memory(device)
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
        **memory(device),
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


def lora_row(loaded: LoadedModel, ecg: ECG, base: str) -> dict[str, Any]:
    """Steps of LoRA on one sample of the longest reading, as the recipes for the 8B take them.

    Args:
        loaded: Its model is changed.
        ecg: What the sample shows.
        base: What the frozen decoder is in, for the table.
    """
    device, processor = loaded.device, loaded.processor
    batch = processor(
        ["signal+image"],
        ecgs=[tower_input(ecg, processor.prompt)],
        images=[draw_page(ecg, **loaded.page)],
        answers=[" sinus" * processor.prompt.max_new_tokens],
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

    reset_memory(device)
    times = [seconds(step, device) for _ in range(LORA_STEPS)]
    return {
        "base": base,
        "rank": LORA_RANK,
        "tokens": labels.shape[1],
        "learned parameters": sum(parameter.numel() for parameter in learned),
        "first step ms": 1e3 * times[0],
        "step ms": 1e3 * statistics.median(times[1:]),
        **memory(device),
    }


def few_bits(
    folder: str, processor: ECGR1Processor, ecg: ECG, tokens: int, bandwidth: float
) -> tuple[list[dict], list[dict]]:
    """Readings with the decoder in 4 and in 8 bits, loaded as `load_model` does it.

    Args:
        folder: Holds the weights in full.
        processor: Theirs.
        ecg: What is read.
        tokens: Of a reading.
        bandwidth: In GB/s.

    Returns:
        Rows of readings, and of LoRA on 4 bits.
    """
    device = torch.device("cuda", torch.cuda.current_device())
    rows, learning = [], []
    for kind in BYTES_PER_WEIGHT:
        model = ECGR1ForConditionalGeneration.from_pretrained(
            folder,
            dtype=torch.bfloat16,
            device_map={"": device},
            quantization_config=quantisation(kind, torch.bfloat16),
        )
        loaded = LoadedModel(kind, model.eval(), processor)
        for arms, environments in ARMS.items():
            case = Case(loaded, ecg, environments, tokens)
            row = reading_row(case, "ours", bandwidth)
            del row["tokens"]
            rows.append({"bits": kind, "arms": arms} | row)
        if kind == "4bit" and find_spec("peft"):
            learning.append(lora_row(loaded, ecg, kind))
        del model, loaded, case
        reset_memory(device)
    return rows, learning


def targets(rows: Sequence[dict], bits: Sequence[dict]) -> list[dict[str, Any]]:
    """What must be reached on an H100, beside what was, as far as it was measured."""
    ours = {row["arms"]: row for row in rows if row["way"] == "ours"}
    checks: list[tuple[str, float, str, float]] = []
    if ours:
        ratio = ours[3]["step ms"] / ours[1]["step ms"]
        checks += [
            ("share of the bandwidth bound (%)", ours[1]["share of bound %"], ">=", 60.0),
            ("three arms over one, time of a step", ratio, "<=", 1.3),
            ("first token of three arms (s)", ours[3]["first token ms"] / 1e3, "<", 1.0),
            ("memory of three arms (GB)", ours[3]["held GB"], "<", 24.0),
        ]
    small = [row["held GB"] for row in bits if row["bits"] == "4bit"]
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


def _readings(found: dict[str, Any], load: Callable[[], LoadedModel], ecg: ECG) -> None:
    """One arm and three, by every way."""
    found["readings"] = readings(load(), ecg, found["tokens"], found["bandwidth GB/s"])


def _lora(found: dict[str, Any], load: Callable[[], LoadedModel], ecg: ECG) -> None:
    """Fine-tuning of the whole model."""
    if find_spec("peft") is None:
        found["not measured"]["lora"] = "peft is not installed"
        return
    found["peft"] = version("peft")
    loaded = load()
    base = str(loaded.model.dtype).removeprefix("torch.")
    _keep_lora(found, [lora_row(loaded, ecg, base)])


def _bits(found: dict[str, Any], load: Callable[[], LoadedModel], ecg: ECG) -> None:
    """Reading in 4 and 8 bits, fine-tuning in 4."""
    try:
        check_quantise("4bit")
    except ECGError as error:
        found["not measured"]["bits"] = str(error)
        return
    found["bitsandbytes"] = version("bitsandbytes")
    with tempfile.TemporaryDirectory() as folder:
        loaded = load()
        loaded.model.save_pretrained(folder, max_shard_size="5GB")  # less memory for a shard
        processor = loaded.processor
        del loaded
        reset_memory(torch.device("cuda"))
        found["few bits"], learning = few_bits(
            folder, processor, ecg, found["tokens"], found["bandwidth GB/s"]
        )
    _keep_lora(found, learning)


def _keep_lora(found: dict[str, Any], rows: Sequence[dict]) -> None:
    new = {row["base"] for row in rows}
    found["lora"] = [row for row in found["lora"] if row["base"] not in new] + list(rows)


MEASURES = dict(zip(PARTS, (_readings, _lora, _bits), strict=True))


def begun(config: str, device: torch.device, tokens: int, file: Path) -> dict[str, Any]:
    """What the file holds of the same case on such a machine, or a new start."""
    size = 2**32 if device.type == "cuda" else 2**28
    fresh = {
        "config": config,
        "tokens": tokens,
        "machine": machine(device),
        "bandwidth GB/s": bandwidth_gb_s(device, size),
        "readings": [],
        "lora": [],
        "few bits": [],
        "not measured": {},
    }
    old = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    return old if old and _case(old) == _case(fresh) else fresh


def _case(found: dict[str, Any]) -> tuple:
    facts = found["machine"]
    return found["config"], found["tokens"], facts["torch"], facts.get("gpu", facts["cpu"])


def measure(found: dict[str, Any], part: str, device: torch.device) -> None:
    """One part, into `found`."""

    def load() -> LoadedModel:
        if found["config"] == "nano":
            loaded = load_model("nano", device=str(device))
        else:
            loaded = random_model(SHAPES[found["config"]], device)
        found["parameters"] = loaded.model.num_parameters()
        found["dtype"] = str(loaded.model.dtype).removeprefix("torch.")
        return loaded

    reset_memory(device)
    found["date"] = datetime.now(UTC).isoformat(timespec="minutes")
    found["not measured"].pop(part, None)
    MEASURES[part](found, load, simulate(HeartSpec(hr_bpm=72), seed=1))
    if "gpu" in found["machine"] and found["config"] == "8b":
        found["must reach on an H100"] = targets(found["readings"], found["few bits"])


def told(found: dict[str, Any]) -> list[Table]:
    """The tables to print."""
    where = found["machine"].get("gpu", found["machine"]["cpu"])
    note = f"A large copy moves {found['bandwidth GB/s']:.0f} GB/s here."
    if "gpu" not in found["machine"]:
        note += " Memory is that of the whole process so far."
    if "parameters" in found:
        note += f" {found['parameters'] / 1e9:.3f} billion parameters, {found['dtype']}."
    tables = [Table(f"{found['config']} on {where}", found["readings"], [note])]
    if found.get("must reach on an H100"):
        reached = found["must reach on an H100"]
        tables.append(Table("Must reach on an H100", reached, decimals=2))
    tables.append(Table("A step of LoRA on one sample", found["lora"]))
    tables.append(Table("Decoder in few bits", found["few bits"]))
    for part, reason in found["not measured"].items():
        tables[-1].notes.append(f"Not measured: {part}, for {reason}")
    return tables


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--config", choices=("8b", "nano", "tiny"), help="default: 8b on a GPU, else nano"
    )
    parser.add_argument("--tokens", type=int, default=256, help="of a reading (256)")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=PARTS, help="only these; default: all"
    )
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
    facts = machine(device)
    slug = re.sub(r"[^a-z0-9]+", "-", f"{config} {facts.get('gpu', facts['cpu'])}".lower())
    out = options.out or RESULTS / f"{slug.strip('-')}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    found = begun(config, device, options.tokens, out)
    failed = False
    for part in (part for part in PARTS if part in options.parts):  # LoRA changes nano
        try:
            measure(found, part, device)
        except Exception as error:  # noqa: BLE001  the other parts are worth their minutes
            traceback.print_exc()
            found["not measured"][part] = f"{type(error).__name__}: {error}"
            failed = True
        out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for table in told(found):
        print(table.markdown())
    print(f"written to {out}")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
