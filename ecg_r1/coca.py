"""The tower pretrained as ECG-CoCa was: contrast with a caption, and writing that caption.

What this leaves out: the large text encoder (MedCPT) and the 800,000 pairs of the original; the
text side here is as small as the tower and is thrown away, and captions are made of labels and
measured numbers, which the original appends to its reports ("wfep").

Source: CoCa (arXiv:2205.01917); ECG-Chat (arXiv:2408.08849): contrast weighs 1, caption 2.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from ecg_r1.augment import degrade_signal
from ecg_r1.corpus import NUMBERS, row_ecg
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.pretrain import PretrainConfig, draw_row, sampling_weights, steps
from ecg_r1.processing import NO_LOSS, ECGR1Processor, tower_input
from ecg_r1.tower import ECGTower

CAPTION_WEIGHT = 2.0  # ECG-Chat
MOST_TOKENS = 76  # context length of ECG-CoCa's text side
_PHRASES = {
    "hr_bpm": "Heart rate {:.0f} bpm.",
    "pr_ms": "PR {:.0f} ms.",
    "qrs_ms": "QRS {:.0f} ms.",
    "qt_ms": "QT {:.0f} ms.",
    "axis_deg": "Axis {:.0f} degrees.",
}


def caption(row: Mapping[str, Any]) -> str:
    """Labels and measured numbers of a row in words; what was not measured is left out.

    Example:
        >>> caption({"labels": ["sinus rhythm"], "numbers": [72, float("nan"), 90, 400, -6, 1]})
        'sinus rhythm. Heart rate 72 bpm. QRS 90 ms. QT 400 ms. Axis -6 degrees.'
    """
    numbers = dict(zip(NUMBERS, row["numbers"], strict=True))
    said = [
        words.format(numbers[name])
        for name, words in _PHRASES.items()
        if math.isfinite(numbers[name])
    ]
    return " ".join([f"{'; '.join(row['labels'])}.", *said])


class PairData(Dataset):
    """Signals and captions, drawn from (seed, index) alone so that a run can resume."""

    def __init__(
        self, rows: Any, config: PretrainConfig, processor: ECGR1Processor, first_step: int
    ) -> None:
        self.config, self.processor = config, processor
        self.first = first_step * config.batch_size
        self.weights = sampling_weights(rows, config)
        self.rows = rows.select_columns(["signal", "calibrated", "id", "labels", "numbers"])

    def __len__(self) -> int:
        return self.config.steps * self.config.batch_size - self.first

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([self.config.seed, self.first + index])
        row = self.rows[draw_row(self.weights, rng)]
        tokenizer = self.processor.tokenizer
        ids = tokenizer(caption(row), add_special_tokens=False)["input_ids"]
        ids = [*ids[: MOST_TOKENS - 1], tokenizer.eos_token_id]
        padded = np.full(MOST_TOKENS, NO_LOSS)
        padded[: len(ids)] = ids
        ecg = degrade_signal(row_ecg(row), rng)
        return {"ecg_values": tower_input(ecg, self.processor.prompt), "caption": padded}


class TextSide(nn.Module):
    """CoCa's text: a causal part that sees words only, and one that also looks at the ECG."""

    def __init__(self, vocabulary: int, tower: ECGTower, layers: int = 2) -> None:
        super().__init__()
        width, heads = tower.config.width, tower.config.width // tower.config.head_width
        options = {"batch_first": True, "norm_first": True, "activation": "gelu"}
        options |= {"dropout": 0.0, "dim_feedforward": 4 * width}
        self.embed = nn.Embedding(vocabulary, width)
        self.place = nn.Embedding(MOST_TOKENS + 1, width)
        self.summary = nn.Parameter(torch.randn(width) * 0.02)
        self.words = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, **options) for _ in range(layers)
        )
        self.looking = nn.ModuleList(
            nn.TransformerDecoderLayer(width, heads, **options) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.out = nn.LayerNorm(width)
        self.project = nn.Linear(width, tower.config.embed_dim, bias=False)
        self.scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))  # CLIP's start
        nn.init.normal_(self.embed.weight, std=0.02)
        nn.init.normal_(self.place.weight, std=0.02)

    def forward(self, ids: Tensor, ecg_tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding of each caption `(batch, embed)` and logits of its next tokens.

        Args:
            ids: `(batch, MOST_TOKENS)`, `NO_LOSS` at padding.
            ecg_tokens: The tower's, `(batch, tokens, width)`.
        """
        batch, length = ids.shape
        words = self.embed(ids.clamp(min=0))
        summary = self.summary.expand(batch, 1, -1).to(words)
        x = torch.cat([words, summary], dim=1) + self.place.weight
        unseen = torch.ones(length + 1, length + 1, dtype=torch.bool, device=ids.device).triu(1)
        # The summary stands last and sees all words, but not the padding.
        padding = torch.cat([ids == NO_LOSS, torch.zeros_like(ids[:, :1]).bool()], dim=1)
        for layer in self.words:
            x = layer(x, src_mask=unseen, src_key_padding_mask=padding)
        embedding = self.project(self.norm(x[:, -1]))
        y = x[:, :-1]
        for layer in self.looking:
            y = layer(y, ecg_tokens, tgt_mask=unseen[:-1, :-1])
        return embedding, self.out(y) @ self.embed.weight.T


def coca_losses(
    ecg: Tensor, text: Tensor, scale: Tensor, logits: Tensor, ids: Tensor
) -> dict[str, Tensor]:
    """Contrast in both directions, and the caption's next tokens.

    Args:
        ecg: Embeddings of the ECGs, `(batch, embed)`.
        text: Embeddings of their captions, `(batch, embed)`.
        scale: Logarithm of the factor on cosines, at most that of 100.
        logits: `(batch, tokens, vocabulary)`.
        ids: `(batch, tokens)`, `NO_LOSS` at padding.
    """
    cosines = (
        functional.normalize(ecg.float(), dim=1) @ functional.normalize(text.float(), dim=1).T
    )
    scaled = cosines * scale.clamp(max=math.log(100)).exp()
    pairs = torch.arange(len(ecg), device=ecg.device)
    contrast = functional.cross_entropy(scaled, pairs) + functional.cross_entropy(
        scaled.T, pairs
    )
    words = functional.cross_entropy(
        logits[:, :-1].float().flatten(0, 1), ids[:, 1:].flatten(), ignore_index=NO_LOSS
    )
    return {"contrast": contrast / 2, "caption": CAPTION_WEIGHT * words}


def pretrain_coca(
    model: ECGR1ForConditionalGeneration,
    processor: ECGR1Processor,
    rows: Any,
    folder: Path,
    config: PretrainConfig,
) -> Iterator[dict[str, float]]:
    """Train the tower of `model` in place with captions; resumes as `pretrain` does.

    Args:
        model: Its tower is trained, the rest is left alone.
        processor: For the inputs and the captions' tokens.
        rows: A corpus.
        folder: Keeps the state to resume from, under the name that `load_part` reads.
        config: The run.

    Yields:
        As `pretrain`.
    """
    torch.manual_seed(config.seed)
    tower = model.model.ecg_tower
    text = TextSide(len(processor.tokenizer), tower).to(model.device)
    trained = nn.ModuleDict({"encoder": tower, "text": text})

    def parts_of(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        with torch.autocast(model.device.type, torch.bfloat16):
            tokens = tower(batch["ecg_values"])
            ecg = tower.ln_post(tokens[:, 0]) @ tower.proj
            embedding, logits = text(batch["caption"], tokens)
        return coca_losses(ecg, embedding, text.scale, logits, batch["caption"])

    def data_from(step: int) -> Dataset:
        return PairData(rows, config, processor, step)

    model.train()
    yield from steps(trained, parts_of, data_from, folder / "tower.pt", config)
