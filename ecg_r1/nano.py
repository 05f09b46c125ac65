"""nano: the small ECG-R1 that ships, its sizes and its tokenizer.

It is the same network as the 8B with other numbers in its configuration, and what a small model
needs beside the paper: a convolutional stem in the tower and in the patch embedding, one token
per whole number, and one per phrase that the corpus writes often (a heading, a diagnosis).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from ecg_r1.corpus import PAGE
from ecg_r1.model import ECGR1Config, ECGR1ForConditionalGeneration
from ecg_r1.processing import INPUT_TOKENS, ECGR1Processor, PromptSettings
from ecg_r1.report import STEP_TITLES
from ecg_r1.tower import TowerConfig

LARGEST_NUMBER = 699  # ms, bpm and mm on a resting ECG; larger ones are spelt in pieces
PATCH, MERGE = 32, 2
GRID = (14, 20)  # patches down and across a page
TOWER = TowerConfig(width=192, layers=6, head_width=32, embed_dim=64, stem="conv")
# One token each: lead names, words, numbers with their space, punctuation, line ends.
_PIECES = r" ?aV[RLF]| ?V[1-6]| ?\p{L}+| ?\p{N}{1,3}|\s*\n+| ?[^\s\p{L}\p{N}]+|\s+"
_TAGS = ("<think>", "</think>", "<answer>", "</answer>")
_PHRASE = r"[^\d.,;:()\n<>*&]+"  # what stands between numbers and punctuation
_HEADINGS = tuple(f"**Step {number}: {title}**" for number, title in STEP_TITLES.items())
SYSTEM = "You read ECGs for teaching."
QUESTION = "Interpret this ECG."


def train_tokenizer(texts: Iterable[str], vocab_size: int = 1600) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with whole numbers and frequent phrases as single tokens.

    Split into digits, numbers came out as "QRS 805 ms" in a trial; as one token they did not.
    Phrases as one token halve the length of a reading. Any other text is spelt in pieces.

    Args:
        texts: Readings to learn the words from.
        vocab_size: Most entries, phrases apart.
    """
    texts = list(texts)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>", *INPUT_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_training_text(texts), trainer)
    tokenizer.add_tokens([*_TAGS, *_HEADINGS, *_phrases(texts)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|endoftext|>", eos_token="<|im_end|>"
    )


def _phrases(texts: Sequence[str], most: int = 250) -> list[str]:
    """The most frequent phrases of at least two words, labels of the protocol among them."""
    found = Counter(
        piece.rstrip()  # a number takes the space before it
        for text in texts
        for part in re.split(r"\*\*Step[^*]*\*\*| ?aV[RLF]| ?V[1-6]", text)
        for piece in re.findall(_PHRASE, part)
        if len(piece.split()) > 1
    )
    return [phrase for phrase, count in found.most_common(most) if count >= 10]


def _training_text(texts: Iterable[str]) -> Iterator[str]:
    # Numbers come first in frequency, so that their merges are learned before any word's.
    numbers = [f" {i}" for i in range(LARGEST_NUMBER + 1)] + [str(i) for i in range(201)]
    for _ in range(20_000 // 100):
        yield "\n".join(numbers)
    yield from [SYSTEM, QUESTION, "system user assistant"] * 50
    yield from texts


def nano_config(tokenizer: PreTrainedTokenizerFast) -> ECGR1Config:
    """The configuration of nano for a tokenizer."""
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in INPUT_TOKENS}
    return ECGR1Config(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 256,
            "intermediate_size": 640,
            "num_hidden_layers": 5,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 32,
            "max_position_embeddings": 1024,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
            "tie_word_embeddings": True,
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={
            "depth": 4,
            "hidden_size": 192,
            "intermediate_size": 768,
            "num_heads": 6,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 1,
            "out_hidden_size": 256,
            "num_position_embeddings": 400,
            "deepstack_visual_indexes": [],
        },
        tie_word_embeddings=True,
        image_token_id=ids["<|image_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        video_token_id=len(tokenizer) - 1,
        ecg_tower_config=TOWER.to_dict(),
        ecg_token_id=ids["<|ecg_pad|>"],
        vision_stem="conv",
    )


def nano_processor(tokenizer: PreTrainedTokenizerFast) -> ECGR1Processor:
    """The processor of nano: pages of 640 x 448 pixels, readings of up to 300 tokens."""
    pixels = GRID[0] * GRID[1] * PATCH**2
    image_processor = Qwen2VLImageProcessorPil(
        patch_size=PATCH,
        merge_size=MERGE,
        temporal_patch_size=1,
        size={"shortest_edge": pixels // 2, "longest_edge": pixels},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    canvas = (GRID[1] * PATCH, GRID[0] * PATCH)
    settings = PromptSettings(SYSTEM, QUESTION, max_new_tokens=300, page=PAGE, canvas=canvas)
    return ECGR1Processor(image_processor, tokenizer, settings=vars(settings))


def page_patches(page: Image.Image) -> np.ndarray:
    """A page of nano cut into patches as its image processor orders them, thirty times as fast.

    Args:
        page: Grey, 640 x 448 pixels.

    Returns:
        uint8 `(280, 1024)`; `pixel_values` makes of it what the model takes.

    Raises:
        ValueError: If the page has another size or colour.
    """
    down, across = GRID
    if page.mode != "L" or page.size != (across * PATCH, down * PATCH):
        raise ValueError(
            f"a page of nano is grey, {across * PATCH} x {down * PATCH}, "
            f"got {page.mode} {page.size[0]} x {page.size[1]}"
        )
    blocks = np.asarray(page).reshape(
        down // MERGE, MERGE, PATCH, across // MERGE, MERGE, PATCH
    )
    return blocks.transpose(0, 3, 1, 4, 2, 5).reshape(down * across, PATCH * PATCH)


def pixel_values(patches: torch.Tensor) -> torch.Tensor:
    """Grey patches uint8 `(patches, 1024)` as the vision part takes them, `(patches, 3072)`."""
    return (patches.float() / 127.5 - 1).repeat(1, 3)


def new_nano(
    texts: Iterable[str], seed: int
) -> tuple[ECGR1ForConditionalGeneration, ECGR1Processor]:
    """An untrained nano with a tokenizer learned from `texts`."""
    tokenizer = train_tokenizer(texts)
    torch.manual_seed(seed)
    model = ECGR1ForConditionalGeneration(nano_config(tokenizer))
    order_numbers(model, tokenizer, seed)
    return model, nano_processor(tokenizer)


def order_numbers(
    model: ECGR1ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, seed: int
) -> None:
    """Start neighbouring numbers with similar embeddings, so that near misses cost less.

    The output layer is tied to the embeddings: a state near 72 then scores 71 and 73 as well.

    Args:
        model: An untrained one, whose embeddings are changed in place.
        tokenizer: Its tokenizer, with whole numbers as single tokens.
        seed: Of the waves that the embeddings are made of.
    """
    rows = model.get_input_embeddings().weight
    rng = np.random.default_rng(seed)
    scale = np.exp(rng.uniform(np.log(4), np.log(400), size=rows.shape[1] // 2))
    phase = rng.uniform(0, 2 * np.pi, size=scale.shape)
    with torch.no_grad():
        for number in range(LARGEST_NUMBER + 1):
            for text in (f" {number}", f"{number}"):
                ids = tokenizer(text, add_special_tokens=False)["input_ids"]
                if len(ids) == 1:
                    angle = number / scale + phase
                    wave = np.concatenate([np.sin(angle), np.cos(angle)]) * 0.02 * np.sqrt(2)
                    rows[ids[0]] = 0.7 * torch.from_numpy(wave).to(rows) + 0.3 * rows[ids[0]]
