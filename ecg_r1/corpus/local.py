"""Readings by a language model on this machine, through transformers."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ecg_r1.corpus.journal import Answer, Job, Journal, fingerprint
from ecg_r1.corpus.prompt import messages

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class LocalWriter:
    """Asks a model in this process; nothing leaves the machine, so nothing is refused.

    Args:
        model: An instruction model.
        tokenizer: Its tokenizer, with a chat template.
        journal: Keeps every answer; what it holds already is not asked again.
        max_new_tokens: Of an answer.
        temperature: Of the sampling; 0 takes the most likely token.
    """

    def __init__(
        self,
        model: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerBase",
        journal: Journal,
        *,
        max_new_tokens: int = 2048,
        temperature: float = 0.7,
    ) -> None:
        self.model, self.tokenizer, self.journal = model.eval(), tokenizer, journal
        self.max_new_tokens, self.temperature = max_new_tokens, temperature

    @classmethod
    def load(cls, folder: str, journal: Journal, **options: Any) -> "LocalWriter":
        """A writer with the model of a folder, or of a name that transformers finds.

        Args:
            folder: Where the model is.
            journal: As in the constructor.
            options: `gguf_file` names a file of the folder; the rest goes to the constructor.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415

        gguf = {"gguf_file": options.pop("gguf_file")} if "gguf_file" in options else {}
        model = AutoModelForCausalLM.from_pretrained(folder, **gguf)
        return cls(model, AutoTokenizer.from_pretrained(folder, **gguf), journal, **options)

    @property
    def name(self) -> str:
        """What the journal knows the model as."""
        return str(self.model.config.name_or_path)

    def answers(self, jobs: Iterable[Job]) -> Iterator[Answer]:
        """An answer for each job, in their order."""
        for job in jobs:
            chat = messages(job.plan)
            key = fingerprint(self.name, chat)
            kept = self.journal.find(key)
            if kept is None:
                kept = self.complete(job.sample_id, chat)
                self.journal.keep(key, kept)
            yield replace(kept, sample_id=job.sample_id)

    def complete(self, sample_id: str, chat: list[dict[str, str]]) -> Answer:
        """The model's answer to one chat."""
        import torch  # noqa: PLC0415

        inputs = self.tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
        ).to(self.model.device)
        sampling: dict[str, Any] = {"do_sample": self.temperature > 0}
        if self.temperature > 0:
            sampling["temperature"] = self.temperature
        with torch.inference_mode():
            tokens = self.model.generate(
                **inputs, max_new_tokens=self.max_new_tokens, **sampling
            )
        asked = inputs["input_ids"].shape[1]
        new = tokens[0, asked:]
        return Answer(
            sample_id,
            str(self.tokenizer.decode(new, skip_special_tokens=True)).strip(),
            prompt_tokens=asked,
            completion_tokens=len(new),
            finish_reason="length" if len(new) >= self.max_new_tokens else "stop",
        )
