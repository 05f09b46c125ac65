"""Words of ECG texts and the canonical names they stand for.

Patterns are matched in lower case; the earliest wins, and of several at one place the first in
this table. Diagnoses come from `ecg_r1.labels` and what texts say beside it.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ecg_r1.claims.anchors import Gated, Index
from ecg_r1.claims.diagnosis_words import DIAGNOSIS_WORDS
from ecg_r1.claims.finding_words import DENYING_WORDS, FINDING_WORDS
from ecg_r1.claims.quantity_words import QUANTITY_WORDS, WAVE_WORDS
from ecg_r1.labels import LABELS

__all__ = ["DENYING_WORDS", "Mention", "mentions"]

_AGE = (
    r"(?P<age>(?:acute|recent|evolving|new|fresh|old|prior|previous|remote|healed|chronic|"
    r"established|hyper-?acute|st[- ]elevation)[- ]+)?"
)
_PLACE = (
    r"(?P<place>(?:extensive[- ])?(?:high[- ]lateral|antero-?septal|antero-?lateral|"
    r"infero-?lateral|infero-?posterior|postero-?lateral|anterior|septal|inferior|lateral|"
    r"posterior|right[- ]ventricular|rv|inf\.|ant\.|lat\.|post\.)(?:[- ]wall)?[- ]+)?"
)
_AGE_AFTER = re.compile(
    r"[,:;]? *\(?(?:of |probably |possibly )?(?P<age>acute|recent|evolving|old|prior|"
    r"remote|chronic)\b(?! ischa?em)"
)
_MI = r"(?P<mi>(?:myocardial[- ])?infarct(?:ion|s)?|mi\b|stemi|st[- ]elevation mi|nstemi)"


class Mention(NamedTuple):
    """Words that name something: from `start` to `end`, as `names`."""

    start: int
    end: int
    names: tuple[str, ...]
    is_quantity: bool
    age: str | None = None  # of an infarction: "acute" or "old"


def _loose(wording: str) -> str:
    """A wording of `labels` as a pattern: any space or hyphen, either spelling, a plural."""
    words = [re.escape(word) for word in wording.replace("ischaem", "ischa?em").split()]
    joined = r"[- ]+".join(words).replace(r"ischa\?em", "ischa?em").replace("aemia", "a?emia")
    return rf"\b{joined}s?\b"


# Wordings that say something else in free text, see `tests/claims/README.md`.
_NOT_A_LABEL = re.compile(
    r"^(st |t |ste$|std$|tinv|inverted|low amplitude|within normal|pr|prolonged pr|long pr|"
    r"ventricular (bi|tri)gem|narrow|wide|atrial rhythm|ischaem|nonspecific|flutter|2 1|"
    r".*infarct|.* mi$|.*stemi|possible|probable|borderline|sinus rhythm|atrial fib|t wave|"
    r"regular sinus|late prec|digitalis|suggests|unusual|.* normal$|normal ecg except|"
    r"mobitz|left ventricular hypertrophy by)"
)


def _table() -> Iterator[tuple[tuple[str, ...], str, bool]]:
    for names, pattern in FINDING_WORDS[:1] + FINDING_WORDS[1:2]:
        yield tuple(names.split("+")), pattern, False
    for name, pattern in DIAGNOSIS_WORDS:
        yield tuple(name.split("+")), rf"(?<![a-z])(?:{pattern})(?![a-z])", False
    for label in LABELS:
        for wording in (label.text, *label.paper):
            if not _NOT_A_LABEL.match(wording):
                yield (label.text,), _loose(wording), False
    for names, pattern in FINDING_WORDS[2:]:
        yield tuple(names.split("+")), rf"(?<![a-z])(?:{pattern})", False
    for name, pattern in QUANTITY_WORDS:
        yield (name,), rf"(?<![a-z])(?:{pattern})", True


_INFARCTION = Gated(rf"(?<![a-z]){_AGE}{_PLACE}{_AGE.replace('age', 'late')}{_MI}(?![a-z])")
_TABLE = tuple((names, re.compile(pattern), number) for names, pattern, number in _table())
_INDEX = Index(regex.pattern for _, regex, _ in _TABLE)
_WAVES = re.compile(WAVE_WORDS)
_ACUTE = re.compile(r"acute|recent|evolving|new|fresh|st[- ]elev")
_TERRITORY_OF_MI = (
    ("septal", "septal myocardial infarction"),
    ("ant", "anterior myocardial infarction"),
    ("inf", "inferior myocardial infarction"),
    ("lat", "lateral myocardial infarction"),
    ("post", "posterior myocardial infarction"),
    ("r", "right ventricular infarction"),
)


def _infarctions(text: str) -> Iterator[Mention]:
    for match in _INFARCTION.finditer(text):
        place = (match["place"] or "").replace("extensive", "").strip(" -")
        place = "ant" if place.startswith("antero") else place
        name = next(
            (name for start, name in _TERRITORY_OF_MI if place and place.startswith(start)),
            "myocardial infarction",
        )
        told = (match["age"] or "") + (match["late"] or "")
        behind = _AGE_AFTER.match(text, match.end())
        told = told or (behind["age"] if behind else "")
        is_stemi = ("stemi" in match["mi"] and "nstemi" not in match["mi"]) or "st" in match[
            "mi"
        ][:3]
        age = "acute" if is_stemi or _ACUTE.search(told) else "old" if told else None
        yield Mention(*match.span(), (name,), is_quantity=False, age=age)


# "T waves are upright in V2-V6 and inverted in III": the second word has no wave of its own.
_CONTINUED = Gated(
    r"(?:\b(?:and|but|n?or|not?|neither|is|are|be|shows?|appears?|while|slightly|mildly|deeply|"
    r"markedly|significant)|[,:]) "
    r"(?P<word>inverted|negative|upright|positive|flat(?:tened)?|biphasic|peaked|tall|small|"
    r"tented|notched|bifid|deep|slurred|elevated|depressed|elevations?|depressions?|"
    r"inversions?|deviations?)\b"
)
# The wave that was spoken of, and nothing else since.
_WAVE = re.compile(
    r"\b([pqrst]|st)(?=[- :](?:waves?|segments?|elev|depr|inver|is\b|are\b| no\b))"
    r"(?![^.]*\b(?:(?<!each )(?<!every )qrs|axis|pr|qtc?|rate|rhythm|voltages?|"
    r"j[- ]point|troponin|potassium|complex(?:es)?|deflections?)\b)"
)
_CONTINUES = {
    ("p", "inv"): "inverted p waves", ("p", "neg"): "inverted p waves",
    ("p", "upr"): "upright p waves", ("p", "pos"): "upright p waves",
    ("t", "inv"): "t wave inversion", ("t", "neg"): "t wave inversion",
    ("t", "upr"): "normal t waves", ("t", "pos"): "normal t waves",
    ("t", "fla"): "flat t waves", ("t", "bip"): "biphasic t waves",
    ("t", "pea"): "tall t waves", ("t", "tal"): "tall t waves", ("t", "ten"): "tall t waves",
    ("p", "pea"): "tall p waves", ("p", "tal"): "tall p waves",
    ("q", "dee"): "q waves", ("q", "sma"): "small q waves",
    ("r", "tal"): "tall r waves", ("r", "sma"): "small r waves",
    ("r", "not"): "notched qrs", ("s", "dee"): "deep s waves", ("s", "slu"): "broad s waves",
    ("p", "not"): "notched p waves", ("p", "bif"): "notched p waves",
    ("st", "ele"): "st elevation", ("st", "dep"): "st depression",
    ("st", "dev"): "st elevation+st depression",
}  # fmt: skip


def _continued(text: str) -> Iterator[Mention]:
    for match in _CONTINUED.finditer(text):
        waves = _WAVE.findall(text, max(0, match.start() - 160), match.start())
        names = _CONTINUES.get((waves[-1], match["word"][:3])) if waves else None
        if names:
            yield Mention(*match.span("word"), tuple(names.split("+")), is_quantity=False)


def mentions(text: str) -> list[Mention]:
    """What a sentence names, in order, without overlaps; the longer of two wins.

    Args:
        text: One sentence in lower case.

    Example:
        >>> [m.names[0] for m in mentions("lvh with strain; pr interval 160 ms")]
        ['left ventricular hypertrophy', 'strain pattern', 'pr_ms']
    """
    found = [*_infarctions(text), *_continued(text)]
    for place in _INDEX.candidates(text):
        names, regex, is_quantity = _TABLE[place]
        found += [Mention(*match.span(), names, is_quantity) for match in regex.finditer(text)]
    found += [Mention(*m.span(), (f"{m[0][0]}_mv",), is_quantity=True)
              for m in _WAVES.finditer(text)]  # fmt: skip
    found.sort(key=lambda one: (one.start - one.end, one.is_quantity))
    kept: list[Mention] = []
    taken = bytearray(len(text) + 1)
    for one in found:
        if one.end > one.start and not any(taken[one.start : one.end]):
            kept.append(one)
            taken[one.start : one.end] = b"\1" * (one.end - one.start)
    return sorted(kept, key=lambda one: one.start)
