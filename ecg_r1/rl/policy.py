"""The model as reinforcement learning uses it: it samples answers, and it scores them.

Both start from the same prompt pass: encoders and prompt run once for each prompt, not once for
each answer, and the answers share its cache. In scoring, the gradient flows back through it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from ecg_r1.processing import ECGR1Processor
from ecg_r1.rl.loss import log_probabilities, token_logps


@dataclass
class _Context:
    """What the next tokens of the answers see, and where they stand."""

    cache: DynamicCache
    mask: Tensor  # (answers, tokens so far)
    position: Tensor  # (answers, 1), of the next token
    logits: Tensor  # (answers, vocabulary), of the next token


class _RoomyLayer(DynamicLayer):
    """A layer of the cache with room for what is still to come.

    One that grows by concatenation copies the whole past for each new token.
    """

    def __init__(self, layer: DynamicLayer, room: int) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized = layer.dtype, layer.device, True
        self.keys, self.values = layer.keys, layer.values
        self.room = [nn.functional.pad(t, (0, 0, 0, room)) for t in (self.keys, self.values)]

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple:
        """Write the new tokens behind the others; all keys and values so far."""
        start = self.keys.shape[-2]
        end = start + key_states.shape[-2]
        for room, new in zip(self.room, (key_states, value_states), strict=True):
            room[:, :, start:end] = new
        self.keys, self.values = (room[:, :, :end] for room in self.room)
        return self.keys, self.values


@dataclass(frozen=True)
class Answer:
    """One sampled answer.

    Attributes:
        tokens: Ids, the end token included where there is one.
        logps: Log-probability of each when it was sampled.
        finished: Whether it ended by itself; otherwise the limit cut it.
    """

    tokens: list[int]
    logps: list[float]
    finished: bool


class Policy(nn.Module):
    """A model that samples and scores, both with the same temperature and banned tokens.

    `forward` is the scoring, so that a wrapper for several processes sees one pass a batch. The
    network stays in evaluation mode: with dropout in it, the learner would score another
    network than the one that sampled.
    """

    def __init__(
        self, model: nn.Module, processor: ECGR1Processor, *, temperature: float = 1.0
    ) -> None:
        super().__init__()
        self.model = model.eval()
        tokenizer = processor.tokenizer
        self.end_id = tokenizer.convert_tokens_to_ids("<|im_end|>")
        self.pad_id = tokenizer.pad_token_id
        self.space = {"temperature": temperature, "banned": processor.placeholder_ids}

    def forward(self, prompts: dict[str, Tensor], tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Score answers.

        Args:
            prompts: The processor's tensors, padded on the left.
            tokens: `(answers, tokens)`, padded on the right; as many answers for each prompt,
                one prompt after the other.

        Returns:
            Log-probabilities of `tokens` and the entropies of their distributions in nats (no
            gradient), both `(answers, tokens)`.
        """
        context = self._read(prompts, len(tokens) // len(prompts["input_ids"]))
        logits = context.logits.unsqueeze(1)
        if tokens.shape[1] > 1:
            following = self._extend(context, tokens[:, :-1])
            logits = torch.cat([logits, following], dim=1)
        return token_logps(logits, tokens, **self.space)

    @torch.no_grad()
    def sample(self, prompts: dict[str, Tensor], chances: Tensor) -> list[Answer]:
        """Write answers.

        Args:
            prompts: As in `forward`.
            chances: `(answers, most tokens)`, uniform in [0, 1): the answers' luck. An answer
                depends on its own row alone, whatever else is in the batch.
        """
        context = self._read(prompts, len(chances) // len(prompts["input_ids"]))
        room = chances.shape[1]
        context.cache.layers = [_RoomyLayer(layer, room) for layer in context.cache.layers]
        done = torch.zeros(len(chances), dtype=torch.bool, device=chances.device)
        steps: list[tuple[Tensor, Tensor]] = []
        for chance in chances.T:
            scores = log_probabilities(context.logits, **self.space)
            token = _draw(scores, chance)
            steps.append((token, scores.gather(1, token[:, None])[:, 0]))
            done |= token == self.end_id
            if done.all():
                break
            context.logits = self._extend(context, token[:, None])[:, -1]
        tokens, logps = (torch.stack(parts, dim=1) for parts in zip(*steps, strict=True))
        return [self._answer(*row) for row in zip(tokens.tolist(), logps.tolist(), strict=True)]

    def _answer(self, tokens: list[int], logps: list[float]) -> Answer:
        # Answers that end early are written on until the last ends, and cut here.
        if self.end_id not in tokens:
            return Answer(tokens, logps, finished=False)
        length = tokens.index(self.end_id) + 1
        return Answer(tokens[:length], logps[:length], finished=True)

    def pad(self, answers: Sequence[Answer]) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, log-probabilities and mask of answers, `(answers, tokens)`, padded right."""
        length = max(len(answer.tokens) for answer in answers)
        tokens = torch.full((len(answers), length), self.pad_id)
        logps = torch.zeros(len(answers), length)
        mask = torch.zeros(len(answers), length, dtype=torch.bool)
        for row, answer in enumerate(answers):
            own = slice(len(answer.tokens))
            tokens[row, own] = torch.tensor(answer.tokens)
            logps[row, own] = torch.tensor(answer.logps)
            mask[row, own] = True
        return tokens, logps, mask

    def _read(self, prompts: dict[str, Tensor], samples: int) -> _Context:
        """Run the prompts and repeat what came of each for its answers."""
        positions, _ = self._backbone().get_rope_index(
            prompts["input_ids"],
            mm_token_type_ids=prompts["mm_token_type_ids"],
            image_grid_thw=prompts.get("image_grid_thw"),
            attention_mask=prompts["attention_mask"],
        )
        out = self.model(
            **prompts,
            position_ids=positions,
            past_key_values=DynamicCache(),
            use_cache=True,
            logits_to_keep=1,
        )
        cache = out.past_key_values
        cache.batch_repeat_interleave(samples)
        next_position = positions.amax(dim=(0, 2)) + 1
        return _Context(
            cache,
            prompts["attention_mask"].repeat_interleave(samples, dim=0),
            next_position.repeat_interleave(samples)[:, None],
            out.logits[:, -1].repeat_interleave(samples, dim=0),
        )

    def _extend(self, context: _Context, tokens: Tensor) -> Tensor:
        """Logits `(answers, tokens, vocabulary)` after each of the next tokens."""
        context.mask = torch.cat([context.mask, torch.ones_like(tokens)], dim=1)
        steps = torch.arange(tokens.shape[1], device=tokens.device)
        positions = (context.position + steps).expand(3, -1, -1)
        context.position = context.position + tokens.shape[1]
        return self.model(
            input_ids=tokens,
            attention_mask=context.mask,
            position_ids=positions,
            past_key_values=context.cache,
            use_cache=True,
        ).logits

    def _backbone(self) -> Any:
        """Qwen3-VL's inner model, below the wrapper that LoRA puts around it."""
        whole = self.model
        return whole.get_base_model().model if hasattr(whole, "peft_config") else whole.model


def _draw(scores: Tensor, chance: Tensor) -> Tensor:
    """The token of each row at which the summed probability first exceeds its chance.

    Tokens of probability 0 are never drawn: at them the sum does not rise.
    """
    below = scores.double().exp().cumsum(dim=-1)
    # Chances are float32 and sums float64, so the product stays below the last sum.
    return (below <= chance.double()[:, None] * below[:, -1:]).sum(dim=-1)
