"""Readings of the shipped examples, made once by a command, so that the first view needs none.

They are shown only while the model and the example are those they were made with; a test reads
one of them anew. What this leaves out: changed examples, uploads and other models, which are
always read anew.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg_r1 import __version__
from ecg_r1.inputs import open_case
from ecg_r1.report import Reading
from ecg_r1.shipped import shipped

if TYPE_CHECKING:
    from ecg_r1.loading import LoadedModel

# In the model's folder, and without a say in what it reads.
NOT_THE_MODEL = ("README.md", "run.json", "rewards.png")


@dataclass(frozen=True)
class Asked:
    """Who read, and what it was asked.

    Attributes:
        name: Of the model.
        system: Its system prompt.
        question: Its question.
        page: Arguments of `draw_page` for the page it saw.
        warnings: What a reader of its readings must know.
        version: Commit of a checkpoint from the hub; empty for others.
    """

    name: str
    system: str
    question: str
    page: Mapping[str, Any]
    warnings: Sequence[str] = ()
    version: str = ""

    @classmethod
    def of(cls, model: "LoadedModel") -> "Asked":
        """The same of a loaded model."""
        prompt = model.processor.prompt
        # Where the hub's cache keeps what it has downloaded.
        commit = re.search(r"snapshots[/\\]([0-9a-f]{40})", model.model.name_or_path)
        return cls(
            name=model.name,
            system=prompt.system,
            question=prompt.question,
            page=dict(model.page),
            warnings=model.warnings,
            version=commit[1] if commit else "",
        )


@dataclass(frozen=True)
class Before:
    """Finished readings of one untouched example.

    Attributes:
        asked: Who read.
        arms: Arm to its reading as plain Python.
    """

    asked: Asked
    arms: Mapping[str, Mapping[str, Any]]

    def readings(self) -> dict[str, Reading]:
        """Arm to its reading."""
        # JSON has only texts as keys; steps have numbers.
        return {
            arm: Reading(**{**one, "steps": {int(n): t for n, t in one["steps"].items()}})
            for arm, one in self.arms.items()
        }


def fingerprint(*files: Path) -> str:
    """SHA-256 of some files, one after the other in the order of their names."""
    digest = sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def model_fingerprint() -> str:
    """Of the shipped model: weights, sizes, tokens, prompt."""
    files = [file for file in shipped("nano").glob("*.*") if file.name not in NOT_THE_MODEL]
    return fingerprint(*files)


def example_fingerprint(file: str) -> str:
    """Of an example's files.

    Args:
        file: Its name in `assets/ecgs`.
    """
    return fingerprint(*shipped("ecgs").glob(f"{Path(file).stem}.*"))


def record_examples(
    model: "LoadedModel", examples: list[dict[str, Any]], out: Path
) -> Iterator[str]:
    """Read every example with a model and write the readings with where they come from.

    Args:
        model: The shipped model.
        examples: Entries of `examples.json`.
        out: The file to write; it is written whole, once all have been read.

    Yields:
        A line for each example, to be shown.
    """
    from ecg_r1.reading import interpret  # brings torch

    read: dict[str, Any] = {}
    for example in examples:
        file = example["file"]
        case = open_case([shipped(f"ecgs/{file}")])
        found = interpret(ecg=case.ecg, image=case.image, model=model)
        arms = {arm: asdict(one) for arm, one in found.items()}
        read[file] = {"sha256": example_fingerprint(file), "arms": arms}
        yield f"{file}: {', '.join(f'{a} {one.n_tokens} tokens' for a, one in found.items())}"
    made = {
        "made_by": "python app.py --record",
        "version": __version__,
        "model_sha256": model_fingerprint(),
        "asked": asdict(Asked.of(model)),
        "examples": read,
    }
    out.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def recorded(path: Path) -> dict[str, Before]:
    """Example file to its readings; empty where the file or its provenance does not fit.

    Args:
        path: What `record_examples` wrote.
    """
    if not path.is_file():
        return {}
    made = json.loads(path.read_text(encoding="utf-8"))
    if made["model_sha256"] != model_fingerprint():
        return {}
    asked = Asked(**made["asked"])
    return {
        file: Before(asked, one["arms"])
        for file, one in made["examples"].items()
        if one["sha256"] == example_fingerprint(file)
    }
