"""Interleaved Modality Dropout: which inputs a training sample shows, and in which order.

Source: ECG-R1 (arXiv:2602.04279), section on Interleaved Modality Dropout.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

# The four environments, named by what the prompt shows, in its order.
ENVIRONMENTS = ("signal", "image", "signal+image", "image+signal")
# What stands in a prompt's text for an input, by modality.
TAGS = {"signal": "<ecg>", "image": "<image>"}


@dataclass(frozen=True)
class ModalityDropout:
    """Draws the environment of a sample.

    With `p_drop` one of the two modalities is hidden, each as likely as the other; with
    `p_swap` the image stands before the signal. The released code does this twice for each
    sample by mistake, which `draws=2` reproduces: both survive in 25 % of the samples instead
    of 50 %.

    Attributes:
        p_drop: Probability that one modality is hidden.
        p_swap: Probability that the order is swapped.
        draws: 1 as in the paper, 2 as in the reference's code.

    Example:
        >>> ModalityDropout(p_drop=0.0, p_swap=1.0).environment("a", seed=0, epoch=0)
        'image+signal'
    """

    p_drop: float = 0.5
    p_swap: float = 0.1
    draws: int = 1

    def __post_init__(self) -> None:
        for name in ("p_drop", "p_swap"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in 0..1, got {getattr(self, name)}")
        if self.draws not in (1, 2):
            raise ValueError(f"draws must be 1 (paper) or 2 (reference code), got {self.draws}")

    @classmethod
    def named(cls, name: str) -> "ModalityDropout":
        """A known setting: "paper", "paper-code" (drawn twice, by mistake) or "none".

        Raises:
            ValueError: If the name is another.

        Example:
            >>> ModalityDropout.named("paper-code").draws
            2
        """
        if name not in _NAMED:
            raise ValueError(f"dropout {name!r} is none of {', '.join(_NAMED)}")
        return cls(**_NAMED[name])

    def environment(
        self,
        sample_id: str,
        *,
        seed: int,
        epoch: int,
        present: Sequence[str] = ("signal", "image"),
    ) -> str:
        """The environment of one sample in one epoch.

        It depends on the arguments alone, so it is the same in every worker and process.

        Args:
            sample_id: Key of the sample.
            seed: Seed of the run.
            epoch: Number of the pass over the data.
            present: What the sample has, in the order of its prompt; a single modality is
                never dropped.

        Returns:
            One of `ENVIRONMENTS`.
        """
        kept = list(present)
        swapped = False
        for draw in range(self.draws):
            drop, which, swap = _uniforms(f"{seed}|{epoch}|{sample_id}|{draw}")
            if drop < self.p_drop and len(kept) == 2:
                kept.pop(int(which * 2))
            swapped ^= swap < self.p_swap
        return "+".join(reversed(kept) if swapped else kept)


_NAMED: dict[str, dict[str, float]] = {
    "paper": {},
    "paper-code": {"draws": 2},
    "none": {"p_drop": 0.0, "p_swap": 0.0},
}


def arrange_tags(content: str, environment: str) -> str:
    r"""The words of a prompt with the tags of an environment, in its order.

    A tag that is dropped goes with its own line where it stands alone on one, otherwise with
    one of the blanks beside it; nothing else of the text changes. The reference's code
    collapses all blanks and lines of such a sample, which tells the model what is missing.

    Args:
        content: Has "<ecg>" and "<image>" at most once each.
        environment: One of `ENVIRONMENTS`.

    Raises:
        ValueError: If a tag of the environment is not in the content, or one stands twice.

    Example:
        >>> arrange_tags("<ecg><image>\nWhat is it?\n\nA. AF", "image")
        '<image>\nWhat is it?\n\nA. AF'
        >>> arrange_tags("<ecg>\n<image>\nWhat is it?", "image+signal")
        '<image>\n<ecg>\nWhat is it?'
    """
    wanted = [TAGS[name] for name in environment.split("+")]
    found = re.findall("<ecg>|<image>", content)
    for tag in TAGS.values():
        if found.count(tag) > 1:
            raise ValueError(f"{tag} stands {found.count(tag)} times in {content[:60]!r}")
    for tag in wanted:
        if tag not in found:
            raise ValueError(
                f"there is data for {tag}, but the prompt {content[:60]!r} lacks it"
            )
    for tag in set(found) - set(wanted):
        content = _without(content, tag)
    order = iter(wanted)
    return re.sub("<ecg>|<image>", lambda _: next(order), content)


def _without(content: str, tag: str) -> str:
    before, after = content.split(tag)
    first = before == "" or before.endswith("\n")
    if first and after.startswith("\n"):
        return before + after[1:]
    if after == "" and before.endswith("\n"):
        return before[:-1]
    if first or before.endswith(" "):
        return before + after.removeprefix(" ")
    return before + after


def _uniforms(key: str) -> tuple[float, float, float]:
    """Three numbers in [0, 1) that look random and depend on the key alone."""
    digest = hashlib.blake2b(key.encode(), digest_size=24).digest()
    return tuple(int.from_bytes(digest[i : i + 8], "big") / 2**64 for i in (0, 8, 16))
