"""The hand-labelled claims: well formed, in the vocabulary, and enough of every sort."""

import json
from collections import Counter
from pathlib import Path

import pytest

from ecg_r1.claims.schema import FINDINGS, QUALIFIERS, QUANTITIES, Claim, kind_of
from ecg_r1.ecg import LEADS
from ecg_r1.simulate.conditions import condition

HERE = Path(__file__).parent
RECORDS = {path.stem for path in (HERE.parent / "assets/ecgs").glob("*.*")}
LINES = [
    json.loads(line)
    for line in (HERE / "claims/test.jsonl").read_text(encoding="utf-8").splitlines()
]
CLAIMS = [claim for line in LINES for claim in line["claims"]]
VERDICTS = {"supported", "contradicted", "unsupported", "not_checkable"}
KEYS = {
    "text", "kind", "name", "polarity", "leads", "value", "comparator", "qualifier", "verdict",
}  # fmt: skip


def test_ids_are_unique():
    assert max(Counter(line["id"] for line in LINES).values()) == 1


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["id"])
def test_a_line_names_an_ecg_and_only_claims_of_its_text(line):
    assert set(line) == {"id", "style", "ecg", "text", "claims"}
    source, _, rest = line["ecg"].partition(":")
    if source == "simulate":
        name, _, seed = rest.rpartition(":")
        assert condition(name) and int(seed) >= 0
    else:
        assert line["ecg"] in RECORDS
    for claim in line["claims"]:
        assert set(claim) == KEYS
        assert claim["text"].strip() and claim["text"] in line["text"]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["id"])
def test_a_claim_speaks_the_vocabulary(line):
    for claim in line["claims"]:
        kind, name, polarity = claim["kind"], claim["name"], claim["polarity"]
        assert polarity in ("present", "absent", "possible")
        assert claim["verdict"] in VERDICTS
        if kind in ("diagnosis", "exclusion") and name in FINDINGS:
            assert name in ("st elevation", "st depression", "t wave inversion")  # in <answer>
        else:
            assert kind == kind_of(name, polarity=polarity)
        assert claim["leads"] == [lead for lead in LEADS if lead in claim["leads"]]
        infarction = name.endswith("infarction") and claim["qualifier"] in ("acute", "old")
        assert claim["qualifier"] is None or infarction or claim["qualifier"] in QUALIFIERS
        fields = {key: claim[key] for key in KEYS - {"verdict"}}
        assert Claim(**fields).name in {*QUANTITIES, name}


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["id"])
def test_numbers_stand_with_comparators(line):
    for claim in line["claims"]:
        value, comparator = claim["value"], claim["comparator"]
        if comparator == "range":
            low, high = value
            assert low < high
        elif comparator is None:
            assert value is None
        else:
            assert comparator in ("=", "<", "<=", ">", ">=")
            assert isinstance(value, (int, float))


def test_there_is_enough_of_every_sort():
    polarities = Counter(claim["polarity"] for claim in CLAIMS)
    verdicts = Counter(claim["verdict"] for claim in CLAIMS)
    assert len(LINES) >= 110 and len(CLAIMS) >= 340
    assert sum(not line["claims"] for line in LINES) >= 10
    assert min(Counter(claim["kind"] for claim in CLAIMS).values()) >= 12
    assert len({claim["kind"] for claim in CLAIMS}) == 9
    assert polarities["absent"] >= 60 and polarities["possible"] >= 25
    assert {verdict: round(verdicts[verdict] / len(CLAIMS), 1) for verdict in VERDICTS} == {
        "supported": 0.5, "contradicted": 0.3, "not_checkable": 0.1, "unsupported": 0.1,
    }  # fmt: skip


def test_a_hedged_claim_is_never_contradicted():
    assert not [
        claim
        for claim in CLAIMS
        if claim["polarity"] == "possible" and claim["verdict"] == "contradicted"
    ]
