"""The recipe from nothing to a checkpoint, at a size that only proves that it runs."""

import csv
import json
import re
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from ecg_r1 import interpret, load_model
from ecg_r1.augment import jitter_page
from ecg_r1.card import helps, model_card, report
from ecg_r1.coca import CAPTION_WEIGHT, coca_losses, pretrain_coca
from ecg_r1.corpus import row_ecg, row_page
from ecg_r1.ecg import ECGError
from ecg_r1.evaluate import Row, Run, read_rows
from ecg_r1.evaluate.conditions import ARMS
from ecg_r1.evaluate.own import OwnReader
from ecg_r1.evaluate.stage_one import truth_of_row
from ecg_r1.nano import nano_processor, new_nano, page_patches, pixel_values, train_tokenizer
from ecg_r1.pretrain import (
    EncoderData,
    PretrainConfig,
    _replace,
    load_part,
    losses,
    number_targets,
    page_waves,
    pretrain,
    rarity,
    sampling_weights,
    teach,
    wave_bins,
)
from ecg_r1.probe import compare_towers, probe
from ecg_r1.rl.config import RLConfig
from ecg_r1.sft import SFTConfig
from ecg_r1.train import Recipe, _prompts, load_encoders, tasks_of, train_nano

datasets = pytest.importorskip("datasets", reason="needs the extra 'train'")


def short(part, **changes):
    return PretrainConfig(part, **({"steps": 2, "batch_size": 2, "workers": 0} | changes))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, assets):
    out = tmp_path_factory.mktemp("run")
    folder = ptbxl_of_one_record(tmp_path_factory.mktemp("data") / "ptbxl", assets)
    recipe = Recipe(
        simulated=6,
        variants=0,
        choosing=1,
        tower=short("tower"),
        vision=short("vision", distil=0.5),
        feature_variants=2,
        sft=SFTConfig(steps=2, batch_size=2, workers=0, warmup_steps=1),
        rl=RLConfig(steps=1, prompts=2, samples=2, retries=0, max_new_tokens=4),
        rl_simulated=2,
        processes=1,
    )
    train_nano([folder], out, recipe)
    return out, recipe, folder


def ptbxl_of_one_record(folder, assets):
    """A folder laid out as PTB-XL, the same shipped ECG in folds 1 and 8."""
    folder.mkdir()
    table = [["filename_hr", "scp_codes", "strat_fold"]]
    for fold in (1, 8):
        name = f"A{fold:04d}"
        header = (assets / "ecgs" / "A0002.hea").read_text().replace("A0002", name)
        (folder / f"{name}.hea").write_text(header)
        (folder / f"{name}.dat").write_bytes((assets / "ecgs" / "A0002.dat").read_bytes())
        table.append([name, "{'SR': 0.0, 'NORM': 100.0}", fold])
    with (folder / "ptbxl_database.csv").open("w", newline="") as file:
        csv.writer(file).writerows(table)
    return folder


@pytest.fixture(scope="module")
def rows(trained):
    return datasets.load_from_disk(trained[0] / "corpus")


@pytest.mark.slow
def test_every_stage_leaves_its_result_and_the_checkpoint_loads_and_writes(trained, rows):
    out, *_ = trained
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
    assert "fold 8" in run["data"]
    assert all(re.fullmatch("[0-9a-f]{16}", one) for one in run["data"].values())


@pytest.mark.slow
@pytest.mark.parametrize("better", ["tuned", "rewarded"])
def test_fold_7_chooses_what_is_shipped(better, trained, rows, tmp_path, monkeypatch):
    """Each checkpoint "reads" with texts of our own; the one whose labels are right ships."""
    out, recipe, _ = trained
    shutil.copytree(out, tmp_path / "run")
    out = tmp_path / "run"
    fold_7 = [split.replace("train", "choose") for split in rows["split"]]
    rows = rows.remove_columns("split").add_column("split", fold_7)

    def told(row, name):
        right = row["text"] if name.startswith(better) else "<answer>atrial flutter</answer>"
        return {arm: Row(row["id"], arm, "clean", right) for arm in ("signal", "image", "both")}

    def read(members, _, file):
        texts = [one for row in members for one in told(row, file.name).values()]
        truths = {row["id"]: truth_of_row(row) for row in members}
        return Run({}, truths, {one.key: one for one in texts})

    monkeypatch.setattr("ecg_r1.card.read_rows", read)
    for name in ("tuned", "rewarded"):
        (out / name / "which.txt").write_text(name)
    report(rows, out, asdict(recipe))
    assert (out / "nano" / "which.txt").read_text() == better
    run = json.loads((out / "nano" / "run.json").read_text())
    assert run["rl"]["shipped"] is (better == "rewarded")
    change = run["rl"]["groups"]["fold 8"]["changes"]["both"]["labels"]["value"]
    assert change == (1 if better == "rewarded" else -1)
    card = (out / "nano" / "README.md").read_text()
    assert f"checkpoint {'after' if better == 'rewarded' else 'before'} it" in card
    both = run["rl"]["groups"]["fold 8"]["changes"]["both"]["strict_evidence"]
    paid = re.search(r"strict evidence reward, mean \|.*\| (\S+) \| (\S+) \|\n", card)
    assert paid.groups() == (f"{both['before']:.3f}", f"{both['after']:.3f}")
    assert abs(both["after"] - both["before"]) > 0.3  # the right text against a bare answer
    assert (out / "nano" / "rewards.png").stat().st_size > 1000


@pytest.mark.slow
def test_without_folds_the_report_is_on_simulated_hearts_and_says_that_nothing_chose(
    trained, rows, tmp_path
):
    """As of `train nano --data ludb`, whose records all train."""
    out, recipe, _ = trained
    shutil.copytree(out, tmp_path / "run")
    training = [split.replace("report", "train") for split in rows["split"]]
    rows = rows.remove_columns("split").add_column("split", training)
    report(rows, tmp_path / "run", asdict(recipe))
    folder = tmp_path / "run" / "nano"
    run = json.loads((folder / "run.json").read_text())
    assert set(run["results"]) == {"simulated, calibrated", "simulated, all"}
    assert run["results"]["simulated, all"]["both"]["records"] == 1
    assert run["rl"]["shipped"] is False
    card = (folder / "README.md").read_text()
    assert "### simulated, all (1 records)" in card
    assert "There was no fold 7 to choose by; shipped is the checkpoint before it" in card


def test_a_recipe_that_holds_nothing_out_is_refused():
    with pytest.raises(ECGError, match="choosing is 0"):
        Recipe(choosing=0)


@pytest.mark.slow
def test_readings_that_are_kept_are_not_made_again(trained, rows, tmp_path, monkeypatch):
    model, some = load_model(str(trained[0] / "nano")), [rows[0], rows[1]]
    first = read_rows(some[:1], model, tmp_path / "kept.jsonl")
    asked, read = [], OwnReader.read

    def counted(self, shown):
        asked.extend(shown)
        return read(self, shown)

    monkeypatch.setattr(OwnReader, "read", counted)
    both = read_rows(some, model, tmp_path / "kept.jsonl")
    assert [(one.record, one.arm) for one in asked] == [(some[1]["id"], arm) for arm in ARMS]
    np.testing.assert_array_equal(asked[0].ecg.signal, row_ecg(some[1]).signal)
    assert [key for key, row in first.rows.items() if row.text != both.rows[key].text] == []
    assert len(both.rows) == 6
    again = read_rows(some[1:], model, tmp_path / "kept.jsonl")  # and no row of another record
    assert {key[0] for key in again.rows} == {some[1]["id"]}


@pytest.mark.parametrize(
    ("changes", "is_better"),
    [
        ({"labels": (0.02, 0.01, 0.03)}, True),
        ({"labels": (-0.02, -0.03, 0.01)}, False),  # less, if by chance
        ({"labels": (0.02, 0.01, 0.03), "hr_error": (0.5, -0.1, 1.1)}, True),  # noise
        ({"labels": (0.02, 0.01, 0.03), "hr_error": (0.5, 0.2, 0.8)}, False),  # bpm more
        ({"labels": (0.02, 0.01, 0.03), "hr_error": (-0.5, -0.8, -0.2)}, True),  # bpm less
        ({"labels": (0.02, 0.01, 0.03), "numbers": (-0.5, -0.8, -0.2)}, False),
        ({"labels": (0.02, 0.01, 0.03), "hallucination_rate": (0.01, 0.001, 0.02)}, False),
    ],
)
def test_it_helps_when_labels_gain_and_nothing_else_is_worse_beyond_noise(changes, is_better):
    told = {name: {"value": v, "ci": [low, high]} for name, (v, low, high) in changes.items()}
    quiet = {
        "labels": {"value": 0.0, "ci": [-0.01, 0.01]},
        "well_formed": {"value": 0, "ci": None},
    }
    assert helps({"changes": {"signal": quiet, "both": told}}) is is_better


def test_prompts_are_all_real_rows_and_some_simulated_ones_with_a_solution():
    made = {
        "id": list("abcdef"),
        "source": ["simulated", "ptbxl", "simulated", "simulated", "cinc", "ptbxl"],
        "solution": ["s", "s", "", "s", "s", ""],
    }
    rows = datasets.Dataset.from_dict(made)
    assert _prompts(rows, 1)["id"] == ["a", "b", "e"]
    assert _prompts(rows, 0)["id"] == ["b", "e"]


@pytest.mark.slow
def test_other_records_need_another_folder(trained):
    out, recipe, _ = trained
    with pytest.raises(ECGError, match="was made from other records"):
        train_nano([], out, recipe, ("corpus",))


@pytest.mark.slow
def test_encoders_arrive_in_the_checkpoint_unchanged(trained):
    """The reference re-initialises its tower at this point."""
    out, *_ = trained
    state = torch.load(out / "tower.pt", weights_only=True)["trained"]
    tower = load_model(str(out / "nano")).model.model.ecg_tower.state_dict()
    for name, value in tower.items():
        source = state[f"encoder.{name}"].half().float()  # the checkpoint is in half precision
        torch.testing.assert_close(value, source, rtol=0, atol=0, msg=name)


@pytest.mark.slow
def test_a_half_stored_encoder_is_refused(trained, rows, tmp_path):
    out, recipe, _ = trained
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
            "feature_variants": 3,
            "variants": 2,
            "uncalibrated_variants": 0,
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
        "copies, 2 of each calibrated one: played",
        "never use it to diagnose",
    ):
        assert shown in card


@pytest.mark.slow
def test_patches_are_those_of_the_image_processor(rows):
    processor = nano_processor(train_tokenizer(list(rows["text"]) * 10))
    page = jitter_page(row_page(rows[0]), np.random.default_rng(0))[0]
    wanted = processor.image_processor([page.convert("RGB")], return_tensors="pt")
    fast = pixel_values(torch.from_numpy(page_patches(page)))
    torch.testing.assert_close(fast, wanted["pixel_values"], atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="640 x 448, got L 320 x 448"):
        page_patches(page.resize((320, 448)))


@pytest.mark.slow
def test_a_finished_run_does_nothing_again(trained, monkeypatch):
    """Killed between two stages, or started twice: what is done stays as it is."""
    out, recipe, folder = trained
    files = ("tower.pt", "vision.pt", "teacher.npz", "features/tower.npy", "corpus/done.txt")
    before = {name: (out / name).stat().st_mtime_ns for name in files}
    state = next((out / "sft").glob("checkpoint-2"))
    weights = (state / "model.safetensors").stat().st_mtime_ns
    train_nano([folder], out, recipe, ("tower", "vision", "sft"))
    assert before["teacher.npz"] == (out / "teacher.npz").stat().st_mtime_ns
    assert before["corpus/done.txt"] == (out / "corpus/done.txt").stat().st_mtime_ns
    assert before["tower.pt"] == (out / "tower.pt").stat().st_mtime_ns
    assert weights == (state / "model.safetensors").stat().st_mtime_ns


def test_probabilities_of_rows_have_the_shares_and_favour_the_rare():
    labels = [["sinus rhythm"]] * 39 + [["atrial flutter"]] + [["sinus rhythm"]] * 10
    made = {"labels": labels, "source": ["ptbxl"] * 40 + ["simulated"] * 10}
    config = PretrainConfig("tower", real_share=0.6, rare_most=3)
    share = np.diff(sampling_weights(made, config), prepend=0)
    assert share[:40].sum() == pytest.approx(0.6)
    # Of 40 records one: sqrt(0.1 * 40 / 1) = 2 times as likely as another real one.
    assert share[39] == pytest.approx(2 * share[0])
    assert share[40:] == pytest.approx(np.full(10, 0.04))
    assert rarity(labels, np.ones(50, dtype=bool), 1).tolist() == [1] * 50


def test_the_teachers_part_of_the_loss_by_hand():
    """Labels at logit 0 against 0.5: 4 ln 2; numbers 1 off beyond beta 0.2: 1 - 0.1."""
    predicted = {name: torch.zeros(1, 1) for name in ("numbers", "amplitudes", "labels")}
    predicted["waves"] = torch.zeros(1, 1, 4)
    batch = {"numbers": torch.full((1, 1), float("nan")), "amplitudes": torch.zeros(1, 1)}
    batch |= {"labels": torch.zeros(1, 1), "waves": torch.zeros(1, 1, dtype=torch.long)}
    batch |= {"taught_numbers": torch.ones(1, 1), "taught_labels": torch.full((1, 1), 0.5)}
    parts = losses(predicted, batch, distil=0.5)
    assert parts["taught"].item() == pytest.approx(0.5 * (0.9 + 4 * np.log(2)))
    assert "taught" not in losses(predicted, batch)


def test_hidden_parts_and_smooth_labels_reach_the_encoder(rows):
    _, processor = new_nano(rows["text"], seed=0)
    plain = EncoderData(rows, short("tower"), processor, 0)[0]
    taught = EncoderData(rows, short("tower", hide=True, label_smoothing=0.1), processor, 0)
    for sample in (taught[i] for i in range(4)):
        low, high = np.unique(sample["labels"]).tolist()
        assert (low, high) == pytest.approx((0.003, 0.903))  # a tenth of the way to 0.03
    assert set(np.unique(plain["labels"])) == {0, 1}
    hidden = [(taught[i]["ecg_values"] == 0).mean() > 0.05 for i in range(4)]
    assert any(hidden)
    assert (plain["ecg_values"] == 0).mean() < 0.05


def test_contrast_and_caption_by_hand():
    """Two pairs that match exactly, at scale e^0: each direction ln(1 + e^-1)."""
    ecg = torch.eye(2)
    ids = torch.tensor([[0, 1, -100], [0, 2, -100]])
    parts = coca_losses(ecg, 3 * ecg, torch.zeros(()), torch.zeros(2, 3, 5), ids)
    assert parts["contrast"].item() == pytest.approx(np.log(1 + np.exp(-1)))
    assert parts["caption"].item() == pytest.approx(CAPTION_WEIGHT * np.log(5))
    crossed = coca_losses(ecg, ecg.flip(0), torch.zeros(()), torch.zeros(2, 3, 5), ids)
    assert crossed["contrast"].item() == pytest.approx(1 + np.log(1 + np.exp(-1)))


@pytest.mark.slow
def test_captions_train_the_tower_and_resume(rows, tmp_path):
    def run(folder, steps):
        model, processor = new_nano(rows["text"], seed=0)
        config = short("tower", steps=steps, save_every=1, batch_size=3, warmup_steps=100)
        told = list(pretrain_coca(model, processor, rows, folder, config))
        return model.model.ecg_tower.state_dict(), told[-1]

    whole, said = run(tmp_path / "a", 2)
    assert {"contrast", "caption", "samples_per_second", "minutes_left"} <= set(said)
    new, _ = new_nano(rows["text"], seed=0)
    changed = new.model.ecg_tower.state_dict()
    assert all(not torch.equal(whole[n], changed[n]) for n in ("proj", "conv1.0.weight"))
    loaded, _ = new_nano(rows["text"], seed=1)
    load_part(loaded, tmp_path / "a", "tower")
    assert torch.equal(loaded.model.ecg_tower.proj, whole["proj"])


@pytest.mark.slow
def test_the_teacher_speaks_of_every_row(trained, rows):
    out, *_ = trained
    with np.load(out / "teacher.npz") as told:
        assert told["numbers"].shape == (7, 7)  # six simulated and one real record train
        assert 0 <= told["labels"].min() <= told["labels"].max() <= 1
        training = rows.filter(lambda split: split == "train", input_columns="split")
        model, processor = new_nano(training["text"], 0)
        heads = load_part(model, out, "tower")
        again = teach(model, heads, processor, training.select([3]))
        np.testing.assert_allclose(again["numbers"][0], told["numbers"][3], atol=0.05)


def test_a_probe_reads_what_is_linear_and_nothing_else():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    angle = np.degrees(np.arctan2(x[:, 1], x[:, 2]))
    numbers = np.stack(
        [
            70 + 5 * x[:, 0],
            rng.normal(160, 10, 300),
            90 + x[:, 3],
            400 + x[:, 0],
            angle,
            x[:, 0],
        ],
        axis=1,
    )
    numbers[::7, 1] = np.nan
    labels = [["a"] if v > 0 else ["b"] for v in x[:, 3]]
    made = {"numbers": numbers.tolist(), "labels": labels}
    fit, test = (
        {k: v[part] for k, v in made.items()} for part in (slice(200), slice(200, 300))
    )
    told = probe(x[:200], fit, x[200:], test)
    assert told["hr_bpm"] < 0.05
    assert told["pr_ms"] == pytest.approx(
        8, abs=1.5
    )  # mean of |N(0, 10)| is 7.98: nothing read
    assert told["axis_deg"] < 35
    assert told["macro_auroc"] > 0.98
    assert told["labels"] == 2


@pytest.mark.slow
def test_methods_are_compared_on_fold_7_of_real_records(rows, tmp_path):
    made = [dict(row) for row in rows]
    for i, row in enumerate(made):
        row |= {"id": f"x/{i}", "split": "train"}
    chosen = [dict(row) | {"split": "choose", "source": "ptbxl"} for row in made[:3]]
    both = datasets.Dataset.from_list(made + chosen)
    told = compare_towers(
        both, tmp_path, short("tower"), ("untrained", "supervised", "contrastive")
    )
    assert all(np.isfinite(one["hr_bpm"]) for one in told.values())
    assert told["untrained"]["hr_bpm"] != told["supervised"]["hr_bpm"]
    with pytest.raises(ECGError, match="real ones to choose by"):
        compare_towers(datasets.Dataset.from_list(made), tmp_path / "2", short("tower"))
    with pytest.raises(ECGError, match="'guessing' is no method"):
        compare_towers(both, tmp_path, short("tower"), ("guessing",))


def test_folders_are_known_by_what_is_in_them(shared, tmp_path):
    recipe = Recipe(simulated=2, choosing=1, variants=1)
    folders = [shared / "data" / name for name in ("ptbxl", "cinc2021")]
    tasks = tasks_of(folders, recipe)
    by = {
        name: [t for t in tasks if t.source == name] for name in ("ptbxl", "cinc", "simulated")
    }
    assert all(by.values())
    train = [t for t in by["ptbxl"] if t.split == "train"]
    assert sum(t.variant == 1 for t in train) == sum(t.variant == 0 for t in train) > 200
    assert all(t.variant == 0 for t in by["ptbxl"] if t.split != "train")
    with pytest.raises(ECGError, match="no LUDB"):
        tasks_of([tmp_path], recipe)


def test_stages_in_the_wrong_order_are_refused(tmp_path):
    with pytest.raises(ECGError, match=r"holds no tower\.pt: run the stage 'tower' first"):
        load_encoders(None, tmp_path)
