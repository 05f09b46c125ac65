"""Claims in texts: found as the schema says, fast, in linear time, and never with an error."""

import random
import re
import time
from pathlib import Path

import pytest

from ecg_r1.claims import ignored, lexicon, numbers, parse, places, polarity, withheld
from ecg_r1.claims.anchors import Gated, Index, clauses
from ecg_r1.claims.parse import parse_claims, stated
from ecg_r1.claims.schema import Claim
from ecg_r1.ecg import LEADS

SENTENCES = [
    line.rpartition(" =>")[::2]
    for line in (Path(__file__).parent / "claims/sentences.txt")
    .read_text(encoding="utf-8")
    .splitlines()
    if " =>" in line and not line.startswith("#")
]
TEXTS = [text for text, _ in SENTENCES]


def wanted(short: str) -> tuple:
    """A claim of `sentences.txt` as a tuple."""
    said = {"-": "absent", "?": "possible"}.get(short[0], "present")
    rest, _, word = short.lstrip("-?").partition("~")
    rest, _, value = rest.partition("=")
    name, _, leads = rest.partition("@")
    number = tuple(float(one) for one in value.split("..")) if value else None
    where = LEADS if leads == "all" else tuple(one for one in leads.split(",") if one)
    return name, said, where, number, word or None


def found(claim: Claim) -> tuple:
    value = claim.value
    number = None if value is None else value if isinstance(value, tuple) else (value,)
    rounded = None if number is None else tuple(round(float(one), 4) for one in number)
    return claim.name, claim.polarity, claim.leads, rounded, claim.qualifier


@pytest.mark.parametrize(("text", "claims"), SENTENCES, ids=TEXTS)
def test_a_sentence_makes_these_claims(text, claims):
    expected = [wanted(one.strip()) for one in claims.split(";") if one.strip()]
    key = repr
    assert sorted(map(found, parse_claims(text)), key=key) == sorted(expected, key=key)


def test_spans_point_at_the_words():
    text = (
        "Intro \u2013 nothing.\n**Step 2: x** PR\u00a0interval\u200b 0,16 s. "
        "No\u00a0ST elevation in V2\u2013V4."
    )
    claims = parse_claims(text)
    assert [claim.name for claim in claims] == ["pr_ms", "st elevation"]
    pr, st = claims
    assert text[slice(*pr.span)] == "PR\u00a0interval\u200b 0,16 s"
    assert text[slice(*st.span)] == "ST elevation"
    assert (pr.step, pr.value, st.leads) == (2, 160.0, ("V2", "V3", "V4"))


def test_the_answer_holds_labels_and_the_summary_is_step_seven():
    text = (
        "<think>\n**Step 1: x** Rate 60.\n</think>\nAll well.\nLVH.\n"
        "<answer>st elevation; lvh</answer>"
    )
    told = [(claim.name, claim.kind, claim.step) for claim in parse_claims(text)]
    assert told == [
        ("hr_bpm", "rate", 1),
        ("left ventricular hypertrophy", "diagnosis", 7),
        ("st elevation", "diagnosis", 8),
        ("left ventricular hypertrophy", "diagnosis", 8),
    ]


@pytest.mark.parametrize(
    ("text", "name", "unit"),
    [
        ("QTc 402 mV.", "qtc_ms", "mV"),
        ("Heart rate 72 ms.", "hr_bpm", "ms"),
        ("R in V5 12 degrees.", "r_mv", "degrees"),
        ("The axis is 60 bpm.", "axis_deg", "bpm"),
        ("Sinus rhythm at 72 ms.", "hr_bpm", "ms"),
    ],
)
def test_a_unit_that_cannot_be_is_told(text, name, unit):
    assert (name, unit) in {(one.name, one.wrong_unit) for one in parse_claims(text)}


@pytest.mark.parametrize("text", ["Q waves of 40 ms in III.", "QRS of 8 mm.", "QRS at 36/min."])
def test_a_possible_unit_is_no_error(text):
    assert all(one.wrong_unit is None for one in parse_claims(text))


# --- the index of patterns


def scrambled(seed: int) -> str:
    """Pieces of real sentences in a new order, cut anywhere."""
    draw = random.Random(seed)
    pieces = []
    for _ in range(draw.randrange(1, 6)):
        text = draw.choice(TEXTS).lower()
        start = draw.randrange(len(text))
        pieces.append(text[start : start + draw.randrange(1, 60)])
    return draw.choice(["", " ", ", "]).join(pieces)


def test_the_index_leaves_out_no_pattern_that_matches():
    index = Index(regex.pattern for _, regex, _ in lexicon._TABLE)
    matched = 0
    for text in [*map(str.lower, TEXTS), *map(scrambled, range(2500))]:
        matching = {i for i, (_, regex, _) in enumerate(lexicon._TABLE) if regex.search(text)}
        assert matching <= set(index.candidates(text)), text
        matched += len(matching)
    assert matched > 3000


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(?:ab|c)d?e", "ce"),
        (r"a*b", "b"),
        (r"(?<=x: )abc", "x: abc"),
        (r"(?!no)\w+ wave", "st wave"),
        (r"a{2,3}[bc]|\d", "7"),
        (r"(?i:ABC)", "abc"),
        (r"(a)?(?(1)b|c)", "c"),
    ],
)
def test_clauses_hold_for_every_match(pattern, text):
    assert re.search(pattern, text)
    assert all(any(word in text for word in clause) for clause in clauses(pattern))


GATED = [
    one
    for module in (ignored, lexicon, numbers, places, polarity, withheld)
    for one in vars(module).values()
    if isinstance(one, Gated)
]


def test_no_gate_is_shut_on_a_pattern_that_matches():
    matched = 0
    for text in [*map(str.lower, TEXTS), *map(scrambled, range(1000))]:
        for gate in GATED:
            matching = re.search(gate.pattern, text) is not None
            assert gate.may_match(text) or not matching, (gate.pattern[:60], text)
            matched += matching
    assert len(GATED) > 8
    assert matched > 1000


def test_a_gate_looks_at_the_whole_and_searches_the_part():
    gate = Gated(r"^st elevation")
    assert gate.search("no st elevation") is None
    assert gate.search("no st elevation", "st elevation")
    assert list(gate.finditer("no st depression", "st elevation")) == []


def test_stated_is_what_is_parsed_with_repeated_sentences_once():
    step = "**Step {}: x** Rate 70 bpm. No ST elevation in V2. Rate 70 bpm.\n"
    told = [(number, claim.name) for number, claim in stated(step.format(1) + step.format(4))]
    assert told == [(1, "hr_bpm"), (1, "st elevation"), (4, "hr_bpm"), (4, "st elevation")]
    for text in TEXTS:
        parsed = {(one.step, one.at(None, (0, 0), "")) for one in parse_claims(text)}
        assert set(stated(text)) == parsed


# --- speed and robustness


def of_length(n: int, seed: int) -> str:
    draw, text = random.Random(seed), ""
    while len(text) < n:
        text += draw.choice(TEXTS) + " "
    return text[:n]


def seconds(text: str, *, cold: bool) -> float:
    best = float("inf")
    for _ in range(3):
        if cold:
            parse._claims_of.cache_clear()
        started = time.process_time()
        parse_claims(text)
        best = min(best, time.process_time() - started)
    return best


def test_repeated_sentences_cost_little():
    text = of_length(7900, 0)
    cold = seconds(text, cold=True)
    assert cold < 0.1  # 0.02 s alone on a core
    assert seconds(text, cold=False) < cold / 4


UNITS = (
    "no st elevation in v2 pr 160 ms qrs | ( ) [ ] - ? : ; 1.5 mm lvh , p t "
    "\u00b5 \u2013 \U0001f600"
)
LONG = {
    "same": "st elevation in v2 ",
    "open": "(",
    "nested": "([",
    "digits": "1",
    "numbers": "1 ",
    "spaces": " ",
    "stars": "*",
    "steps": "step 1 ",
    "tags": "<think>",
    "pipes": "|",
    "rows": "v1|1 mm\n",
    "hashes": "#",
    "acute": "acute ",
    "tall": "tall, ",
    "rates": "pr ",
    "lines": "\n",
    "questions": "q waves, ",
}


@pytest.mark.parametrize("piece", LONG.values(), ids=LONG)
def test_time_is_linear(piece):
    short, long = piece * (12_000 // len(piece)), piece * (100_000 // len(piece))
    parse_claims(short)
    assert seconds(long, cold=True) < max(25 * seconds(short, cold=True), 0.3)


@pytest.mark.parametrize("seed", range(6))
def test_no_text_is_an_error(seed):
    draw = random.Random(seed)
    words = UNITS.split()
    noise = "".join(chr(draw.randrange(1, 0x2FFFF)) for _ in range(3000))
    mixed = " ".join(draw.choice(words) for _ in range(3000))
    for text in (noise, mixed, noise[:300].join(draw.choice(words) for _ in range(5))):
        for claim in parse_claims(text):
            assert 0 <= claim.span[0] < claim.span[1] <= len(text)
