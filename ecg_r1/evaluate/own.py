"""Our own checkpoints as readers: many readings in one `generate` call, labels scored after.

The one function that scores labels, `label_scores`, serves nano and the 8B alike.
"""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ecg_r1.evaluate.readers import Shown, Told, name_of
from ecg_r1.labels import LABELS
from ecg_r1.loading import LoadedModel, load_model
from ecg_r1.processing import tower_input
from ecg_r1.shipped import shipped

if TYPE_CHECKING:
    from ecg_r1.ecg import ECG

ENVIRONMENT = {"signal": "signal", "image": "image", "both": "signal+image"}
ANSWER = "<answer>"
LABEL_TEXTS = tuple(label.text for label in LABELS)
_HASHED_UP_TO = 2**31  # bytes of weights; larger checkpoints are named by size alone


class OwnReader:
    """A checkpoint of this project.

    Args:
        model: "nano", a folder or a hub id, or a model that is loaded already.
        name: What to call it in results; by default what `name_of` says.
        max_new_tokens: Longest reading; by default what the checkpoint says.
    """

    arms = ("signal", "image", "both")

    def __init__(
        self,
        model: str | LoadedModel = "nano",
        *,
        name: str = "",
        max_new_tokens: int | None = None,
    ) -> None:
        self.loaded = load_model(model) if isinstance(model, str) else model
        self.name = name or name_of(self.loaded.name)
        self.max_new_tokens = max_new_tokens or self.loaded.processor.prompt.max_new_tokens

    @property
    def page(self) -> dict[str, Any]:
        """Arguments of `draw_page` for pages as the checkpoint knows them."""
        return self.loaded.page

    def about(self) -> dict[str, Any]:
        """What stands in `run.json`."""
        return {
            "name": self.name,
            "kind": "own",
            "model": self.loaded.name,
            "weights": weights_hash(self.loaded.name),
            "parameters": sum(p.numel() for p in self.loaded.model.parameters()),
            "dtype": str(next(self.loaded.model.parameters()).dtype).removeprefix("torch."),
            "max_new_tokens": self.max_new_tokens,
            "decoding": "greedy",
        }

    def read(self, shown: Sequence[Shown]) -> list[Told]:
        """One reading for each; all in one batch."""
        started = time.perf_counter()
        prompts = prompts_of(self.loaded, shown)
        told = self._generate(prompts, [one.reasoning for one in shown])
        seconds = (time.perf_counter() - started) / len(shown)
        scores: list[dict[str, float] | None] = [None] * len(shown)
        if any(one.scored for one in shown):
            scores = label_scores(self.loaded, prompts, [text for text, _ in told])
        return [
            Told(text, n_tokens=count, seconds=seconds, scores=one)
            for (text, count), one in zip(told, scores, strict=True)
        ]

    def _generate(
        self, prompts: dict[str, Tensor], openings: Sequence[str]
    ) -> list[tuple[str, int]]:
        tokenizer = self.loaded.processor.tokenizer
        end_id = tokenizer.convert_tokens_to_ids("<|im_end|>")
        opened = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in openings]
        batch = lengthened(prompts, opened, tokenizer.pad_token_id)
        with torch.inference_mode():
            out = self.loaded.model.generate(
                **{name: value.to(self.loaded.device) for name, value in batch.items()},
                do_sample=False,
                max_new_tokens=self.max_new_tokens,
                suppress_tokens=self.loaded.processor.placeholder_ids,
                eos_token_id=end_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        rows = out[:, batch["input_ids"].shape[1] :].tolist()
        kept = [row[: row.index(end_id)] if end_id in row else row for row in rows]
        texts = tokenizer.batch_decode(kept, skip_special_tokens=True)
        return [
            (opening + text, len(row))
            for opening, text, row in zip(openings, texts, kept, strict=True)
        ]


def weights_hash(name: str) -> str | None:
    """Of a local checkpoint's weights; None for a hub id, or where they are too large."""
    folder = shipped("nano") if name == "nano" else Path(name)
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    if not files or sum(file.stat().st_size for file in files) > _HASHED_UP_TO:
        return None
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def prompts_of(loaded: LoadedModel, shown: Sequence[Shown]) -> dict[str, Tensor]:
    """Tensors of a batch of prompts, padded on the left."""
    signals: list[ECG] = [one.ecg for one in shown if one.arm != "image"]
    return dict(
        loaded.processor(
            [ENVIRONMENT[one.arm] for one in shown],
            ecgs=[tower_input(ecg, loaded.processor.prompt) for ecg in signals],
            images=[one.image for one in shown if one.arm != "signal"],
        )
    )


def lengthened(
    prompts: dict[str, Tensor], more: Sequence[Sequence[int]], pad_id: int
) -> dict[str, Tensor]:
    """Prompts with further tokens after each, still padded on the left.

    Args:
        prompts: `input_ids`, `attention_mask` and `mm_token_type_ids` `(batch, tokens)`, and
            inputs that stay as they are.
        more: Token ids to add to each row.
        pad_id: Of the padding.
    """
    if not any(more):
        return prompts
    kinds = {"input_ids": pad_id, "attention_mask": 0, "mm_token_type_ids": 0}
    masks = prompts["attention_mask"].bool()
    rows = {
        name: [
            torch.cat([row[mask], _fresh(name, ids, row)])
            for row, mask, ids in zip(prompts[name], masks, more, strict=True)
        ]
        for name in kinds
    }
    width = max(len(row) for row in rows["input_ids"])
    padded = {
        name: torch.stack(
            [torch.cat([row.new_full((width - len(row),), fill), row]) for row in rows[name]]
        )
        for name, fill in kinds.items()
    }
    return prompts | padded


def _fresh(name: str, ids: Sequence[int], like: Tensor) -> Tensor:
    values = {"input_ids": list(ids), "attention_mask": [1] * len(ids)}
    return torch.tensor(values.get(name, [0] * len(ids)), dtype=like.dtype)


# --- labels -----------------------------------------------------------------------------------


def label_scores(
    loaded: LoadedModel,
    prompts: dict[str, Tensor],
    texts: Sequence[str],
    labels: Sequence[str] = LABEL_TEXTS,
) -> list[dict[str, float] | None]:
    """How likely the model finds each label as the first one of its answer.

    The model is shown its own reading up to and with `<answer>`, then each label in turn; a
    label's score is the mean log-probability (natural) of its tokens, so long names do not
    lose by their length. Scores of one label rank records; they are no probabilities.

    Args:
        loaded: Any checkpoint of this architecture.
        prompts: As `prompts_of` gives them.
        texts: The model's own readings.
        labels: What to score.

    Returns:
        For each reading label to score, None where it holds no `<answer>`.
    """
    tokenizer = loaded.processor.tokenizer
    lead_ins = [
        text[: text.index(ANSWER) + len(ANSWER)] if ANSWER in text else "" for text in texts
    ]
    heads, tails = [], []
    for lead_in in lead_ins:
        # Tokenized together: some tokenizers join the tag's end with the label's beginning.
        ids = tokenizer([lead_in + label for label in labels], add_special_tokens=False)[
            "input_ids"
        ]
        shared = _shared_length(ids)
        heads.append(ids[0][:shared])
        tails.append([one[shared:] for one in ids])
    batch = lengthened(prompts, heads, tokenizer.pad_token_id)
    batch = {name: value.to(loaded.device) for name, value in batch.items()}
    with torch.inference_mode():
        scored = _score_tails(loaded.model, batch, tails, tokenizer.pad_token_id)
    return [
        dict(zip(labels, (float(f"{x:.6g}") for x in row), strict=True)) if lead_in else None
        for row, lead_in in zip(scored, lead_ins, strict=True)
    ]


def _shared_length(rows: Sequence[Sequence[int]]) -> int:
    """How many first tokens all rows share, at least one token of each left over."""
    shortest = min(map(len, rows)) - 1
    for place in range(shortest):
        if len({row[place] for row in rows}) > 1:
            return place
    return shortest


def _score_tails(
    model: Any, batch: dict[str, Tensor], tails: list[list[list[int]]], pad_id: int
) -> list[list[float]]:
    """Mean log-probability of each tail after its head.

    The heads run once as a batch; then their cache is used again, one round for the k-th tail
    of every row.
    """
    positions = _positions(model, batch)
    out = model(**batch, position_ids=positions, use_cache=True, logits_to_keep=1)
    first = out.logits[:, -1].float().log_softmax(-1)
    cache, mask = out.past_key_values, batch["attention_mask"]
    last = positions.amax(0)[:, -1:] + 1
    scores: list[list[float]] = [[] for _ in tails]
    for ids in zip(*tails, strict=True):
        width = max(map(len, ids))
        block = torch.full((len(ids), width), pad_id, device=mask.device)
        for row, one in enumerate(ids):
            block[row, : len(one)] = torch.tensor(one)
        found = first.gather(1, block[:, :1])
        if width > 1:
            steps = last + torch.arange(width - 1, device=mask.device)
            logits = model(
                input_ids=block[:, :-1],
                attention_mask=torch.cat([mask, torch.ones_like(block[:, :-1])], 1),
                position_ids=steps[None].expand(3, -1, -1),
                past_key_values=cache,
                use_cache=True,
            ).logits
            later = logits.float().log_softmax(-1).gather(2, block[:, 1:, None])[..., 0]
            found = torch.cat([found, later], 1)
            cache.crop(1 - width)  # a negative number of tokens is removed
        for row, one in enumerate(ids):
            scores[row].append(float(found[row, : len(one)].mean()))
    return scores


def _positions(model: Any, batch: dict[str, Tensor]) -> Tensor:
    """Rotary positions `(3, batch, tokens)` of prompts, never those of the last call."""
    if "image_grid_thw" in batch:
        positions, _ = model.model.get_rope_index(
            batch["input_ids"],
            image_grid_thw=batch["image_grid_thw"],
            attention_mask=batch["attention_mask"],
            mm_token_type_ids=batch["mm_token_type_ids"],
        )
        return positions
    running = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    return running[None].expand(3, -1, -1)
