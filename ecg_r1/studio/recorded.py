"""Readings of the shipped examples, made once by a command, so that the first view needs none.

They are shown only while the weights and the example are those they were made with. What this
leaves out: changed examples, uploads and other models, which are always read anew.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg_r1 import __version__
from ecg_r1.inputs import open_case
from ecg_r1.shipped import shipped

if TYPE_CHECKING:
    from ecg_r1.loading import LoadedModel
    from ecg_r1.reading import Reading


@dataclass(frozen=True)
class Before:
    """Finished readings of one untouched example.

    Attributes:
        model: Name of the model that read.
        page: Arguments of `draw_page` for the page it saw.
        readings: Arm to its reading.
    """

    model: str
    page: dict[str, Any]
    readings: dict[str, "Reading"]


def fingerprint(*files: Path) -> str:
    """SHA-256 of some files, one after the other in the order of their names."""
    digest = sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def weights_fingerprint() -> str:
    """Of the shipped model's weights."""
    return fingerprint(*shipped("nano").glob("*.safetensors"))


def _example_fingerprint(file: str) -> str:
    folder, stem = shipped("ecgs"), Path(file).stem
    return fingerprint(*folder.glob(f"{stem}.*"))


def record_examples(
    model: "LoadedModel", examples: list[dict[str, Any]], out: Path
) -> Iterator[str]:
    """Read every example with a model and write the readings with where they come from.

    Args:
        model: The shipped model.
        examples: Entries of `examples.json`.
        out: The file to write.

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
        read[file] = {"sha256": _example_fingerprint(file), "arms": arms}
        yield f"{file}: {', '.join(f'{a} {one.n_tokens} tokens' for a, one in found.items())}"
    made = {
        "made_by": "python app.py --record",
        "version": __version__,
        "model": model.name,
        "page": dict(model.page),
        "weights_sha256": weights_fingerprint(),
        "examples": read,
    }
    out.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def recorded(path: Path) -> dict[str, Before]:
    """Example file to its readings; empty where the file or its provenance does not fit.

    Args:
        path: What `record_examples` wrote.
    """
    from ecg_r1.reading import Reading

    if not path.is_file():
        return {}
    made = json.loads(path.read_text(encoding="utf-8"))
    if made["weights_sha256"] != weights_fingerprint():
        return {}
    found = {}
    for file, one in made["examples"].items():
        if one["sha256"] != _example_fingerprint(file):
            continue
        # JSON has only texts as keys; steps have numbers.
        steps = {a: {int(k): v for k, v in r["steps"].items()} for a, r in one["arms"].items()}
        readings = {
            arm: Reading(**plain | {"steps": steps[arm]}) for arm, plain in one["arms"].items()
        }
        found[file] = Before(made["model"], made["page"], readings)
    return found
