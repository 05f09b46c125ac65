"""Groups of answers: played, rewarded, and played again where all answers earn the same."""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from accelerate import Accelerator
from accelerate.utils import gather_object

from ecg_r1.ecg import ECGError
from ecg_r1.rl.config import RLConfig
from ecg_r1.rl.policy import Answer, Policy
from ecg_r1.rl.prompts import PromptStream

# (completions, **columns) to one number for each completion, or None where it cannot judge.
Reward = Callable[..., list[float | None]]
GIVEN = ("prompts", "completion_ids", "max_length", "cache")  # beside the rows' columns


@dataclass(frozen=True)
class Group:
    """A prompt with its answers and what they earned.

    Attributes:
        place: Of the prompt in the stream.
        environment: Which modalities it showed.
        answers: The answers.
        texts: The answers as text.
        rewards: For each answer one number a reward, NaN where a reward did not judge.
        totals: Weighted sum for each answer.
    """

    place: int
    environment: str
    answers: list[Answer]
    texts: list[str]
    rewards: list[list[float]]
    totals: list[float]

    @property
    def teaches(self) -> bool:
        """Whether any answer earned more than another."""
        return len(set(self.totals)) > 1


@dataclass(frozen=True)
class Batch:
    """What a step learns from.

    Attributes:
        groups: The groups, as many as the configuration says, flat ones only where the retries
            did not bring enough others.
        played: Groups played for it.
        flat: How many of those taught nothing.
        tokens: Tokens sampled for it.
        next_place: Where the stream goes on.
    """

    groups: list[Group]
    played: int
    flat: int
    tokens: int
    next_place: int


class Rewards:
    """Several rewards as one: checked before a run starts, weighted, with a name each.

    Args:
        functions: With TRL's signature; each at most once.
        weights: One each; empty for ones.
        max_length: Longest answer in tokens, for rewards that ask.

    Raises:
        ValueError: If there is none, one comes twice, or the weights do not fit.
    """

    def __init__(
        self, functions: Sequence[Reward], weights: Sequence[float], max_length: int
    ) -> None:
        self.functions = list(functions)
        self.names = [function.__name__ for function in self.functions]
        self.weights = list(weights) or [1.0] * len(self.functions)
        # A quarter, as 512 of the paper's 2,048.
        self.limits = {"max_length": max_length, "cache": max(max_length // 4, 1)}
        if not self.functions or len(set(self.names)) < len(self.names):
            raise ValueError(f"give at least one reward and each once, got {self.names}")
        if len(self.weights) != len(self.functions):
            raise ValueError(f"{len(self.weights)} weights for {len(self.functions)} rewards")

    def check(self, row: dict[str, Any]) -> None:
        """Refuse rows that lack what a reward reads.

        Raises:
            ECGError: If a column is missing; names it and the reward.
        """
        for name, function in zip(self.names, self.functions, strict=True):
            for parameter in list(inspect.signature(function).parameters.values())[1:]:
                needed = parameter.kind is not parameter.VAR_KEYWORD
                needed &= parameter.default is parameter.empty
                if needed and parameter.name not in (*row, *GIVEN):
                    raise ECGError(
                        f"{name} needs a column {parameter.name!r}; the rows have {sorted(row)}"
                    )

    def __call__(
        self, texts: Sequence[str], tokens: Sequence[Sequence[int]], row: dict[str, Any]
    ) -> tuple[list[list[float]], list[float]]:
        """Numbers and weighted sums for the answers to one row."""
        columns = {name: [value] * len(texts) for name, value in row.items()}
        columns |= {"prompts": [row["id"]] * len(texts), "completion_ids": list(tokens)}
        told = [function(texts, **columns, **self.limits) for function in self.functions]
        rows = [
            [math.nan if value is None else float(value) for value in values]
            for values in zip(*told, strict=True)
        ]
        return rows, [self._total(values) for values in rows]

    def _total(self, values: Sequence[float]) -> float:
        pairs = zip(values, self.weights, strict=True)
        return sum(value * weight for value, weight in pairs if not math.isnan(value))


@dataclass(frozen=True)
class Player:
    """Samples and rewards groups, each process its share of the prompts."""

    accelerator: Accelerator
    policy: Policy
    stream: PromptStream
    rewards: Rewards
    config: RLConfig
    max_new_tokens: int

    def batch(self, place: int) -> Batch:
        """Play until enough groups teach, or the retries are used up.

        Args:
            place: Where in the stream to begin.
        """
        config = self.config
        kept: list[Group] = []
        flat: list[Group] = []
        for _ in range(1 + config.retries):
            wanted = config.prompts - len(kept)
            played = self._play(range(place, place + wanted))
            place += wanted
            kept += [group for group in played if group.teaches]
            flat += [group for group in played if not group.teaches]
            if len(kept) == config.prompts:
                break
        answers = [answer for group in kept + flat for answer in group.answers]
        return Batch(
            kept + flat[: config.prompts - len(kept)],
            played=len(kept) + len(flat),
            flat=len(flat),
            tokens=sum(len(answer.tokens) for answer in answers),
            next_place=place,
        )

    def _play(self, places: Sequence[int]) -> list[Group]:
        """Groups of all processes, in the order of their places."""
        me, world = self.accelerator.process_index, self.accelerator.num_processes
        mine = places[me::world]
        size = self.config.sample_prompts
        own = [
            group
            for start in range(0, len(mine), size)
            for group in self._sample(mine[start : start + size])
        ]
        return sorted(gather_object(own), key=lambda group: group.place)

    def _sample(self, places: Sequence[int]) -> list[Group]:
        device, samples = self.accelerator.device, self.config.samples
        prompts = self.stream.inputs(places, device)
        chances = self.stream.chances(places, samples, self.max_new_tokens).to(device)
        with self.accelerator.autocast():
            answers = self.policy.sample(prompts, chances)
        return [
            self._group(place, answers[i * samples : (i + 1) * samples])
            for i, place in enumerate(places)
        ]

    def _group(self, place: int, answers: list[Answer]) -> Group:
        texts = [
            self.stream.processor.tokenizer.decode(answer.tokens, skip_special_tokens=True)
            for answer in answers
        ]
        tokens = [answer.tokens for answer in answers]
        rewards, totals = self.rewards(texts, tokens, self.stream.columns(place))
        return Group(place, self.stream.environment(place), answers, texts, rewards, totals)
