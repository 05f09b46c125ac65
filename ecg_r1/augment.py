"""What happens to ECGs on their way: electrode noise, other paper, scanners and phones."""

import io
import math
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from ecg_r1.ecg import ECG, FS
from ecg_r1.page import PAGE_COLOURS, draw_page


def degrade_signal(ecg: ECG, rng: np.random.Generator) -> ECG:
    """Add baseline wander and muscle noise at the electrodes, so that Einthoven's law holds.

    Half of the records stay as they are.
    """
    if rng.random() < 0.5:
        return ecg
    n = ecg.signal.shape[1]
    time = np.arange(n) / FS
    wander = rng.uniform(0, 0.06, (9, 1)) * np.sin(
        2 * np.pi * rng.uniform(0.05, 0.4, (9, 1)) * time + rng.uniform(0, 2 * np.pi, (9, 1))
    )
    muscle = rng.normal(0, rng.uniform(0, 0.015), (9, n))
    ra, la, ll, *chest = wander + muscle
    i, ii = la - ra, ll - ra
    limb = [i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2]
    centre = (ra + la + ll) / 3
    noise = np.stack([*limb, *(v - centre for v in chest)])
    return replace(ecg, signal=ecg.signal + noise.astype(np.float32))


def hide_parts(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blank a stretch of time in most records and one to three leads in some.

    What is left names the diagnosis still, but no longer the record: a small encoder that sees
    two thousand real records fifty times otherwise learns each of their labels by heart.

    Args:
        values: Millivolts, `(leads, samples)`.
        rng: Source of chance.

    Returns:
        A copy with parts at 0 mV and up to 5 % larger or smaller. The shares are ours.
    """
    leads, n = values.shape
    shown = values * np.float32(rng.uniform(0.95, 1.05))
    if rng.random() < 0.6:
        length = int(n * rng.uniform(0.05, 0.45))
        start = int(rng.integers(n - length))
        shown[:, start : start + length] = 0
    if rng.random() < 0.3:
        shown[rng.choice(leads, int(rng.integers(1, 4)), replace=False)] = 0
    return shown


def draw_augmented_page(
    ecg: ECG, page: dict[str, Any], rng: np.random.Generator
) -> tuple[dict[str, Any], Image.Image]:
    """Draw a page of another colour, resolution and sharpness, often of another scale.

    The image is grey and has the pixel size of `page`, whatever resolution and paper speed it
    was drawn at.

    Args:
        ecg: The record.
        page: Arguments of `draw_page` for the plain page.
        rng: Source of chance.

    Returns:
        The arguments used, and the image.
    """
    drawn = dict(page)
    drawn["colour"] = str(rng.choice(PAGE_COLOURS))
    if rng.random() < 0.15:
        drawn["layout"] = str(rng.choice(["6x2", "12x1"]))
    if rng.random() < 0.25:
        drawn["gain_mm_mv"] = int(rng.choice([5, 20], p=[0.7, 0.3]))
    if rng.random() < 0.25:
        drawn["speed_mm_s"] = 50
    # A few resolutions, not a range: the paper of each is drawn once and kept.
    drawn["px_per_mm"] = page["px_per_mm"] * float(
        rng.choice([1.0, 1.5, 2.0], p=[0.6, 0.25, 0.15])
    )
    image = draw_page(ecg, **drawn)
    size = (round(270 * page["px_per_mm"]), round(189 * page["px_per_mm"]))
    if image.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    if rng.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.8)))
    return drawn, image.convert("L")


# --- pages as scanners and phones see them ----------------------------------------------------

# Shares are ours: the usual settings most of the time, each other one often enough to learn.
LAYOUT_SHARES = {"3x4": 0.6, "6x2": 0.25, "12x1": 0.15}
SPEED_SHARES = {25.0: 0.8, 50.0: 0.14, 12.5: 0.06}  # mm/s
GAIN_SHARES = {10.0: 0.76, 5.0: 0.12, 20.0: 0.12}  # mm/mV
RHYTHM_SHARES = {"II": 0.8, "V1": 0.15, "V5": 0.05}
# Few resolutions, so that the paper of each is drawn once and kept. Those of 50 and 12.5 mm/s
# keep the number of pixels of a page near that of one at 25.
RESOLUTIONS = {25.0: (3.2, 1000 / 270), 50.0: (2.5,), 12.5: (4.6,)}  # px/mm
SCANNED = 0.5  # share of pages that went through a scanner or a phone
NOISE_SIZE = 512


@dataclass(frozen=True)
class Scan:
    """What paper, light and camera do to a page; the defaults do nothing.

    Lengths are shares of the page's width and height, so that a scan means the same at any
    resolution.

    Attributes:
        folds: For each fold line: 0 for a vertical and 1 for a horizontal one, its place, and
            how dark it is.
        rotation_deg: Turn of the page, counter-clockwise.
        corners: How far each corner (upper left, upper right, lower right, lower left) is
            moved right and down by perspective.
        table: Grey level of what the page lies on.
        shadow: Direction in degrees, place and depth of a shadow's edge; none at depth 0.
        tint: Share of red, green and blue light that comes back.
        blur: Radius of a point out of focus as a share of the width.
        noise: Standard deviation in grey levels.
        jpeg_quality: What the file is compressed with; 0 is lossless.
    """

    folds: tuple[tuple[int, float, float], ...] = ()
    rotation_deg: float = 0.0
    corners: tuple[float, ...] = (0.0,) * 8
    table: int = 255
    shadow: tuple[float, float, float] = (0.0, 0.0, 0.0)
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    blur: float = 0.0
    noise: float = 0.0
    jpeg_quality: int = 0


def draw_scan(rng: np.random.Generator) -> Scan:
    """A scanner's or a phone's view, each effect in a share of them."""

    def sometimes(share: float) -> bool:
        return rng.random() < share

    n_folds = int(rng.integers(1, 4)) if sometimes(0.3) else 0
    return Scan(
        folds=tuple(
            (int(rng.integers(2)), rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.45))
            for _ in range(n_folds)
        ),
        rotation_deg=float(np.clip(rng.normal(0, 1.5), -6, 6)) if sometimes(0.6) else 0.0,
        corners=tuple(rng.uniform(-0.03, 0.03, 8)) if sometimes(0.4) else (0.0,) * 8,
        table=int(rng.integers(20, 256)),
        shadow=(
            rng.uniform(0, 360),
            rng.uniform(0.1, 0.9),
            rng.uniform(0.1, 0.45) if sometimes(0.4) else 0.0,
        ),
        tint=tuple(rng.uniform(0.82, 1.0) * rng.uniform(0.95, 1.0, 3)),
        blur=rng.uniform(0.0002, 0.001) if sometimes(0.3) else 0.0,
        noise=float(rng.choice([2.0, 4.0, 7.0])) if sometimes(0.5) else 0.0,
        jpeg_quality=int(rng.integers(35, 96)),
    )


def homography(scan: Scan, size: tuple[int, int]) -> np.ndarray:
    """The 3 x 3 matrix that takes a pixel of the flat page to its place in the scan."""
    width, height = size
    square = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=float)
    angle = math.radians(-scan.rotation_deg)  # the y axis points down
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = np.array([width, height]) / 2
    moved = (square - middle) @ turn.T + middle
    moved = moved + np.reshape(scan.corners, (4, 2)) * (width, height)
    # The camera steps back until the whole page is in the picture.
    low, high = moved.min(axis=0), moved.max(axis=0)
    shrink = min(1.0, *((width, height) / (high - low)))
    moved = (moved - (low + high) / 2) * shrink + middle
    rows, values = [], []
    for (x, y), (u, v) in zip(square, moved, strict=True):
        rows += [
            (x, y, 1, 0, 0, 0, -u * x, -u * y),
            (0, 0, 0, x, y, 1, -v * x, -v * y),
        ]
        values += [u, v]
    solved = np.linalg.solve(np.array(rows), np.array(values))
    return np.append(solved, 1.0).reshape(3, 3)


def apply_scan(image: Image.Image, scan: Scan, rng: np.random.Generator) -> Image.Image:
    """The page as the scan shows it, of the same size; `encode_page` does the compression.

    Args:
        image: A drawn page, RGB.
        scan: What happens to it.
        rng: Where the noise is taken from.
    """
    for across, place, depth in scan.folds:
        image = _fold(image, place, depth, across=bool(across))
    if scan.rotation_deg or any(scan.corners):
        back = np.linalg.inv(homography(scan, image.size))
        back /= back[2, 2]
        image = image.transform(
            image.size,
            Image.Transform.PERSPECTIVE,
            back.ravel()[:8].tolist(),
            Image.Resampling.BILINEAR,
            fillcolor=(scan.table,) * 3,
        )
    image = _light(image, scan)
    if scan.blur:
        # Out of focus, a point becomes a disc; a square is close, and four times as fast as
        # a Gaussian.
        image = image.filter(ImageFilter.BoxBlur(scan.blur * image.width))
    if scan.noise:
        image = _grain(image, scan.noise, rng)
    return image


def _fold(image: Image.Image, place: float, depth: float, *, across: bool) -> Image.Image:
    """Darken a thin line and, less, the paper that rises towards it."""
    length = image.height if across else image.width
    distance = np.abs(np.arange(length) / length - place)
    dark = depth * (np.exp(-((distance / 0.0015) ** 2)) + 0.25 * np.exp(-distance / 0.02))
    line = Image.fromarray(np.rint(255 * (1 - dark.clip(0, 1))).astype(np.uint8)[None])
    line = line.transpose(Image.Transpose.ROTATE_270) if across else line
    shade = line.resize(image.size, Image.Resampling.NEAREST)
    return ImageChops.multiply(image, Image.merge("RGB", (shade,) * 3))


def _light(image: Image.Image, scan: Scan) -> Image.Image:
    """Tint, and a shadow that falls off smoothly beyond its edge."""
    if scan.shadow[2]:
        angle, place, depth = scan.shadow
        # A shadow is smooth: 64 pixels hold it, and Pillow stretches them.
        y, x = np.mgrid[0:64, 0:64] / 63 - 0.5
        along = x * math.cos(math.radians(angle)) + y * math.sin(math.radians(angle))
        shade = 1 - depth / (1 + np.exp(-(along - place + 0.5) / 0.06))
        small = [Image.fromarray(np.rint(255 * shade * t).astype(np.uint8)) for t in scan.tint]
        light = Image.merge("RGB", small).resize(image.size, Image.Resampling.BILINEAR)
        return ImageChops.multiply(image, light)
    if scan.tint == (1.0, 1.0, 1.0):
        return image
    table = [round(value * share) for share in scan.tint for value in range(256)]
    return image.point(table)


@lru_cache(maxsize=4)
def _grain_tile(sigma: float) -> Image.Image:
    noise = np.random.default_rng(0).normal(128, sigma, (NOISE_SIZE, NOISE_SIZE))
    return Image.fromarray(np.rint(noise).clip(0, 255).astype(np.uint8))


def _grain(image: Image.Image, sigma: float, rng: np.random.Generator) -> Image.Image:
    """Add grain cut from one tile by chance: fresh noise would cost more than drawing."""
    tile = ImageChops.offset(_grain_tile(sigma), *(int(n) for n in rng.integers(0, 512, 2)))
    grain = Image.new("L", image.size)
    for x in range(0, image.width, NOISE_SIZE):
        for y in range(0, image.height, NOISE_SIZE):
            grain.paste(tile, (x, y))
    return ImageChops.add(image, Image.merge("RGB", (grain,) * 3), offset=-128)


def draw_varied_page(
    ecg: ECG, rng: np.random.Generator, *, scanned: float = SCANNED
) -> tuple[dict[str, Any], Image.Image]:
    """Draw a page of any layout, speed, gain and colour, often as a scanner or phone sees it.

    Whoever learns from such pages has to read millimetres off the grid: neither a pixel nor
    the paper has one meaning.

    Args:
        ecg: The record.
        rng: Source of chance.
        scanned: Share of pages that went through a scanner or a phone.

    Returns:
        The arguments of `draw_page` with the scan's under "scan" (None for a clean page), and
        the page, RGB, about 600,000 pixels.
    """

    def pick(shares: dict[Any, float]) -> Any:
        return list(shares)[rng.choice(len(shares), p=list(shares.values()))]

    speed = pick(SPEED_SHARES)
    style: dict[str, Any] = {
        "layout": pick(LAYOUT_SHARES),
        "speed_mm_s": speed,
        "gain_mm_mv": pick(GAIN_SHARES),
        "px_per_mm": float(rng.choice(RESOLUTIONS[speed])),
        "colour": str(rng.choice(PAGE_COLOURS)),
        "rhythm_lead": pick(RHYTHM_SHARES),
    }
    image = draw_page(ecg, **style)
    if rng.random() >= scanned:
        return style | {"scan": None}, image
    scan = draw_scan(rng)
    return style | {"scan": asdict(scan)}, apply_scan(image, scan, rng)


def encode_page(image: Image.Image, style: dict[str, Any]) -> bytes:
    """The page as a file: JPEG where its scan says how good, otherwise PNG.

    Args:
        image: The page.
        style: As `draw_varied_page` and `draw_augmented_page` return it.
    """
    packed = io.BytesIO()
    quality = (style.get("scan") or {}).get("jpeg_quality", 0)
    if quality:
        image.save(packed, "JPEG", quality=quality)
    else:
        image.save(packed, "PNG", compress_level=1)  # more takes longer than all the drawing
    return packed.getvalue()


def jitter_page(image: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, int]:
    """Move a drawn page by up to 4 pixels and change its ink and paper a little.

    Returns:
        The image, and how many pixels it was moved to the right.
    """
    grey = np.asarray(image, dtype=np.float32)
    down, right = (int(step) for step in rng.integers(-4, 5, size=2))
    grey = np.roll(grey, (down, right), axis=(0, 1))
    grey = grey * rng.uniform(0.8, 1.0) + rng.uniform(0, 50)
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8)), right
