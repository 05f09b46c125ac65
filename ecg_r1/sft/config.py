"""The settings of a run; imports no torch, so that the command line can show them."""

from dataclasses import dataclass, field

from ecg_r1.dropout import ModalityDropout

# What learns, by name of the preset: parts of the model that `parts.freeze` knows.
PRESETS: dict[str, tuple[str, ...]] = {
    # ECG-R1 (arXiv:2602.04279): vision blocks and tower frozen, everything else trained.
    "paper": ("language", "mergers", "projector"),
    # Only what carries the inputs into the language model, as a first, short stage.
    "projectors": ("mergers", "projector"),
    # The language model alone, as in the paper's second stage.
    "language": ("language",),
    "all": ("language", "mergers", "projector", "tower", "vision"),
}


@dataclass(frozen=True)
class SFTConfig:
    """One run; the defaults are nano's.

    Attributes:
        steps: Optimiser steps.
        batch_size: Samples per step, over all processes and accumulated batches.
        micro_batch: Samples of one pass in one process; 0 takes the whole share of a process.
        learning_rate: Peak, after a linear warm-up, then a cosine to zero.
        warmup_steps: Steps of the warm-up.
        weight_decay: AdamW's.
        beta2: AdamW's.
        seed: Of data order, environments and augmentation.
        real_share: Share of samples that are real ECGs, where the corpus has both kinds.
        rare_most: A real record comes up to so many times in an epoch when it carries a rare
            label; 1 shows each record once.
        dropout: Interleaved Modality Dropout.
        number_smoothing: Standard deviation of a measured number's target as a share of it; 0
            asks for the exact one. A rate of 72 is then nearly right at 71.
        label_weight: Weight of tokens that are a diagnosis, of which a reading has few.
        group_lengths: Put samples of like length into one batch.
        workers: Processes that prepare batches, for each training process.
        save_steps: Steps between two states to resume from.
        log_steps: Steps between two lines of the log.
        sample_steps: Steps between two readings written to `samples.jsonl`; 0 writes none.
        bf16: Mixed precision; None where the hardware computes in bfloat16.
        gradient_checkpointing: Compute activations twice to keep fewer of them.
        tensorboard: Also log for tensorboard, which must be installed.
        most_skipped: Share of samples that may turn out unreadable before a run stops; ours.
    """

    steps: int = 3000
    batch_size: int = 16
    micro_batch: int = 0
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    weight_decay: float = 0.05
    beta2: float = 0.98
    seed: int = 0
    real_share: float = 0.5
    rare_most: int = 1
    dropout: ModalityDropout = field(default_factory=ModalityDropout)
    number_smoothing: float = 0.02
    label_weight: float = 3.0
    group_lengths: bool = True
    workers: int = 1
    save_steps: int = 250
    log_steps: int = 25
    sample_steps: int = 0
    bf16: bool | None = None
    gradient_checkpointing: bool = False
    tensorboard: bool = False
    most_skipped: float = 0.01

    def __post_init__(self) -> None:
        least = {"micro_batch": 0, "warmup_steps": 0, "workers": 0, "sample_steps": 0}
        least |= dict.fromkeys(("steps", "batch_size", "rare_most", "save_steps"), 1)
        for name, value in (least | {"log_steps": 1}).items():
            if getattr(self, name) < value:
                raise ValueError(f"{name} must be at least {value}, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")
        for name in ("real_share", "most_skipped"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in 0..1, got {getattr(self, name)}")

    def micro(self, processes: int) -> tuple[int, int]:
        """Samples of one pass in one process, and passes accumulated to a step.

        Raises:
            ValueError: If they do not make up the batch exactly.

        Example:
            >>> SFTConfig(batch_size=64, micro_batch=4).micro(processes=8)
            (4, 2)
        """
        share = self.batch_size // processes
        micro = self.micro_batch or share
        if not micro or share % micro or share * processes != self.batch_size:
            raise ValueError(
                f"a batch of {self.batch_size} cannot be split evenly over {processes} "
                f"processes in passes of {micro}: choose a multiple of "
                f"{processes * max(micro, 1)}"
            )
        return micro, share // micro
