"""The samples of a run in their order, and how they become batches."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ecg_r1.augment import degrade_signal, jitter_page
from ecg_r1.corpus import SAMPLES, row_ecg, row_page
from ecg_r1.dropout import ENVIRONMENTS, TAGS, arrange_tags
from ecg_r1.ecg import LEADS, ECGError
from ecg_r1.pretrain import rarity
from ecg_r1.processing import ECGR1Processor, tower_input
from ecg_r1.sft.config import SFTConfig
from ecg_r1.sft.features import Features

WINDOW = 16  # batches whose samples are arranged together
SIGNAL_BYTES = len(LEADS) * SAMPLES * 2
BROKEN = (ECGError, OSError, ValueError, SyntaxError)  # Pillow's of half a PNG: SyntaxError


class SFTData(Dataset):
    """Samples in the order of training; sample `i` depends on the seed and `i` alone.

    One pass over the drawn rows after another stands in a single long list, so that a sample's
    epoch is known without asking the trainer, in any worker and process and after any resume.
    Within a window of `WINDOW` batches, samples of like length stand together: a batch is as
    long as its longest sample.

    Rows that cannot be learned from are left out before the run and stand in `left_out` with
    their reasons.
    """

    def __init__(
        self,
        rows: Any,
        processor: ECGR1Processor,
        config: SFTConfig,
        features: Features | None = None,
    ) -> None:
        self.rows = rows
        self.processor = processor
        self.config = config
        self.features = features
        columns = ("text", "unlearned", "messages")
        columns += () if features else ("signal", "page", "calibrated", "id")
        # Chosen once: `datasets` copies the whole table of records with every choice.
        self._shown = rows.select_columns([c for c in columns if c in rows.column_names])
        self.ids = list(rows["id"])
        self.present, self.left_out = _inputs(rows)
        kept = np.array([bool(present) for present in self.present])
        if not kept.any():
            first = "; ".join(f"{name}: {why}" for name, why in list(self.left_out.items())[:3])
            raise ECGError(f"none of {len(self.ids)} rows can be learned from: {first}")
        real = np.array([source != "simulated" for source in rows["source"]])
        self.kinds = [
            _with_copies(rows, np.flatnonzero(kept & real), config.rare_most),
            _with_copies(rows, np.flatnonzero(kept & ~real), 1),
        ]
        self._lengths = np.array([len(text) for text in rows["text"]]) / _letters(
            rows, processor
        )
        self._order = lru_cache(maxsize=8)(self._shuffled)
        self._window = lru_cache(maxsize=2)(self._arrange)

    def __len__(self) -> int:
        return self.config.steps * self.config.batch_size

    def _shuffled(self, kind: int, epoch: int) -> np.ndarray:
        members = self.kinds[kind]
        order = np.random.default_rng([self.config.seed, epoch]).permutation(len(members))
        return members[order]

    def locate(self, index: int) -> tuple[int, int, int]:
        """Row, copy and epoch of a sample; each kind of record has epochs of its own."""
        share = self.config.real_share
        real, simulated = self.kinds
        n_real = int(np.ceil(index * share))
        is_real = int(np.ceil((index + 1) * share)) > n_real
        if not len(real) or (len(simulated) and not is_real):
            kind, place = 1, index - n_real if len(real) else index
        else:
            kind, place = 0, n_real if len(simulated) else index
        epoch, position = divmod(place, len(self.kinds[kind]))
        row, copy = self._order(kind, epoch)[position]
        return int(row), int(copy), epoch

    def environment(self, index: int) -> str:
        """Which modalities the sample shows."""
        row, copy, epoch = self.locate(index)
        name = f"{self.ids[row]}#{copy}" if copy else self.ids[row]
        return self.config.dropout.environment(
            name, seed=self.config.seed, epoch=epoch, present=self.present[row]
        )

    def _length(self, index: int) -> float:
        """About how many tokens the sample has, apart from what all samples have."""
        shown = self.environment(index)
        ecg = self.processor.prompt.ecg_tokens if "signal" in shown else 0
        # Pages of one corpus are of about one size; any weight keeps them together.
        return self._lengths[self.locate(index)[0]] + ecg + (70 if "image" in shown else 0)

    def _arrange(self, window: int) -> list[int]:
        """The samples of a window in the order of training."""
        batch = self.config.batch_size
        size = WINDOW * batch
        indices = range(window * size, min((window + 1) * size, len(self)))
        if not self.config.group_lengths:
            return list(indices)
        alike = sorted(indices, key=self._length)
        batches = [alike[i : i + batch] for i in range(0, len(alike), batch)]
        np.random.default_rng([self.config.seed, 2, window]).shuffle(batches)
        return [i for members in batches for i in members]

    def __getitem__(self, place: int) -> dict[str, Any]:
        """A sample, or for one that cannot be decoded its id and the `problem`."""
        window, offset = divmod(place, WINDOW * self.config.batch_size)
        index = self._window(window)[offset]
        row_index = self.locate(index)[0]
        try:
            return self._sample(index, row_index)
        except BROKEN as error:
            why = " ".join(str(error).split()) or type(error).__name__
            return {"problem": f"{self.ids[row_index]}: {why}"}

    def _sample(self, index: int, row_index: int) -> dict[str, Any]:
        rng = np.random.default_rng([self.config.seed, 1, index])
        environment = self.environment(index)
        row = self._shown[row_index]
        sample = {"text": row["text"], "unlearned": row["unlearned"]}
        sample |= {"environment": environment, "turns": _turns(row, environment)}
        if self.features:
            return sample | self.features.of(row_index, environment, rng)
        if "signal" in environment:
            ecg = degrade_signal(row_ecg(row), rng)
            sample["ecg"] = tower_input(ecg, self.processor.prompt)
        if "image" in environment:
            sample["image"] = jitter_page(row_page(row), rng)[0]
        return sample

    def plain_inputs(self, row_index: int) -> dict[str, Any]:
        """Signal and page of a row as they are, for the modalities that it has."""
        row, there = self.rows[row_index], self.present[row_index]
        inputs: dict[str, Any] = {}
        if "signal" in there:
            inputs["signal"] = tower_input(row_ecg(row), self.processor.prompt)
        if "image" in there:
            inputs["image"] = row_page(row)
        return inputs

    def seen(self, steps: int) -> Counter:
        """How often each environment is drawn for the first `steps` steps."""
        return Counter(self.environment(i) for i in range(steps * self.config.batch_size))


def _turns(row: dict[str, Any], environment: str) -> list[dict[str, str]]:
    """A row's own conversation with the tags of the environment; empty if it has none."""
    if not row.get("messages"):
        return []
    turns, found = json.loads(row["messages"]), False
    for turn in turns:
        if turn["role"] == "user" and any(tag in turn["content"] for tag in TAGS.values()):
            turn["content"] = arrange_tags(turn["content"], environment)
            found = True
    if not found:
        raise ValueError(f"its prompt has neither {' nor '.join(TAGS.values())}")
    return turns


def _inputs(rows: Any) -> tuple[list[tuple[str, ...]], dict[str, str]]:
    """What each row has, in its prompt's order, and why some rows are left out."""
    n = len(rows)
    signal, page = _byte_lengths(rows, "signal"), _byte_lengths(rows, "page")
    talks = list(rows["messages"]) if "messages" in rows.column_names else [""] * n
    texts, ids = list(rows["text"]), list(rows["id"])
    present: list[tuple[str, ...]] = []
    left_out = {}
    for i in range(n):
        data = {"signal": signal[i] > 0, "image": page[i] > 0}
        names, why = tuple(name for name, there in data.items() if there), ""
        if signal[i] not in (0, SIGNAL_BYTES):
            why = f"its signal has {signal[i]} bytes instead of {SIGNAL_BYTES}"
        elif not names:
            why = "it has neither a signal nor a page"
        elif talks[i]:
            names, why = _tagged(talks[i], names)
        elif not texts[i].strip():
            why = "it has no text to learn"
        if why:
            left_out[ids[i]] = why
        present.append(() if why else names)
    return present, left_out


def _tagged(talk: str, names: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The inputs of a conversation in the order of its tags, or what is wrong with them."""
    said = "".join(turn["content"] for turn in json.loads(talk) if turn["role"] == "user")
    for name, tag in TAGS.items():
        if said.count(tag) > 1:
            return (), f"{tag} stands {said.count(tag)} times in its prompt"
        if tag in said and name not in names:
            return (), f"{tag} stands in its prompt, but it has no {name}"
    tagged = [name for name in names if TAGS[name] in said]
    if not tagged:
        return (), f"its prompt has neither {' nor '.join(TAGS.values())}"
    return tuple(sorted(tagged, key=lambda name: said.index(TAGS[name]))), ""


def _byte_lengths(rows: Any, column: str) -> np.ndarray:
    """Bytes of a column's values; nothing of them is read but where they begin."""
    import pyarrow.compute as pc  # noqa: PLC0415  comes with `datasets`

    if column not in rows.column_names:
        return np.zeros(len(rows), dtype=int)
    lengths = pc.binary_length(rows.data.column(column)).to_numpy()
    chosen = rows._indices  # of a selection; there is no public way
    return lengths if chosen is None else lengths[chosen.column(0).to_numpy()]


def _letters(rows: Any, processor: ECGR1Processor) -> float:
    """Letters to a token in the first texts."""
    texts = rows[:64]["text"]
    tokens = sum(len(ids) for ids in processor.tokenizer(texts)["input_ids"])
    return max(sum(map(len, texts)), 1) / max(tokens, 1)


def _with_copies(rows: Any, members: np.ndarray, most: int) -> np.ndarray:
    """Members of an epoch `(n, 2)`: row and copy; rare labels bring a row more copies."""
    among = np.zeros(len(rows), dtype=bool)
    among[members] = True
    copies = np.rint(rarity(rows["labels"], among, most)).astype(int)
    return np.array([(i, k) for i in members for k in range(copies[i])]).reshape(-1, 2)


@dataclass(frozen=True)
class Collator:
    """Samples to a batch of tensors."""

    processor: ECGR1Processor

    def __call__(self, samples: Sequence[dict[str, Any]]) -> dict[str, Tensor | list[str]]:
        """Tensors as the model's `forward` names them.

        Besides, `environments` `(batch,)` holds places in `ENVIRONMENTS`, and `problems` a
        line on each sample that is missing from the batch because it could not be decoded.

        Raises:
            ECGError: If no sample is left.
        """
        problems = [s["problem"] for s in samples if "problem" in s]
        samples = [s for s in samples if "problem" not in s]
        if not samples:
            raise ECGError(f"no sample of a batch can be decoded: {'; '.join(problems[:3])}")
        pages = [s["image_features"] for s in samples if "image_features" in s]
        ecgs = [s["ecg"] for s in samples if "ecg" in s]
        batch = dict(
            self.processor(
                [s["environment"] for s in samples],
                ecgs=ecgs,
                images=[s["image"] for s in samples if "image" in s],
                grids=[grid for grid, _ in pages],
                answers=[s["text"] for s in samples],
                unlearned=[s["unlearned"] for s in samples],
                conversations=[s["turns"] for s in samples],
            )
        )
        if pages:
            batch["pixel_values"] = torch.from_numpy(np.concatenate([p for _, p in pages]))
            batch["image_grid_thw"] = torch.tensor([grid for grid, _ in pages])
        shown = [ENVIRONMENTS.index(s["environment"]) for s in samples]
        return batch | {"environments": torch.tensor(shown), "problems": problems}
