"""Claims about numbers: which number belongs to which quantity, and in which leads."""

import re
from dataclasses import replace

from ecg_r1.claims.frame import Frame, blanked
from ecg_r1.claims.ignored import is_gone
from ecg_r1.claims.lexicon import Mention
from ecg_r1.claims.numbers import Number
from ecg_r1.claims.qualifiers import ALLOWED, denied_words, qualifier
from ecg_r1.claims.schema import QUANTITIES, Claim, Comparator, Polarity
from ecg_r1.ecg import LEADS

# Numbers outside are another quantity's, or a slip of the pen that no unit tells.
_PLAUSIBLE: dict[str, tuple[float, float]] = {
    "bpm": (10, 400), "ms": (20, 10_000), "degrees": (-180, 360), "mV": (-20, 20),
}  # fmt: skip
_SIGNED = ("st_mv", "t_mv", "p_mv")  # depths of Q and S are told as positive amounts
_WITHOUT_UNIT = ("bpm", "ms", "degrees")
_QT_LABELS = {"prolonged": "prolonged qt interval", "short": "short qt interval"}
_IS_NOT = re.compile(r"\bnot (?:at |about |between )?\Z")
_TO_ITS_NUMBER = re.compile(
    r"[\s(:,=~]*(?:(?:at|of|to|is|measur\w+|about|approximately|around|interval|value|"
    r"a)\b[\s(:=~]*)*"
)
_SERIES = {
    "p-r-t axes": ("p_axis_deg", "axis_deg", "t_axis_deg"),
    "qt/qtc": ("qt_ms", "qtc_ms"),
    "pr/qrs/qt": ("pr_ms", "qrs_ms", "qt_ms", "qtc_ms"),
}
_OF_WAVE = {"duration": {"p": "p_ms", "qrs": "qrs_ms"}, "amplitude": {
    wave: f"{wave}_mv" for wave in ("p", "q", "r", "s", "t", "u", "qrs")}}  # fmt: skip
_FOR_RATE = re.compile(r"\b(?:for|by) (?:the |this |a )?(?:heart )?\Z")  # "normal for rate"
_RIGHT_BEFORE = re.compile(r"[\s-]*(?:(?:for|in|of) the\s*|\w{0,9}\s)?")
_RHYTHM_AT = re.compile(
    r"\b(?:rhythm|fibrillation|flutter|(?:tachy|brady)cardia|beats?) at (?:about )?\Z"
)
_OF_ATRIA = re.compile(
    r"\b(?:p[- ]waves?|flutter[- ]waves?|f[- ]waves?|atria|atrial (?:rate|activity|waves?))\b"
    r"(?![^.]*\b(?:qrs|ventric\w*|each|every|before|conduct\w*))[^,;:]{0,32}\Z|"
    r"\b(?:flutter[- ]waves?|saw-?tooth\w*)(?![^.]*\b(?:qrs|ventric|conduct))[^;:]{0,48}\Z"
)


def value_of(number: Number) -> dict[str, object]:
    """Value and comparator of a claim."""
    comparator: Comparator = number.comparator
    if number.high is not None:
        return {"value": tuple(sorted((number.low, number.high))), "comparator": "range"}
    return {"value": number.low, "comparator": comparator}


def with_numbers(frame: Frame) -> None:
    """Make quantities of labels that are a word on the number behind them.

    "QTc is prolonged at 502 ms" and "right axis, 130 degrees", not "right axis deviation, 130".
    """
    for index, one in enumerate(frame.named):
        name = _quantity_of(one.names[0], frame.text[one.start : one.end])
        stop = frame.next_start(index)
        number = next((n for n in frame.numbers if one.end <= n.start < stop), None)
        if name is None or number is None or number.is_limit:
            continue
        fits = number.unit == QUANTITIES[name][1]
        near = _TO_ITS_NUMBER.fullmatch(frame.text, one.end, number.start)
        if fits and near and frame.polarity_of(one) != "absent":
            frame.named[index] = Mention(one.start, one.end, (name,), is_quantity=True)
            frame.plain = blanked(frame.named, frame.text)


def _quantity_of(label: str, words: str) -> str | None:
    """The quantity that the words of a label are said of; None of a label proper."""
    if label in _QT_LABELS.values() and "qt" in words:
        return "qtc_ms" if "qtc" in words or "corrected" in words else "qt_ms"
    is_axis = label.endswith("axis deviation") and words.endswith("axis")
    return "axis_deg" if is_axis else None


def quantity_claims(frame: Frame, index: int) -> list[Claim]:
    """What a sentence says of one quantity that it names."""
    one = frame.named[index]
    name = one.names[0]
    if is_gone(frame.text, one.start, one.end):
        return []
    if name in _SERIES:
        return _series(frame, index, _SERIES[name]) or _all_normal(frame, index, _SERIES[name])
    if name == "intervals":
        return _all_normal(frame, index, ("pr_ms", "qrs_ms", "qtc_ms"))
    if name == "hr_bpm" and _FOR_RATE.search(frame.text, 0, one.start):
        return []
    if name in _OF_WAVE:
        name = _wave_before(frame, index, _OF_WAVE[name])
    elif name == "hr_bpm" and re.match(r"\s*\(atrial\)", frame.text[one.end :]):
        name = "atrial_bpm"
    if name == "":
        return []
    durations = _duration_of_p(frame, index) if name == "p_mv" else []
    return durations + _quantity(frame, index, name)


def _quantity(frame: Frame, index: int, name: str) -> list[Claim]:
    one = frame.named[index]
    kind, unit = QUANTITIES[name]
    place = _number_for(frame, index, unit)
    number = None if place is None else frame.numbers[place]
    word, denied = qualifier(frame, index, name, number)
    wrong = _wrong_unit(frame, index, name) if number is None else None
    if wrong is not None:
        return [wrong]
    if number is None and (word is None or (kind == "voltage" and name not in ALLOWED)):
        return []
    if number is None:
        both = denied_words(frame, index, name)
        said: Polarity = "absent" if denied or both else frame.polarity_of(one)
        return [_in_words(frame, one, name, said, told) for told in both or (word,)]
    frame.used.add(place)
    fields: dict[str, object] = {"qualifier": word, **value_of(number)}
    if kind == "voltage":
        fields["leads"] = _voltage_leads(frame, index)
        if name not in _SIGNED and not isinstance(fields["value"], tuple):
            fields["value"] = abs(fields["value"])
    hedged = frame.polarity_of(one) == "possible"
    denied = denied or _IS_NOT.search(frame.text, one.end, number.start) is not None
    said = "possible" if hedged else "absent" if denied else "present"
    start, end = min(one.start, number.start), max(one.end, number.end)
    return [frame.claim(name, start, end, said, **fields)]


def _in_words(frame: Frame, one: Mention, name: str, said: Polarity, word: str | None) -> Claim:
    """A claim without a number; of the QT interval its word is a diagnosis."""
    if name in ("qtc_ms", "qt_ms") and word in _QT_LABELS:
        return frame.claim(_QT_LABELS[word], one.start, one.end, said)
    return frame.claim(name, one.start, one.end, said, qualifier=word)


def _wave_before(frame: Frame, index: int, names: dict[str, str]) -> str:
    """Whose "duration" or "amplitude" it is: the wave named last; "" when none was."""
    waves = re.findall(rf"\b({'|'.join(names)})\b", frame.text[: frame.named[index].start])
    return names[waves[-1]] if waves else ""


def _duration_of_p(frame: Frame, index: int) -> list[Claim]:
    """As in "the P wave lasts 0.11 s": a time where a voltage was looked for."""
    one = frame.named[index]
    stop = min(frame.quantity_end(index), one.end + 30)
    for place, number in enumerate(frame.numbers):
        is_near = one.end <= number.start < stop and place not in frame.used
        if is_near and number.unit == "ms" and not number.is_limit:
            frame.used.add(place)
            return [frame.claim("p_ms", one.start, number.end, "present", **value_of(number))]
    return []


# Nothing but these words between a quantity and a number with a unit it cannot have.
_BETWEEN = re.compile(
    r"[\s:=(|~]*(?:(?:interval|duration|width|is|was|of|measures?|about|approximately|around|"
    r"in|wave|comes|to|fridericia|bazett|(?:av[rlf]|v[1-6]|i{1,3})|index|voltage|reaches|with|"
    r"lasts|\w+ly)\b[\s:=()|~]*)*"
)
_Q_DURATION_MS = 10  # a wave that lasts shorter cannot be seen: a time below is no time


def _wrong_unit(frame: Frame, index: int, name: str) -> Claim | None:
    """A claim on a number right behind a quantity whose unit it cannot have: "QTc 400 mV"."""
    one, unit = frame.named[index], QUANTITIES[name][1]
    stop = frame.quantity_end(index)
    behind = (i for i, n in enumerate(frame.numbers) if one.end <= n.start < stop)
    place = next(behind, None)
    if place is None or place in frame.used:
        return None
    number = frame.numbers[place]
    if number.unit not in ("bpm", "ms", "degrees", "mV") or number.is_limit:
        return None
    if number.unit == unit or not _BETWEEN.fullmatch(frame.text, one.end, number.start):
        return None
    # Waves have durations, and a QRS complex a height.
    lasts = unit == "mV" and number.unit == "ms" and number.low >= _Q_DURATION_MS
    is_high = name in ("qrs_ms", "p_ms") and number.unit == "mV" and number.low <= 10
    if lasts or is_high:
        return None
    frame.used.add(place)
    return frame.claim(name, one.start, number.end, "present", wrong_unit=number.unit)


def _number_for(frame: Frame, index: int, unit: str) -> int | None:
    """The number of a quantity: the first that fits behind it, else right before it."""
    one, text = frame.named[index], frame.text
    stop = frame.quantity_end(index)
    for place, number in enumerate(frame.numbers):
        fits = number.unit == unit or (number.unit == "" and unit in _WITHOUT_UNIT)
        if not fits or number.is_limit or place in frame.used:
            continue
        between = text[one.end : number.start]
        near = one.end <= number.start < stop and len(between) < 60
        # "Rate (atrial)" is asked for as such.
        turns = re.search(r"(?<!\()\batrial\b|\bbut\b", between)
        if near and not turns and is_plausible(number, unit):
            return place
    for place, number in enumerate(frame.numbers):
        gap = text[number.end : one.start] if number.end <= one.start else None
        is_free = number.unit == unit and place not in frame.used and not number.is_limit
        if gap is not None and len(gap) < 20 and is_free and _RIGHT_BEFORE.fullmatch(gap):
            return place
    return None


def is_plausible(number: Number, unit: str) -> bool:
    """Whether a number, or an end of a range, can be of a unit at all."""
    low, high = _PLAUSIBLE[unit]
    return any(low <= one <= high for one in (number.low, number.high) if one is not None)


def _all_normal(frame: Frame, index: int, names: tuple[str, ...]) -> list[Claim]:
    """Several quantities that one word calls normal."""
    one = frame.named[index]
    word, denied = qualifier(frame, index, names[0], None)
    if word != "normal" or denied:
        return []
    said = frame.polarity_of(one)
    return [frame.claim(name, one.start, one.end, said, qualifier="normal") for name in names]


def _series(frame: Frame, index: int, names: tuple[str, ...]) -> list[Claim]:
    """Numbers in a fixed order: "QT/QTc 380/410 ms", "P-R-T axes 59 52 -26"."""
    one = frame.named[index]
    near = [(i, n) for i, n in enumerate(frame.numbers) if n.start >= one.end]
    found = []
    for (place, number), name in zip(near[: len(names)], names, strict=False):
        if is_plausible(number, QUANTITIES[name][1]):
            frame.used.add(place)
            value = value_of(number)
            found.append(frame.claim(name, one.start, number.end, "present", **value))
    return found


def _voltage_leads(frame: Frame, index: int) -> tuple[str, ...]:
    one = frame.named[index]
    if one.names[0] in ("sokolow_mv", "cornell_mv"):
        inside = [p.leads for p in frame.places if one.start <= p.start < one.end]
        return tuple(lead for lead in LEADS if any(lead in leads for leads in inside))
    stop = frame.quantity_end(index)
    for place in frame.places:
        gap = frame.text[place.end : one.start] if place.end <= one.start else None
        if gap is not None and re.fullmatch(r"\s*:?\s*", gap):  # "V1: S 1.2 mV"
            return place.leads
    for place in frame.places:
        if one.end <= place.start + 1 <= stop or one.start < place.start <= one.end:
            return place.leads
    before = [p for p in frame.places if p.end <= one.start]
    return before[-1].leads if before else ()


def axis_claims(frame: Frame) -> list[Claim]:
    """Degrees that stand with a named deviation: "left axis deviation (-45 degrees)"."""
    if not any(one.names[0].endswith("axis deviation") for one in frame.named):
        return []
    found = []
    for place, number in enumerate(frame.numbers):
        if number.unit == "degrees" and place not in frame.used and not number.is_limit:
            frame.used.add(place)
            value = value_of(number)
            found.append(frame.claim("axis_deg", number.start, number.end, "present", **value))
    return found


def rate_claims(frame: Frame) -> list[Claim]:
    """Numbers in beats per minute that no word names."""
    found = []
    for place, number in enumerate(frame.numbers):
        if place in frame.used or number.is_limit:
            continue
        if number.unit in ("ms", "degrees") and _RHYTHM_AT.search(frame.text, 0, number.start):
            start, end = number.start, number.end
            found.append(frame.claim("hr_bpm", start, end, "present", wrong_unit=number.unit))
        is_bare = number.unit == "" and _RHYTHM_AT.search(frame.text, 0, number.start)
        if number.unit != "bpm" and not (is_bare and is_plausible(number, "bpm")):
            continue
        before = frame.text[max(0, number.start - 60) : number.start]
        name = "atrial_bpm" if _OF_ATRIA.search(before) else "hr_bpm"
        frame.used.add(place)
        said = frame.polarity_of(Mention(number.start, number.end, (name,), is_quantity=True))
        word = _pace(before) if name == "hr_bpm" else None
        value = value_of(number)
        found.append(frame.claim(name, number.start, number.end, said, qualifier=word, **value))
    return found


def _pace(before: str) -> str | None:
    """Adjective of a rhythm right before its rate: "fast, regular rhythm at 121 bpm"."""
    match = re.search(r"\b(fast|rapid|slow)\b[\w, ]{0,24}\Z", before)
    return None if match is None else "slow" if match[1] == "slow" else "fast"


def amount_of(frame: Frame, index: int) -> dict[str, object]:
    """The size of an ST or T change: "2 mm ST elevation", "ST elevation of 0.2 mV"."""
    one = frame.named[index]
    for place, number in enumerate(frame.numbers):
        if number.unit != "mV" or number.is_limit or place in frame.used:
            continue
        if one.start - 22 <= number.end <= one.start or (
            one.end <= number.start <= min(one.end + 30, frame.next_start(index))
        ):
            frame.used.add(place)
            return value_of(number)
    return {}


def further_amounts(frame: Frame, found: list[Claim]) -> list[Claim]:
    """More sizes of what was named once: "12 mm in V5 and 8 mm in V6"."""
    more: list[Claim] = []
    for place, number in enumerate(frame.numbers):
        if number.unit != "mV" or number.is_limit or place in frame.used:
            continue
        earlier = [
            claim for claim in found + more
            if claim.value is not None and claim.leads and claim.span[0] < number.start
            and (claim.kind in {"voltage", "finding"})
        ]  # fmt: skip
        last = max(earlier, key=lambda claim: claim.span[1], default=None)
        if last is None or any(last.span[1] < m.start < number.start for m in frame.named):
            continue
        where = _place_at(frame, number)
        if where:
            frame.used.add(place)
            start, end = number.start, number.end
            span = {"span": (start, end), "text": frame.raw[start:end]}
            more.append(replace(last, leads=where, qualifier=None, **span, **value_of(number)))
    return more


def _place_at(frame: Frame, number: Number) -> tuple[str, ...]:
    """Leads right behind a number, or right before it."""
    for place in frame.places:
        behind = frame.text[number.end : place.start] if place.start >= number.end else None
        if behind is not None and re.fullmatch(r"[\s(]*(?:in|at)?\s*(?:leads?)?\s*", behind):
            return place.leads
        before = frame.text[place.end : number.start] if place.end <= number.start else None
        if before is not None and re.fullmatch(r"[\s:=(]*", before):
            return place.leads
    return ()
