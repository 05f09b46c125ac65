"""Published instruction corpora, read in their own format.

ECG-Protocol-Guided-Grounding-CoT and the rewritten ECGInstruct hold one JSON object a line:
`id`, `messages` (system, user, assistant, in turns), `images` and `objects.ecg` (paths of
WFDB records without suffix); ECGInstruct as first published holds `conversations` (from human,
gpt) and `image`. Records and pictures stay where the user has them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ecg_r1.corpus.task import Task, hashed_split
from ecg_r1.ecg import ECGError
from ecg_r1.labels import canonical, in_order
from ecg_r1.report import parse_report

_ROLES = {"human": "user", "gpt": "assistant"}
RECORD_SUFFIXES = ("", ".hea", ".dcm", ".csv", ".npy")
# Names on the way to a record that come under MIMIC's data-use agreement.
_RESTRICTED = "mimic"


def published_tasks(file: Path) -> Iterator[Task]:
    """Tasks for a published corpus; its texts are kept as they are.

    The answer key is what its `<answer>` names, where it has one.

    Args:
        file: One JSON object a line. Paths in it are looked for below the file's folder.

    Raises:
        ECGError: No such file, or a line that is no JSON object; quotes its number.
    """
    if not file.is_file():
        raise ECGError(f"no such file: {file}")
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _published_task(file, _sample(line, file, number), number)


def _sample(line: str, file: Path, number: int) -> dict[str, Any]:
    try:
        sample = json.loads(line)
    except json.JSONDecodeError as error:
        raise ECGError(
            f"{file.name}, line {number}: {line.strip()[:40]!r} is no JSON object; "
            "a corpus holds one on each line"
        ) from error
    if not isinstance(sample, dict):
        raise ECGError(f"{file.name}, line {number}: {line.strip()[:40]!r} is no JSON object")
    return sample


def _published_task(file: Path, sample: dict[str, Any], number: int) -> Task:
    messages = _messages(sample)
    wanted = _first((sample.get("objects") or {}).get("ecg") or sample.get("ecg"))
    pictured = _first(sample.get("images") or sample.get("image"))
    record = _found(file.parent, wanted, RECORD_SUFFIXES)
    picture = _found(file.parent, pictured, ("",))
    answer = messages[-1]["content"] if messages else ""
    key = f"{sample.get('id') or number}"
    problem = ""
    if not answer:
        problem = "its last message is not the assistant's, so there is nothing to learn"
    elif not record:
        problem = f"its record {wanted!r} is not below {file.parent}"
    return Task(
        file.stem,
        str(record),
        in_order(label for x in parse_report(answer).diagnoses if (label := canonical(x))),
        hashed_split(f"{file.stem} {wanted}"),
        key=key,
        restricted=_RESTRICTED in f"{file} {wanted} {pictured}".lower(),
        messages=json.dumps(messages, ensure_ascii=False),
        picture=str(picture),
        problem=problem,
    )


def _messages(sample: dict[str, Any]) -> list[dict[str, str]]:
    """Role and content of each turn; none where the sample does not end with an answer."""
    turns = sample.get("messages") or sample.get("conversations") or []
    messages = []
    for turn in turns:
        role = str(turn.get("role") or turn.get("from"))
        content = str(turn.get("content") or turn.get("value") or "")
        messages.append({"role": _ROLES.get(role, role), "content": content})
    return messages if messages and messages[-1]["role"] == "assistant" else []


def _first(paths: Any) -> str:
    return str(paths[0]) if isinstance(paths, list) and paths else str(paths or "")


def _found(folder: Path, name: str, suffixes: tuple[str, ...]) -> Path | str:
    """Where a file lies; empty where it does not, or lies outside of the folder."""
    if not name:
        return ""
    for suffix in suffixes:
        path = folder / f"{name}{suffix}"
        if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            return path
    return ""
