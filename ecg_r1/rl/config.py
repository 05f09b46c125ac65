"""The settings of a run; imports no torch, so that the command line can show them."""

from dataclasses import dataclass, field

from ecg_r1.dropout import ModalityDropout


@dataclass(frozen=True)
class RLConfig:
    """One run; where nothing else is said, the defaults are the paper's.

    Attributes:
        steps: Batches of answers to learn from.
        prompts: Prompts in a batch, over all processes.
        samples: Answers to each prompt, a group.
        retries: More rounds of prompts that dynamic sampling may play to replace groups whose
            answers all earn the same.
        iterations: Optimiser steps on each batch; with one, nothing is ever clipped.
        clip_low: See `dapo_loss`.
        clip_high: See `dapo_loss`.
        beta: Weight of the divergence from the model at the start; 0 keeps no copy of it.
        temperature: Of sampling.
        max_new_tokens: Longest answer; None takes the checkpoint's. Longer ones teach nothing.
        learning_rate: After a linear warm-up. The paper's 1e-6 is for 8 billion parameters.
        warmup_steps: Steps of the warm-up.
        reward_weights: One for each reward; empty for ones.
        dropout: Interleaved Modality Dropout, once for each prompt.
        seed: Of order, environments and sampling.
        lora_rank: 0 trains the language model in full, more trains LoRA matrices of that rank.
        sample_prompts: Prompts that one process samples from at once.
        learn_prompts: Prompts of one backward pass; smaller needs less memory.
        save_steps: Steps between two states to resume from.
    """

    steps: int = 493
    prompts: int = 8
    samples: int = 6
    retries: int = 3
    iterations: int = 1
    clip_low: float = 0.2
    clip_high: float = 0.3
    beta: float = 0.0
    temperature: float = 1.0
    max_new_tokens: int | None = None
    learning_rate: float = 1e-6
    warmup_steps: int = 5
    reward_weights: tuple[float, ...] = ()
    dropout: ModalityDropout = field(default_factory=ModalityDropout)
    seed: int = 0
    lora_rank: int = 0
    sample_prompts: int = 8
    learn_prompts: int = 2
    save_steps: int = 25

    def __post_init__(self) -> None:
        least = {"samples": 2, "retries": 0, "warmup_steps": 0, "lora_rank": 0}
        for name in ("steps", "prompts", "iterations", "sample_prompts", "learn_prompts"):
            least[name] = 1
        least["save_steps"] = 1
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"{name} must be at least {value}, got {getattr(self, name)}")
        for name in ("temperature", "learning_rate", "clip_low", "clip_high"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.beta < 0 or self.clip_low >= 1:
            raise ValueError(
                f"beta must not be negative and clip_low must be below 1, "
                f"got beta={self.beta}, clip_low={self.clip_low}"
            )
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, got {self.max_new_tokens}")
