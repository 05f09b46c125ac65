"""Damaged uploads: an ECG, a page or one clear line comes out, quickly, and nothing else."""

import numpy as np
import pytest

from benchmarks import fuzz
from ecg_r1 import inputs
from ecg_r1.ecg import ECGError


def test_damaged_files_of_every_format_are_read_or_refused_in_one_line(tmp_path):
    done = list(fuzz.rounds(420, seed=7, folder=tmp_path))
    assert [f"{one.number} {one.name}: {one.broken}" for one in done if one.broken] == []
    outcomes = {one.outcome for one in done}
    assert outcomes == {"read", "page", "refused"}
    assert sum(one.outcome == "refused" for one in done) < 0.95 * len(done)


def test_sound_files_of_every_format_are_read(tmp_path, assets):
    uploads = fuzz.write_all(tmp_path, assets / "ecgs/guangxi_teaching_sinus_rhythm.dcm")
    told = {paths[-1].name: fuzz.offer(paths) for paths in uploads}
    assert {name: what for name, what in told.items() if what[0] == "refused"} == {}
    assert all(broken == () for _, broken in told.values())
    assert len(told) == 14


def test_the_same_seed_damages_alike():
    first, again, other = (
        fuzz.damaged(b"RATE 500 LEADS 12" * 9, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("failure", "rule"),
    [
        (KeyError("x"), "KeyError"),
        (ECGError("two\nlines"), "message of 9"),
        (ECGError("long " * 200), "message of 1000"),
    ],
)
def test_a_broken_rule_is_noticed(tmp_path, monkeypatch, failure, rule):
    def fail(path, n_leads=None):
        raise failure

    monkeypatch.setattr(inputs, "read_channels", fail)
    first = next(fuzz.rounds(1, seed=0, folder=tmp_path))
    assert rule in first.broken[0]


def test_a_hang_a_left_file_and_a_large_one_are_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "MAX_ROUND_S", 1.0)
    monkeypatch.setattr(fuzz, "MAX_ROUND_MIB", 100)

    def hang(path, n_leads=None):
        (path.parent / "left.tmp").write_text("x")
        kept = np.ones(30_000_000)  # 240 MB
        while kept.size:
            pass

    monkeypatch.setattr(inputs, "read_channels", hang)
    # The second upload is one file, so that its folder is the one that is looked at.
    rounds = fuzz.rounds(2, seed=0, folder=tmp_path)
    next(rounds)
    broken = " ".join(next(rounds).broken)
    assert "longer than 1 s" in broken
    assert "left ['left.tmp']" in broken
    if fuzz._memory_mib():
        assert "MiB" in broken
