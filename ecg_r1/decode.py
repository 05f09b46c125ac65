"""Greedy decoding of a batch: each input encoded once, one prefill, then token by token.

transformers' `generate` lets its cache grow and prepares every step anew in Python, so that a
GPU waits for Python most of the time. Here keys and values stand in fixed memory and a step is
always the same work: on a CUDA GPU its layers are compiled (where Triton is installed), and the
whole step is recorded as a CUDA graph and replayed. It attends to as many places as the reading
has reached, in stretches of 512, and is recorded anew for each of them. Elsewhere the same step
runs as it is. Tokens are those of `generate` (tested on a CPU, with nano and with the
reference's tiny model).

What this leaves out: sampling, beams, and models spread over several devices.

Not proven yet: no GPU was at hand. That the layers compile once for all of them and without a
break is tested on a CPU; recording, replay and every speed are not. `python -m benchmarks.gpu`
measures them beside plain `generate`.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import islice

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import DynamicCache
from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb

from ecg_r1.ecg import ECGError
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.processing import ECGR1Processor

# A step attends to a multiple of so many places: few sizes to record, and rows of the mask
# aligned as attention kernels like them. Ours: five stretches in the 8B's longest reading.
_STRETCH = 512
# Added to the scores of places that hold nothing. e to this is 0 in every precision; a finite
# number, because some kernels make NaN of a whole tile of -inf.
_SHUT = -3e4


@dataclass(frozen=True)
class Prompts:
    """Prompts of a batch, padded on the left, and each distinct input once.

    Attributes:
        input_ids: `(rows, tokens)`.
        attention_mask: `(rows, tokens)`, 0 at padding.
        mm_token_type_ids: `(rows, tokens)`, 1 at image placeholders.
        signals: For each row that shows a signal, its place in `ecg_values`.
        pictures: For each row that shows a picture, its place in `image_grid_thw`.
        ecg_values: Millivolts, `(signals, 12, samples)`.
        pixel_values: Patches of all pictures, one after the other.
        image_grid_thw: Patches of each picture: 1, down, across.
    """

    input_ids: Tensor
    attention_mask: Tensor
    mm_token_type_ids: Tensor
    signals: list[int]
    pictures: list[int]
    ecg_values: Tensor | None = None
    pixel_values: Tensor | None = None
    image_grid_thw: Tensor | None = None


def prompts_of(
    processor: ECGR1Processor,
    environments: Sequence[str],
    *,
    ecgs: Sequence[np.ndarray] = (),
    images: Sequence[Image.Image] = (),
) -> Prompts:
    """Prompts for a batch; an object that is given for several rows is encoded once.

    Args:
        processor: Of the checkpoint.
        environments: For each row, "signal", "image", "signal+image" or "image+signal".
        ecgs: `tower_input` of each row that shows the signal.
        images: Picture of each row that shows it.

    Raises:
        ValueError: If the inputs do not match the environments.
    """
    for name, given in (("signal", ecgs), ("image", images)):
        wanted = sum(name in environment for environment in environments)
        if wanted != len(given):
            raise ValueError(f"{wanted} rows show the {name}, but {len(given)} were given")
    signals, signal_of = _distinct(ecgs)
    pictures, picture_of = _distinct(images)
    seen = processor(["image"] * len(pictures), images=pictures) if pictures else {}
    grids = seen["image_grid_thw"].tolist() if pictures else []
    rows = processor(environments, ecgs=ecgs, grids=[grids[place] for place in picture_of])
    return Prompts(
        **{name: rows[name] for name in ("input_ids", "attention_mask", "mm_token_type_ids")},
        signals=signal_of,
        pictures=picture_of,
        ecg_values=torch.from_numpy(np.stack(signals)) if signals else None,
        pixel_values=seen.get("pixel_values"),
        image_grid_thw=seen.get("image_grid_thw"),
    )


def _distinct(given: Sequence) -> tuple[list, list[int]]:
    """The different objects, and for each one given its place among them."""
    found = {id(one): one for one in given}
    places = {key: place for place, key in enumerate(found)}
    return list(found.values()), [places[id(one)] for one in given]


@torch.no_grad()
def greedy(
    model: ECGR1ForConditionalGeneration,
    prompts: Prompts,
    *,
    max_new_tokens: int,
    end_id: int | None,
    suppressed: Sequence[int] = (),
) -> Iterator[list[int]]:
    """Decode all rows together, the most probable token at each place.

    Args:
        model: In evaluation mode, on one device.
        prompts: As `prompts_of` makes them.
        max_new_tokens: Most tokens of a row, the end's included.
        end_id: Token that ends a row; None goes on to the last token.
        suppressed: Tokens that are never chosen.

    Yields:
        The next token of each row. After `end_id` a row's tokens mean nothing; when all rows
        have ended, or the iterator is closed, no more is computed.

    Raises:
        ECGError: The model's numbers overflow, as they may in float16.
    """
    batch = prefill(model, prompts, max_new_tokens, suppressed)
    ended = [False] * len(prompts.input_ids)
    steps = _steps(batch)
    for made in range(max_new_tokens):
        if made:
            next(steps)
        tokens = batch.token[:, 0].tolist()
        yield tokens
        ended = [was or token == end_id for was, token in zip(ended, tokens, strict=True)]
        if all(ended):
            return


@torch.no_grad()
def prefill(
    model: ECGR1ForConditionalGeneration,
    prompts: Prompts,
    max_new_tokens: int,
    suppressed: Sequence[int] = (),
) -> "Batch":
    """Read the prompts and choose the first token of each row.

    Raises:
        ECGError: The model's numbers overflow, as they may in float16.
    """
    device, text = model.device, model.model.language_model
    # Counted before anything goes to the device, since it is done row by row in Python.
    positions, _ = model.model.get_rope_index(
        prompts.input_ids,
        mm_token_type_ids=prompts.mm_token_type_ids,
        image_grid_thw=prompts.image_grid_thw[prompts.pictures] if prompts.pictures else None,
        attention_mask=prompts.attention_mask,
    )
    embeds, pictures = _embed(model, prompts)
    kept = DynamicCache(config=model.config.get_text_config(decoder=True))
    hidden = text(
        inputs_embeds=embeds,
        attention_mask=prompts.attention_mask.to(device),
        position_ids=positions.to(device),
        past_key_values=kept,
        use_cache=True,
        **pictures,
    ).last_hidden_state[:, -1:]
    if not bool(hidden.isfinite().all()):
        kind = str(hidden.dtype).removeprefix("torch.")
        raise ECGError(
            f"the model's numbers overflow in {kind}, so that it cannot read: use a GPU with "
            "bfloat16 (Ampere or later) or a CPU"
        )
    after = positions.amax(dim=(0, 2)) + 1
    batch = Batch(
        model, kept, prompts.attention_mask.to(device), after.to(device), max_new_tokens
    )
    batch.suppressed = torch.tensor(suppressed, dtype=torch.long, device=device)
    batch.choose(hidden)
    return batch


def _embed(
    model: ECGR1ForConditionalGeneration, prompts: Prompts
) -> tuple[Tensor, dict[str, Tensor | list[Tensor]]]:
    """Embeddings of the prompts with their inputs in place, and what deepstack adds later."""
    inner, ids = model.model, prompts.input_ids.to(model.device)
    embeds = inner.get_input_embeddings()(ids)
    if prompts.signals:
        signals = inner.get_ecg_features(prompts.ecg_values.to(model.device))
        shown = signals[prompts.signals].flatten(0, 1)
        embeds = _fill(embeds, ids == model.config.ecg_token_id, shown, "signal")
    if not prompts.pictures:
        return embeds, {}
    grids = prompts.image_grid_thw
    seen = inner.visual(
        prompts.pixel_values.to(model.device, inner.visual.dtype),
        grid_thw=grids.to(model.device),
    )
    sizes = (grids.prod(dim=-1) // inner.visual.spatial_merge_size**2).tolist()

    def shown_of(features: Tensor) -> Tensor:
        each = features.split(sizes)
        return torch.cat([each[place] for place in prompts.pictures])

    mask = ids == model.config.image_token_id
    embeds = _fill(embeds, mask, shown_of(seen.pooler_output), "image")
    return embeds, {
        "visual_pos_masks": mask,
        "deepstack_visual_embeds": [shown_of(one) for one in seen.deepstack_features],
    }


def _fill(embeds: Tensor, mask: Tensor, features: Tensor, name: str) -> Tensor:
    """Put features where their placeholders are; nothing is shifted or dropped to fit."""
    if int(mask.sum()) != len(features):
        raise ValueError(
            f"{int(mask.sum())} {name} placeholders, but {len(features)} {name} tokens"
        )
    return embeds.masked_scatter(mask.unsqueeze(-1), features.to(embeds))


class Batch:
    """A batch between two tokens, in memory that never moves.

    Attributes:
        token: The last token of each row, `(rows, 1)`.
    """

    def __init__(
        self,
        model: ECGR1ForConditionalGeneration,
        kept: DynamicCache,
        attention_mask: Tensor,
        positions: Tensor,
        max_new_tokens: int,
    ) -> None:
        rows, self.length = attention_mask.shape
        self.room = -(-(self.length + max_new_tokens) // _STRETCH) * _STRETCH
        self.model, self.device = model, model.device
        more = (0, 0, 0, self.room - self.length)
        self.kept = [(pad(one.keys, more), pad(one.values, more)) for one in kept.layers]
        self.halves = _fused_halves() if _compiles(model) else (_ask, _answer)
        if _compiles(model):
            for one in sum(self.kept, ()):  # not compiled anew for another length
                torch._dynamo.maybe_mark_dynamic(one, 2)
        # Added to the scores of attention: nothing at tokens that are there.
        shut = torch.zeros(
            attention_mask.shape, device=self.device, dtype=self.kept[0][0].dtype
        )
        shut = shut.masked_fill(attention_mask == 0, _SHUT)
        self.mask = pad(shut, more[2:], value=_SHUT).view(rows, 1, 1, self.room)
        self.place = torch.tensor([self.length], device=self.device)
        self.positions = positions.view(1, rows, 1).repeat(3, 1, 1)
        self.token = torch.zeros(rows, 1, dtype=torch.long, device=self.device)
        self.suppressed = torch.empty(0, dtype=torch.long, device=self.device)

    def stretches(self) -> Sequence[int]:
        """Places to attend to, in the order in which the reading reaches their ends."""
        if self.device.type == "mps":  # slices have given wrong attention (pytorch#181133)
            return [self.room]
        first = -(-(self.length + 1) // _STRETCH) * _STRETCH
        return range(first, self.room + 1, _STRETCH)

    def step(self, places: int) -> None:
        """Read `token` and put the next one in its place.

        Args:
            places: How many are attended to, at least those that hold a token.
        """
        text = self.model.model.language_model
        ask, answer = self.halves
        hidden = text.embed_tokens(self.token)
        rotation = text.rotary_emb(hidden, self.positions)
        self.mask.index_fill_(3, self.place, 0.0)
        mask = self.mask[..., :places]
        for layer, (keys, values) in zip(text.layers, self.kept, strict=True):
            query = ask(layer, hidden, rotation, (keys, values), self.place)
            mixed = scaled_dot_product_attention(
                query,
                keys[:, :, :places],
                values[:, :, :places],
                attn_mask=mask,
                scale=layer.self_attn.scaling,
            )
            hidden = answer(layer, hidden, mixed)
        self.choose(text.norm(hidden))
        self.place.add_(1)
        self.positions.add_(1)

    def choose(self, hidden: Tensor) -> None:
        """Take the most probable token of each row, given the last layer's output."""
        scores = self.model.lm_head(hidden)[:, -1].float()
        scores.index_fill_(1, self.suppressed, -torch.inf)
        self.token.copy_(scores.argmax(dim=1, keepdim=True))


def _ask(
    layer: nn.Module,
    hidden: Tensor,
    rotation: tuple[Tensor, Tensor],
    kept: tuple[Tensor, Tensor],
    place: Tensor,
) -> Tensor:
    """A decoder layer up to its attention, for one new token of each row `(rows, 1, width)`.

    As transformers' own, but that keys and values are written in place, and that heads which
    share a key ask as several queries of it, so that no key is copied for each head.

    Returns:
        Queries `(rows, heads of keys, queries of a key, width of a head)`.
    """
    attention, rows, (keys, values) = layer.self_attn, len(hidden), kept
    normed = layer.input_layernorm(hidden)
    shape = (rows, 1, -1, attention.head_dim)
    query = attention.q_norm(attention.q_proj(normed).view(shape)).transpose(1, 2)
    key = attention.k_norm(attention.k_proj(normed).view(shape)).transpose(1, 2)
    value = attention.v_proj(normed).view(shape).transpose(1, 2)
    query, key = apply_rotary_pos_emb(query, key, *rotation)
    keys[:, :, place] = key
    values[:, :, place] = value
    return query.reshape(rows, keys.shape[1], -1, attention.head_dim)


def _answer(layer: nn.Module, hidden: Tensor, mixed: Tensor) -> Tensor:
    """The same layer from its attention on."""
    hidden = hidden + layer.self_attn.o_proj(mixed.reshape(len(hidden), 1, -1))
    return hidden + layer.mlp(layer.post_attention_layernorm(hidden))


@cache
def _fused_halves() -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    # Compiled once, not once for each layer: what differs between layers are tensors. Attention
    # stays outside, where torch has kernels for it and the number of places may grow.
    return torch.compile(_ask, fullgraph=True), torch.compile(_answer, fullgraph=True)


def _compiles(model: ECGR1ForConditionalGeneration) -> bool:
    """Whether compiled layers can be had: bfloat16 in Triton needs an Ampere GPU or later."""
    return (
        _graphs(model)
        and find_spec("triton") is not None
        and torch.cuda.get_device_capability(model.device) >= (8, 0)
    )


def _graphs(model: ECGR1ForConditionalGeneration) -> bool:
    """Whether a step can be recorded; kernels of quantised layers are run as they are."""
    return (
        model.device.type == "cuda"
        and model.device.index == torch.cuda.current_device()
        and getattr(model, "hf_quantizer", None) is None
    )


def _steps(batch: Batch) -> Iterator[None]:
    """One step each time it is asked, over stretch after stretch."""
    run = _recorded if _graphs(batch.model) else _plain
    filled = batch.length
    for places in batch.stretches():
        yield from islice(run(batch, places), places - filled)
        filled = places


def _plain(batch: Batch, places: int) -> Iterator[None]:
    while True:
        batch.step(places)
        yield


def _recorded(batch: Batch, places: int) -> Iterator[None]:
    """The first step as it is, all others as replays of a recording of it."""
    current, side = torch.cuda.current_stream(), torch.cuda.Stream()
    side.wait_stream(current)
    with torch.cuda.stream(side):  # what happens at first use only must not be recorded
        _first_step(batch, places)
    current.wait_stream(side)
    yield
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
        batch.step(places)
    while True:
        graph.replay()
        yield


def _first_step(batch: Batch, places: int) -> None:
    try:
        batch.step(places)
    except Exception as error:  # compilers raise all kinds: no C compiler, too many shapes
        if batch.halves == (_ask, _answer):
            raise
        warnings.warn(
            f"decoding is slower, for its layers do not compile: {error}", stacklevel=2
        )
        batch.halves = (_ask, _answer)
        batch.step(places)
