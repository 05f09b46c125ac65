"""Settings for the released 8B on one GPU; imports no torch.

LoRA's rate is half of QLoRA's for up to 13B (arXiv:2305.14314, appendix B), its rank ours;
AdamW's settings are the paper's, and so is the plain loss. None was tried on the 8B.
"""

from dataclasses import dataclass

from ecg_r1.sft.config import SFTConfig


@dataclass(frozen=True)
class Recipe:
    """A run and how its decoder learns.

    Attributes:
        config: The run.
        lora_rank: Rank of LoRA's matrices; 0 trains the decoder in full.
        qlora: Whether the decoder is in 4 bits.
    """

    config: SFTConfig
    lora_rank: int = 0
    qlora: bool = False


_EIGHT_B = SFTConfig(
    steps=500,
    batch_size=16,
    micro_batch=1,
    learning_rate=1e-4,
    warmup_steps=15,
    weight_decay=0.0,
    beta2=0.95,
    number_smoothing=0.0,
    label_weight=1.0,
    bf16=True,
    gradient_checkpointing=True,
)
RECIPES = {
    "8b-lora": Recipe(_EIGHT_B, lora_rank=16),
    "8b-qlora": Recipe(_EIGHT_B, lora_rank=16, qlora=True),
}
