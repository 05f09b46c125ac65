"""Ways in which a record can be shown to a reader: other paper, lost leads, another patient.

What this leaves out: hiding a modality altogether. That is what the arms do; `modality` mixes
them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image

from ecg_r1.augment import Scan, apply_scan
from ecg_r1.corpus.task import chance, stable_hash
from ecg_r1.ecg import ECG, FS, LEADS

Signal = Callable[[ECG, np.random.Generator], ECG]
Picture = Callable[[Image.Image, np.random.Generator], Image.Image]
ARMS = ("signal", "image", "both")
ANY_ARM = (*ARMS, "measurements")
SAMPLE = 60  # records; keeps the whole suite under 20 minutes on two cores


@dataclass(frozen=True)
class Condition:
    """One way of showing a record.

    Attributes:
        name: Key in result files.
        about: What happens, in words.
        arms: Arms that are asked. Changed pages are shown to the image arm alone, whose only
            source they are; "both" sees them too, beside the signal, and is left out for time.
            Readers of measurements see neither, so that other signals and pages are not for
            them.
        signal: What happens to the record, before the page is drawn.
        page: Changed arguments of `draw_page`.
        picture: What happens to the drawn page.
        other: Another patient's record is shown instead, to all arms alike.
        reasoning: The correct reasoning is put into the reader's mouth; only the conclusion is
            its own.
        most: Of how many records it is asked; the more telling conditions are asked of all.
    """

    name: str
    about: str
    arms: tuple[str, ...] = ARMS
    signal: Signal | None = None
    page: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    picture: Picture | None = None
    other: bool = False
    reasoning: bool = False
    most: int | None = None


def lose_leads(ecg: ECG, rng: np.random.Generator, *, count: int = 3) -> ECG:
    """Some chest leads are not there, as when electrodes have come off."""
    signal = ecg.signal.copy()
    chest = [LEADS.index(f"V{k}") for k in range(1, 7)]
    signal[rng.choice(chest, count, replace=False)] = np.nan
    return replace(ecg, signal=signal)


def add_noise(ecg: ECG, rng: np.random.Generator) -> ECG:
    """Baseline wander of 0.2 mV and muscle noise of 0.03 mV at the electrodes.

    The noise enters at nine electrodes, so Einthoven's law survives it. Levels are ours, about
    those at which MIT-BIH's noise stress test begins to disturb readers.
    """
    n = ecg.signal.shape[1]
    time = np.arange(n) / FS
    phase, pace = rng.uniform(0, 2 * np.pi, (9, 1)), rng.uniform(0.1, 0.4, (9, 1))
    electrode = 0.2 * np.sin(2 * np.pi * pace * time + phase) + rng.normal(0, 0.03, (9, n))
    ra, la, ll, *chest = electrode
    i, ii, centre = la - ra, ll - ra, (ra + la + ll) / 3
    limb = [i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2]
    noise = np.stack([*limb, *(one - centre for one in chest)])
    return replace(ecg, signal=ecg.signal + noise.astype(np.float32))


def flatten(ecg: ECG, _: np.random.Generator) -> ECG:
    """No heart at all: 0 mV throughout."""
    return replace(ecg, signal=np.zeros_like(ecg.signal))


def _scan(scan: Scan) -> Picture:
    def seen(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        return apply_scan(image.convert("RGB"), scan, rng)

    return seen


_SEES_PAGE = ("image",)
CONDITIONS: dict[str, Condition] = {
    one.name: one
    for one in (
        Condition("clean", "as the reader is used to it", ANY_ARM),
        Condition("25/5", "25 mm/s, 5 mm/mV", _SEES_PAGE, page={"gain_mm_mv": 5}),
        Condition("50/10", "50 mm/s, 10 mm/mV", _SEES_PAGE, page={"speed_mm_s": 50}),
        Condition(
            "50/5", "50 mm/s, 5 mm/mV", _SEES_PAGE, page={"speed_mm_s": 50, "gain_mm_mv": 5}
        ),
        Condition("leads", "three chest leads missing", signal=lose_leads, most=SAMPLE),
        Condition(
            "noise", "wander 0.2 mV, muscle noise 0.03 mV", signal=add_noise, most=SAMPLE
        ),
        Condition(
            "rotated",
            "page turned by 3 degrees",
            _SEES_PAGE,
            picture=_scan(Scan(rotation_deg=3.0)),
            most=SAMPLE,
        ),
        Condition(
            "blurred",
            "page out of focus",
            _SEES_PAGE,
            picture=_scan(Scan(blur=0.001)),
            most=SAMPLE,
        ),
        Condition("shuffled", "another patient's ECG", ANY_ARM, other=True),
        Condition("flat", "no heart: 0 mV in all leads", signal=flatten, most=SAMPLE),
        Condition(
            "reasoned",
            "the correct reasoning is supplied",
            ANY_ARM,
            reasoning=True,
            most=SAMPLE,
        ),
    )
}
# The paper settings under which ECG-R1's diagnoses were found to change for 90 % of patients.
PAPERS = ("clean", "25/5", "50/10", "50/5")


def shuffled(keys: Sequence[str], *, seed: int) -> dict[str, str]:
    """Each record's stand-in: a derangement, the same for any order of the keys.

    Example:
        >>> swap = shuffled(["a", "b", "c"], seed=0)
        >>> sorted(swap.values()), any(a == b for a, b in swap.items())
        (['a', 'b', 'c'], False)
    """
    rank = sorted(keys, key=lambda key: stable_hash(f"shuffle {seed} {key}"))
    return dict(zip(rank, [*rank[1:], *rank[:1]], strict=True))


def chance_of(seed: int, record: str, condition: str) -> np.random.Generator:
    """The stream of chance of one record under one condition."""
    return chance(seed, record, f"condition {condition}")
