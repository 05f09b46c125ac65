"""What the model is shown in reinforcement learning, and the luck its answers have.

Everything depends on the seed and the prompt's place in one long list, so any process and any
resumed run sees the same. The modality environment is drawn once for each prompt; sampling and
scoring both get it from here.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ecg_r1.corpus import row_ecg, row_page
from ecg_r1.dropout import ModalityDropout
from ecg_r1.processing import ECGR1Processor, tower_input

UNTOLD = ("signal", "page", "waves")  # columns that no reward reads, and large
SHOWN = ("id", "signal", "calibrated", "page")


class PromptStream:
    """One pass over the rows after another, each in an order of its own.

    Args:
        rows: A sequence of rows with `id`, `signal` and `page` as the corpus has them, such as
            a `datasets.Dataset` or a list of dictionaries.
        processor: For the inputs.
        dropout: Which modalities a prompt shows.
        seed: Of order, environments and luck.

    Raises:
        ValueError: If there are no rows.
    """

    def __init__(
        self, rows: Any, processor: ECGR1Processor, dropout: ModalityDropout, seed: int
    ) -> None:
        if not len(rows):
            raise ValueError("there are no rows to draw prompts from")
        # Chosen once: `datasets` copies the whole table with every choice of columns, and
        # unpacks page and signal with every look at a whole row.
        names = getattr(rows, "column_names", None)
        self._ids = [row["id"] for row in rows] if names is None else list(rows["id"])
        self._told = self._shown = rows
        if names is not None:
            self._told = rows.select_columns([name for name in names if name not in UNTOLD])
            self._shown = rows.select_columns([name for name in SHOWN if name in names])
        self.processor = processor
        self.dropout = dropout
        self.seed = seed
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def _shuffled(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, epoch]).permutation(len(self._ids))

    def _index(self, place: int) -> int:
        epoch, position = divmod(place, len(self._ids))
        return int(self._order(epoch)[position])

    def record_id(self, place: int) -> str:
        """Whose row stands at a place of the list."""
        return self._ids[self._index(place)]

    def environment(self, place: int) -> str:
        """Which modalities the prompt shows, in which order."""
        epoch = place // len(self._ids)
        return self.dropout.environment(self.record_id(place), seed=self.seed, epoch=epoch)

    def columns(self, place: int) -> dict[str, Any]:
        """What rewards may read of the row."""
        row = self._told[self._index(place)]
        return {name: value for name, value in row.items() if name not in UNTOLD}

    def inputs(self, places: Sequence[int], device: torch.device) -> dict[str, Tensor]:
        """The prompts' tensors, padded on the left."""
        rows = [self._shown[self._index(place)] for place in places]
        shown = [self.environment(place) for place in places]
        prompt = self.processor.prompt
        batch = self.processor(
            shown,
            ecgs=[
                tower_input(row_ecg(row), prompt)
                for row, e in zip(rows, shown, strict=True)
                if "signal" in e
            ],
            images=[row_page(row) for row, e in zip(rows, shown, strict=True) if "image" in e],
        )
        return dict(batch.to(device))

    def chances(self, places: Sequence[int], samples: int, most_tokens: int) -> Tensor:
        """Uniform numbers for `Policy.sample`, `(places x samples, most_tokens)`."""
        drawn = [
            np.random.default_rng([self.seed, 1, place]).random(
                (samples, most_tokens), dtype=np.float32
            )
            for place in places
        ]
        return torch.from_numpy(np.concatenate(drawn))
