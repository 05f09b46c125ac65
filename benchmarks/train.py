"""Training speed beside a plain Trainer: padding to the longest, no grouping by length.

`python -m benchmarks.train [--steps 16] [--batch-size 8]` fine-tunes nano's network as new on
simulated records, each way in turn for some rounds, and prints samples a second of each and the
ratio to the plain one; on a busy machine the processor's time tells more than the clock.

The plain way is transformers' own Trainer on the same samples and encoders; ours groups by
length and computes logits where something is learned; with kept features the encoders were run
before.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import Trainer, TrainingArguments

from ecg_r1.corpus import RowMaker, simulated_tasks
from ecg_r1.nano import new_nano
from ecg_r1.sft.config import SFTConfig
from ecg_r1.sft.data import Collator, SFTData
from ecg_r1.sft.features import bf16_helps, encode_rows
from ecg_r1.sft.parts import freeze_encoders
from ecg_r1.sft.run import train_sft


class PlainCollator(Collator):
    """Without what only our Trainer takes."""

    def __call__(self, samples: Any) -> Any:
        """Tensors as the model takes them."""
        batch = super().__call__(samples)
        return {k: v for k, v in batch.items() if k not in ("environments", "problems")}


def plain(model: Any, processor: Any, rows: Dataset, out: Path, config: SFTConfig) -> None:
    """Train with the plain Trainer."""
    args = TrainingArguments(
        output_dir=str(out),
        max_steps=config.steps,
        per_device_train_batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        bf16=bf16_helps(),
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        report_to="none",
        remove_unused_columns=False,
        disable_tqdm=True,
    )
    data = SFTData(rows, processor, replace(config, group_lengths=False))
    Trainer(
        model=model, args=args, train_dataset=data, data_collator=PlainCollator(processor)
    ).train()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, default=48)
    options = parser.parse_args()
    maker = RowMaker(pages="nano", writer="template")  # texts of different lengths
    tasks = simulated_tasks(options.records)
    rows = Dataset.from_list([row for t in tasks if not (row := maker(t.to_json()))["reason"]])
    config = SFTConfig(
        steps=options.steps,
        batch_size=options.batch_size,
        warmup_steps=1,
        workers=0,
        save_steps=10**9,  # none
        log_steps=10**9,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, processor = new_nano(list(rows["text"]) * 10, 0)
        freeze_encoders(model)
        started = time.perf_counter()
        kept = encode_rows(model, processor, rows, folder / "features", variants=1)
        encoded = (time.perf_counter() - started) / len(rows)
        ways = {"plain Trainer": plain, "ours": train_sft}
        ways["ours, kept features"] = partial(train_sft, features=kept)
        spent: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for turn in range(options.rounds):
            for way, train in ways.items():
                begun = time.perf_counter(), time.process_time()
                train(model, processor, rows, folder / f"{way} {turn}", config)
                ended = time.perf_counter(), time.process_time()
                spent[way].append((ended[0] - begun[0], ended[1] - begun[1]))
    best = {way: np.min(times, axis=0) / options.steps for way, times in spent.items()}
    print("best of the rounds        by the clock          by processor time")
    for way, (wall, cpu) in best.items():
        slow = best["plain Trainer"]
        print(
            f"{way:<20} {options.batch_size / wall:6.1f} samples/s {slow[0] / wall:5.2f} x"
            f" {options.batch_size / cpu:8.1f} samples/s {slow[1] / cpu:5.2f} x"
        )
    print(f"features: {1000 * encoded:.0f} ms for a variant of a record, once")


if __name__ == "__main__":
    main()
