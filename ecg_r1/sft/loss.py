"""What is learned of a reading: cross-entropy with smoothed numbers and heavier diagnoses."""

import re

import torch
from torch import Tensor

from ecg_r1.labels import LABELS
from ecg_r1.processing import NO_LOSS, ECGR1Processor
from ecg_r1.sft.config import SFTConfig

UNITS = (" bpm", " ms", " mm", " degrees")


class TokenLoss:
    """Cross-entropy with smoothed numbers and heavier diagnoses."""

    def __init__(self, processor: ECGR1Processor, config: SFTConfig) -> None:
        vocabulary = processor.tokenizer.get_vocab()
        numbers = {
            int(match[1]): token_id
            for token, token_id in vocabulary.items()
            if (match := re.fullmatch(r"\u0120(\d{1,3})", token))
            and str(int(match[1])) == match[1]
        }
        values = torch.tensor(sorted(numbers), dtype=torch.float32)
        self.number_ids = torch.tensor([numbers[int(v)] for v in values], dtype=torch.long)
        self.row_of = torch.full((len(processor.tokenizer),), -1)
        self.row_of[self.number_ids] = torch.arange(len(values))
        width = (config.number_smoothing * values).clamp(min=1e-3)
        distance = (values[None, :] - values[:, None]) / width[:, None]
        self.targets = torch.softmax(-0.5 * distance**2, dim=1)
        texts = processor.tokenizer.batch_decode([[i] for i in range(len(self.row_of))])
        self.is_unit = torch.tensor([t.startswith(UNITS) for t in texts])
        names = {label.text for label in LABELS}
        is_label = [text.strip() in names for text in texts]
        self.weights = 1 + (config.label_weight - 1) * torch.tensor(is_label).float()

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean loss over the tokens to learn.

        Args:
            logits: `(batch, tokens, vocabulary)`.
            labels: `(batch, tokens)`, not shifted.
        """
        sums = self.sums(logits[:, :-1], labels[:, 1:])
        return sums.sum() / self.total(labels)

    def total(self, labels: Tensor) -> Tensor:
        """Sum of the weights of the tokens to learn; labels are not shifted."""
        return self._weights(labels[:, 1:]).sum()

    def weight(self, labels: Tensor) -> Tensor:
        """Sum of the weights of each sample `(batch,)`; labels are not shifted."""
        return self._weights(labels[:, 1:]).sum(dim=1)

    def sums(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Weighted sum of the loss of each sample.

        Args:
            logits: `(batch, tokens, vocabulary)`.
            targets: The token that each of them should foretell, `(batch, tokens)`.

        Returns:
            `(batch,)`
        """
        self._move(targets.device)
        learned = targets != NO_LOSS
        scores = torch.log_softmax(logits[learned].float(), dim=-1)
        target = targets[learned]
        loss = -scores.gather(1, target[:, None])[:, 0]
        measured = self._measured(targets)[learned]
        if measured.any():
            soft = self.targets[self.row_of[target[measured]]]
            loss[measured] = -(soft * scores[measured][:, self.number_ids]).sum(dim=1)
        weighted = loss * self.weights[target]
        sample = torch.arange(len(targets), device=targets.device)[:, None].expand_as(targets)
        return torch.zeros(len(targets), device=loss.device).index_add(
            0, sample[learned], weighted
        )

    def _weights(self, targets: Tensor) -> Tensor:
        self._move(targets.device)
        return torch.where(targets == NO_LOSS, 0.0, self.weights[targets.clamp(min=0)])

    def _move(self, device: torch.device) -> None:
        if self.weights.device != device:
            for name, value in vars(self).items():
                setattr(self, name, value.to(device))

    def _measured(self, labels: Tensor) -> Tensor:
        """Where a reading states a number for the first time and with its unit.

        A threshold ("120 to 200") and a number said again have one right value.
        """
        self._move(labels.device)
        following = torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], NO_LOSS)], dim=1)
        known = labels.clamp(min=0)
        number = (self.row_of[known] >= 0) & self.is_unit[following.clamp(min=0)]
        number &= (labels != NO_LOSS) & (following != NO_LOSS)
        # Only the few numbers are looked up in what came before them.
        for sample, place in number.nonzero().tolist():
            if bool((labels[sample, :place] == labels[sample, place]).any()):
                number[sample, place] = False
        return number
