"""The simulator's dials as a visitor turns them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ecg_r1.ecg import ECGError
from ecg_r1.inputs import Case
from ecg_r1.simulate import CONDUCTIONS, RHYTHMS, TERRITORIES, HeartSpec, simulate
from ecg_r1.studio.study import Study, study


@dataclass(frozen=True)
class Dial:
    """A dial that turns through numbers: its ends, where it starts, one notch, its title."""

    low: float
    high: float
    start: float
    step: float
    title: str


# Ours: what adults at rest show, and half as far again, so that illness has room.
DIALS = {
    "hr_bpm": Dial(30, 220, 70, 1, "Heart rate (bpm)"),
    "pr_ms": Dial(110, 400, 160, 5, "PR (ms)"),
    "qrs_ms": Dial(70, 200, 90, 5, "QRS (ms)"),
    "qt_ms": Dial(240, 640, 390, 5, "QT (ms)"),
    "axis_deg": Dial(-180, 180, 40, 5, "QRS axis (degrees)"),
    "st_mv": Dial(-0.4, 0.6, 0, 0.05, "ST level there (mV)"),
    "potassium_mmol": Dial(2, 9, 4.2, 0.1, "Potassium (mmol/l)"),
    "seed": Dial(0, 999_999, 0, 1, "Patient (seed)"),
}
CHOICES = {
    "rhythm": RHYTHMS,
    "conduction": CONDUCTIONS,
    "territory": ("", *TERRITORIES),  # empty: ST moves nowhere
}
START: Mapping[str, Any] = {name: dial.start for name, dial in DIALS.items()} | {
    name: choices[0] for name, choices in CHOICES.items()
}


def dialled(*, territory: str, st_mv: float, **dials: Any) -> HeartSpec:
    """A heart as dialled.

    Args:
        territory: Where the ST segment moves, a key of `TERRITORIES`; empty for nowhere.
        st_mv: By how much, in mV.
        dials: Other fields of `HeartSpec`.

    Raises:
        ECGError: The dials do not fit together, such as a QT longer than the RR interval.
    """
    st = {territory: st_mv} if territory and st_mv else {}
    # Fibrillation is as irregular as it is dialled; the spec names 0.2 as its usual.
    variation = 0.2 if dials["rhythm"] == "atrial fibrillation" else 0.025
    return HeartSpec(rr_variation=variation, st_elevation_mv=st, **dials)


def simulated(dials: Mapping[str, Any]) -> Study:
    """A simulated record, measured, with its truth as the label to reveal.

    Args:
        dials: A value for each key of `START`.

    Raises:
        ECGError: A dial has no number, or the dials do not fit together.
    """
    for name, dial in DIALS.items():
        if dials[name] is None:  # its field was emptied
            raise ECGError(
                f"{dial.title} is empty: give a number from {dial.low:g} to {dial.high:g}"
            )
    seed = int(dials["seed"])
    spec = dialled(**{name: value for name, value in dials.items() if name != "seed"})
    ecg = simulate(spec, seed)
    known = {
        "file": "",
        "known_label": "; ".join(ecg.truth.diagnoses),
        "source": f"simulated here, seed {seed}",
        "licence": "no patient",
    }
    title = f"Simulated heart: {spec.rhythm}, seed {seed}"
    return study(Case(ecg=ecg), title, known, dials={**dials, "seed": seed})
