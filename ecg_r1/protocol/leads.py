"""Groups of leads that look at one part of the heart."""

from itertools import pairwise

LIMB = ("I", "II", "III", "aVR", "aVL", "aVF")
CHEST = ("V1", "V2", "V3", "V4", "V5", "V6")
INFERIOR = ("II", "III", "aVF")
LATERAL = ("I", "aVL", "V5", "V6")
AWAY_FROM_V1 = (*INFERIOR, "I", "aVL", "V4", "V5", "V6")
ANTERIOR = ("V1", "V2", "V3", "V4")
# Neighbours in which two leads confirm each other: the groups of the Universal Definition
# (I, aVL; V1-V6; II, III, aVF), with I and V6 as the two that look from the left.
CONTIGUOUS = (
    *(("I", "aVL"), ("I", "V6"), ("II", "aVF"), ("III", "aVF"), ("II", "III")),
    *pairwise(CHEST),
)


PLACES = {"inferior": INFERIOR, "lateral": LATERAL, "anterior": ANTERIOR}
# T waves may point down in V1 and aVR of healthy adults, and in III beside a horizontal heart.
T_PLACES = {"inferior": ("II", "aVF"), "lateral": LATERAL, "anterior": ("V2", "V3", "V4")}
