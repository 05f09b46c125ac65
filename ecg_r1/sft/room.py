"""The memory that a run needs on one GPU, part by part, before its first step."""

from dataclasses import dataclass
from typing import Any

import torch

from ecg_r1.ecg import ECGError
from ecg_r1.room import PROMPT_TOKENS, WORKING_BYTES, free_memory
from ecg_r1.sft.config import SFTConfig

ANSWER_TOKENS = 2048  # the longest reading that the paper allows
# Of a token in one decoder layer, computed anew on the way back: gate, up and their product,
# queries, keys, values, and what stands before and after attention and MLP.
_WIDE, _NARROW = 3, 8


@dataclass(frozen=True)
class TrainingNeed:
    """Memory of one step, in bytes.

    Attributes:
        weights: All parameters as they are loaded.
        learning: Of what learns: gradients and AdamW's two moments, 12 bytes each.
        activations: Of one pass, with checkpoints between the layers or without.
        logits: Of the learned tokens in float32: logits, softmax, gradient.
        working: Everything else, a fixed allowance.
    """

    weights: int
    learning: int
    activations: int
    logits: int
    working: int = WORKING_BYTES

    @property
    def total(self) -> int:
        """Their sum."""
        return sum(vars(self).values())

    def to_text(self) -> str:
        """The sum and its parts."""
        parts = ", ".join(f"{name} {n / 1e9:.1f}" for name, n in vars(self).items())
        return f"{self.total / 1e9:.1f} GB ({parts})"


def training_need(model: Any, config: SFTConfig, *, weights: int | None = None) -> TrainingNeed:
    """Add up what a step needs.

    Args:
        model: With LoRA or without, what learns already chosen.
        config: Of the run; its passes and its checkpointing count.
        weights: Bytes of the parameters, where they are not yet as they will be loaded.
    """
    text = model.config.text_config
    samples = config.micro_batch or config.batch_size
    tokens = samples * (PROMPT_TOKENS + ANSWER_TOKENS)
    learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if weights is None:
        weights = sum(p.numel() * p.element_size() for p in model.parameters())
    layer = tokens * 2 * (_WIDE * text.intermediate_size + _NARROW * text.hidden_size)
    if config.gradient_checkpointing:
        activations = text.num_hidden_layers * tokens * text.hidden_size * 2 + layer
    else:
        activations = text.num_hidden_layers * layer
    logits = 3 * 4 * samples * ANSWER_TOKENS * text.vocab_size
    return TrainingNeed(weights, 12 * learned, activations, logits)


def free_for_training(model: Any) -> int | None:
    """Bytes of a CUDA GPU that a model on it may fill, its own included; None elsewhere."""
    device = next(model.parameters()).device
    if device.type != "cuda":
        return None
    return free_memory(device) + torch.cuda.memory_reserved(device)


def check_training(needed: TrainingNeed, free: int | None) -> str:
    """Compare what a step needs with what the GPU has.

    Args:
        needed: What it needs.
        free: What there is, None where that is not known.

    Returns:
        A line for a person.

    Raises:
        ECGError: It does not suffice; says what would help.
    """
    told = f"A step needs about {needed.to_text()}"
    if free is None:
        return told
    if needed.total > free:
        raise ECGError(
            f"{told}, and the GPU has {free / 1e9:.1f} GB: try --qlora, --micro-batch 1, "
            "--gradient-checkpointing, or a larger GPU"
        )
    return f"{told}; the GPU has {free / 1e9:.1f} GB"
