"""What a checkpoint asks of a machine: memory before it is loaded, minutes before it reads.

Both are arithmetic on the configuration; only the speed of a CPU is measured, in a moment.
"""

import time
from collections import Counter
from dataclasses import dataclass

import psutil
import torch

from ecg_r1.ecg import ECGError
from ecg_r1.model import ECGR1Config, ECGR1ForConditionalGeneration
from ecg_r1.quantise import BYTES_PER_WEIGHT

ARMS = 3  # signal, image, both, read as one batch
# Of the released 8B: a Letter page within its budget of 768, the signal with its two marks, and
# the words. An independent run counted about 808 for page and words, and 800 written.
IMAGE_TOKENS = 744
PROMPT_TOKENS = IMAGE_TOKENS + 103 + 64
READING_TOKENS = 800
WORKING_BYTES = 1_000_000_000  # activations of the prefill, CUDA context, Python; ours
PROBE_COLUMNS, PROBE_TOKENS = 4096, 64
SAID_FROM_MINUTES = 1.0


@dataclass(frozen=True)
class Sizes:
    """Parameters by what happens to them.

    Attributes:
        decoder: In the decoder's linear layers: read once a token, and what is quantised.
        head: In the language-model head: read once a token.
        vision: In the vision tower and its mergers.
        other: Embeddings, ECG tower, projector, norms.
        cached: Numbers that the cache keeps of a token.
        width: Of the decoder.
    """

    decoder: int
    head: int
    vision: int
    other: int
    cached: int
    width: int

    @property
    def total(self) -> int:
        """All parameters."""
        return self.decoder + self.head + self.vision + self.other


def sizes(config: ECGR1Config) -> Sizes:
    """Count the parameters that a configuration makes, without making them."""
    with torch.device("meta"):
        model = ECGR1ForConditionalGeneration(config)
    counts: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        if name.startswith("model.language_model.layers.") and parameter.ndim == 2:
            part = "decoder"
        elif name.startswith("lm_head."):
            part = "head"
        else:
            part = "vision" if name.startswith("model.visual.") else "other"
        counts[part] += parameter.numel()
    text = config.text_config
    return Sizes(
        **{part: counts[part] for part in ("decoder", "head", "vision", "other")},
        cached=2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim,
        width=text.hidden_size,
    )


@dataclass(frozen=True)
class Need:
    """Memory for reading with three arms at once, in bytes.

    Attributes:
        weights: Of the whole model, the decoder's in 4 or 8 bits where asked.
        cache: Keys and values of three prompts and the longest readings.
        working: Everything else, a fixed allowance.
    """

    weights: int
    cache: int
    working: int = WORKING_BYTES

    @property
    def total(self) -> int:
        """Their sum."""
        return self.weights + self.cache + self.working

    def to_text(self) -> str:
        """The sum and its parts.

        Example:
            >>> Need(17_700_000_000, 1_300_000_000).to_text()
            '20.0 GB (weights 17.7, cache of three arms 1.3, the rest 1.0)'
        """
        weights, cache, rest = (n / 1e9 for n in (self.weights, self.cache, self.working))
        return (
            f"{self.total / 1e9:.1f} GB (weights {weights:.1f}, cache of three arms "
            f"{cache:.1f}, the rest {rest:.1f})"
        )


def need(
    size: Sizes, dtype: torch.dtype, quantise: str | None = None, *, new_tokens: int = 2048
) -> Need:
    """Memory that reading needs.

    Args:
        size: Of the checkpoint.
        dtype: Of the weights that are not quantised, and of the cache.
        quantise: "4bit", "8bit" or None.
        new_tokens: Longest reading.

    Example:
        The released 8B's numbers, in bfloat16:

        >>> size = Sizes(6_945_767_424, 621_248_512, 576_388_336, 727_477_760, 73_728, 4096)
        >>> need(size, torch.bfloat16).to_text()
        '20.1 GB (weights 17.7, cache of three arms 1.3, the rest 1.0)'
    """
    per_weight = BYTES_PER_WEIGHT[quantise] if quantise else dtype.itemsize
    weights = size.decoder * per_weight + (size.total - size.decoder) * dtype.itemsize
    tokens = ARMS * (PROMPT_TOKENS + new_tokens)
    return Need(round(weights), tokens * size.cached * dtype.itemsize)


def free_memory(device: torch.device) -> int:
    """Bytes free on a device now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)  # a Mac's GPU shares it


def choose_dtype(size: Sizes, device: torch.device, free: int) -> torch.dtype:
    """What to compute in.

    Args:
        size: Of the checkpoint.
        device: Where.
        free: Bytes free there.

    Returns:
        float32 on a CPU whose memory holds it; float16 on GPUs older than bfloat16 (T4, V100);
        bfloat16, in which released checkpoints are stored, everywhere else.
    """
    if device.type == "cpu":
        fits = need(size, torch.float32).total <= free
        return torch.float32 if fits else torch.bfloat16
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16


def check_room(
    name: str, needed: Need, free: int, device: torch.device, *, whole: bool
) -> None:
    """Refuse a model that cannot fit, before minutes of loading end in a crash.

    Args:
        name: For the message.
        needed: What it needs.
        free: Bytes free on the device.
        device: For the message.
        whole: Whether it would be loaded unquantised, so that fewer bits may help.

    Raises:
        ECGError: It does not fit; says how much is needed and free, and what to do.
    """
    if needed.total <= free:
        return
    where = {"cuda": "GPU memory"}.get(device.type, "memory")
    fewer = "4 bits (--quantise 4bit), " if whole and device.type == "cuda" else ""
    raise ECGError(
        f"{name} needs about {needed.to_text()} of {where}, and {free / 1e9:.1f} GB are free: "
        f"try {fewer}a larger machine, or the shipped model nano"
    )


def reading_seconds(size: Sizes, seconds_per_weight: tuple[float, float]) -> float:
    """How long three arms of the usual length take, by arithmetic.

    Args:
        size: Of the checkpoint.
        seconds_per_weight: Time for one weight of a linear layer: for a step of three arms,
            and for one token of a long prompt; see `probe`.

    Returns:
        Seconds: each of `READING_TOKENS` steps passes decoder and head once, each prompt
        token the decoder, each patch of the two pages the vision tower.
    """
    step, token = seconds_per_weight
    decode = READING_TOKENS * (size.decoder + size.head) * step
    patches = 2 * 4 * IMAGE_TOKENS  # two pages; four patches are merged into a token
    prefill = (ARMS * PROMPT_TOKENS * size.decoder + patches * size.vision) * token
    return decode + prefill


def probe(size: Sizes, device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """Time a linear layer of the checkpoint's width, twice each way; the faster counts.

    Returns:
        Seconds per weight for a step of three arms, and per weight and token of a prompt.
    """
    layer = torch.nn.Linear(size.width, PROBE_COLUMNS, bias=False, device=device, dtype=dtype)
    times = []
    with torch.inference_mode():
        for rows in (ARMS, PROBE_TOKENS):
            x = torch.randn(rows, size.width, device=device, dtype=dtype)
            layer(x)  # the first call sets kernels up
            times.append(min(_timed(layer, x) for _ in range(2)))
    weights = layer.weight.numel()
    return times[0] / weights, times[1] / weights / PROBE_TOKENS


def _timed(layer: torch.nn.Module, x: torch.Tensor) -> float:
    started = time.perf_counter()
    float(layer(x).sum())  # waits for a GPU, too
    return time.perf_counter() - started


def slow_reading(size: Sizes, device: torch.device, dtype: torch.dtype) -> str | None:
    """What to expect of a machine without a CUDA GPU; None where it is under a minute."""
    if device.type == "cuda":
        return None
    minutes = reading_seconds(size, probe(size, device, dtype)) / 60
    if minutes < SAID_FROM_MINUTES:
        return None
    return (
        f"On this {device.type} three readings of {READING_TOKENS} tokens take about "
        f"{minutes:.0f} minutes (from one layer's time); a CUDA GPU takes seconds"
    )
