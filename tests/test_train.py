"""The recipe from nothing to a checkpoint, at a size that only proves that it runs."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from ecg_r1 import interpret, load_model
from ecg_r1.corpus import row_ecg
from ecg_r1.ecg import ECGError
from ecg_r1.nano import new_nano
from ecg_r1.pretrain import (
    PretrainConfig,
    _replace,
    number_targets,
    page_waves,
    pretrain,
    wave_bins,
)
from ecg_r1.sft import SFTConfig
from ecg_r1.train import Recipe, load_encoders, model_card, train_nano

datasets = pytest.importorskip("datasets", reason="needs the extra 'train'")


def short(part, **changes):
    return PretrainConfig(part, **({"steps": 2, "batch_size": 2, "workers": 0} | changes))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, assets):
    out = tmp_path_factory.mktemp("run")
    folder = ptbxl_of_one_record(tmp_path_factory.mktemp("data") / "ptbxl", assets)
    recipe = Recipe(
        simulated=6,
        ptbxl_variants=0,
        choosing=1,
        tower=short("tower"),
        vision=short("vision"),
        sft=SFTConfig(steps=2, batch_size=2, workers=0, warmup_steps=1),
        processes=1,
    )
    train_nano([folder], out, recipe)
    return out, recipe


def ptbxl_of_one_record(folder, assets):
    """A folder laid out as PTB-XL, the same shipped ECG in folds 1 and 8."""
    folder.mkdir()
    table = [["filename_hr", "scp_codes", "strat_fold"]]
    for fold in (1, 8):
        for ending in (".hea", ".dat"):
            text = (assets / "ecgs" / f"A0002{ending}").read_bytes()
            (folder / f"A0002{ending}").write_bytes(text)
        table.append(["A0002", "{'SR': 0.0, 'NORM': 100.0}", fold])
    with (folder / "ptbxl_database.csv").open("w", newline="") as file:
        csv.writer(file).writerows(table)
    return folder


@pytest.fixture(scope="module")
def rows(trained):
    return datasets.load_from_disk(trained[0] / "corpus" / "saved")


@pytest.mark.slow
def test_every_stage_leaves_its_result_and_the_checkpoint_loads_and_writes(trained, rows):
    out, _ = trained
    model = load_model(str(out / "nano"))
    told = interpret(ecg=row_ecg(rows[0]), model=model, max_new_tokens=5)
    assert all(reading.n_tokens == 5 for reading in told.values())
    assert sum(json.loads((out / "sft.json").read_text())["environments"].values()) == 4


@pytest.mark.slow
def test_the_report_is_on_fold_8_and_its_card_shows_the_numbers_of_the_run(trained):
    folder = trained[0] / "nano"
    run = json.loads((folder / "run.json").read_text())
    assert run["corpus"] == {
        "ptbxl, report": 1,
        "ptbxl, train": 1,
        "simulated, choose": 1,
        "simulated, train": 6,
    }
    assert run["results"]["fold 8, all"]["both"]["records"] == 1
    card = (folder / "README.md").read_text()
    assert f"{run['results']['fold 8, all']['constant']['label_jaccard']:g}" in card
    assert "ptbxl, report: 1" in card


@pytest.mark.slow
def test_other_records_need_another_folder(trained):
    out, recipe = trained
    with pytest.raises(ECGError, match="was made from other records"):
        train_nano([], out, recipe, ("corpus",))


@pytest.mark.slow
def test_encoders_arrive_in_the_checkpoint_unchanged(trained):
    """The reference re-initialises its tower at this point."""
    out, _ = trained
    state = torch.load(out / "tower.pt", weights_only=True)["trained"]
    tower = load_model(str(out / "nano")).model.model.ecg_tower.state_dict()
    for name, value in tower.items():
        source = state[f"encoder.{name}"].half().float()  # the checkpoint is in half precision
        torch.testing.assert_close(value, source, rtol=0, atol=0, msg=name)


@pytest.mark.slow
def test_a_half_stored_encoder_is_refused(trained, rows, tmp_path):
    out, recipe = trained
    for part in ("tower", "vision"):
        state = torch.load(out / f"{part}.pt", weights_only=True)
        state["trained"].pop("encoder.class_embedding", None)
        torch.save(state, tmp_path / f"{part}.pt")
    model, _ = new_nano(rows["text"], recipe.seed)
    with pytest.raises(RuntimeError, match="class_embedding"):
        load_encoders(model, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["tower", "vision"])
def test_a_resumed_pretraining_ends_with_the_same_weights(part, rows, tmp_path, monkeypatch):
    def run(folder, stops):
        for stop in stops:
            model, processor = new_nano(rows["text"], seed=0)
            config = replace(short(part, save_every=1), warmup_steps=100)
            reports = pretrain(model, processor, rows, folder, config)
            if stop:
                monkeypatch.setattr("ecg_r1.pretrain._replace", _save_then_stop(_replace))
                with pytest.raises(KeyboardInterrupt):
                    list(reports)
                monkeypatch.undo()
            else:
                list(reports)
        return torch.load(folder / f"{part}.pt", weights_only=True)["trained"]

    whole, parts = run(tmp_path / "a", [False]), run(tmp_path / "b", [True, False])
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=0, atol=1e-6, msg=name)


def _save_then_stop(save):
    def saved(*args):
        save(*args)
        raise KeyboardInterrupt

    return saved


def test_targets_are_scaled_by_hand():
    told = number_targets([140.0, 200.0, 115.0, 440.0, 90.0, 1.0])
    # log2(140 / 70) * 2, (200 - 160) / 40, (115 - 95) / 20, (440 - 390) / 50, cos, sin of 90
    np.testing.assert_allclose(told, [2, 1, 1, 1, 0, 1, 1], atol=1e-6)
    assert np.isnan(number_targets([70.0, np.nan, 90.0, 400.0, 0.0, 0.0])[1])


def test_wave_bins_are_the_waves_at_their_centres():
    waves = np.repeat(np.array([0, 1, 2, 3], np.uint8), 1250)
    assert wave_bins(waves, 4).tolist() == [0, 1, 2, 3]
    assert wave_bins(waves, 8).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_page_waves_lie_where_the_page_shows_them():
    """15 mm margin, 250 mm for 10 s, 5 mm margin: second 4 to 5 is at 115 to 140 of 270 mm."""
    waves = np.zeros(5000, np.uint8)
    waves[2000:2500] = 2
    across = page_waves(waves, {}, 270)  # one bin per millimetre
    assert np.flatnonzero(across == 2).tolist() == list(range(115, 140))
    moved = page_waves(waves, {}, 270, moved=3 / 270)
    assert np.flatnonzero(moved == 2).tolist() == list(range(118, 143))
    fast = page_waves(waves, {"speed_mm_s": 50}, 520)  # 15 + 500 + 5 mm
    assert np.flatnonzero(fast == 2).tolist() == list(range(215, 265))


def test_the_model_card_shows_the_numbers_of_the_run():
    arm = {"records": 3, "well_formed": 0.667, "hr_bpm_mae": 4.25, "label_jaccard": 0.5}
    run = {
        "parameters": 9_700_000,
        "corpus": {"ptbxl, train": 7},
        "recipe": {
            "tower": {"steps": 11, "batch_size": 2},
            "vision": {"steps": 12},
            "sft": {"steps": 13, "batch_size": 4, "dropout": {"p_drop": 0.5, "p_swap": 0.1}},
        },
        "sft": {"minutes": 9, "environments": {"signal": 5}, "first_loss": 7, "last_loss": 1},
        "encoders": {"tower": {"seconds": 60}, "vision": {"seconds": 120}},
        "machine": "x",
        "notes": "Trained on a train.",
        "versions": {"torch": "2", "transformers": "5"},
        "results": {"fold 8": dict.fromkeys(("signal", "image", "both", "constant"), arm)},
    }
    card = model_card(run)
    for shown in (
        "9.7 million",
        "ptbxl, train: 7",
        "0.667",
        "4.25",
        "never use it to diagnose",
    ):
        assert shown in card
