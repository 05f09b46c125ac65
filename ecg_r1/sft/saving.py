"""States to resume from that survive a kill at any moment; a clear word on a full disk."""

import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecg_r1.ecg import ECGError

COMPLETE = "complete.json"  # written last into a state's folder


def states(folder: Path) -> list[Path]:
    """Folders of states, the newest last, finished or not."""
    found = [path for path in folder.glob("checkpoint-*") if path.name[11:].isdigit()]
    return sorted(found, key=lambda path: int(path.name[11:]))


def newest_complete(folder: Path) -> Path | None:
    """The newest state that was saved to its end."""
    return next((s for s in reversed(states(folder)) if (s / COMPLETE).is_file()), None)


def remove_halves(folder: Path) -> list[Path]:
    """Delete states that a kill cut short; returns which."""
    halves = [state for state in states(folder) if not (state / COMPLETE).is_file()]
    for half in halves:
        shutil.rmtree(half)
    return halves


def mark_complete(state: Path, facts: dict[str, float]) -> None:
    """Say that a state is whole, together with facts to keep with it."""
    beside = state / "complete.tmp"
    beside.write_text(json.dumps(facts), encoding="utf-8")
    beside.replace(state / COMPLETE)


def facts_of(state: Path | None) -> dict[str, float]:
    """What `mark_complete` kept; empty without a state."""
    return json.loads((state / COMPLETE).read_text(encoding="utf-8")) if state else {}


@contextmanager
def told_when_full(folder: Path) -> Iterator[None]:
    """Turn the many errors of a full disk into one line that says what to do.

    Raises:
        ECGError: The disk is full. Other errors stay what they are.
    """
    try:
        yield
    except Exception as error:
        free = shutil.disk_usage(folder).free
        said = str(error)
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        # safetensors and torch wrap the system's error in their own words.
        full |= "os error 28" in said or "No space left" in said
        full |= "PytorchStreamWriter failed" in said and free < 2**20
        if not full:
            raise
        last = newest_complete(folder)
        state = (
            f"{last.name} is the last complete state" if last else "no state is complete yet"
        )
        raise ECGError(
            f"the disk of {folder} is full ({free // 2**20} MB free): {state}; free some space "
            "and run the same command again"
        ) from error
