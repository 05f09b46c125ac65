"""The ECG tower: ECG-CoCa's one-dimensional vision transformer, by its own parameter names.

What this leaves out: ECG-CoCa's text encoder and caption decoder, which ECG-R1 never runs.

Source: ECG-Chat (arXiv:2408.08849) for the encoder, ECG-R1 (arXiv:2602.04279) for its use.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import initialization as init

# ECG-CoCa configurations that checkpoints mention by name only.
NAMED_TOWERS: dict[str, dict[str, Any]] = {"coca_ViT-B-32": {}}


@dataclass(frozen=True)
class TowerConfig:
    """Shape of the tower; the defaults are ECG-CoCa's `coca_ViT-B-32`.

    Attributes:
        leads: Rows of the input.
        samples: Columns of the input; 10 s at 500 Hz.
        patch_size: Samples per token.
        width: Width of a token.
        layers: Transformer blocks.
        head_width: Width of an attention head.
        mlp_ratio: Hidden width of the MLP over `width`.
        embed_dim: Columns of `proj`, stored in every checkpoint and unused in ECG-R1.
        stem: "patch" is one convolution with kernel = stride = `patch_size`, as in the paper;
            "conv" is three overlapping ones to the same number of tokens, which a small tower
            learns from in half the samples (heart-rate error 6.2 against 8.8 bpm in a trial).
    """

    leads: int = 12
    samples: int = 5000
    patch_size: int = 50
    width: int = 768
    layers: int = 12
    head_width: int = 64
    mlp_ratio: float = 4.0
    embed_dim: int = 512
    stem: str = "patch"

    def __post_init__(self) -> None:
        if self.samples % self.patch_size:
            raise ValueError(f"samples={self.samples} is no multiple of {self.patch_size=}")
        if self.width % self.head_width:
            raise ValueError(f"width={self.width} is no multiple of {self.head_width=}")
        if self.stem not in ("patch", "conv"):
            raise ValueError(f'stem must be "patch" or "conv", got {self.stem!r}')
        if self.stem == "conv" and self.patch_size != 50:
            raise ValueError(f'stem "conv" makes tokens of 50 samples, got {self.patch_size=}')

    @property
    def tokens(self) -> int:
        """Tokens per ECG: one per patch and the class token."""
        return self.samples // self.patch_size + 1

    @classmethod
    def named(cls, name: str | None) -> "TowerConfig":
        """The configuration that a checkpoint names.

        Raises:
            ValueError: If the name is unknown.
        """
        if name not in NAMED_TOWERS:
            raise ValueError(
                f"the checkpoint names the ECG tower {name!r}, known are "
                f"{sorted(NAMED_TOWERS)}; for another one pass its shape as "
                "ecg_tower_config={'width': ..., 'layers': ..., 'head_width': ...}"
            )
        return cls(**NAMED_TOWERS[name])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a JSON configuration."""
        return asdict(self)


class _Attention(nn.Module):
    """Multi-head self-attention with the parameter names of `nn.MultiheadAttention`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = qkv.view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        # Without a mask, training in bf16 on a CPU is slower with the fused kernel.
        if x.device.type == "cpu":
            weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(dim=-1)
            mixed = weights.to(v.dtype) @ v
        else:
            mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.out_proj(mixed.transpose(1, 2).reshape(batch, tokens, width))


class _MLP(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, hidden)
        self.c_proj = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(functional.gelu(self.c_fc(x)))


class _Block(nn.Module):
    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.width)
        self.attn = _Attention(config.width, config.width // config.head_width)
        self.ln_2 = nn.LayerNorm(config.width)
        self.mlp = _MLP(config.width, int(config.width * config.mlp_ratio))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class _Transformer(nn.Module):
    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(_Block(config) for _ in range(config.layers))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.resblocks:
            x = block(x)
        return x


class _ConvStem(nn.Sequential):
    """Three strided convolutions, 5 x 5 x 2 = 50 samples to a token."""

    def __init__(self, leads: int, width: int) -> None:
        super().__init__(
            nn.Conv1d(leads, width // 3, kernel_size=11, stride=5, padding=5),
            nn.GELU(),
            nn.Conv1d(width // 3, 2 * width // 3, kernel_size=7, stride=5, padding=3),
            nn.GELU(),
            nn.Conv1d(2 * width // 3, width, kernel_size=2, stride=2),
        )


class ECGTower(nn.Module):
    """Twelve leads to tokens: class token first, then one token per patch.

    `ln_post` and `proj` belong to ECG-CoCa's contrastive head. Checkpoints hold them, so they
    are here; ECG-R1 reads the last block's output before them.
    """

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        if config.stem == "patch":
            self.conv1: nn.Module = nn.Conv1d(
                config.leads,
                config.width,
                kernel_size=config.patch_size,
                stride=config.patch_size,
                bias=False,
            )
        else:
            self.conv1 = _ConvStem(config.leads, config.width)
        self.class_embedding = nn.Parameter(torch.empty(config.width))
        self.positional_embedding = nn.Parameter(torch.empty(config.tokens, config.width))
        self.ln_pre = nn.LayerNorm(config.width)
        self.transformer = _Transformer(config)
        self.ln_post = nn.LayerNorm(config.width)
        self.proj = nn.Parameter(torch.empty(config.width, config.embed_dim))

    def forward(self, ecg_values: Tensor) -> Tensor:
        """Encode ECGs.

        Args:
            ecg_values: Millivolts, `(ecgs, leads, samples)`, of exactly the configured shape.

        Returns:
            `(ecgs, tokens, width)`, the last block's output.

        Raises:
            ValueError: If the shape is another one; positions are learned for this length only.
        """
        expected = (self.config.leads, self.config.samples)
        if ecg_values.ndim != 3 or tuple(ecg_values.shape[1:]) != expected:
            raise ValueError(
                f"ecg_values must be (ecgs, {expected[0]}, {expected[1]}), "
                f"got {tuple(ecg_values.shape)}"
            )
        patches = self.conv1(ecg_values).transpose(1, 2)
        cls = self.class_embedding.expand(len(patches), 1, -1).to(patches.dtype)
        x = torch.cat([cls, patches], dim=1) + self.positional_embedding.to(patches.dtype)
        return self.transformer(self.ln_pre(x))


def init_tower_parameters(module: nn.Module, std: float) -> None:
    """Initialise the parameters that belong to no standard layer.

    transformers leaves a bare parameter that a checkpoint lacks as uninitialised memory, unless
    the model's `_init_weights` covers it.

    Args:
        module: Any module of the model; others than the tower's are left alone.
        std: Standard deviation of the normal distribution.
    """
    if isinstance(module, ECGTower):
        for parameter in (module.class_embedding, module.positional_embedding, module.proj):
            init.normal_(parameter, std=std)
    elif isinstance(module, _Attention):
        init.normal_(module.in_proj_weight, std=std)
        init.zeros_(module.in_proj_bias)


def is_untrained(tower: ECGTower) -> bool:
    """Whether all blocks are as initialised: norms of ones, biases of zeros.

    That is how a tower looks whose weights were lost on the way, whatever its other weights.
    """
    blocks = tower.transformer.resblocks
    scales = [norm.weight for block in blocks for norm in (block.ln_1, block.ln_2)]
    shifts = [block.mlp.c_fc.bias for block in blocks]
    return all(bool((w == 1).all()) for w in scales) and all(
        bool((b == 0).all()) for b in shifts
    )
