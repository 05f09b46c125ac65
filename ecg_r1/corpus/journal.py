"""Answers of a language model, each kept on disk the moment it is there."""

import hashlib
import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ecg_r1.corpus.statement import Plan


@dataclass(frozen=True)
class Job:
    """One reading to be written.

    Attributes:
        sample_id: Key of the sample.
        plan: What to say.
        restricted: Under a data-use agreement.
    """

    sample_id: str
    plan: Plan
    restricted: bool = False


@dataclass(frozen=True)
class Answer:
    """What a model wrote, or why it wrote nothing.

    Attributes:
        sample_id: Key of the sample.
        text: The answer, unverified; "" when there is none.
        error: Why there is none; "" when there is one.
        prompt_tokens: As the endpoint counted them.
        completion_tokens: As the endpoint counted them.
        finish_reason: "stop", or "length" where the answer was cut.
    """

    sample_id: str
    text: str
    error: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish_reason: str = "stop"


def fingerprint(model: str, chat: Sequence[Mapping[str, str]]) -> str:
    """What an answer belongs to: another model or another plan is another question."""
    return hashlib.sha256(json.dumps([model, list(chat)]).encode()).hexdigest()[:24]


class Journal:
    """A file of finished answers, one JSON line each; safe to kill at any time.

    Args:
        path: The file; made when missing. A last line cut off by a kill is dropped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._known: dict[str, Answer] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._read()

    def _read(self) -> None:
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        for number, line in enumerate(whole.decode("utf-8").splitlines(), 1):
            try:
                entry = json.loads(line)
                key = entry.pop("fingerprint")
                self._known[key] = Answer(**entry)
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{self.path}, line {number} is no answer of ours ({error}): "
                    f"move the file away, or remove the line: {line[:80]!r}"
                ) from error

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key: str) -> Answer | None:
        """The answer kept under a fingerprint."""
        return self._known.get(key)

    def keep(self, key: str, answer: Answer) -> None:
        """Write an answer through to the disk; threads may do so at once."""
        line = json.dumps({"fingerprint": key, **asdict(answer)}) + "\n"
        with self._lock, self.path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
            self._known[key] = answer
