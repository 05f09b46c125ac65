"""Checkpoints from a hub: a real server on this machine, the real client, the real cache."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT
from hub_server import REPO, serving
from huggingface_hub import close_session, constants

import ecg_r1.hub as ours
from ecg_r1.ecg import ECGError

FIRST, WEIGHTS = (f"model-0000{i}-of-00002.safetensors" for i in (1, 2))
SIZE = 300_000


@pytest.fixture
def hub(tmp_path, monkeypatch):
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "qwen3_vl"}')
    (folder / WEIGHTS).write_bytes(os.urandom(SIZE))
    (folder / FIRST).write_bytes(os.urandom(1000))
    (folder / "training_args.bin").write_bytes(b"a pickle")  # never asked for
    with serving(folder, tmp_path / "cache", monkeypatch) as hub:
        yield hub


def test_size_licence_revision_and_room_are_known_before_a_byte_of_weights(hub):
    facts = ours.look_up(REPO)
    wanted = SIZE + 1000 + len('{"model_type": "qwen3_vl"}')
    assert (facts.total_bytes, facts.missing_bytes) == (wanted, wanted)
    assert (facts.licence, facts.commit) == ("apache-2.0", hub.commit)
    assert facts.free_bytes > 0
    assert "revision f9257759, licence apache-2.0\n0.3 MB, of which 0.3 MB" in facts.to_text()
    assert hub.asked == [f"GET /api/models/{REPO}"]


def test_a_disk_that_is_too_small_is_refused_with_both_numbers(hub):
    facts = replace(ours.look_up(REPO), missing_bytes=17_741_876_040, free_bytes=9_000_000_000)
    with pytest.raises(
        ECGError, match=r"needs 17\.7 GB more on disk, and .* has 9\.0 GB: .*HF_H"
    ):
        facts.check_disk()
    replace(facts, free_bytes=17_741_876_040).check_disk()


def test_a_download_is_whole_kept_and_not_repeated(hub):
    folder = ours.download(REPO)
    assert {file.name for file in folder.iterdir()} == {
        "config.json",
        WEIGHTS,
        FIRST,
    }
    assert (folder / WEIGHTS).read_bytes() == (hub.folder / WEIGHTS).read_bytes()
    facts = ours.look_up(REPO)
    assert facts.missing_bytes == 0
    hub.asked.clear()
    assert ours.cached(REPO, facts.commit) == folder
    assert hub.asked == []


def test_a_connection_cut_in_the_middle_is_resumed_within_one_call(hub, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)  # 10 MB at a time otherwise
    hub.cut[WEIGHTS] = 123_456
    folder = ours.download(REPO)
    assert (folder / WEIGHTS).read_bytes() == (hub.folder / WEIGHTS).read_bytes()
    assert any("bytes=120000-" in line for line in hub.asked if WEIGHTS in line)


def test_after_a_breakdown_the_next_call_goes_on_with_what_is_missing(hub, monkeypatch):
    """The hub breaks off inside the second shard and stays away; later it is back."""
    hub.cut[WEIGHTS] = 200_000
    answer = hub.answer

    def answer_until_the_cut(request):
        if WEIGHTS not in hub.cut:
            hub.closed = True
        answer(request)

    monkeypatch.setattr(hub, "answer", answer_until_the_cut)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda s: None)
    with pytest.raises(ECGError, match=r"broke off .*; the same command goes on with"):
        ours.download(REPO)
    monkeypatch.setattr(hub, "answer", answer)
    hub.closed = False
    close_session()
    assert ours.look_up(REPO).missing_bytes == SIZE
    hub.asked.clear()
    folder = ours.download(REPO)
    assert (folder / WEIGHTS).read_bytes() == (hub.folder / WEIGHTS).read_bytes()
    assert [line for line in hub.asked if line.startswith("GET") and "resolve" in line] == [
        f"GET /{REPO}/resolve/{hub.commit}/{WEIGHTS}"
    ]


@pytest.mark.parametrize("how", ["switched off", "out of reach"])
def test_offline_the_cache_serves_without_a_question(hub, monkeypatch, how):
    folder = ours.download(REPO)
    hub.asked.clear()
    if how == "switched off":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    else:
        hub.stop()
    close_session()
    assert ours.look_up(REPO) is None
    assert ours.cached(REPO) == folder
    assert hub.asked == []


def test_offline_without_a_whole_cache_says_what_to_do(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    close_session()
    with pytest.raises(ECGError, match=r"not whole in the cache .* load it once with a connec"):
        ours.cached(REPO)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    close_session()
    folder = ours.download(REPO)
    (folder / WEIGHTS).unlink()
    with pytest.raises(ECGError, match="not whole in the cache"):
        ours.cached(REPO)


@pytest.mark.parametrize(
    ("repo", "revision", "said"),
    [
        ("nobody/nothing", None, r"'nobody/nothing' is not on the hub"),
        (REPO, "v9", r"has no revision 'v9'"),
        ("a b/c", None, r"'a b/c' is no name of a checkpoint"),
    ],
)
def test_what_the_hub_does_not_have_is_refused_by_name(hub, repo, revision, said):
    with pytest.raises(ECGError, match=said):
        ours.look_up(repo, revision)


def test_a_repository_without_safetensors_is_refused(hub):
    for file in hub.folder.glob("*.safetensors"):
        file.unlink()
    with pytest.raises(ECGError, match="holds no weights as safetensors"):
        ours.look_up(REPO)


def test_the_endpoint_of_the_environment_is_the_one_that_is_asked(hub, tmp_path):
    """As a user sets it: in a process of its own, by HF_ENDPOINT and HF_HOME."""
    code = f"from ecg_r1.hub import download; print(download({REPO!r}, 'main'))"
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **settings, "HF_HUB_OFFLINE": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    folder = Path(done.stdout.strip())
    assert folder.is_relative_to(tmp_path / "home")
    assert (folder / WEIGHTS).read_bytes() == (hub.folder / WEIGHTS).read_bytes()
    assert "Fetching 3 files: 100%" in done.stderr  # bytes only where someone sees them
