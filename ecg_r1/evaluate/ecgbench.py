"""ECGBench (Liu et al. 2024, PULSE): label sets, their parsers, and the scores.

`paper` parsers and scores do what the reference's code does, faults included; `strict` ones
know words, negations and synonyms, and count what cannot be parsed or is missing as wrong.
"""

import json
import random
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ecg_r1.claims.schema import GROUPS
from ecg_r1.ecg import ECGError
from ecg_r1.evaluate.files import Run, Truth
from ecg_r1.evaluate.stated import claims_of, diagnoses_of
from ecg_r1.evaluate.statistics import counts_of, interval, macro_auroc

Mode = Literal["strict", "paper"]
SPACES: dict[str, tuple[str, ...]] = {
    "ptbxl": ("NORM", "MI", "STTC", "CD", "HYP"),
    "cpsc": ("NORM", "AF", "I-AVB", "LBBB", "RBBB", "PAC", "PVC", "STD", "STE"),
    "code15": ("1dAVb", "RBBB", "LBBB", "SB", "ST", "AF", "NORM", "ABNORMAL"),
}
LETTERS = "ABCDEFGH"
OPTION_SETS = {"csn": 1611, "g12ec": 2026}  # rows that the reference insists on
_SEED = 42  # of the reference's random letters

# PTB-XL's diagnostic classes of SCP statements (scp_statements.csv, Wagner et al. 2020).
SUPER_OF_SCP: dict[str, str] = {
    code: name
    for name, codes in {
        "NORM": "NORM",
        "MI": "IMI ASMI ILMI AMI ALMI INJAS LMI INJAL IPLMI IPMI INJIN INJLA PMI INJIL",
        "STTC": "NDT NST_ DIG LNGQT ISC_ ISCAL ISCIN ISCIL ISCAS ISCLA ANEUR EL ISCAN",
        "CD": "LAFB IRBBB 1AVB IVCD CRBBB CLBBB LPFB WPW ILBBB 3AVB 2AVB",
        "HYP": "LVH LAO/LAE RVH RAO/RAE SEHYP",
    }.items()
    for code in codes.split()
}
_MI = tuple(f"{place} myocardial infarction" for place in
            ("anterior", "inferior", "lateral", "posterior", "septal"))  # fmt: skip
# The same classes for our labels, by the statements that each label stands for.
LABELS_OF: dict[str, dict[str, tuple[str, ...]]] = {
    "ptbxl": {
        "NORM": ("normal ecg",),
        "MI": (*_MI, "myocardial infarction"),
        "STTC": (
            "nonspecific st-t abnormality", "myocardial ischaemia", "digoxin effect",
            "prolonged qt interval", "hyperkalaemia", "hypokalaemia",
            "electrolyte disturbance", "ventricular aneurysm",
        ),
        "CD": (
            "first-degree av block", "second-degree av block", "third-degree av block",
            "wolff-parkinson-white syndrome", "left bundle branch block",
            "right bundle branch block", "incomplete left bundle branch block",
            "incomplete right bundle branch block", "left anterior fascicular block",
            "left posterior fascicular block", "nonspecific intraventricular conduction delay",
            "bundle branch block", "av block", "fascicular block",
        ),
        "HYP": (
            "left ventricular hypertrophy", "right ventricular hypertrophy",
            "left atrial abnormality", "right atrial abnormality", "ventricular hypertrophy",
            "atrial enlargement",
        ),
    },
    "cpsc": {
        "NORM": ("normal ecg",),
        "AF": ("atrial fibrillation",),
        "I-AVB": ("first-degree av block",),
        "LBBB": ("left bundle branch block",),
        "RBBB": ("right bundle branch block",),
        "PAC": ("premature atrial complexes",),
        "PVC": ("premature ventricular complexes",),
        "STD": ("st depression",),
        "STE": ("st elevation",),
    },
    "code15": {
        "1dAVb": ("first-degree av block",),
        "RBBB": ("right bundle branch block",),
        "LBBB": ("left bundle branch block",),
        "SB": ("sinus bradycardia",),
        "ST": ("sinus tachycardia",),
        "AF": ("atrial fibrillation",),
        "NORM": ("normal ecg",),
        "ABNORMAL": ("abnormal ecg",),
    },
}  # fmt: skip
# CPSC2018's own "normal" is SNOMED's sinus rhythm, alone.
_CPSC_NORMAL = "426783006"


# --- from text to classes ---------------------------------------------------------------------


def paper_classes(text: str, space: str) -> tuple[str, ...]:
    """Classes whose letters occur anywhere in a text, as the reference finds them.

    "ABNORMAL" is NORM and "MILD" is MI; a denied class counts. CODE-15 looks behind the last
    "Answer:" only, and there "ABNORMAL" is not NORM.

    Example:
        >>> paper_classes("MILD changes, ABNORMAL, no HYP", "ptbxl")
        ('NORM', 'MI', 'HYP')
    """
    if space == "code15":
        text = text.rsplit("Answer:", 1)[-1]
    found = tuple(name for name in SPACES[space] if name in text)
    if space == "code15" and "ABNORMAL" in found:
        found = tuple(name for name in found if name != "NORM")
    return found


def strict_classes(text: str, space: str) -> tuple[str, ...]:
    """Classes that a text affirms: by their letters as whole words, or by any wording we know.

    A class that is only denied or hedged does not count.

    Example:
        >>> strict_classes("MILD changes, no HYP. Inferior myocardial infarction.", "ptbxl")
        ('MI',)
    """
    known = LABELS_OF[space]
    told = set(diagnoses_of(text)) | {
        claim.name for claim in claims_of(text) if claim.polarity == "present"
        and (claim.name in GROUPS or claim.kind == "diagnosis")
    }  # fmt: skip
    by_words = {name for name, labels in known.items() if told & set(labels)}
    return tuple(name for name in SPACES[space] if name in by_words or _written(name, text))


_UNSURE_BEFORE = re.compile(
    r"\b(?:no|not|without|rather than|excludes?|absent|possibl[ey]|probabl[ey]|may|might|could|"
    r"suspected|question of|versus|vs)\b",
    re.IGNORECASE,
)
_UNSURE_AFTER = re.compile(
    r"\s*(?:\?|:\s*(?:no|absent|negative)\b|"
    r"(?:is |are |was |were |can ?not be |can't be |not )+"
    r"(?:excluded|absent|possible|likely|unlikely|seen|present|suspected|ruled out|"
    r"(?:entirely|completely) excluded)|(?:unlikely|absent|excluded|ruled out)\b)",
    re.IGNORECASE,
)
_IS_PRESENT = re.compile(r"\s*(?:is |are |was |were )(?:present|seen)\b", re.IGNORECASE)
# "ST" is CODE-15's sinus tachycardia, and in most texts a segment.
_SEGMENT = r"(?!\W{0,3}(?:segment|elevat|depress|chang|deviat|abnormal|and T|or T|T[ -]|/))"


def _written(name: str, text: str) -> bool:
    """Whether a class stands there by its letters, neither denied nor hedged in its clause."""
    more = _SEGMENT if name == "ST" else ""
    for match in re.finditer(rf"(?<![\w-]){re.escape(name)}(?![\w-]){more}", text):
        before = re.split(r"[.;,\n]", text[: match.start()])[-1]
        after = re.split(r"[.;,\n]", text[match.end() :])[0]
        unsure = _UNSURE_AFTER.match(after) and not _IS_PRESENT.match(after)
        if not unsure and not _UNSURE_BEFORE.search(before):
            return True
    return False


def paper_letter(text: str) -> str | None:
    """The option that the reference reads out of a text, None where it would draw at random.

    Raises:
        IndexError: After "The correct option is " stands nothing, as in the reference.

    Example:
        >>> paper_letter("V1-V4 and aVF. The correct option is A")
        'F'
    """
    if text in LETTERS and len(text) == 1:
        return text
    for letter in LETTERS:
        if f"{letter}." in text:
            return letter
    marker = "The correct option is "
    if marker in text:
        letter = text.split(marker)[1][0]
        return letter if letter in LETTERS else None
    if "Answer:" in text:
        behind = text.split("Answer:")[1]
        return next((letter for letter in LETTERS if letter in behind), None)
    return None


_LETTER = re.compile(
    r"(?i:<answer>)\s*\(?([A-H])\b|(?i:\banswer|\boption)(?:\s+is)?\s*:?\s*\(?([A-H])\b"
    r"|^\s*\(?([A-H])(?:[.):]|\s*$)",
    re.MULTILINE,
)


def strict_letter(text: str) -> str | None:
    """The one option that a text settles on; None where it names none.

    Example:
        >>> strict_letter("V1-V4 and aVF. The correct option is A")
        'A'
        >>> strict_letter("This ECG shows AF.") is None
        True
    """
    found = [next(filter(None, match.groups())) for match in _LETTER.finditer(text)]
    return found[-1] if found else None


# --- scores -----------------------------------------------------------------------------------


def paper_scores(
    told: Sequence[Iterable[str]], true: Sequence[Iterable[str]]
) -> dict[str, float | None]:
    """Macro F1, macro AUC of hard decisions and Hamming loss (0 to 1) of the reference.

    Classes are those that occur in the truth; a predicted class that never does is ignored. The
    AUC of a hard decision is the balanced accuracy; None where a class is true of every row.
    """
    return _hard_scores(*_matrices(told, true))


def _matrices(
    told: Sequence[Iterable[str]], true: Sequence[Iterable[str]]
) -> tuple[np.ndarray, np.ndarray]:
    """Answers and truth as `(rows, classes)` of booleans, over the classes of the truth."""
    names = sorted({name for one in true for name in one})
    sets = [[set(one) for one in many] for many in (told, true)]
    return tuple(
        np.array([[name in one for name in names] for one in many], dtype=bool).reshape(
            len(many), len(names)
        )
        for many in sets
    )


def _hard_scores(told: np.ndarray, true: np.ndarray) -> dict[str, float | None]:
    there = true.any(axis=0)
    if not there.any():
        return {"f1": None, "auc": None, "hamming": None}
    told, true = told[:, there], true[:, there]
    hits, positives, named = (told & true).sum(0), true.sum(0), told.sum(0)
    negatives = len(true) - positives
    auc = None
    if negatives.all():
        right = (~told & ~true).sum(0)
        auc = float(np.mean((hits / positives + right / negatives) / 2))
    return {
        "f1": float(np.mean(2 * hits / (positives + named))),
        "auc": auc,
        "hamming": float(np.mean(told != true)),
    }


def multi_label(
    told: Sequence[Iterable[str]],
    true: Sequence[Iterable[str]],
    patients: Sequence[str],
    scores: Sequence[dict[str, float] | None] | None = None,
) -> dict[str, Any]:
    """Scores of a set of multi-label answers with bootstrap intervals by patient.

    Args:
        told: Classes of each answer.
        true: Classes of each record.
        patients: Of each record.
        scores: Class to label score, for the AUC from probabilities; None where there is none.
    """
    told, true = [tuple(one) for one in told], [tuple(one) for one in true]
    said, are = _matrices(told, true)
    whole = paper_scores(told, true)
    found: dict[str, Any] = {"n": len(true), "classes": _class_table(told, true)}
    for name, value in whole.items():
        drawn = interval(patients, lambda k, of=name: _hard_scores(said[k], are[k])[of])
        found[name] = {
            "value": None if value is None else round(100 * value, 1),
            "ci": None if drawn is None else [round(100 * x, 1) for x in drawn],
        }
    found["auc_from_scores"] = _auc_from_scores(scores, true, patients) if scores else None
    return found


def _class_table(told: list[tuple], true: list[tuple]) -> dict[str, dict[str, Any]]:
    names = sorted({name for one in true for name in one})
    return {
        name: {
            "f1": round(counts_of(name, told, true).f1, 3),
            "positives": sum(name in one for one in true),
            "told": sum(name in one for one in told),
        }
        for name in names
    }


def _auc_from_scores(
    scores: Sequence[dict[str, float] | None], true: list[tuple], patients: Sequence[str]
) -> dict[str, Any] | None:
    """Macro AUC in per cent over classes with enough positives, with interval; None without."""
    kept = [one for one in zip(scores, true, patients, strict=True) if one[0] is not None]
    found = macro_auroc([s for s, _, _ in kept], [t for _, t, _ in kept], [p for *_, p in kept])
    if found["macro"] is None:
        return None
    return {
        "value": round(100 * found["macro"], 1),
        "ci": None if found["ci"] is None else [round(100 * x, 1) for x in found["ci"]],
        "n": len(kept),
        "classes": found["classes"],
    }


def option_accuracy(
    texts: Sequence[str], gold: Sequence[str], *, mode: Mode = "strict"
) -> dict[str, Any]:
    """Share of right options; the reference draws a letter where it finds none.

    Returns:
        `accuracy` from 0 to 100 and `unparsed`, the answers without an option.
    """
    rng = random.Random(_SEED)
    told, unparsed = [], 0
    for text in texts:
        letter = paper_letter(text) if mode == "paper" else strict_letter(text)
        unparsed += letter is None
        if letter is None and mode == "paper":
            letter = rng.choice(LETTERS)
        told.append(letter)
    right = sum(a == b for a, b in zip(told, gold, strict=True))
    return {"accuracy": round(100 * right / max(len(gold), 1), 1), "unparsed": unparsed}


# --- from a run -------------------------------------------------------------------------------


def true_classes(truth: Truth, space: str) -> tuple[str, ...]:
    """Classes of a record by its source's own codes; none where these say nothing of them."""
    if space == "ptbxl":
        found = {SUPER_OF_SCP[code] for code in truth.codes if code in SUPER_OF_SCP}
        return tuple(name for name in SPACES[space] if name in found)
    found = {n for n, labels in LABELS_OF[space].items() if set(labels) & set(truth.labels)}
    if set(truth.codes) == {_CPSC_NORMAL}:
        found.add("NORM")
    return tuple(name for name in SPACES[space] if name in found)


def ecgbench(run: Run, arm: str, space: str, condition: str = "clean") -> dict[str, Any] | None:
    """One label set of ECGBench on the records of a run.

    Classes are read from free text by the strict parser; ours name canonical labels, not
    ECGBench's letters, so the paper's parser is only reported where letters were asked for.
    The AUC from scores takes the highest score among a class's labels.

    Returns:
        Scores, or None where no record has a class of this set.
    """
    rows = [
        (truth, row, true_classes(truth, space))
        for truth, row in run.pairs(arm, condition)
        if space == "cpsc" or truth.source.startswith("ptbxl")
    ]
    known = [one for one in rows if one[2]]
    if not known:
        return None
    scores = [_class_scores(row.scores, space) for _, row, _ in known]
    return multi_label(
        [_own_classes(row.text, space) for _, row, _ in known],
        [classes for _, _, classes in known],
        [truth.patient for truth, _, _ in known],
        scores if any(scores) else None,
    )


def _own_classes(text: str, space: str) -> tuple[str, ...]:
    """Classes of a six-step reading: by its conclusions alone."""
    told = set(diagnoses_of(text))
    if space == "cpsc" and told == {"sinus rhythm"}:
        return ("NORM",)
    return tuple(n for n, labels in LABELS_OF[space].items() if told & set(labels))


def _class_scores(scores: dict[str, float] | None, space: str) -> dict[str, float] | None:
    if scores is None:
        return None
    return {
        name: max((scores[label] for label in labels if label in scores), default=-np.inf)
        for name, labels in LABELS_OF[space].items()
    }


# --- ECGBench's own files ---------------------------------------------------------------------


def read_answers(path: Path) -> dict[str, str]:
    """Texts of a jsonl file by their id, gold or predicted.

    The id is `question_id`, `id` or the image's name; the text is `answer`, `text`, `response`
    or the last turn of `conversations`.

    Raises:
        ECGError: A line has neither.
    """
    found: dict[str, str] = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                key = next(str(row[n]) for n in ("question_id", "id", "image") if n in row)
                found[key] = _text_of(row)
            except (ValueError, StopIteration, TypeError, LookupError) as error:
                raise ECGError(
                    f"{path}, line {number} has no id and answer of ECGBench: {line[:80]!r}"
                ) from error
    return found


def _text_of(row: dict[str, Any]) -> str:
    for name in ("answer", "text", "response", "label"):
        if isinstance(row.get(name), str):
            return row[name]
    turn = row["conversations"][-1]
    return turn["value"] if "value" in turn else turn["content"]


def score_files(gold: Path, told: Path, space: str, *, mode: Mode = "strict") -> dict[str, Any]:
    """Scores of a file of predictions against a file of ECGBench.

    In the paper's mode rows without a prediction are left out; strictly they are wrong.
    ECGBench does not say whose ECGs its rows are: intervals draw rows, not patients.

    Args:
        gold: ECGBench's own jsonl.
        told: A model's answers by the same ids.
        space: A key of `SPACES`, or "csn" or "g12ec".
        mode: "strict" or "paper".

    Raises:
        ECGError: An unknown set, or no id in common.
    """
    if space not in SPACES and space not in OPTION_SETS:
        known = ", ".join((*SPACES, *OPTION_SETS))
        raise ECGError(f"{space!r} is no set of ECGBench; choose from {known}")
    right, answers = read_answers(gold), read_answers(told)
    keys = [key for key in right if key in answers or mode == "strict"]
    if not any(key in answers for key in keys):
        raise ECGError(f"{told.name} answers none of the {len(right)} questions of {gold.name}")
    texts, golds = [answers.get(key, "") for key in keys], [right[key] for key in keys]
    missing = {"missing": sum(key not in answers for key in right)}
    if space in OPTION_SETS:
        letters = [paper_letter(one) or strict_letter(one) or "" for one in golds]
        return option_accuracy(texts, letters, mode=mode) | missing
    parse = paper_classes if mode == "paper" else strict_classes
    true = [paper_classes(one, space) for one in golds]
    return multi_label([parse(one, space) for one in texts], true, keys) | missing
