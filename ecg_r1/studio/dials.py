"""The simulator's dials as a visitor turns them."""

from typing import Any

from ecg_r1.inputs import Case
from ecg_r1.simulate import CONDUCTIONS, RHYTHMS, TERRITORIES, HeartSpec, simulate
from ecg_r1.studio.study import Study, study

__all__ = ["CONDUCTIONS", "RHYTHMS", "TERRITORIES", "dialled", "simulated"]


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


def simulated(spec: HeartSpec, seed: int) -> Study:
    """A simulated record, measured, with its truth as the label to reveal."""
    ecg = simulate(spec, seed)
    known = {
        "file": "",
        "known_label": "; ".join(ecg.truth.diagnoses),
        "source": f"simulated here, seed {seed}",
        "licence": "no patient",
    }
    return study(Case(ecg=ecg), f"Simulated heart: {spec.rhythm}, seed {seed}", known)
