"""The arithmetic of DAPO: advantages, log-probabilities, the clipped loss.

Source: Shao et al. 2024, DeepSeekMath (GRPO), arXiv:2402.03300; Yu et al. 2025, DAPO,
arXiv:2503.14476. Shapes: answers stand in rows, `samples` of one prompt below each other.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def group_advantages(rewards: Tensor, *, eps: float = 1e-4) -> Tensor:
    """How much better than its prompt's other answers each answer was.

    Args:
        rewards: `(prompts, samples)`, at least two samples.
        eps: Keeps the division finite, in reward units; the reference's.

    Returns:
        `(prompts, samples)`: (reward - mean) / (standard deviation + eps) of each prompt, the
        deviation with samples - 1 below. A prompt whose answers all earn the same gets zeros.

    Raises:
        ValueError: If there are fewer than two samples.

    Example:
        >>> group_advantages(torch.tensor([[0.0, 2.0], [1.0, 1.0]]), eps=0)[0]
        tensor([-0.7071,  0.7071])
    """
    if rewards.shape[1] < 2:
        raise ValueError(f"a group needs at least 2 answers, got {rewards.shape[1]}")
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    # Compared, not divided: rounding in the mean would make equal rewards look different.
    same = (rewards == rewards[:, :1]).all(dim=1, keepdim=True)
    return torch.where(same, 0.0, centred / (rewards.std(dim=1, keepdim=True) + eps))


def log_probabilities(
    logits: Tensor, *, temperature: float = 1.0, banned: Sequence[int] = ()
) -> Tensor:
    """Log-probabilities of all tokens as the sampler sees them.

    Args:
        logits: `(..., vocabulary)`.
        temperature: Divides the logits.
        banned: Tokens that are never sampled and get minus infinity.
    """
    logits = logits.float() / temperature
    if banned:
        ids = torch.tensor(banned, device=logits.device)
        logits = logits.index_fill(-1, ids, float("-inf"))
    return logits.log_softmax(dim=-1)


def token_logps(
    logits: Tensor, tokens: Tensor, *, temperature: float = 1.0, banned: Sequence[int] = ()
) -> tuple[Tensor, Tensor]:
    """Log-probability of each sampled token, and how undecided the policy was there.

    Args:
        logits: `(answers, tokens, vocabulary)`, each before its token.
        tokens: `(answers, tokens)`.
        temperature: See `log_probabilities`.
        banned: See `log_probabilities`.

    Returns:
        Log-probabilities and entropies in nats (these without gradient), `(answers, tokens)`.

    Example:
        >>> logps, entropies = token_logps(torch.zeros(1, 1, 4), torch.tensor([[2]]))
        >>> logps.exp(), entropies.exp()  # one of four, all alike
        (tensor([[0.2500]]), tensor([[4.]]))
    """
    scores = log_probabilities(logits, temperature=temperature, banned=banned)
    entropies = torch.special.entr(scores.detach().exp()).sum(dim=-1)
    return scores.gather(-1, tokens.unsqueeze(-1)).squeeze(-1), entropies


def dapo_loss(
    logps: Tensor,
    old_logps: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.3,
    n_tokens: float | None = None,
) -> Tensor:
    """Clipped policy loss, averaged over tokens and not over answers.

    The reference calls it "bnpo" and averages each process' part by itself; this is the mean
    over the whole batch, however it is cut ("dapo" in TRL).

    Args:
        logps: `(answers, tokens)`, of the sampled tokens under the policy that learns.
        old_logps: `(answers, tokens)`, when they were sampled.
        advantages: `(answers,)`.
        mask: `(answers, tokens)`, true where a token counts.
        clip_low: A token made likelier or less likely by more than this share of its old
            probability stops teaching; below.
        clip_high: The same above; wider, so that rare tokens can grow ("clip-higher").
        n_tokens: Tokens of the whole batch, where this is a part of it.

    Returns:
        A scalar; summed over the parts of a batch it is the batch's loss.

    Example:
        >>> old, mask = torch.tensor([[0.5]]).log(), torch.ones(1, 1)
        >>> dapo_loss(torch.tensor([[0.9]]).log(), old, torch.tensor([2.0]), mask)
        tensor(-2.6000)
    """
    ratio, gain = _ratio_and_gain(logps, old_logps, advantages, mask)
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    total = -torch.minimum(ratio * gain, clipped * gain).sum()
    return total / max(mask.sum() if n_tokens is None else n_tokens, 1)


def clipped_tokens(
    logps: Tensor,
    old_logps: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.3,
) -> tuple[Tensor, Tensor]:
    """How many tokens the clipping keeps from teaching, below and above.

    Args:
        logps: As in `dapo_loss`, and so are the others.
        old_logps: As in `dapo_loss`.
        advantages: As in `dapo_loss`.
        mask: As in `dapo_loss`.
        clip_low: As in `dapo_loss`.
        clip_high: As in `dapo_loss`.
    """
    ratio, gain = _ratio_and_gain(logps, old_logps, advantages, mask)
    low = ((ratio < 1 - clip_low) & (gain < 0)).sum()
    return low, ((ratio > 1 + clip_high) & (gain > 0)).sum()


def _ratio_and_gain(
    logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    # Selected, not multiplied by 0: padding may hold infinities.
    mask = mask.bool()
    gain = advantages.unsqueeze(1).expand_as(logps)[mask]
    return (logps[mask] - old_logps[mask]).exp(), gain


def kl_penalty(
    logps: Tensor, ref_logps: Tensor, mask: Tensor, *, n_tokens: float | None = None
) -> Tensor:
    """Divergence from a reference policy, estimated from the sampled tokens, never negative.

    Args:
        logps: `(answers, tokens)`, under the policy that learns.
        ref_logps: `(answers, tokens)`, under the reference.
        mask: `(answers, tokens)`, true where a token counts.
        n_tokens: As in `dapo_loss`.

    Returns:
        Mean over tokens of r - log r - 1 with r = reference probability / probability.

    Source:
        Schulman 2020, http://joschu.net/blog/kl-approx.html ("k3")
    """
    mask = mask.bool()
    log_r = ref_logps[mask] - logps[mask]
    return (log_r.exp() - log_r - 1).sum() / max(
        mask.sum() if n_tokens is None else n_tokens, 1
    )
