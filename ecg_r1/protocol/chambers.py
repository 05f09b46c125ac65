"""Phase 3: voltages of the ventricles and strain."""

from ecg_r1 import limits
from ecg_r1.protocol.leads import CHEST, LATERAL, LIMB
from ecg_r1.protocol.model import Criterion
from ecg_r1.protocol.sources import PART5

CHAMBERS = (
    Criterion(
        "sokolow_lyon", 3, "S(V1) + R(V5 or V6)", "Sokolow-Lyon voltage",
        "sokolow_mv", voltage=True, **limits.SOKOLOW.terms(),
    ),
    Criterion(
        "r_avl", 3, "R wave in aVL", "left ventricular voltage in aVL", "r_height_mv", ">", 1.1,
        "mV", f"Sokolow & Lyon 1949; {PART5}", leads=("aVL",), voltage=True,
    ),
    Criterion(
        "cornell", 3, "R(aVL) + S(V3)", "Cornell voltage",
        "cornell_mv", voltage=True, **limits.CORNELL.terms(),
    ),
    Criterion(
        "gubner", 3, "R(I) + S(III)", "Gubner-Ungerleider voltage", "gubner_mv", ">", 2.5, "mV",
        f"Gubner & Ungerleider 1943; {PART5}", voltage=True, paper_threshold="R(I) > 15 mm",
    ),
    Criterion(
        "r_v1_tall", 3, "R wave in V1", "a tall R wave in V1",
        "r_height_mv", leads=("V1",), voltage=True, **limits.R_V1_TALL.terms(),
    ),
    Criterion(
        "r_v1_dominant", 3, "R/S ratio in V1", "a dominant R wave in V1", "r_over_s", ">", 1,
        "",
        PART5, leads=("V1",),
    ),
    Criterion(
        "left_strain", 3, "ST and T", "left ventricular strain", "strain", "is", 1, "", PART5,
        leads=LATERAL, needs="two", voltage=True,
    ),
    Criterion(
        "right_strain", 3, "ST and T", "right ventricular strain", "strain", "is", 1, "", PART5,
        leads=("V1", "V2", "V3"), needs="two", voltage=True,
    ),
    Criterion(
        "low_limb", 3, "QRS size", "low voltage in the limb leads",
        "size_mv", leads=LIMB, needs="all", voltage=True, **limits.LOW_LIMB.terms(),
    ),
    Criterion(
        "low_chest", 3, "QRS size", "low voltage in the chest leads",
        "size_mv", leads=CHEST, needs="all", voltage=True, **limits.LOW_CHEST.terms(),
    ),
    Criterion(
        "r_v3_small", 3, "R wave in V3", "poor R wave progression",
        "r_height_mv", leads=("V3",), voltage=True, **limits.R_V3_SMALL.terms(),
    ),
    Criterion(
        "r_v4_small", 3, "R wave in V4", "an R wave that stays small up to V4", "r_height_mv",
        leads=("V4",), voltage=True, **limits.R_V4_SMALL.terms(),
    ),
)  # fmt: skip
