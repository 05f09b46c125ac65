"""The hand-labelled claims: well formed, in the vocabulary, and enough of every sort."""

import json
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ecg_r1.claims.schema import FINDINGS, QUALIFIERS, QUANTITIES, Claim, kind_of
from ecg_r1.ecg import LEADS
from ecg_r1.simulate import Recording, simulate
from ecg_r1.simulate.conditions import condition
from ecg_r1.simulate.population import spec_of

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
        assert condition(name)
        assert int(seed) >= 0
    else:
        assert line["ecg"] in RECORDS
    for claim in line["claims"]:
        assert set(claim) == KEYS
        assert claim["text"].strip()
        assert claim["text"] in line["text"]


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


@cache
def _truth(ecg: str) -> dict[str, float | None]:
    """Quantities of a simulated record, drawn as `claims/README.md` says."""
    name, _, seed = ecg.removeprefix("simulate:").rpartition(":")
    spec = spec_of({condition(name).group: name}, np.random.default_rng([int(seed), 1]))
    quiet = replace(spec, recording=Recording(wander_mv=0, emg_mv=0))
    truth = simulate(quiet, int(seed)).truth
    return {
        "hr_bpm": truth.hr_bpm,
        "atrial_bpm": truth.atrial_bpm,
        "pr_ms": truth.pr_ms,
        "qrs_ms": truth.qrs_ms,
        "qt_ms": truth.qt_ms,
        "qtc_ms": truth.qt_ms / np.cbrt(60 / truth.hr_bpm),
        "axis_deg": truth.axis_deg,
    }


# Wider than this off is wrong; `claims/README.md`.
OFF = {"pr_ms": 20, "qrs_ms": 20, "qt_ms": 30, "qtc_ms": 30, "axis_deg": 20}


@pytest.mark.parametrize(
    "line", [x for x in LINES if x["ecg"].startswith("simulate:")], ids=lambda line: line["id"]
)
def test_numbers_said_of_simulated_records_are_judged_by_their_truth(line):
    """The simulator may move under the labels: this says so."""
    for claim in line["claims"]:
        if claim["name"] in OFF | {"hr_bpm": 0, "atrial_bpm": 0} and claim["comparator"] == "=":
            truth = _truth(line["ecg"])[claim["name"]]
            if truth is None:
                assert claim["verdict"] == "not_checkable"
            else:
                off = OFF.get(claim["name"], max(5, 0.05 * truth))
                right = abs(claim["value"] - truth) <= off
                assert claim["verdict"] == ("supported" if right else "contradicted"), claim


def test_there_is_enough_of_every_sort():
    polarities = Counter(claim["polarity"] for claim in CLAIMS)
    verdicts = Counter(claim["verdict"] for claim in CLAIMS)
    assert len(LINES) >= 110
    assert len(CLAIMS) >= 340
    assert sum(not line["claims"] for line in LINES) >= 10
    assert min(Counter(claim["kind"] for claim in CLAIMS).values()) >= 12
    assert len({claim["kind"] for claim in CLAIMS}) == 9
    assert polarities["absent"] >= 60
    assert polarities["possible"] >= 25
    assert {verdict: round(verdicts[verdict] / len(CLAIMS), 1) for verdict in VERDICTS} == {
        "supported": 0.5, "contradicted": 0.3, "not_checkable": 0.1, "unsupported": 0.1,
    }  # fmt: skip


def test_a_hedged_claim_is_never_contradicted():
    assert not [
        claim
        for claim in CLAIMS
        if claim["polarity"] == "possible" and claim["verdict"] == "contradicted"
    ]
