"""One patient's heart: its waves as loops, from the dials and a draw around real hearts.

The mean heart, its trend with age and sex and its variation come from normal records of
PTB-XL (`hearts.json`, made by `benchmarks/fit_heart.py`). Blocks, scars and ectopic beats are
put onto it. Repolarisation follows depolarisation: where the QRS takes another way, T changes
so that the ventricular gradient (area of QRS plus T) is largely kept, as Wilson found.
"""

import json
from dataclasses import dataclass, replace
from itertools import pairwise
from math import exp, radians, sqrt
from pathlib import Path

import numpy as np

from ecg_r1.simulate.loops import (
    P_CENTRES,
    P_WIDTH,
    QRS_CENTRES,
    QRS_WIDTH,
    T_CENTRES,
    T_FIRST,
    T_WIDTH,
    Loop,
    Marks,
    evenly,
)
from ecg_r1.simulate.spec import HeartSpec
from ecg_r1.simulate.torso import ATRIAL_SHARE, FIELD, Torso, rotate, turn

_HEARTS = json.loads((Path(__file__).parent / "hearts.json").read_text(encoding="utf-8"))
_NORMAL = {name: np.array(_HEARTS["normal"][name]) for name in ("mean", "decade", "male")}
_COMPONENTS = np.array(_HEARTS["normal"]["components"])
# A row of the fit: vectors of the bumps of QRS, of ST and T, of P, then the lead field.
_BUMPS = (len(QRS_CENTRES), len(T_CENTRES), len(P_CENTRES))
_WAVES = [slice(a, b) for a, b in pairwise(np.cumsum((0, *_BUMPS)))]
_WAVE_OF_BUMP = np.repeat(range(3), _BUMPS)
_MEAN_QRS = _NORMAL["mean"][: 3 * _BUMPS[0]].reshape(-1, 3)
# Near-field of a patient's QRS, T and P, of the size of their bumps: leaves 0.15, 0.1 and 1 %
# of the power beyond three components, as in PTB-XL's normal records.
_NEAR = np.array([[0.15], [0.06], [0.15]]) / sqrt(2)  # of each of two drawn parts
FARTHEST = 1.8  # standard deviations of a drawn patient's components

# Loops of blocks. Fitted means where PTB-XL has enough records; drawn after Surawicz B,
# Knilans T 2008, Chou's Electrocardiography, where it has not.
_BLOCKS = {
    # The mean blurs its start, which goes down and to the right: q in aVL, r in III.
    "lafb": evenly(QRS_CENTRES, QRS_WIDTH, np.array(_HEARTS["blocks"]["lafb"]["qrs"]))
    + evenly(np.array([0.18]), 0.06, np.array([[-0.12, 0.14, 0.0]])),
    "lpfb": evenly(
        np.array([0.27, 0.42, 0.57, 0.73]),
        0.085,
        np.array(
            [[0.28, -0.30, -0.25], [0.45, 0.40, 0.20], [-0.35, 0.80, 0.60], [-0.32, 0.25, 0.20]]
        ),
    ),
    # From the right septum to the left: no septal q, slow, a notch in the middle.
    "lbbb": evenly(
        np.array([0.12, 0.27, 0.42, 0.57, 0.73, 0.88]),
        0.085,
        np.array(
            [
                [0.12, 0.06, 0.02],
                [0.55, 0.25, 0.45],
                [0.75, 0.20, 0.95],
                [0.38, 0.02, 1.20],
                [0.80, 0.12, 0.65],
                [0.12, 0.00, 0.12],
            ]
        ),
    ),
}
# How much of a patient's own deviation from the mean heart shows in a block.
_OWN = {"lafb": 0.5, "lpfb": 0.4, "lbbb": 0.4}
# The right ventricle comes last and slowly: to the right and the front.
_LATE = Loop(
    np.array([0.72, 0.88]),
    np.array([0.085, 0.080]),
    np.array([[-0.18, -0.03, -0.46], [-0.25, -0.04, -0.56]]),
    near=np.zeros((2, 8)),
)
# Share of the QRS that the left ventricle takes beside it, and the size of what comes late.
_LATENESS = {"rbbb": (0.66, 1.0), "irbbb": (0.84, 0.5)}

# Main direction of beats from one place in the ventricles (x, y, z): Chou, chapter 18.
ORIGINS = {
    "right ventricular apex": np.array([0.55, -0.80, 0.95]),
    "right ventricular outflow": np.array([0.35, 1.00, 0.75]),
    "left ventricular free wall": np.array([-0.95, 0.35, -0.60]),
    "left ventricular posterior septum": np.array([0.10, -1.05, -0.75]),
    "left ventricular outflow": np.array([-0.35, 1.10, -0.55]),
}
_SPREAD = np.array([0.12, 0.27, 0.42, 0.57, 0.73, 0.88])  # times of its bumps
_GROWTH = np.array([0.22, 0.62, 1.00, 0.90, 0.50, 0.15])
ECTOPIC_MS, ECTOPIC_SD_MS = 148.0, 10.0

GRADIENT = 1.0  # share of the ventricular gradient that an abnormal way keeps
_SECONDARY = np.array([0.15, 0.40, 0.75, 1.00, 0.80, 0.35])  # its course over ST and T
_T_COURSE = np.array([0.0, 0.05, 0.35, 0.80, 1.00, 0.50])
_ST_COURSE = np.array([1.0, 1.0, 0.90, 0.55, 0.20, 0.0])
_ST_BEND = np.array([-0.05, 0.15, 0.30, 0.30, 0.15, 0.0])
_SAG = np.array([0.25, 0.70, 1.00, 0.75, 0.25, 0.0])  # digoxin's scoop
# Frontal axes of P from the low atrium, and from the AV node upwards.
LOW_ATRIAL_AXIS, UPWARD_AXIS = -70.0, -100.0
U_DIRECTION = np.array([0.45, 0.50, -0.55])  # down, to the left and the front
# V3 sees so much of U at least: past it, in a heart turned far round, a U of the dialled height
# there would be tens of mV elsewhere.
LEAST_U = 0.3
_SCAR_TIMES, _SCAR_COURSE = np.array([0.12, 0.27, 0.42, 0.57]), np.array([0.55, 1, 0.75, 0.2])

_GRIDS = {  # template times that hold a whole wave
    "P": np.linspace(-0.7, 1.7, 73),
    "QRS": np.linspace(-0.6, 1.7, 139),
    "T": np.linspace(-0.4, 1.6, 121),
}


@dataclass(frozen=True)
class Form:
    """A ventricular beat: QRS in ms from its onset, ST and T in ms from the J point.

    Attributes:
        qrs: Loop of the QRS, with a J wave if dialled.
        recovery: Loop of ST and T.
        u: Loop of U.
        qrs_marks: Per lead and over leads, from the QRS onset.
        t_marks: The same of T, from the J point.
        qrs_ms: Onset to offset over leads.
        qt_ms: QRS onset to T offset over leads, at the mean rate.
    """

    qrs: Loop
    recovery: Loop
    u: Loop
    qrs_marks: Marks
    t_marks: Marks
    qrs_ms: float
    qt_ms: float


@dataclass(frozen=True)
class Atria:
    """A P wave in ms from its onset, with the PR segment's level if dialled."""

    loop: Loop
    marks: Marks
    p_ms: float


@dataclass(frozen=True)
class Heart:
    """The waves of one patient: `forms[0]` is the rhythm's own beat, then ectopic ones.

    `atria[0]` is the rhythm's own P, `atria[1]` an ectopic one, `atria[2]` a retrograde one.
    """

    torso: Torso
    forms: tuple[Form, ...]
    atria: tuple[Atria, ...]


@dataclass(frozen=True)
class _Patient:
    torso: Torso
    qrs: np.ndarray  # vectors of its bumps, (bumps, 3)
    recovery: np.ndarray  # the same of ST and T
    p: np.ndarray
    near: tuple[np.ndarray, ...]  # of QRS, of ST and T, and of P, (bumps, 8) each


def _draw_patient(spec: HeartSpec, rng: np.random.Generator) -> _Patient:
    z = rng.standard_normal(len(_COMPONENTS)).clip(-FARTHEST, FARTHEST)
    decades = 0.0 if spec.age_years is None else (min(max(spec.age_years, 18), 89) - 50) / 10
    male = {"male": 0.5, "female": -0.5, None: 0.0}[spec.sex]
    row = _NORMAL["mean"] + decades * _NORMAL["decade"] + male * _NORMAL["male"]
    row = row + spec.variation * (z @ _COMPONENTS)
    lead_field = FIELD + row[3 * sum(_BUMPS) :].reshape(8, 3)
    lead_field[2:] = spec.front_gain * lead_field[2:] @ rotate(radians(spec.rotation_deg))
    if spec.dextrocardia:
        lead_field[:, 0] *= -1
    vectors = row[: 3 * sum(_BUMPS)].reshape(-1, 3)
    near = spec.variation * _draw_near(vectors, rng)
    qrs, recovery, p = (vectors[one] for one in _WAVES)
    return _Patient(Torso(lead_field), qrs, recovery, p, tuple(near[one] for one in _WAVES))


def _draw_near(vectors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What V1-V6 see beyond the dipole, `(bumps, 8)`; the limbs are too far away for it."""
    # Neighbouring moments of a wave come from neighbouring places.
    drawn = rng.standard_normal((len(vectors) + len(_WAVES), 8))
    at = np.arange(len(vectors)) + _WAVE_OF_BUMP
    heights = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    near = _NEAR[_WAVE_OF_BUMP] * heights * (drawn[at] + drawn[at + 1])
    near[:, :2] = 0
    return near


def under_potassium(spec: HeartSpec) -> HeartSpec:
    """The dials as the serum potassium moves them.

    Source:
        Surawicz B 1967, Am Heart J 73:814-834, and Surawicz B, Knilans T 2008, chapter 22:
        tented T from about 5.5 mmol/l, flat P and long PR from 6.5, wide QRS from 7; below
        3.5 flat T, low ST and tall U. The slopes between are ours.
    """
    k = spec.potassium_mmol
    high, higher, highest = max(k - 5.5, 0), max(k - 6.5, 0), max(k - 7.0, 0)
    low = max(3.5 - k, 0)
    if not (high or low):
        return spec
    sag = {"V4": -0.06 * low, "V5": -0.06 * low, "II": -0.04 * low}
    added = {lead: sag[lead] + spec.st_elevation_mv.get(lead, 0) for lead in sag}
    return replace(
        spec,
        t_sharpness=spec.t_sharpness * (1 + 0.5 * min(high, 2)),
        t_gain=spec.t_gain * (1 + 0.8 * min(high, 2.5)) * max(1 - 0.7 * low, 0.1),
        p_mv=(spec.p_mv or 0.1) * max(1 - higher / 1.5, 0.0) if higher else spec.p_mv,
        pr_ms=min(spec.pr_ms + 35 * higher, 0.6 * spec.rr_ms),
        qrs_ms=spec.qrs_ms + 60 * highest,
        qt_ms=min(spec.qt_ms + 25 * highest, 0.95 * spec.rr_ms),
        u_mv=spec.u_mv + 0.18 * low,
        st_elevation_mv={**spec.st_elevation_mv, **added} if low else spec.st_elevation_mv,
    )


# ---------------------------------------------------------------- QRS


def _gained(loop: Loop, spec: HeartSpec) -> Loop:
    """Thick walls: the left ventricle in the middle of the QRS, the right one after it."""
    middle = (loop.centres > 0.15) & (loop.centres < 0.8)
    loop = loop.times(np.where(middle, spec.lv_gain, 1.0)[:, None])
    if spec.rv_gain != 1:
        right = np.array([[-0.10, 0.04, -0.12], [-0.34, 0.06, -0.22], [-0.18, 0.00, -0.06]])
        times = np.array([0.42, 0.57, 0.73])
        loop = loop + evenly(times, 0.085, (spec.rv_gain - 1) * right)
    return loop.times(spec.qrs_gain)


def _own_loop(patient: _Patient) -> Loop:
    """This patient's QRS by the normal way, in template time."""
    return evenly(QRS_CENTRES, QRS_WIDTH, patient.qrs, patient.near[0])


def _conduct(spec: HeartSpec, patient: _Patient) -> tuple[Loop, Loop | None]:
    """The left ventricle's loop, and what comes late from the right one, if anything."""
    parts = spec.conduction.split("+")
    left = parts[-1]
    loop = _own_loop(patient)
    if left in _BLOCKS:
        own = evenly(QRS_CENTRES, QRS_WIDTH, _OWN[left] * (patient.qrs - _MEAN_QRS))
        loop = _BLOCKS[left] + own
    elif left == "ilbbb":
        loop = loop.times(0.5) + _BLOCKS["lbbb"].times(0.5)
    loop = _gained(loop, spec)
    if parts[0] not in _LATENESS:
        return loop, None
    share, size = _LATENESS[parts[0]]
    return loop.timed(0.0, share), _LATE.times(size * spec.qrs_gain)


def _delta(spec: HeartSpec) -> Loop:
    """Pre-excitation: a slow start from the accessory pathway's side."""
    direction = {
        "left lateral": np.array([-0.40, 0.45, -0.75]),
        "posteroseptal": np.array([0.75, -0.75, -0.15]),
        "right": np.array([0.80, 0.10, 0.55]),
    }[spec.pathway]
    share = spec.delta_ms / spec.qrs_ms
    return Loop(
        np.array([0.55, 0.95]) * share,
        np.array([0.28, 0.30]) * share,
        0.45 * spec.qrs_gain * np.outer([0.6, 1.0], direction),
        near=np.zeros((2, 8)),
    )


def _scar(spec: HeartSpec, torso: Torso) -> Loop:
    """What infarcted walls no longer give early in the QRS: a dipole away from them."""
    lost = -torso.towards(spec.scar_mv)
    return evenly(_SCAR_TIMES, 0.085, np.outer(_SCAR_COURSE, lost))


def _on_axis(
    spec: HeartSpec, torso: Torso, loop: Loop, fixed: list[Loop]
) -> tuple[Loop, Torso]:
    """The loop turned about z so that, with what stays, its net area lies on the axis.

    Where no turn does it, because of what stays or what the limbs see of z, the loop gets what
    lacks in its middle. Half of the turn is the position of the heart, which V1-V6 see less of.
    """
    if spec.axis_deg is None:
        return loop, torso
    stays = sum((one.area for one in fixed), np.zeros(3))
    angle = torso.turn_to(loop.area, stays, spec.axis_deg)
    loop = loop.turned(turn(angle))
    course = np.sin(np.pi * loop.centres.clip(0, 1))
    lacks = torso.missing(loop.area + stays, spec.axis_deg)
    share = lacks / (sqrt(2 * np.pi) * loop.widths @ course)
    loop = replace(loop, vectors=loop.vectors + np.outer(course, share))
    lead_field = torso.field.copy()
    lead_field[2:] = lead_field[2:] @ turn(-np.clip(0.5 * angle, -0.5, 0.5))
    return loop, Torso(lead_field)


def _timed(loop: Loop, torso: Torso, wave: str, ms: float) -> Marks:
    """The QRS or P stretched so that, by the rule over leads, it lasts `ms` from 0."""
    marks = Marks(loop, torso.twelve(), wave, _GRIDS[wave])
    onset = marks.onset
    return marks.timed(onset, ms / (marks.offset - onset))


# ---------------------------------------------------------------- ST, T and U


def _sharpened(loop: Loop, sharpness: float) -> Loop:
    """T gathered around its peak."""
    if sharpness == 1:
        return loop
    centres, widths, middle = loop.centres.copy(), loop.widths.copy(), T_CENTRES[4]
    centres[T_FIRST:] = middle + (centres[T_FIRST:] - middle) / sharpness
    widths[T_FIRST:] /= sharpness
    return replace(loop, centres=centres, widths=widths)


def _secondary(extra_area: np.ndarray, jt_ms: float) -> np.ndarray:
    """ST and T vectors `(6, 3)` that answer a QRS area other than the normal way's."""
    # In a fast rhythm T has less time, and does not grow for that.
    unit = sqrt(2 * np.pi) * T_WIDTH * max(jt_ms, 260.0) * _SECONDARY.sum()
    return np.outer(_SECONDARY, -GRADIENT * extra_area / unit)


def _t_loop(spec: HeartSpec, torso: Torso, patient: _Patient, extra: np.ndarray) -> Loop:
    """T of the dials in template time, without the ST level.

    Args:
        spec: The dials.
        torso: The patient's.
        patient: Whose ST and T it is.
        extra: `(6, 3)` vectors that follow the QRS (secondary change, strain).
    """
    gain = spec.t_gain * (1 - 0.4 * spec.digoxin)
    vectors = gain * patient.recovery + extra
    if spec.t_axis_deg is not None:
        angle = torso.turn_to(vectors.sum(0), np.zeros(3), spec.t_axis_deg)
        vectors = vectors @ turn(angle).T
    plain = evenly(T_CENTRES, T_WIDTH, vectors, gain * patient.near[1])
    loop = _sharpened(plain, spec.t_sharpness)
    return _with_t_heights(spec, torso, loop) if spec.t_wave_mv else loop


def _with_t_heights(spec: HeartSpec, torso: Torso, loop: Loop) -> Loop:
    """T moved so that it peaks at the dialled heights, in two steps.

    First at the moment where the course of the change peaks, then, since T itself may peak
    beside it, at T's own extremes.
    """
    course = replace(loop, vectors=np.outer(_T_COURSE, [1.0, 0.0, 0.0]))
    size = course.at(_GRIDS["T"])[0]
    moment = size.argmax()
    for step in range(2):
        dipole = loop.at(_GRIDS["T"])
        reached = {}
        for name, wanted in spec.t_wave_mv.items():
            seen = torso.level(name, dipole)
            extreme = seen.max() if wanted > 0 else seen.min()
            reached[name] = wanted - (extreme if step else seen[moment])
        change = np.outer(_T_COURSE / size[moment], torso.towards(reached))
        loop = replace(loop, vectors=loop.vectors + change)
    return loop


def _st_vectors(spec: HeartSpec, torso: Torso, jt_ms: float, main: np.ndarray) -> np.ndarray:
    """ST vectors `(6, 3)`: the dialled level at J + 60 ms, and digoxin's scoop."""
    course = _ST_COURSE + spec.st_curve * _ST_BEND
    bumps = evenly(T_CENTRES, T_WIDTH, np.zeros((6, 3))).bumps(np.array([60.0 / jt_ms]))[:, 0]
    vectors = -0.13 * spec.digoxin * np.outer(_SAG, main / max(np.linalg.norm(main), 1e-9))
    if spec.st_elevation_mv:
        level = torso.towards(spec.st_elevation_mv)
        vectors = vectors + np.outer(course / (course @ bumps), level)
    return vectors


def _recovery(
    spec: HeartSpec,
    torso: Torso,
    patient: _Patient,
    *,
    qrs: Loop,
    extra_area: np.ndarray,
    jt_ms: float,
) -> tuple[Loop, Marks]:
    """ST and T in ms from J, and T's marks; T ends `jt_ms` after J by the rule over leads."""
    t_loop = _t_loop(spec, torso, patient, _secondary(extra_area, jt_ms))
    marks = Marks(t_loop, torso.twelve(), "T", _GRIDS["T"], T_FIRST)
    scale = jt_ms / marks.offset
    marks = marks.timed(0.0, scale)
    loop = marks.loop
    if spec.st_elevation_mv or spec.digoxin:
        level = evenly(T_CENTRES, T_WIDTH, _st_vectors(spec, torso, jt_ms, qrs.area))
        loop = loop + level.timed(0.0, scale)
    return loop, marks


def _u_loop(spec: HeartSpec, torso: Torso, jt_ms: float) -> Loop:
    """U, some 90 ms behind the end of T."""
    size = spec.u_mv / max(torso.field[4] @ U_DIRECTION, LEAST_U)
    return evenly(np.array([jt_ms + 90.0]), 36.0, size * U_DIRECTION[None])


def _own_form(spec: HeartSpec, patient: _Patient) -> tuple[Form, Torso]:
    """The beat that the atria or the junction conduct, and the torso it is seen through."""
    loop, late = _conduct(spec, patient)
    stays = [late] if late is not None else []
    if spec.scar_mv:
        stays.append(_scar(spec, patient.torso))
    if spec.delta_ms:
        loop = loop.timed(-0.45 * spec.delta_ms / spec.qrs_ms, 1 - 0.25)
        stays.append(_delta(spec))
    loop, torso = _on_axis(spec, patient.torso, loop, stays)
    for one in stays:
        loop = loop + one
    marks = _timed(loop, torso, "QRS", spec.qrs_ms)
    qrs, extra = marks.loop, np.zeros(3)
    if spec.conduction not in ("normal", "lafb", "lpfb", "irbbb", "ivcd") or spec.delta_ms:
        extra = qrs.area - _native_area(spec, patient)
    elif spec.strain:
        extra = spec.strain * qrs.area
    jt_ms = spec.qt_ms - spec.qrs_ms
    recovery, t_marks = _recovery(spec, torso, patient, qrs=qrs, extra_area=extra, jt_ms=jt_ms)
    if spec.j_wave_mv:
        vector = torso.towards(spec.j_wave_mv)
        qrs = qrs + evenly(np.array([spec.qrs_ms + 6.0]), 8.0, vector[None])
    u = _u_loop(spec, torso, jt_ms)
    return Form(qrs, recovery, u, marks, t_marks, spec.qrs_ms, spec.qt_ms), torso


def _native_area(spec: HeartSpec, patient: _Patient) -> np.ndarray:
    """Area of the QRS that this patient would have without the block, in mV ms."""
    loop = _gained(_own_loop(patient), spec)
    return _timed(loop, patient.torso, "QRS", min(spec.qrs_ms, 92.0)).loop.area


# ---------------------------------------------------------------- beats from the ventricles


def _ectopic_form(
    spec: HeartSpec, patient: _Patient, place: str, qrs_ms: float, jitter: np.ndarray
) -> Form:
    """A beat that starts at one place of the ventricles; its T points away from its QRS."""
    main = ORIGINS[place] + 0.15 * jitter[:3]
    # It sets out along its own side of the septum, then goes across.
    start = np.array([main[0], 0.5 * main[1], -0.4 * main[2]])
    ways = np.linspace(1, 0, 6)[:, None]
    vectors = _GROWTH[:, None] * (ways * 0.5 * start + (1 - 0.5 * ways) * main)
    size = spec.qrs_gain * np.exp(0.15 * jitter[3])
    loop = evenly(_SPREAD, 0.093, size * vectors)
    marks = _timed(loop, patient.torso, "QRS", qrs_ms)
    qrs, normal = marks.loop, _native_area(spec, patient)
    jt_ms = max(spec.qt_ms - spec.qrs_ms - 0.1 * (qrs_ms - spec.qrs_ms), 140.0)
    plain = replace(spec, t_wave_mv={}, st_elevation_mv={}, t_axis_deg=None)
    recovery, t_marks = _recovery(
        plain,
        patient.torso,
        patient,
        qrs=qrs,
        extra_area=qrs.area - normal,
        jt_ms=jt_ms,
    )
    u = _u_loop(spec, patient.torso, jt_ms)
    return Form(qrs, recovery, u, marks, t_marks, qrs_ms, qrs_ms + jt_ms)


# ---------------------------------------------------------------- atria


def _atria(spec: HeartSpec, torso: Torso, own: np.ndarray, axis_deg: float | None) -> Atria:
    """A P wave on an axis; None leaves the patient's own."""
    loop = own
    if axis_deg is not None:
        loop = loop.turned(turn(torso.turn_to(loop.area, np.zeros(3), axis_deg)))
    if spec.p_mv is not None:
        height = np.abs(torso.field[1] @ own.at(_GRIDS["P"])).max()
        loop = loop.times(spec.p_mv / max(height, 0.02))
    if spec.p_terminal_mv:
        back = torso.towards({"V1": -spec.p_terminal_mv, "II": 0.0})
        loop = loop + evenly(np.array([0.78]), 0.14, back[None])
    far = loop.vectors @ ((ATRIAL_SHARE - 1)[:, None] * torso.field).T
    marks = _timed(replace(loop, near=loop.near + far), torso, "P", spec.p_ms)
    loop = marks.loop
    if spec.pr_depression_mv:
        # The atria recover slowly: lowest at the QRS, which hides it.
        late, width = 60.0, 80.0
        low = torso.towards({"II": -spec.pr_depression_mv * exp(0.5 * (late / width) ** 2)})
        loop = loop + evenly(np.array([spec.pr_ms + late]), width, low[None])
    return Atria(loop, marks, spec.p_ms)


def draw_heart(spec: HeartSpec, rng: np.random.Generator) -> Heart:
    """One patient's waves. The draw does not depend on the dials, so each moves alone."""
    patient = _draw_patient(spec, rng)
    jitter = rng.standard_normal((3, 5))
    places = [list(ORIGINS)[i] for i in rng.permutation(len(ORIGINS))[:3]]
    lengths = (ECTOPIC_MS + ECTOPIC_SD_MS * jitter[:, 4]).clip(128, 180)
    own_place = _own_place(spec, places[0])
    if own_place is None:
        own, torso = _own_form(spec, patient)
    else:
        own = _ectopic_form(spec, patient, own_place, spec.qrs_ms, jitter[0])
        torso = patient.torso
    ectopic = []
    needs = spec.pvc_forms if spec.n_pvc or spec.pvc_pattern != "single" else 0
    seen = replace(patient, torso=torso)
    for place, ms, one in zip(places[:needs], lengths[:needs], jitter[:needs], strict=True):
        ectopic.append(_ectopic_form(spec, seen, place, float(ms), one))
    return Heart(torso, (own, *ectopic), _draw_atria(spec, torso, patient))


def _own_place(spec: HeartSpec, drawn: str) -> str | None:
    """Where in the ventricles the rhythm's own beat starts; None when it is conducted."""
    if spec.rhythm == "ventricular tachycardia":
        return drawn
    if spec.av_block == "third degree" and spec.escape == "ventricular":
        return drawn
    paced = spec.rhythm == "paced" and spec.pacing != "atrial"
    return "right ventricular apex" if paced else None


def _draw_atria(spec: HeartSpec, torso: Torso, patient: _Patient) -> tuple[Atria, ...]:
    """P of the rhythm, and an ectopic and a retrograde one where the rhythm has such."""
    if spec.rhythm in ("atrial fibrillation", "atrial flutter"):
        return ()
    axis = spec.p_axis_deg
    if spec.rhythm == "ectopic atrial" and axis is None:
        axis = LOW_ATRIAL_AXIS
    own = evenly(P_CENTRES, P_WIDTH, patient.p, patient.near[2])
    first = _atria(spec, torso, own, axis)
    early = _atria(spec, torso, own, LOW_ATRIAL_AXIS / 2) if spec.n_pac else first
    up = first if spec.retrograde_p_ms is None else _atria(spec, torso, own, UPWARD_AXIS)
    return (first, early, up)
