"""ECG-R1's network: Qwen3-VL with an ECG tower and a projector beside its vision tower.

Source: ECG-R1 (arXiv:2602.04279); parameter names as in its released checkpoints.
"""

from pathlib import Path
from typing import Any

import torch
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLConfig
from transformers.models.qwen3_vl.modeling_qwen3_vl import (
    Qwen3VLForConditionalGeneration,
    Qwen3VLModel,
    Qwen3VLPreTrainedModel,
    Qwen3VLVisionPatchEmbed,
)

from ecg_r1.tower import ECGTower, TowerConfig, init_tower_parameters

# torch from 2.11 on attends with cuDNN first on an H100. With a mask, as left padding has one,
# its gradients can be NaN (pytorch#196678), and each new prompt length costs half a second of
# planning; the other kernels do neither.
torch.backends.cuda.enable_cudnn_sdp(False)  # noqa: FBT003  it takes no name


@strict
class ECGR1Config(Qwen3VLConfig):
    """Qwen3-VL's configuration with the ECG parts.

    Attributes:
        ecg_tower_config: Fields of `TowerConfig`; None takes them by `ecg_model_config`'s name.
        ecg_model_config: Name of the ECG-CoCa configuration, as released checkpoints store it.
        ecg_projector_type: "linear" or "mlp2x_gelu" (2 layers; any number is allowed).
        ecg_token_id: Id of the placeholder `<|ecg_pad|>`.
        vision_stem: "linear" is Qwen3-VL's patch embedding; "conv" puts a small convolution
            inside each patch, for small models that learn to see from nothing.
    """

    model_type = "ecg_r1"

    ecg_tower_config: dict | None = None
    ecg_model_config: str | None = None
    ecg_projector_type: str = "mlp2x_gelu"
    ecg_token_id: int | None = None
    vision_stem: str = "linear"

    def __post_init__(self, **kwargs: Any) -> None:
        # Released checkpoints name the ECG-CoCa file of the machine they were trained on. The
        # tower's weights are in the checkpoint itself, so the path is not kept.
        kwargs.pop("ecg_tower_path", None)
        kwargs.pop("ecg_hidden_size", None)
        super().__post_init__(**kwargs)
        if self.ecg_tower_config is None and self.ecg_model_config is not None:
            self.ecg_tower_config = TowerConfig.named(self.ecg_model_config).to_dict()

    @property
    def tower(self) -> TowerConfig:
        """The tower's shape, with defaults filled in."""
        return TowerConfig(**(self.ecg_tower_config or {}))


def checkpoint_config(
    found: dict[str, Any], ecg_tower_config: dict[str, Any] | None = None
) -> ECGR1Config:
    """Our configuration from a checkpoint's `config.json`.

    Released checkpoints call themselves `qwen3_vl`, as the model they grew from, and carry
    `ecg_*` beside its settings.

    Args:
        found: Contents of the file.
        ecg_tower_config: Fields of `TowerConfig`, where the file does not tell them.

    Raises:
        ValueError: If the file belongs to another kind of model.

    Example:
        >>> checkpoint_config({"model_type": "llama"})
        Traceback (most recent call last):
        ValueError: config.json describes a 'llama', which is no ECG-R1
    """
    kind = found.get("model_type")
    if kind not in ("ecg_r1", "qwen3_vl"):
        raise ValueError(f"config.json describes a {kind!r}, which is no ECG-R1")
    if kind == "qwen3_vl" and not any(name.startswith("ecg_") for name in found):
        raise ValueError(
            "config.json describes a Qwen3-VL without an ECG tower; "
            "`python -m ecg_r1 tower assemble` makes an ECG-R1 of it"
        )
    if ecg_tower_config is not None:
        found = found | {"ecg_tower_config": ecg_tower_config}
    return ECGR1Config.from_dict(found | {"model_type": "ecg_r1"})


def _projector(kind: str, width: int, hidden: int) -> nn.Module:
    if kind == "linear":
        return nn.Linear(width, hidden)
    depth = kind.removeprefix("mlp").removesuffix("x_gelu")
    if not (kind.startswith("mlp") and kind.endswith("x_gelu") and depth.isdigit()):
        raise ValueError(f'ecg_projector_type must be "linear" or "mlpNx_gelu", got {kind!r}')
    layers: list[nn.Module] = [nn.Linear(width, hidden)]
    for _ in range(int(depth) - 1):
        layers += [nn.GELU(), nn.Linear(hidden, hidden)]
    return nn.Sequential(*layers)


class _LinearPatchEmbed(Qwen3VLVisionPatchEmbed):
    """Qwen3-VL's patch embedding, its convolution computed as the matrix product that it is.

    The kernel is the patch, so it never slides. For that cuDNN takes 3.7 s in bfloat16 on an
    H100 (sglang-omni#539).
    """

    def forward(self, hidden_states: Tensor) -> Tensor:
        weight = self.proj.weight.flatten(1)
        patches = hidden_states.reshape(-1, weight.shape[1]).to(weight.dtype)
        return functional.linear(patches, weight, self.proj.bias)


class _ConvPatchEmbed(nn.Module):
    """Qwen3-VL's patch embedding with two small convolutions inside each patch, in grey.

    On an ECG page colour says nothing that darkness does not.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.shape = (config.in_channels * config.temporal_patch_size, config.patch_size)
        inner = config.patch_size // 8
        self.convs = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=4, stride=4),
            nn.GELU(),
            nn.Conv2d(32, 96, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.proj = nn.Linear(96 * inner * inner, config.hidden_size)

    def forward(self, pixel_values: Tensor) -> Tensor:
        frames, side = self.shape
        grey = pixel_values.view(-1, frames, side, side).mean(dim=1, keepdim=True)
        return self.proj(self.convs(grey.to(self.proj.weight.dtype)).flatten(1))


class _ECGR1PreTrainedModel(Qwen3VLPreTrainedModel):
    config: ECGR1Config

    _may_lack: tuple[str, ...] = ()  # tensors of a checkpoint that this class does not have

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        init_tower_parameters(module, std=self.config.text_config.initializer_range)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *args: Any,
        ecg_tower_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Load a checkpoint of ours or one that the reference code saved.

        Args:
            pretrained_model_name_or_path: Folder or hub id.
            args: As in transformers.
            ecg_tower_config: Fields of `TowerConfig`, for checkpoints whose configuration does
                not carry them.
            kwargs: As in transformers.

        Raises:
            ValueError: If both configurations are given, or the checkpoint lacks a tensor of
                the model, or holds one of another shape or one that the model does not have.
        """
        if kwargs.get("config") is not None and ecg_tower_config is not None:
            raise ValueError("give config or ecg_tower_config, not both")
        if kwargs.get("config") is None:
            found, kwargs = ECGR1Config.get_config_dict(pretrained_model_name_or_path, **kwargs)
            kwargs["config"] = checkpoint_config(found, ecg_tower_config)
        kwargs.setdefault("ignore_mismatched_sizes", True)  # so that we can name them below
        with_info = kwargs.pop("output_loading_info", False)
        model, info = super().from_pretrained(
            pretrained_model_name_or_path, *args, output_loading_info=True, **kwargs
        )
        _refuse_partial_load(str(pretrained_model_name_or_path), info, cls._may_lack)
        return (model, info) if with_info else model


class ECGR1Model(_ECGR1PreTrainedModel, Qwen3VLModel):
    """The backbone without the language-model head."""

    config: ECGR1Config
    _may_lack = ("lm_head.weight",)

    def __init__(self, config: ECGR1Config) -> None:
        super().__init__(config)
        stem = _ConvPatchEmbed if config.vision_stem == "conv" else _LinearPatchEmbed
        self.visual.patch_embed = stem(config.vision_config)
        tower = config.tower
        self.ecg_tower = ECGTower(tower)
        self.ecg_projector = _projector(
            config.ecg_projector_type, tower.width, config.text_config.hidden_size
        )
        self.post_init()

    def get_ecg_features(self, ecg_values: Tensor) -> Tensor:
        """Encode and project ECGs.

        Args:
            ecg_values: Millivolts, `(ecgs, 12, 5000)`.

        Returns:
            `(ecgs, 101, hidden)` in the language model's width.
        """
        values = ecg_values.to(self.ecg_tower.class_embedding.dtype)
        return self.ecg_projector(self.ecg_tower(values))

    def _insert_ecgs(
        self, input_ids: Tensor, inputs_embeds: Tensor, ecg_values: Tensor | None
    ) -> Tensor:
        """Put the ECGs' tokens where their placeholders are.

        Raises:
            ValueError: If a sample's placeholders are no whole number of ECGs, or placeholders
                and ECGs differ in number; nothing is shifted or dropped to make them fit.
        """
        if self.config.ecg_token_id is None:
            raise ValueError("config.ecg_token_id is None: the model cannot see its ECGs")
        mask = input_ids == self.config.ecg_token_id
        per_sample = mask.sum(dim=1)
        tokens = self.config.tower.tokens
        n_ecgs = 0 if ecg_values is None else len(ecg_values)
        if bool((per_sample % tokens).any()):
            raise ValueError(
                f"each ECG needs {tokens} placeholders in its own sample, "
                f"got {per_sample.tolist()} per sample"
            )
        if int(per_sample.sum()) != n_ecgs * tokens:
            raise ValueError(
                f"{n_ecgs} ECGs need {n_ecgs * tokens} placeholders, "
                f"got {int(per_sample.sum())}"
            )
        if ecg_values is None:
            return inputs_embeds
        features = self.get_ecg_features(ecg_values).to(inputs_embeds)
        return inputs_embeds.masked_scatter(mask.unsqueeze(-1), features)

    def forward(
        self,
        input_ids: Tensor | None = None,
        ecg_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        mm_token_type_ids: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Qwen3-VL's forward pass; `ecg_values` `(ecgs, 12, 5000)` fill `<|ecg_pad|>` tokens.

        Raises:
            ValueError: If ECGs or images do not match their placeholders in `input_ids`.
        """
        if input_ids is None:
            if ecg_values is not None:
                raise ValueError("ecg_values need input_ids, which say where the ECGs belong")
        else:
            self._check_images(input_ids, pixel_values, past_key_values)
            embeds = self.get_input_embeddings()(input_ids)
            # After the prefill the cache holds the ECGs, and new tokens are text.
            if past_key_values is None or past_key_values.get_seq_length() == 0:
                embeds = self._insert_ecgs(input_ids, embeds, ecg_values)
            elif ecg_values is not None:
                raise ValueError("ecg_values beside a filled cache: start a new prompt")
            # Positions need the ids, which the parent must not see beside embeddings.
            if position_ids is None:
                position_ids = self.compute_3d_position_ids(
                    input_ids=input_ids,
                    inputs_embeds=embeds,
                    image_grid_thw=image_grid_thw,
                    attention_mask=attention_mask,
                    past_key_values=past_key_values,
                    mm_token_type_ids=mm_token_type_ids,
                )
            if position_ids is None:
                position_ids = _text_positions(embeds, attention_mask, past_key_values)
            inputs_embeds = embeds
        return super().forward(
            input_ids=None,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            pixel_values=pixel_values,
            image_grid_thw=image_grid_thw,
            mm_token_type_ids=mm_token_type_ids,
            **kwargs,
        )

    def _check_images(
        self, input_ids: Tensor, pixel_values: Tensor | None, past_key_values: Any
    ) -> None:
        placeholders = int((input_ids == self.config.image_token_id).sum())
        prefill = past_key_values is None or past_key_values.get_seq_length() == 0
        if prefill and placeholders and pixel_values is None:
            raise ValueError(f"{placeholders} image placeholders, but no pixel_values")


def _text_positions(embeds: Tensor, mask: Tensor | None, cache: Any) -> Tensor:
    """Positions of a batch without images: count the tokens that are not padding."""
    batch, length, _ = embeds.shape
    past = 0 if cache is None else cache.get_seq_length()
    if mask is None or mask.ndim != 2:
        positions = torch.arange(past, past + length, device=embeds.device).expand(batch, -1)
    else:
        positions = (mask.long().cumsum(dim=-1) - 1).clamp(min=0)[:, -length:]
    return positions.expand(3, -1, -1)


class ECGR1ForConditionalGeneration(_ECGR1PreTrainedModel, Qwen3VLForConditionalGeneration):
    """ECG-R1: reads an ECG as a signal, as an image, or as both, and answers in text."""

    config: ECGR1Config

    def __init__(self, config: ECGR1Config) -> None:
        super().__init__(config)
        self.model = ECGR1Model(config)
        self.post_init()

    def forward(  # `generate` learns from the signature which inputs exist, so they are named
        self,
        input_ids: Tensor | None = None,
        ecg_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        mm_token_type_ids: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> Any:
        """Logits, and the loss when `labels` are given.

        Args:
            input_ids: `(batch, tokens)`.
            ecg_values: Millivolts at 500 Hz, `(ecgs, 12, 5000)`, in the order of the
                placeholders in the batch.
            attention_mask: `(batch, tokens)`, 0 at padding.
            position_ids: As in Qwen3-VL, `(3, batch, tokens)`.
            past_key_values: The cache.
            inputs_embeds: `(batch, tokens, hidden)` instead of `input_ids`, without ECGs.
            labels: `(batch, tokens)`, -100 where no loss is taken.
            pixel_values: Patches as Qwen3-VL's image processor gives them.
            image_grid_thw: `(images, 3)`.
            mm_token_type_ids: `(batch, tokens)`, 1 at image placeholders, 0 elsewhere.
            logits_to_keep: As in transformers.
            kwargs: Qwen3-VL's further arguments.
        """
        return super().forward(
            input_ids=input_ids,
            ecg_values=ecg_values,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            labels=labels,
            pixel_values=pixel_values,
            image_grid_thw=image_grid_thw,
            mm_token_type_ids=mm_token_type_ids,
            logits_to_keep=logits_to_keep,
            **kwargs,
        )

    def prepare_inputs_for_generation(
        self, input_ids: Tensor, is_first_iteration: bool = False, **kwargs: Any
    ) -> dict[str, Any]:
        """Hand the ECGs over at prefill only, so that the tower runs once per reading."""
        if not is_first_iteration and kwargs.get("use_cache", True):
            kwargs.pop("ecg_values", None)
        return super().prepare_inputs_for_generation(
            input_ids, is_first_iteration=is_first_iteration, **kwargs
        )


def _refuse_partial_load(name: str, info: dict[str, Any], spared: tuple[str, ...]) -> None:
    told = []
    for key, fault in _LOADING_FAULTS.items():
        found = sorted({str(fault) for fault in info.get(key) or ()} - set(spared))
        if found:
            more = ", ..." if len(found) > 3 else ""
            told.append(f"{len(found)} {fault} ({', '.join(found[:3])}{more})")
    if told:
        raise ValueError(f"{name} is no complete ECG-R1 checkpoint: {'; '.join(told)}")


_LOADING_FAULTS = {
    "missing_keys": "tensors are missing",
    "unexpected_keys": "tensors are unknown to the model",
    "mismatched_keys": "tensors have another shape",
    "error_msgs": "errors",
}

AutoConfig.register("ecg_r1", ECGR1Config)
AutoModel.register(ECGR1Config, ECGR1Model)
AutoModelForImageTextToText.register(ECGR1Config, ECGR1ForConditionalGeneration)
