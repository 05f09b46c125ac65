"""What happens to ECGs on their way: electrode noise, other paper, blur."""

from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

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


def draw_augmented_page(
    ecg: ECG, page: dict[str, Any], rng: np.random.Generator
) -> tuple[dict[str, Any], Image.Image]:
    """Draw a page of another colour, resolution and sharpness, now and then of another layout.

    The image is grey and has the pixel size of `page`, whatever resolution it was drawn at.

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
    if rng.random() < 0.15:
        drawn["gain_mm_mv"] = int(rng.choice([5, 20]))
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
