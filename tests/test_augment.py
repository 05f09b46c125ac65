"""Scans and photographs: geometry that is known, pixels that stay pages."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ecg_r1.augment import (
    GAIN_SHARES,
    LAYOUT_SHARES,
    RESOLUTIONS,
    RHYTHM_SHARES,
    SPEED_SHARES,
    Scan,
    apply_scan,
    draw_scan,
    draw_varied_page,
    encode_page,
    hide_parts,
    homography,
)
from ecg_r1.page import draw_page
from ecg_r1.simulate import HeartSpec, simulate


@pytest.fixture(scope="module")
def ecg():
    return simulate(HeartSpec(hr_bpm=70), seed=1)


@pytest.fixture(scope="module")
def page(ecg):
    return draw_page(ecg, px_per_mm=3)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_hidden_parts_are_one_stretch_of_time_or_whole_leads():
    """Of ones, what is not 0 is the gain; stretches in 60 %, leads in 30 % of many draws."""
    stretches, leads = [], []
    for seed in range(400):
        shown = hide_parts(np.ones((12, 1000), np.float32), rng(seed))
        assert len(np.unique(shown[shown != 0])) == 1
        assert 0.95 <= shown.max() <= 1.05
        dark = (shown == 0).all(axis=1)
        leads.append(dark.sum())
        gone = np.flatnonzero((shown[~dark] == 0).all(axis=0))
        stretches.append(gone.size)
        assert gone.size == 0 or gone[-1] - gone[0] + 1 == gone.size  # one piece
        assert ((shown[~dark] == 0).sum(axis=1) == gone.size).all()
    hidden = np.array(stretches)[np.array(stretches) > 0]
    assert hidden.size / 400 == pytest.approx(0.6, abs=0.08)
    assert hidden.min() >= 50
    assert 400 < hidden.max() <= 450
    assert np.mean(np.array(leads) > 0) == pytest.approx(0.3, abs=0.08)
    assert max(leads) == 3


def test_a_scan_that_does_nothing_does_nothing(page):
    assert np.array_equal(apply_scan(page, Scan(), rng()), page)


def test_a_turn_takes_a_point_where_trigonometry_says():
    # Half a turn swaps the corners of a page.
    turned = homography(Scan(rotation_deg=180.0), (400, 300)) @ (10, 20, 1)
    assert turned[:2] / turned[2] == pytest.approx([390, 280])
    # Counter-clockwise by 90 degrees a square's right edge becomes its upper one.
    up = homography(Scan(rotation_deg=90.0), (100, 100)) @ (100, 50, 1)
    assert up[:2] / up[2] == pytest.approx([50, 0], abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_whole_page_stays_in_the_picture(seed):
    scan = replace(
        draw_scan(rng(seed)), rotation_deg=5.0, corners=tuple(rng(seed).uniform(-0.05, 0.05, 8))
    )
    matrix = homography(scan, (400, 300))
    for corner in ((0, 0), (400, 0), (400, 300), (0, 300)):
        moved = matrix @ (*corner, 1)
        x, y = moved[:2] / moved[2]
        assert -1e-6 <= x <= 400 + 1e-6
        assert -1e-6 <= y <= 300 + 1e-6


def test_a_mark_on_the_page_lands_where_the_homography_says():
    page = Image.new("RGB", (400, 300), "white")
    page.paste((0, 0, 0), (98, 78, 103, 83))  # centred on pixel (100, 80)
    scan = Scan(rotation_deg=4.0, corners=(0.02, 0.01, -0.02, 0.03, 0.01, -0.02, 0.0, 0.02))
    dark = np.asarray(apply_scan(page, scan, rng()).convert("L")) < 100
    found = np.argwhere(dark).mean(axis=0)[::-1] + 0.5
    expected = homography(scan, page.size) @ (100.5, 80.5, 1)
    assert found == pytest.approx(expected[:2] / expected[2], abs=0.7)


def test_a_fold_is_dark_where_it_is_and_nowhere_else(page):
    upright = np.asarray(apply_scan(page, Scan(folds=((0, 0.25, 0.4),)), rng()).convert("L"))
    before = np.asarray(page.convert("L"))
    ratio = upright.mean(axis=0) / before.mean(axis=0)
    assert ratio.argmin() == pytest.approx(0.25 * page.width, abs=2)
    assert ratio.min() < 0.65
    assert ratio[: page.width // 10].min() > 0.97
    across = np.asarray(apply_scan(page, Scan(folds=((1, 0.75, 0.4),)), rng()).convert("L"))
    assert (across.mean(axis=1) / before.mean(axis=1)).argmin() == pytest.approx(
        0.75 * page.height, abs=2
    )


def test_a_shadow_lies_on_its_side(page):
    scanned = np.asarray(apply_scan(page, Scan(shadow=(0.0, 0.5, 0.4)), rng()), float)
    plain = np.asarray(page, float)
    third = page.width // 3
    assert scanned[:, -third:].sum() / plain[:, -third:].sum() == pytest.approx(0.6, abs=0.05)
    assert scanned[:, :third].sum() / plain[:, :third].sum() == pytest.approx(1.0, abs=0.05)


def test_tint_blur_and_noise_do_what_they_say(page):
    white = Image.new("RGB", (256, 256), (200, 200, 200))
    tinted = np.asarray(apply_scan(white, Scan(tint=(1.0, 0.9, 0.5)), rng()))
    assert tinted[0, 0].tolist() == [200, 180, 100]
    noisy = np.asarray(apply_scan(white, Scan(noise=4.0), rng()), float)
    assert noisy.mean() == pytest.approx(200, abs=1)
    assert noisy.std() == pytest.approx(4, abs=0.3)
    blurred = np.asarray(apply_scan(page, Scan(blur=0.003), rng()), float)
    assert (
        np.abs(np.diff(blurred, axis=1)).mean()
        < 0.6 * np.abs(np.diff(np.asarray(page, float), axis=1)).mean()
    )


def test_pages_vary_in_every_way_and_follow_from_their_chance(ecg):
    styles = [draw_varied_page(ecg, rng(seed))[0] for seed in range(80)]
    assert {s["layout"] for s in styles} == set(LAYOUT_SHARES)
    assert {s["speed_mm_s"] for s in styles} == set(SPEED_SHARES)
    assert {s["gain_mm_mv"] for s in styles} == set(GAIN_SHARES)
    assert {s["rhythm_lead"] for s in styles} <= set(RHYTHM_SHARES)
    assert len({s["colour"] for s in styles}) == 3
    assert 30 < sum(s["scan"] is not None for s in styles) < 66
    one, two = draw_varied_page(ecg, rng(3)), draw_varied_page(ecg, rng(3))
    assert one[0] == two[0]
    assert np.array_equal(one[1], two[1])


def test_pages_have_about_as_many_pixels_at_every_speed(ecg):
    for speed, resolutions in RESOLUTIONS.items():
        for px_per_mm in resolutions:
            width, height = draw_page(ecg, speed_mm_s=speed, px_per_mm=px_per_mm).size
            assert 500_000 < width * height < 950_000


def test_clean_pages_are_png_and_scans_jpeg(ecg):
    for scanned, kind in ((0.0, "PNG"), (1.0, "JPEG")):
        style, image = draw_varied_page(ecg, rng(), scanned=scanned)
        with Image.open(io.BytesIO(encode_page(image, style))) as opened:
            assert opened.format == kind
            assert opened.size == image.size
