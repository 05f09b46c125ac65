"""Rewards for reinforcement learning, with TRL's signature.

Each is a pure function of a batch of completions (strings or message lists) and of columns of
the data set, and returns one number for each completion, or None where it cannot judge. `paper`
rewards are ECG-R1's own; `strict` ones, our default, are hard to cheat.
"""

from ecg_r1.rewards.paper import (
    paper_diagnosis_reward,
    paper_evidence_reward,
    paper_format_reward,
    soft_overlong_reward,
)
from ecg_r1.rewards.strict import (
    strict_diagnosis_reward,
    strict_evidence_reward,
    strict_format_reward,
)

# Names on the command line.
REWARDS = {
    "paper_format": paper_format_reward,
    "paper_diagnosis": paper_diagnosis_reward,
    "paper_evidence": paper_evidence_reward,
    "soft_overlong": soft_overlong_reward,
    "strict_format": strict_format_reward,
    "strict_diagnosis": strict_diagnosis_reward,
    "strict_evidence": strict_evidence_reward,
}

__all__ = [
    "REWARDS",
    "paper_diagnosis_reward",
    "paper_evidence_reward",
    "paper_format_reward",
    "soft_overlong_reward",
    "strict_diagnosis_reward",
    "strict_evidence_reward",
    "strict_format_reward",
]
