"""How clearly a lead shows a finding: one number per finding and lead.

A sign is a margin in units of what reading a trace allows: 1 or more shows it clearly, -1 or
less clearly does not, and between the two it is a matter of the pen. Limits come from
`ecg_r1.limits`; the widths around them are ours (half a millimetre in ST, one in other waves).
"""

from collections.abc import Callable, Mapping

from ecg_r1.claims.facts import Facts
from ecg_r1.ecg import LEADS
from ecg_r1.limits import Q_DEPTH_MV, Q_WIDE, ST_DEPRESSION, ST_ELEVATION, T_TALL, Bound

Row = Mapping[str, float]
Sign = Callable[[Facts, str, Row], float | None]

ST_WIDTH_MV, WIDTH_MV, WIDTH_MS = 0.025, 0.1, 8.0
P_WIDTH_MV = 0.015  # a P this small has no direction that the eye could tell
# T points down here in healthy hearts, so its direction there says nothing against normal.
T_MAY_BE_DOWN = ("III", "aVR", "aVL", "V1")


def _limit(bound: Bound, facts: Facts, lead: str) -> float:
    """The limit for this person and lead; of an unknown person the mildest."""
    age, sex = facts.person
    return min(bound.possible(lead, age, sex), key=abs)


def _least(row: Row, *names: str) -> float | None:
    values = [row[name] for name in names if name in row]
    return min(values) if values else None


def _st_elevation(facts: Facts, lead: str, row: Row) -> float | None:
    level = _least(row, "j_mv", "st_mv")
    return None if level is None else (level - _limit(ST_ELEVATION, facts, lead)) / ST_WIDTH_MV


def _st_depression(facts: Facts, lead: str, row: Row) -> float | None:
    level = _least(row, "j_mv", "st_mv", "st80_mv")
    return None if level is None else (_limit(ST_DEPRESSION, facts, lead) - level) / ST_WIDTH_MV


def _st_isoelectric(facts: Facts, lead: str, row: Row) -> float | None:
    signs = _st_elevation(facts, lead, row), _st_depression(facts, lead, row)
    return None if None in signs else -max(signs)


def _t_inversion(_: Facts, __: str, row: Row) -> float | None:
    return (-0.05 - row["t_mv"]) / 0.05 if "t_mv" in row else None


def _t_flat(_: Facts, __: str, row: Row) -> float | None:
    return (0.1 - abs(row["t_mv"])) / 0.05 if "t_mv" in row else None


def _t_tall(facts: Facts, lead: str, row: Row) -> float | None:
    if "t_mv" not in row:
        return None
    limit = _limit(T_TALL, facts, lead)
    return (row["t_mv"] - limit) / (0.1 * limit)


def _t_normal(_: Facts, lead: str, row: Row) -> float | None:
    if "t_mv" not in row:
        return None
    return 1.0 if lead in T_MAY_BE_DOWN else row["t_mv"] / 0.05


def _q_waves(facts: Facts, lead: str, row: Row) -> float | None:
    if "q_mv" not in row:
        return -1.0 if "r_mv" in row else None
    deep = (-row["q_mv"] - Q_DEPTH_MV) / ST_WIDTH_MV
    wide = (row.get("q_ms", 0.0) - _limit(Q_WIDE, facts, lead)) / WIDTH_MS
    return min(deep, wide)


def _small_q(facts: Facts, lead: str, row: Row) -> float | None:
    pathological = _q_waves(facts, lead, row)
    if pathological is None or "q_mv" not in row:
        return pathological
    return 1.0 if pathological < 1 and row["q_mv"] < -0.02 else -1.0


def _qs(_: Facts, __: str, row: Row) -> float | None:
    if "q_mv" in row and "r_mv" not in row:
        return 1.0
    return -1.0 if "r_mv" in row else None


def _r_height(row: Row) -> float | None:
    if not {"q_mv", "r_mv", "s_mv"} & set(row):
        return None
    return max(row.get("r_mv", 0.0), 0.0)


def _depth(row: Row) -> float:
    return -min(row.get("s_mv", 0.0), row.get("q_mv", 0.0), 0.0)


def _small_r(_: Facts, __: str, row: Row) -> float | None:
    r = _r_height(row)
    return None if r is None else (0.3 - r) / WIDTH_MV


def _tall_r(_: Facts, lead: str, row: Row) -> float | None:
    r = _r_height(row)
    limit = {"V1": 0.6, "aVL": 1.1, "I": 1.5}.get(lead, 2.0)
    return None if r is None else (r - limit) / (0.1 * limit)


def _dominant_r(_: Facts, __: str, row: Row) -> float | None:
    r = _r_height(row)
    return None if r is None else (r - _depth(row)) / WIDTH_MV


def _deep_s(_: Facts, lead: str, row: Row) -> float | None:
    r = _r_height(row)
    limit = 1.5 if lead in LEADS[6:9] else 0.5
    return None if r is None else (_depth(row) - limit) / (0.1 * limit)


def _broad_s(_: Facts, __: str, row: Row) -> float | None:
    return None if _r_height(row) is None else (row.get("s_ms", 0.0) - 40) / WIDTH_MS


def _rsr(_: Facts, __: str, row: Row) -> float | None:
    if _r_height(row) is None:
        return None
    return 1.0 if row.get("rsr") == 1 or "r2_mv" in row else -1.0


def _notched(_: Facts, __: str, row: Row) -> float | None:
    return None if "notches" not in row else 1.0 if row["notches"] >= 1 else -1.0


def _word(column: str, value: float) -> Sign:
    """A shape that the measurement names; 0 (straight, horizontal) is near to both others."""

    def sign(_: Facts, __: str, row: Row) -> float | None:
        found = row.get(column)
        if found is None:
            return None
        return 1.0 if found == value else 0.0 if 0 in (found, value) else -1.0

    return sign


def _pr_depression(_: Facts, __: str, row: Row) -> float | None:
    return None if "pr_level_mv" not in row else (-row["pr_level_mv"] - 0.05) / 0.025


def _u_waves(_: Facts, __: str, row: Row) -> float | None:
    return None if "u_mv" not in row else (row["u_mv"] - 0.05) / 0.025


def _p(direction: int) -> Sign:
    def sign(facts: Facts, _: str, row: Row) -> float | None:
        if facts.words.get("p_present") is not True or "p_mv" not in row:
            return None
        return direction * row["p_mv"] / P_WIDTH_MV

    return sign


SIGNS: dict[str, Sign] = {
    "st elevation": _st_elevation,
    "st depression": _st_depression,
    "st isoelectric": _st_isoelectric,
    "t wave inversion": _t_inversion,
    "flat t waves": _t_flat,
    "tall t waves": _t_tall,
    "normal t waves": _t_normal,
    "q waves": _q_waves,
    "small q waves": _small_q,
    "qs complexes": _qs,
    "small r waves": _small_r,
    "tall r waves": _tall_r,
    "dominant r waves": _dominant_r,
    "deep s waves": _deep_s,
    "broad s waves": _broad_s,
    "rsr pattern": _rsr,
    "notched qrs": _notched,
    "convex st": _word("st_curve", 1),
    "concave st": _word("st_curve", -1),
    "upsloping st": _word("st_trend", 1),
    "downsloping st": _word("st_trend", -1),
    "horizontal st": _word("st_trend", 0),
    "pr depression": _pr_depression,
    "u waves": _u_waves,
    "upright p waves": _p(1),
    "inverted p waves": _p(-1),
}
# Voltages alone: without calibration nothing can be said of them.
NEED_CALIBRATION = frozenset(SIGNS) - {
    "upright p waves", "inverted p waves", "qs complexes", "rsr pattern", "notched qrs",
    "broad s waves", "dominant r waves",
}  # fmt: skip
# Where a finding is looked for when a text names no lead; everywhere otherwise.
USUAL_LEADS = {
    "t wave inversion": tuple(lead for lead in LEADS if lead not in T_MAY_BE_DOWN),
    "rsr pattern": ("V1", "V2"),
    "broad s waves": ("I", "V6"),
    "dominant r waves": ("V1",),
    "tall r waves": ("I", "aVL", "V1", "V5", "V6"),
    "small r waves": ("V1", "V2", "V3"),
    "upright p waves": ("II",),
    "inverted p waves": ("II", "III", "aVF"),
    "st elevation": tuple(lead for lead in LEADS if lead != "aVR"),
    "st depression": tuple(lead for lead in LEADS if lead != "aVR"),
    "q waves": tuple(lead for lead in LEADS if lead not in ("aVR", "V1", "III")),
    "deep s waves": ("V1", "V2", "V3"),
}
# How many leads must show it then; two where one lead alone is no finding.
NEEDED = {"st elevation": 2, "st depression": 2, "t wave inversion": 2, "q waves": 2}


def sign(facts: Facts, name: str, lead: str) -> float | None:
    """How clearly a lead shows a finding, None where that cannot be known.

    Args:
        facts: The record.
        name: Key of `SIGNS`.
        lead: One of `LEADS`.
    """
    row = facts.leads.get(lead)
    if row is None or (not facts.calibrated and name in NEED_CALIBRATION):
        return None
    return SIGNS[name](facts, lead, row)
