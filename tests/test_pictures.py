"""Pictures: pages of every kind pass, other pictures are refused with the reason, bombs too."""

import io
import struct
import zlib
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ecg_r1.augment import (
    Scan,
    apply_scan,
    draw_augmented_page,
    draw_varied_page,
    encode_page,
)
from ecg_r1.ecg import ECGError, read_ecg
from ecg_r1.page import PAGE_COLOURS, PAGE_LAYOUTS, draw_page
from ecg_r1.pictures import (
    MAX_JPEG_SCANS,
    MAX_PIXELS,
    looks_like_page,
    open_page_image,
)

RECORDS = ("A0002.hea", "A0005.hea", "waveform_ecg.dcm", "guangxi_teaching_sinus_rhythm.dcm")


@pytest.fixture(scope="module")
def records(assets):
    return [read_ecg(assets / "ecgs" / name) for name in RECORDS]


# ---- pages


@pytest.mark.parametrize(("layout", "colour"), [*product(PAGE_LAYOUTS, PAGE_COLOURS)])
def test_drawn_pages_pass_in_colour_and_grey(records, layout, colour):
    page = draw_page(records[0], layout, colour=colour)
    assert looks_like_page(page) == (True, "")
    assert looks_like_page(page.convert("L")) == (True, "")


@pytest.mark.parametrize("px_per_mm", [2.37, 3.2, 6.0])
@pytest.mark.parametrize(("speed", "gain"), [(25, 10), (50, 20), (12.5, 5)])
def test_drawn_pages_pass_at_every_resolution_speed_and_gain(records, px_per_mm, speed, gain):
    page = draw_page(records[1], px_per_mm=px_per_mm, speed_mm_s=speed, gain_mm_mv=gain)
    assert looks_like_page(page) == (True, "")


def test_hardly_any_scanned_photographed_or_augmented_page_is_refused(records):
    refused = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        ecg = records[seed % len(records)]
        if seed % 4 == 3:
            _, page = draw_augmented_page(ecg, {"layout": "3x4", "px_per_mm": 2.37}, rng)
        else:
            style, page = draw_varied_page(ecg, rng, scanned=0.8)
            page = Image.open(io.BytesIO(encode_page(page, style)))
        if not looks_like_page(page)[0]:
            refused.append(seed)
    assert len(refused) <= 1  # of 500 others: see the figure beside the thresholds


def test_a_page_on_a_table_passes(records):
    scan = Scan(rotation_deg=4, corners=(0.1, 0.1, -0.1, 0.1, -0.1, -0.1, 0.1, -0.1), table=60)
    page = draw_page(records[2], px_per_mm=8)
    photo = apply_scan(page, scan, np.random.default_rng(0))
    assert looks_like_page(photo) == (True, "")


def test_a_short_record_on_a_page_passes(records):
    short = replace(records[0], signal=records[0].signal[:, :1250])
    assert looks_like_page(draw_page(short)) == (True, "")


# ---- other pictures


def noise(rng):
    return Image.fromarray(rng.integers(0, 256, (600, 800), dtype=np.uint8))


def gradient(rng):
    return Image.fromarray(
        np.add.outer(np.arange(600) / 4, np.arange(800) / 8).astype(np.uint8)
    )


def landscape(rng):
    """Noise with the 1/f spectrum of photographs, and a few edges."""
    down, across = np.meshgrid(np.fft.fftfreq(600), np.fft.rfftfreq(800), indexing="ij")
    spectrum = rng.normal(size=(2, *down.shape)) / (0.002 + np.hypot(down, across))
    scene = np.fft.irfft2(spectrum[0] + 1j * spectrum[1], s=(600, 800))
    scene = (scene - scene.min()) / np.ptp(scene) * 200
    scene[300:, 200:500] += 50
    return Image.fromarray(scene.astype(np.uint8))


def text(rng):
    image = Image.new("L", (900, 1200), 255)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(18)
    for y in range(20, 1180, 24):
        draw.text((30, y), "".join(rng.choice(list("abc defg hij"), 90)), fill=0, font=font)
    return image


def spreadsheet(rng):
    image = Image.new("L", (1000, 800), 255)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(12)
    for y in range(0, 800, 34):
        draw.line((0, y, 1000, y), fill=170)
        for x in range(0, 1000, 90):
            draw.line((x, 0, x, 800), fill=170)
            draw.text((x + 3, y + 3), str(int(rng.integers(9999))), fill=0, font=font)
    return image


def chessboard(rng):
    squares = np.indices((600, 800)) // 20
    return Image.fromarray((squares.sum(axis=0) % 2 * 255).astype(np.uint8))


def lines(rng):
    """Ruled paper: lines in one direction only, and a hand's curve."""
    image = Image.new("L", (800, 600), 255)
    draw = ImageDraw.Draw(image)
    for y in range(0, 600, 15):
        draw.line((0, y, 800, y), fill=150)
    draw.line([(x, 300 + 50 * np.sin(x / 9)) for x in range(800)], fill=0, width=3)
    return image


@pytest.mark.parametrize("make", [noise, gradient, landscape, text, lines])
def test_pictures_without_a_grid_are_refused(make):
    looks, reason = looks_like_page(make(np.random.default_rng(0)))
    assert not looks
    assert "no millimetre grid" in reason


@pytest.mark.parametrize("make", [spreadsheet, chessboard])
def test_other_patterns_are_refused(make):
    looks, reason = looks_like_page(make(np.random.default_rng(0)))
    assert not looks
    assert "grid" in reason or "pattern" in reason


@pytest.mark.parametrize("colour", PAGE_COLOURS)
def test_empty_graph_paper_is_refused(colour):
    from ecg_r1.page import _paper

    looks, reason = looks_like_page(_paper(colour, (1080, 756), 4.0, from_below=False))
    assert not looks
    assert "no trace" in reason


def test_a_small_picture_is_refused_with_its_size():
    assert looks_like_page(Image.new("L", (199, 900), 255)) == (
        False,
        "it has 199 x 900 pixels, and a page needs 200 each way",
    )


def test_photographs_are_refused():
    images = pytest.importorskip("sklearn.datasets").load_sample_images().images
    assert [looks_like_page(Image.fromarray(image))[0] for image in images] == [False, False]


# ---- bombs


def chunk(kind, body):
    return (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    )


def write_png(path, width, height, rows):
    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(rows * (width + 1)))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", body)
        + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize(("width", "height"), [(9000, 8000), (20_000, 20_000), (2**31 - 1, 9)])
def test_more_pixels_than_is_sane_are_refused_before_they_are_decoded(tmp_path, width, height):
    path = write_png(tmp_path / "a.png", width, height, rows=0)
    with pytest.raises(ECGError, match=r"million pixels|is no ECG page"):
        open_page_image(path)


def test_the_largest_picture_is_within_the_limit_and_read(tmp_path):
    assert MAX_PIXELS >= 8160 * 6144  # the 50 megapixels of a phone
    assert open_page_image(write_png(tmp_path / "a.png", 3000, 2000, 2000)).size == (3000, 2000)


def test_a_picture_of_many_scans_is_refused(tmp_path):
    packed = io.BytesIO()
    Image.new("L", (300, 300), 255).save(packed, "JPEG", progressive=True)
    whole = packed.getvalue()
    first = whole.index(b"\xff\xda")
    scans = whole[first:-2]
    many = whole[:first] + scans * 30 + whole[-2:]
    (tmp_path / "a.jpg").write_bytes(many)
    n_scans = many.count(b"\xff\xda")
    assert n_scans > MAX_JPEG_SCANS
    with pytest.raises(ECGError, match=f"JPEG of {n_scans} scans"):
        open_page_image(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes(whole)
    assert open_page_image(tmp_path / "a.jpg").size == (300, 300)


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_text_that_swells_is_refused_or_ignored(tmp_path, kind):
    path = write_png(tmp_path / "a.png", 300, 300, 300)
    whole = path.read_bytes()
    note = chunk(kind, b"Comment\0\0" + zlib.compress(bytes(2**27)))
    path.write_bytes(whole[:33] + note + whole[33:])
    try:
        assert open_page_image(path).size == (300, 300)
    except ECGError as error:
        assert "cannot be read as a picture" in str(error)  # noqa: PT017  either will do


def test_an_empty_and_a_cut_off_picture_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ECGError, match=r"a\.png is empty"):
        open_page_image(tmp_path / "a.png")
    path = write_png(tmp_path / "b.png", 300, 300, 300)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ECGError, match=r"b\.png cannot be read"):
        open_page_image(path)
