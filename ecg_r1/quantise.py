"""The language model in 4 or 8 bits (bitsandbytes), so that the 8B fits a smaller GPU."""

from typing import Any

import torch

from ecg_r1.ecg import ECGError

# What stays as it is: encoders and projector are small and see the ECG; the head names it. The
# names are whole beginnings, because transformers compares from the start of a module's name.
KEPT = ("model.visual", "model.ecg_tower", "model.ecg_projector", "lm_head")
# Bytes of a weight with its scales. 4 bits are NF4 with double quantisation (QLoRA,
# arXiv:2305.14314, section 3): a scale of 8 bits for 64 weights, one of 32 bits for 256 scales.
BYTES_PER_WEIGHT = {"4bit": 1 / 2 + 1 / 64 + 4 / (64 * 256), "8bit": 1.0}


def check_quantise(kind: str) -> None:
    """Refuse 4 or 8 bits where they cannot run.

    Args:
        kind: "4bit" or "8bit".

    Raises:
        ECGError: The kind is another one, there is no CUDA GPU, or no working bitsandbytes.
    """
    if kind not in BYTES_PER_WEIGHT:
        raise ECGError(f"quantise must be one of {', '.join(BYTES_PER_WEIGHT)}, got {kind!r}")
    if not torch.cuda.is_available():
        raise ECGError(
            f"{kind} needs a CUDA GPU, and there is none: leave it out, and the model is "
            "computed in full precision"
        )
    try:
        import bitsandbytes  # noqa: F401, PLC0415  nothing else needs it
    except (ImportError, RuntimeError) as error:  # the latter where its own library is missing
        raise ECGError(
            f"{kind} needs bitsandbytes ({error}): pip install bitsandbytes"
        ) from error


def quantisation(kind: str, dtype: torch.dtype) -> Any:
    """Settings for transformers: the decoder's linear layers in few bits, `KEPT` as it is.

    Args:
        kind: "4bit" or "8bit", which `check_quantise` has passed.
        dtype: What is computed in.

    Returns:
        A `BitsAndBytesConfig`.
    """
    from transformers import BitsAndBytesConfig  # noqa: PLC0415  brings its quantisers

    if kind == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=list(KEPT))
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=list(KEPT),
    )
