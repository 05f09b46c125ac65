"""A heart that can be dialled: a moving dipole in the torso, its twelve leads, and the truth.

Frank's axes: x to the left, y to the feet, z to the back. Every wave is a loop of the dipole;
the leads see it through Dower's lead field, varied by patient. Noise enters at the electrodes,
so Einthoven's and Goldberger's laws hold in every record.

What this leaves out: pre-excitation, second- and third-degree block, ventricular tachycardia,
electrolytes, and faults of the recording (lead-off, clipping, exchanged electrodes).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import atan2, degrees, radians, sqrt

import numpy as np

from ecg_r1.ecg import ECG, FS, LEADS, ECGError

N_SAMPLES = 5000  # 10 s
NONE, P, QRS, T = 0, 1, 2, 3  # values of `Truth.wave_mask`

# A wave begins and ends where its dipole leaves and comes back to this share of its peak
# magnitude. T and P slope into the baseline, so readers see their ends later than 2 %.
EDGE = {P: 0.05, QRS: 0.02, T: 0.05}

# Dower GE 1968's lead vectors as given by Edenbrandt L, Pahlm O 1988, J Electrocardiol
# 21:361-367: rows I, II, V1-V6; columns x, y, z; mV per mV of Frank's leads.
DOWER = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
# Dower's torso sees V1, V3 and V4 larger, V2 and V6 smaller than the median of 150 normal
# records of PTB-XL (Wagner et al. 2020, Sci Data 7:154).
FRONT_LEADS = np.array([0.86, 1.06, 0.88, 0.93, 0.98, 1.08])
# The twelve leads from I, II, V1-V6: Einthoven's and Goldberger's laws.
TWELVE = np.zeros((12, 8))
TWELVE[0, 0] = TWELVE[1, 1] = 1
TWELVE[2, :2] = -1, 1
TWELVE[3, :2] = -0.5, -0.5
TWELVE[4, :2] = 1, -0.5
TWELVE[5, :2] = -0.5, 1
TWELVE[6:, 2:] = np.eye(6)
# I, II, V1-V6 from the potentials of the electrodes RA, LA, LL, V1-V6 (Wilson's terminal).
ELECTRODES = np.zeros((8, 9), dtype=np.float32)
ELECTRODES[0, :3] = -1, 1, 0
ELECTRODES[1, :3] = -1, 0, 1
ELECTRODES[2:, :3] = -1 / 3
ELECTRODES[2:, 3:] = np.eye(6)

TERRITORIES = {
    "anterior": ("V1", "V2", "V3", "V4"),
    "inferior": ("II", "III", "aVF"),
    "lateral": ("I", "aVL", "V5", "V6"),
}
RHYTHMS = (
    "sinus",
    "atrial fibrillation",
    "atrial flutter",
    "paced",
    "supraventricular tachycardia",
    "junctional",
)
CONDUCTIONS = ("normal", "rbbb", "irbbb", "lbbb", "lafb", "lpfb", "rbbb+lafb", "ivcd")

# Bumps of a loop: centre, width before, width after (Gaussian sigma) in template time; x, y, z.
NORMAL_QRS = np.array(
    [
        [0.18, 0.065, 0.075, -0.09, -0.07, -0.17],  # septum: to the right and the front
        [0.35, 0.085, 0.085, 0.40, 0.28, -0.28],  # apex and front wall
        [0.50, 0.085, 0.090, 0.95, 0.72, 0.20],  # free wall of the left ventricle
        [0.65, 0.085, 0.080, 0.16, 0.16, 0.86],  # its back wall
        [0.81, 0.070, 0.075, -0.11, -0.10, 0.20],  # bases, last
    ]
)
LBBB_QRS = np.array(
    [
        [0.22, 0.07, 0.09, 0.25, 0.12, 0.10],  # septum from right to left: no septal q
        [0.40, 0.09, 0.10, 0.80, 0.35, 0.50],
        [0.55, 0.10, 0.10, 0.42, 0.10, 1.05],
        [0.71, 0.08, 0.10, 0.80, 0.20, 0.45],  # the second peak of the notched R
    ]
)
# The right ventricle comes last and slowly: to the right and the front.
RBBB_LATE = np.array(
    [
        [0.80, 0.08, 0.09, -0.22, -0.04, -0.45],
        [0.98, 0.09, 0.12, -0.30, -0.04, -0.50],
    ]
)
IRBBB_LATE = np.array([[0.88, 0.07, 0.09, -0.24, -0.06, -0.44]])
PVC_MS, PVC_QT_MS, PVC_T_MS = 150.0, 440.0, 240.0
PVC_QRS = np.array([[0.35, 0.13, 0.13, 0.9, 0.9, 1.2], [0.62, 0.12, 0.14, 0.6, -0.5, 0.6]])


@dataclass(frozen=True)
class Truth:
    """What was dialled and came out of the clean signal.

    Attributes:
        rhythm: One of `RHYTHMS`.
        hr_bpm: 60 / mean RR interval of the record, ectopic beats included.
        pr_ms: P onset to QRS onset; None where no P wave leads.
        qrs_ms: QRS onset to offset.
        qt_ms: QRS onset to T offset.
        axis_deg: Frontal axis of the net area of the QRS in I and aVF, -180 to 180.
        diagnoses: Canonical labels, in the order of the answer.
        wave_mask: uint8 `(samples,)`: 0 none, 1 P, 2 QRS, 3 T, over all leads.
        qrs_onsets: Of the beats that begin within the record, in samples.
        lead_values: Name of a value (`r_mv`, `st_mv`, ...) -> twelve numbers, rows as `LEADS`,
            of the clean conducted beat; ST at J + 60 ms.
    """

    rhythm: str
    hr_bpm: float
    pr_ms: float | None
    qrs_ms: float
    qt_ms: float
    axis_deg: float
    diagnoses: tuple[str, ...]
    wave_mask: np.ndarray = field(repr=False)
    qrs_onsets: np.ndarray = field(repr=False)
    lead_values: Mapping[str, np.ndarray] = field(repr=False)


@dataclass(frozen=True)
class HeartSpec:
    """The dials of one heart, its body and its recording.

    Mappings take lead names or territories ("anterior", "inferior", "lateral"; the mean of
    their leads): a dipole is turned towards them, so reciprocal changes appear by themselves.
    """

    rhythm: str = "sinus"  # one of RHYTHMS
    hr_bpm: float = 70.0
    rr_variation: float = 0.02  # SD of RR / mean RR; atrial fibrillation about 0.2
    flutter_ratio: int = 4  # flutter waves per QRS
    pr_ms: float = 160.0  # sinus and paced (sensed P) rhythms
    p_ms: float = 100.0
    p_mv: float = 0.12  # height of P in II
    p_axis_deg: float = 55.0
    f_wave_mv: float = 0.08  # fibrillation or flutter waves
    qrs_ms: float = 90.0
    axis_deg: float = 45.0  # frontal QRS axis, net area
    conduction: str = "normal"  # one of CONDUCTIONS
    qrs_gain: float = 1.0  # of the whole QRS: below about 0.45 means low voltage
    lv_gain: float = 1.0  # of the left ventricle alone: above about 1.6 means hypertrophy
    front_gain: float = 1.0  # of V1-V6 against the limb leads: chest wall and electrodes
    qt_ms: float = 390.0
    t_mv: float = 0.28  # length of T in the frontal plane (height in II at 60 degrees)
    t_axis_deg: float = 45.0
    t_front_mv: float = 0.35  # height of T in V2
    st_mv: Mapping[str, float] = field(default_factory=dict)  # lead or territory: ST level
    t_wave_mv: Mapping[str, float] = field(default_factory=dict)  # lead or territory: T height
    old_infarction: tuple[str, ...] = ()  # territories with Q waves
    n_pvc: int = 0
    n_pac: int = 0
    wander_mv: float = 0.04  # RMS baseline wander at one electrode
    emg_mv: float = 0.003  # RMS muscle and amplifier noise at one electrode
    mains_mv: float = 0.001  # amplitude of the powerline at one electrode
    mains_hz: float = 50.0
    age_years: float | None = None
    sex: str | None = None

    def __post_init__(self) -> None:
        _one_of("rhythm", self.rhythm, RHYTHMS)
        _one_of("conduction", self.conduction, CONDUCTIONS)
        for name in (*self.st_mv, *self.t_wave_mv, *self.old_infarction):
            _one_of("territory or lead", name, (*TERRITORIES, *LEADS))
        rr_ms = 60000 / self.hr_bpm if self.hr_bpm > 0 else 0
        if not 200 <= rr_ms <= 3000:
            raise ECGError(f"hr_bpm {self.hr_bpm} is outside 20-300: choose a rate within it")
        if not self.qrs_ms + 100 <= self.qt_ms <= max(rr_ms, 200):
            raise ECGError(
                f"qt_ms {self.qt_ms} must lie between qrs_ms + 100 = {self.qrs_ms + 100:g} and "
                f"the RR interval {rr_ms:.0f} ms"
            )
        if self.has_p and not self.p_ms <= self.pr_ms < rr_ms:
            raise ECGError(
                f"pr_ms {self.pr_ms} must lie between p_ms {self.p_ms} and RR {rr_ms:.0f} ms"
            )

    @property
    def has_p(self) -> bool:
        """Whether a P wave leads every conducted beat."""
        return self.rhythm in ("sinus", "paced") and self.p_mv > 0


def _one_of(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ECGError(f"{what} {value!r} is unknown: choose one of {', '.join(allowed)}")


# ---------------------------------------------------------------- one beat


def _bumps(loop: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The dipole `(3, times)` of a sum of lopsided Gaussians."""
    off = t[None] - loop[:, :1]
    off /= np.where(off < 0, loop[:, 1:2], loop[:, 2:3])
    return loop[:, 3:].T @ np.exp(-0.5 * off * off)


def _hump(loop: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The dipole `(3, times)` of a sum of lopsided raised cosines, which end for good."""
    off = t[None] - loop[:, :1]
    off /= np.where(off < 0, loop[:, 1:2], loop[:, 2:3])
    return loop[:, 3:].T @ (0.5 + 0.5 * np.cos(np.pi * np.clip(off, -1, 1)))


def _crossings(wave: np.ndarray, t: np.ndarray, edge: float) -> tuple[float, float]:
    """First and last time at which the magnitude passes `edge` of its peak."""
    size = np.sqrt(np.einsum("ct,ct->t", wave, wave))
    size -= edge * size.max()
    inside = np.flatnonzero(size > 0)
    a, b = inside[0], inside[-1]
    step = t[1] - t[0]
    first = t[a] - step * size[a] / (size[a] - size[a - 1])
    last = t[b] + step * size[b] / (size[b] - size[b + 1])
    return float(first), float(last)


_GRID = np.linspace(-0.9, 2.1, 401)
_LEAD_IN = 24  # samples before onset and after offset, where the loops fade out


def _times(
    loop: np.ndarray, ms: float, wave: int, shape: Callable[..., np.ndarray]
) -> np.ndarray:
    """Template times of the samples of a loop that lasts `ms`; its onset is at `_LEAD_IN`."""
    first, last = _crossings(shape(loop, _GRID), _GRID, EDGE[wave])
    per_sample = (last - first) / (ms * FS / 1000)
    n = round(ms * FS / 1000) + 2 * _LEAD_IN
    return first + (np.arange(n) - _LEAD_IN) * per_sample


@dataclass
class _Body:
    """One patient's lead field, `(8, 3)`: rows I, II, V1-V6."""

    field: np.ndarray

    def twelve(self) -> np.ndarray:
        return TWELVE @ self.field

    def towards(self, targets: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
        """Rows that see each named lead or territory, and the wanted values in mV."""
        twelve = self.twelve()
        rows = [
            twelve[[LEADS.index(lead) for lead in TERRITORIES.get(name, (name,))]].mean(0)
            for name in targets
        ]
        return np.array(rows), np.array(list(targets.values()))

    def frontal(self, axis_deg: float, length_mv: float, z: float) -> np.ndarray:
        """The dipole with this frontal axis and length in the limb leads, and this z."""
        i, avf = self.field[0], self.field[1] - 0.5 * self.field[0]
        wanted = length_mv * np.array(
            [np.cos(radians(axis_deg)), sqrt(0.75) * np.sin(radians(axis_deg))]
        )
        limb = np.array([i, avf])
        xy = np.linalg.solve(limb[:, :2], wanted - limb[:, 2] * z)
        return np.array([xy[0], xy[1], z])

    def axis(self, vector: np.ndarray) -> float:
        """Frontal axis in degrees of a dipole, or of the area of a loop."""
        i = self.field[0] @ vector
        avf = self.field[1] @ vector - 0.5 * i
        return degrees(atan2(2 * avf, sqrt(3) * i))


def _draw_body(spec: HeartSpec, rng: np.random.Generator) -> _Body:
    rows = DOWER * (1 + 0.08 * rng.standard_normal((8, 3)))
    # Electrodes a rib too high or low, and the chest wall, change the size of whole leads.
    rows[2:] *= FRONT_LEADS[:, None]
    rows[2:] *= spec.front_gain * np.exp(0.17 * rng.standard_normal((6, 1)))
    return _Body(rows)


def _turn(angle: float) -> np.ndarray:
    """Rotation about z by `angle` radians, clockwise as the cardiologist counts the axis."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _angle_for_axis(body: _Body, area: np.ndarray, fixed: np.ndarray, axis_deg: float) -> float:
    """Turn of the loop that brings its net area, plus what stays fixed, onto the axis."""
    i, avf = body.field[0], body.field[1] - 0.5 * body.field[0]
    to_frontal = np.array([sqrt(3) * i, 2 * avf])
    along = np.array([np.cos(radians(axis_deg)), np.sin(radians(axis_deg))])
    across = np.array([-along[1], along[0]]) @ to_frontal
    cosine = across[:2] @ area[:2]
    sine = across[:2] @ np.array([-area[1], area[0]])
    rest = across[2] * area[2] + across @ fixed
    swing = np.hypot(cosine, sine)
    middle, half = np.arctan2(sine, cosine), np.arccos(np.clip(-rest / swing, -1, 1))
    angles = (middle + half, middle - half)
    return max(angles, key=lambda a: along @ to_frontal @ (_turn(a) @ area + fixed))


def _off_axis(body: _Body, area: np.ndarray, axis_deg: float) -> float:
    return (body.axis(area) - axis_deg + 180) % 360 - 180


def _qrs_loops(spec: HeartSpec, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The bumps of this patient's left ventricle, not yet on its axis, and of a late right."""
    wide = spec.conduction == "lbbb" or spec.rhythm == "paced"
    left, late = (LBBB_QRS if wide else NORMAL_QRS).copy(), np.zeros((0, 6))
    left[slice(None) if wide else slice(1, 4), 3:] *= spec.lv_gain
    if spec.conduction.startswith("rbbb"):
        left, late = _earlier(left, 0.66), RBBB_LATE.copy()
    elif spec.conduction == "irbbb":
        left, late = _earlier(left, 0.85), IRBBB_LATE.copy()
    for loop in (left, late):
        loop[:, 1:3] *= 1 + 0.06 * rng.standard_normal((len(loop), 1))
        loop[:, 3:] *= 1 + 0.15 * rng.standard_normal((len(loop), 3))
        loop[:, 3:] += 0.05 * rng.standard_normal((len(loop), 3))
        loop[:, 3:] *= spec.qrs_gain
    return left, late


def _earlier(loop: np.ndarray, share: float) -> np.ndarray:
    """The loop pressed into the first `share` of its time."""
    loop = loop.copy()
    loop[:, :3] *= share
    return loop


def _lost_muscle(spec: HeartSpec, body: _Body, n: int) -> np.ndarray:
    """What infarcted walls no longer give early in the QRS: a dipole away."""
    gone = np.zeros((3, n))
    if spec.old_infarction:
        rows, depth = body.towards(dict.fromkeys(spec.old_infarction, -0.60 * spec.qrs_gain))
        ms = min(0.75 * spec.qrs_ms, 80.0) * FS / 1000
        u = np.clip((np.arange(n) - _LEAD_IN) / ms, 0, 1)
        gone += np.outer(np.linalg.pinv(rows) @ depth, np.sin(np.pi * u) ** 2)
    return gone


def _draw_qrs(spec: HeartSpec, body: _Body, rng: np.random.Generator) -> np.ndarray:
    """The QRS in samples on its dialled axis; turns the heart in the chest with it."""
    left, late = _qrs_loops(spec, rng)
    t = _times(np.vstack([left, late]), spec.qrs_ms, QRS, _bumps)
    # Only the left ventricle turns: what the right one adds late, and what a scar lacks, stay.
    left, stay = _bumps(left, t), _bumps(late, t) + _lost_muscle(spec, body, len(t))
    within = slice(_LEAD_IN, len(t) - _LEAD_IN + 1)
    area, fixed = left[:, within].sum(1), stay[:, within].sum(1)
    angle = _angle_for_axis(body, area, fixed, spec.axis_deg)
    while abs(_off_axis(body, _turn(angle) @ area + fixed, spec.axis_deg)) > 0.5:
        left, area = 1.25 * left, 1.25 * area  # too small to turn what stays onto the axis
        angle = _angle_for_axis(body, area, fixed, spec.axis_deg)
    # Half of an axis deviation is the position of the heart, which V1-V6 see less of.
    body.field[2:] = body.field[2:] @ _turn(-np.clip(0.5 * angle, -0.5, 0.5))
    return _turn(angle) @ left + stay


def _draw_p(spec: HeartSpec, body: _Body, axis_deg: float) -> np.ndarray:
    """Right atrium to the front, then left atrium to the back, `p_mv` high in II."""
    apart, width = (0.21, 0.27) if spec.p_ms >= 120 else (0.13, 0.38)
    right = body.frontal(axis_deg + 10, 0.55, -0.38)
    left = body.frontal(axis_deg - 10, 0.55, 0.42)
    loop = np.array([[0.5 - apart, width, width, *right], [0.5 + apart, width, width, *left]])
    wave = _hump(loop, _times(loop, spec.p_ms, P, _hump))
    seen = body.field[1] @ wave
    return wave * spec.p_mv / np.abs(seen).max()


def _t_vector(spec: HeartSpec, body: _Body) -> np.ndarray:
    vector = body.frontal(spec.t_axis_deg, spec.t_mv, 0.0)
    for _ in range(3):  # z moves the limb leads a little
        z = (spec.t_front_mv - body.field[3, :2] @ vector[:2]) / body.field[3, 2]
        vector = body.frontal(spec.t_axis_deg, spec.t_mv, z)
    if spec.t_wave_mv:
        rows, wanted = body.towards(spec.t_wave_mv)
        vector = vector + np.linalg.pinv(rows) @ (wanted - rows @ vector)
    return vector


def _draw_repolarisation(spec: HeartSpec, body: _Body, n_qrs: int) -> tuple[np.ndarray, int]:
    """ST and T in samples from QRS onset on (at `_LEAD_IN`), and the onset of T."""
    t_ms = 0.64 * (spec.qt_ms - spec.qrs_ms)
    t_on = round((spec.qt_ms - t_ms) * FS / 1000)
    x, y, z = _t_vector(spec, body)
    loop = np.array([[0.0, 1.0, 0.66, x, y, 0.0], [-0.06, 1.0, 0.66, 0.0, 0.0, z]])
    shape = (
        loop if np.any(loop[:, 3:]) else loop + 1.0 * (np.arange(6) > 2)
    )  # a flat T has times too
    t_wave = _hump(loop, _times(shape, t_ms, T, _hump))
    n = t_on + t_wave.shape[1]
    out = np.zeros((3, n))
    out[:, t_on:] = t_wave
    if spec.st_mv:
        rows, wanted = body.towards(spec.st_mv)
        k = np.arange(n) - _LEAD_IN
        end = round((spec.qt_ms - 0.2 * t_ms) * FS / 1000)
        rise = np.clip((k - 0.7 * n_qrs) / (0.3 * n_qrs), 0, 1)
        fall = np.clip((end - k) / (end - t_on), 0, 1)
        course = np.sin(np.pi / 2 * rise) ** 2 * np.sin(np.pi / 2 * fall) ** 2
        out += np.outer(np.linalg.pinv(rows) @ wanted, course)
    return out, t_on


def _draw_pvc(rng: np.random.Generator) -> np.ndarray:
    """A wide beat from a ventricle with its discordant T, from QRS onset on, 460 ms."""
    loop = _bumps(PVC_QRS, _times(PVC_QRS, PVC_MS, QRS, _bumps))
    turn = _turn(rng.uniform(-2.2, 1.2))
    side = np.array([1, 1, rng.choice([-1.0, 1.0])])[:, None]
    loop = turn @ (loop * side) * rng.uniform(0.8, 1.3)
    away = -0.30 * loop.sum(1) / np.abs(loop.sum(1)).max()
    hump = np.array([[0.0, 1.0, 0.7, *away]])
    t_wave = _hump(hump, _times(hump, PVC_T_MS, T, _hump))
    out = np.zeros((3, round((PVC_QT_MS - PVC_T_MS) * FS / 1000) + t_wave.shape[1]))
    out[:, : loop.shape[1]] += loop
    out[:, -t_wave.shape[1] :] += t_wave
    return out


# ---------------------------------------------------------------- ten seconds


CONDUCTED, VENTRICULAR, ATRIAL = 0, 1, 2


def _rr_series(spec: HeartSpec, rng: np.random.Generator) -> np.ndarray:
    """RR intervals in samples for more than ten seconds, of mean 60 / hr."""
    mean = 60 * FS / spec.hr_bpm
    n = int(N_SAMPLES / mean) + 4
    if spec.rhythm == "atrial fibrillation":
        rr = rng.gamma(1 / spec.rr_variation**2, spec.rr_variation**2, n)
        rr = np.maximum(rr, 0.55)
    else:
        breath = np.sin(
            np.arange(n) * 2 * np.pi * mean / FS * rng.uniform(0.15, 0.3) + rng.uniform(0, 6.28)
        )
        rr = 1 + spec.rr_variation * (1.2 * breath + 0.5 * rng.standard_normal(n))
    inner = rr[1 : max(2, int(N_SAMPLES / mean))]
    return mean * rr / inner.mean()


def _beats(spec: HeartSpec, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """QRS onsets in samples, from before the record to after it, and the kind of each beat."""
    rr = _rr_series(spec, rng)
    onsets = np.cumsum(rr) - rr[0] * (1 + rng.uniform(0, 1))
    kinds = np.full(len(onsets), CONDUCTED)
    room = np.flatnonzero((onsets > 0.8 * FS) & (onsets < N_SAMPLES - 1.2 * FS))
    for kind, count in ((VENTRICULAR, spec.n_pvc), (ATRIAL, spec.n_pac)):
        for _ in range(count):
            free = [b for b in room if not kinds[b - 1 : b + 2].any()]
            if not free:
                raise ECGError(
                    f"{spec.n_pvc} PVCs and {spec.n_pac} PACs do not fit into ten seconds at "
                    f"{spec.hr_bpm:g} bpm: dial fewer"
                )
            beat = rng.choice(free)
            kinds[beat] = kind
            early = rng.uniform(0.28, 0.4) if kind == VENTRICULAR else rng.uniform(0.25, 0.35)
            onsets[beat] -= early * rr[beat]
            if kind == ATRIAL:  # the sinus node is reset; a PVC is followed by a full pause
                onsets[beat + 1 :] -= early * rr[beat] * 0.85
    return np.round(onsets).astype(int), kinds


def _add(record: np.ndarray, wave: np.ndarray, start: int) -> None:
    """Add a wave to the record, cut at its borders."""
    a, b = max(start, 0), min(start + wave.shape[1], record.shape[1])
    if a < b:
        record[:, a:b] += wave[:, a - start : b - start]


def _paint(mask: np.ndarray, start: int, ms: float, value: int) -> None:
    mask[max(start, 0) : max(start + round(ms * FS / 1000), 0)] = value


_SLOW_HZ = 0.08 * np.arange(1, 13)
_SLOW = np.vstack(
    [
        np.cos(2 * np.pi * _SLOW_HZ[:, None] * np.arange(N_SAMPLES) / FS),
        np.sin(2 * np.pi * _SLOW_HZ[:, None] * np.arange(N_SAMPLES) / FS),
    ]
).astype(np.float32)
_SLOW_SIZE = np.tile(_SLOW_HZ**-0.8, 2)
_SLOW_SIZE = (_SLOW_SIZE / sqrt(0.5 * (_SLOW_SIZE**2).sum())).astype(np.float32)


def _slow(n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` slow random courses of variance 1, `(n, samples)`: breathing and moving."""
    drawn = rng.standard_normal((n, len(_SLOW_SIZE)), dtype=np.float32)
    return (drawn * _SLOW_SIZE / sqrt(2)) @ _SLOW * sqrt(2)


def _atrial_waves(
    spec: HeartSpec, body: _Body, onsets: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Fibrillation (350-600 a minute) or flutter waves, `f_wave_mv` in V1 or II."""
    t = np.arange(N_SAMPLES)
    if spec.rhythm == "atrial flutter":
        turns = np.interp(t, onsets, np.arange(len(onsets)) * spec.flutter_ratio)
        angle = 2 * np.pi * (turns + rng.uniform())
        saw = np.sin(angle) + 0.45 * np.sin(2 * angle) + 0.22 * np.sin(3 * angle)
        second = np.sin(angle + 0.9)
        wave = np.outer([0.05, 0.85, -0.05], saw) + np.outer([-0.1, 0.1, -0.3], second)
        return wave * spec.f_wave_mv / np.abs(body.field[1] @ wave).max()
    bend, swell_a, swell_b = _slow(3, rng)
    angle = 2 * np.pi * np.cumsum(rng.uniform(5.8, 8.5) * (1 + 0.10 * bend)) / FS
    one = np.sin(angle) * (1 + 0.35 * swell_a) + 0.35 * np.sin(2 * angle + 1)
    two = np.sin(1.13 * angle + rng.uniform(0, 6.28)) * (0.6 + 0.35 * swell_b)
    wave = np.outer([-0.20, 0.25, -0.85], one) + np.outer([0.1, 0.30, 0.25], two)
    return wave * spec.f_wave_mv / (1.9 * (body.field[2] @ wave).std())


def _electrode_noise(spec: HeartSpec, rng: np.random.Generator) -> np.ndarray:
    """Noise of I, II, V1-V6, entering at the nine electrodes, `(8, samples)` mV."""
    white = rng.standard_normal((9, N_SAMPLES + 2), dtype=np.float32)
    noise = white[:, 2:] + white[:, 1:-1]
    noise += 0.5 * white[:, :-2]
    noise *= (spec.emg_mv / 1.5 * rng.uniform(0.6, 1.4, (9, 1))).astype(np.float32)
    noise += spec.wander_mv * _slow(9, rng)
    hum = 2 * np.pi * spec.mains_hz * np.arange(N_SAMPLES) / FS + rng.uniform(0, 6.28)
    noise += np.outer(spec.mains_mv * rng.uniform(-1, 1, 9), np.sin(hum)).astype(np.float32)
    return ELECTRODES @ noise


@dataclass(frozen=True)
class _Heart:
    """One patient's waves in samples, each with its onset at `_LEAD_IN`."""

    body: _Body
    qrs: np.ndarray
    recovery: np.ndarray
    p: np.ndarray | None
    early_p: np.ndarray | None
    pvc: np.ndarray
    t_on: int


def _draw_heart(spec: HeartSpec, rng: np.random.Generator) -> _Heart:
    body = _draw_body(spec, rng)
    qrs = _draw_qrs(spec, body, rng)
    if spec.rhythm == "paced":
        spike = rng.uniform(1.0, 2.5) * np.array([0.5, -0.7, 0.3])
        qrs[:, _LEAD_IN] += spike
        qrs[:, _LEAD_IN + 1] += 0.4 * spike
    recovery, t_on = _draw_repolarisation(spec, body, qrs.shape[1] - 2 * _LEAD_IN)
    p = _draw_p(spec, body, spec.p_axis_deg) if spec.has_p else None
    early_p = _draw_p(spec, body, spec.p_axis_deg - 70) if spec.has_p else None
    return _Heart(body, qrs, recovery, p, early_p, _draw_pvc(rng), t_on)


def _dipole(
    spec: HeartSpec,
    heart: _Heart,
    beats: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Ten seconds of the dipole `(3, samples)` and of the mask."""
    onsets, kinds = beats
    record, mask = np.zeros((3, N_SAMPLES)), np.zeros(N_SAMPLES, dtype=np.uint8)
    phase = 2 * np.pi * (onsets[:, None] / FS * rng.uniform(0.18, 0.3) + rng.uniform(0, 1, 3))
    gains = 1 + 0.03 * np.sin(phase) + 0.01 * rng.standard_normal(phase.shape)
    pr = round(spec.pr_ms * FS / 1000)
    for onset, kind, gain in zip(onsets.tolist(), kinds.tolist(), gains, strict=True):
        if kind == VENTRICULAR:
            _add(record, heart.pvc, onset - _LEAD_IN)
            continue
        _add(record, gain[:, None] * heart.qrs, onset - _LEAD_IN)
        _add(record, gain[:, None] * heart.recovery, onset - _LEAD_IN)
        if heart.p is not None:
            _add(record, heart.early_p if kind == ATRIAL else heart.p, onset - pr - _LEAD_IN)
    _mark(mask, spec, beats, heart.t_on)
    if spec.rhythm in ("atrial fibrillation", "atrial flutter"):
        record += _atrial_waves(spec, heart.body, onsets, rng)
    return record, mask


def _mark(
    mask: np.ndarray, spec: HeartSpec, beats: tuple[np.ndarray, np.ndarray], t_on: int
) -> None:
    """Paint T, then P, then QRS: a wave that rises from another's end wins."""
    onsets, kinds = beats
    late = kinds == VENTRICULAR
    t_ms, pvc_t_on = spec.qt_ms - t_on * 1000 / FS, round((PVC_QT_MS - PVC_T_MS) * FS / 1000)
    for onset, pvc in zip(onsets.tolist(), late.tolist(), strict=True):
        _paint(mask, onset + (pvc_t_on if pvc else t_on), PVC_T_MS if pvc else t_ms, T)
    for onset in onsets[~late].tolist() if spec.has_p else ():
        _paint(mask, onset - round(spec.pr_ms * FS / 1000), spec.p_ms, P)
    for onset, pvc in zip(onsets.tolist(), late.tolist(), strict=True):
        _paint(mask, onset, PVC_MS if pvc else spec.qrs_ms, QRS)


# ---------------------------------------------------------------- truth


def _lead_values(spec: HeartSpec, heart: _Heart) -> dict[str, np.ndarray]:
    """Amplitudes of the clean conducted beat, per lead."""
    twelve = heart.body.twelve()
    n = round(spec.qrs_ms * FS / 1000)
    qrs = twelve @ heart.qrs[:, _LEAD_IN : _LEAD_IN + n + 1]
    recovery = twelve @ heart.recovery[:, _LEAD_IN:]
    peak = qrs.argmax(1)
    at = np.arange(n + 1)
    before = np.where(at < peak[:, None], qrs, 0)
    after = np.where(at > peak[:, None], qrs, 0)
    r = np.maximum(qrs.max(1), 0)
    qs = r < 0.05
    q = np.where(qs, qrs.min(1), before.min(1))
    wave = recovery[:, heart.t_on :]
    t = wave[np.arange(12), np.abs(wave).argmax(1)]
    deep = np.where(qs[:, None], qrs, before) < -0.02
    return {
        "r_mv": r,
        "s_mv": np.where(qs, 0, after.min(1)),
        "q_mv": q,
        "q_ms": deep.sum(1) * 1000 / FS,
        "t_mv": t,
        "st_mv": recovery[:, n + round(0.06 * FS)],
        "size_mv": qrs.max(1) - qrs.min(1),
    }


_AT = {lead: row for row, lead in enumerate(LEADS)}
# Leads that look at the heart from neighbouring places.
_NEIGHBOURS = [
    [_AT[lead] for lead in pair]
    for pair in (
        ("I", "aVL"), ("II", "aVF"), ("III", "aVF"), ("V1", "V2"), ("V2", "V3"),
        ("V3", "V4"), ("V4", "V5"), ("V5", "V6"), ("I", "V6"),
    )
]  # fmt: skip


def _side_by_side(met: np.ndarray) -> bool:
    return any(met[pair].all() for pair in _NEIGHBOURS)


def _rhythm_labels(spec: HeartSpec, rr_ms: np.ndarray, hr_bpm: float) -> list[str]:
    if spec.rhythm != "sinus":
        return {"paced": ["paced rhythm"], "junctional": ["junctional rhythm"]}.get(
            spec.rhythm, [spec.rhythm]
        )
    # More than 0.12 s between the longest and the shortest RR: Surawicz B, Knilans T 2008.
    spread = not (spec.n_pvc or spec.n_pac) and np.ptp(rr_ms) > 120
    if hr_bpm < 60 or hr_bpm > 100:
        rate = "sinus bradycardia" if hr_bpm < 60 else "sinus tachycardia"
        return [rate, "sinus arrhythmia"] if spread else [rate]
    return ["sinus arrhythmia" if spread else "sinus rhythm"]


def _conduction_labels(spec: HeartSpec) -> list[str]:
    """AHA/ACCF/HRS 2009 part III (Surawicz et al.): durations of the blocks."""
    labels = ["first-degree av block"] if spec.has_p and spec.pr_ms > 200 else []
    block = {
        "lbbb": ["left bundle branch block"],
        "rbbb": ["right bundle branch block"],
        "irbbb": ["incomplete right bundle branch block"],
        "lafb": ["left anterior fascicular block"],
        "lpfb": ["left posterior fascicular block"],
        "rbbb+lafb": ["right bundle branch block", "left anterior fascicular block"],
    }
    if spec.conduction in block:
        return labels + block[spec.conduction]
    return [*labels, "nonspecific intraventricular conduction delay"] * (
        spec.qrs_ms > 110
    ) or labels


def _voltage_labels(spec: HeartSpec, axis_deg: float, v: dict[str, np.ndarray]) -> list[str]:
    r, s, size = v["r_mv"], v["s_mv"] + v["q_mv"] * (v["r_mv"] < 0.05), v["size_mv"]
    block = spec.conduction in ("lbbb", "rbbb", "rbbb+lafb")
    # AHA/ACCF/HRS 2009 part V (Hancock et al.): Sokolow-Lyon 3.5 mV, Cornell 2.8/2.0 mV.
    sokolow = -s[_AT["V1"]] + max(r[_AT["V5"]], r[_AT["V6"]])
    cornell = r[_AT["aVL"]] - s[_AT["V3"]]
    lvh = sokolow >= 3.5 or cornell > (2.0 if spec.sex == "female" else 2.8)
    found = {
        "left axis deviation": -90 <= axis_deg < -30,
        "right axis deviation": 90 < axis_deg <= 180,
        "left atrial abnormality": spec.has_p and spec.p_ms >= 120,
        "right atrial abnormality": spec.has_p and spec.p_mv > 0.25,
        "left ventricular hypertrophy": lvh and not block,
        "low qrs voltage": size[:6].max() < 0.5 or size[6:].max() < 1.0,
        "poor r wave progression": r[_AT["V3"]] <= 0.3 and spec.conduction != "lbbb",
    }
    return [label for label, met in found.items() if met]


def _ischaemia_labels(spec: HeartSpec, v: dict[str, np.ndarray]) -> list[str]:
    """Fourth Universal Definition of Myocardial Infarction 2018 (Thygesen et al.)."""
    limit = np.full(12, 0.1)
    young = spec.age_years is not None and spec.age_years < 40
    limit[[_AT["V2"], _AT["V3"]]] = 0.15 if spec.sex == "female" else 0.25 if young else 0.2
    raised = spec.conduction != "lbbb" and _side_by_side(v["st_mv"] >= limit)
    q_waves = (v["q_ms"] >= 30) & (v["q_mv"] <= -0.1)
    infarcted = set(spec.old_infarction)
    infarcted |= {name for name, st in spec.st_mv.items() if st > 0 and raised}
    sites = [
        site
        for site, leads in TERRITORIES.items()
        if site in infarcted
        and (
            (raised and spec.st_mv.get(site, 0) > 0)
            or q_waves[[_AT[x] for x in leads]].sum() > 1
        )
    ]
    lowered = _side_by_side(v["st_mv"] <= -0.05)
    inverted = v["t_mv"] <= -0.1
    inverted[[_AT["aVR"], _AT["V1"], _AT["III"]]] = False
    late = spec.conduction in ("lbbb", "rbbb", "rbbb+lafb")  # ST and T follow the block
    found = {f"{site} myocardial infarction": True for site in sites}
    found["st elevation"] = raised
    found["st depression"] = lowered and not late
    found["t wave inversion"] = _side_by_side(inverted) and not late
    changed = bool(spec.st_mv or spec.t_wave_mv) and not late
    found["nonspecific st-t abnormality"] = changed and not any(found.values())
    return [label for label, met in found.items() if met]


def _qt_labels(spec: HeartSpec, hr_bpm: float) -> list[str]:
    """AHA/ACCF/HRS 2009 part IV (Rautaharju et al.), with Fridericia's correction."""
    qtc = spec.qt_ms / np.cbrt(60 / hr_bpm)
    if qtc > (450 if spec.sex == "male" else 460):
        return ["prolonged qt interval"]
    return ["short qt interval"] if qtc < 340 else []


# PTB-XL calls most slow or breathing sinus rhythms normal, and most fast ones not.
_HARMLESS = {"sinus rhythm", "sinus bradycardia", "sinus arrhythmia"}


def _diagnoses(
    spec: HeartSpec, rr_ms: np.ndarray, hr_bpm: float, axis_deg: float, v: dict[str, np.ndarray]
) -> tuple[str, ...]:
    labels = _rhythm_labels(spec, rr_ms, hr_bpm)
    labels += ["premature atrial complexes"] * (spec.n_pac > 0)
    labels += ["premature ventricular complexes"] * (spec.n_pvc > 0)
    if spec.rhythm != "paced":  # a paced ventricle has no conduction, voltage or ST to judge
        labels += _conduction_labels(spec) + _voltage_labels(spec, axis_deg, v)
        labels += _ischaemia_labels(spec, v) + _qt_labels(spec, hr_bpm)
    if set(labels) <= _HARMLESS and hr_bpm >= 50 and not spec.old_infarction:
        labels.append("normal ecg")
    return tuple(labels)


def _truth(
    spec: HeartSpec, heart: _Heart, beats: tuple[np.ndarray, np.ndarray], mask: np.ndarray
) -> Truth:
    onsets = beats[0][(beats[0] >= 0) & (beats[0] < N_SAMPLES)]
    rr_ms = np.diff(onsets) * 1000 / FS
    hr_bpm = 60000 / rr_ms.mean()
    n = round(spec.qrs_ms * FS / 1000)
    axis_deg = heart.body.axis(heart.qrs[:, _LEAD_IN : _LEAD_IN + n + 1].sum(1))
    values = _lead_values(spec, heart)
    return Truth(
        rhythm=spec.rhythm,
        hr_bpm=float(hr_bpm),
        pr_ms=spec.pr_ms if spec.has_p else None,
        qrs_ms=spec.qrs_ms,
        qt_ms=spec.qt_ms,
        axis_deg=axis_deg,
        diagnoses=_diagnoses(spec, rr_ms, hr_bpm, axis_deg, values),
        wave_mask=mask,
        qrs_onsets=onsets,
        lead_values=values,
    )


def simulate(spec: HeartSpec, seed: int = 0) -> ECG:
    """Ten seconds of twelve leads at 500 Hz, with the truth attached.

    Args:
        spec: The dials.
        seed: Draws the patient's chest, the rhythm's chance and the noise; the same seed and
            spec give the same samples in every process.

    Returns:
        An `ECG` whose `truth` holds what was dialled and came out.

    Raises:
        ECGError: more premature beats are dialled than fit into ten seconds.

    Source:
        Edenbrandt L, Pahlm O 1988, J Electrocardiol 21:361-367 (lead field).

    Example:
        >>> ecg = simulate(HeartSpec(hr_bpm=75))
        >>> ecg.signal.shape, ecg.truth.diagnoses
        ((12, 5000), ('sinus rhythm', 'normal ecg'))
    """
    rng = np.random.default_rng(seed)
    heart = _draw_heart(spec, rng)
    beats = _beats(spec, rng)
    dipole, mask = _dipole(spec, heart, beats, rng)
    eight = heart.body.field.astype(np.float32) @ dipole.astype(np.float32)
    eight += _electrode_noise(spec, rng)
    return ECG(
        signal=TWELVE.astype(np.float32) @ eight,
        source="simulated",
        age_years=spec.age_years,
        sex=spec.sex,
        truth=_truth(spec, heart, beats, mask),
    )


# ---------------------------------------------------------------- populations

# Shares of rhythms and conductions: as taught (every class often enough), or as met in a
# hospital (PTB-XL, Wagner et al. 2020, Sci Data 7:154, roughly).
_RHYTHM_SHARES = {
    "balanced": (0.80, 0.08, 0.05, 0.025, 0.02, 0.025),
    "prevalent": (0.905, 0.065, 0.006, 0.014, 0.005, 0.005),
}
_CONDUCTION_SHARES = {
    "balanced": (0.70, 0.06, 0.06, 0.06, 0.05, 0.02, 0.02, 0.03),
    "prevalent": (0.80, 0.02, 0.05, 0.025, 0.065, 0.008, 0.007, 0.025),
}
_QRS_MS = {
    "normal": (90, 8, 72, 108),
    "rbbb": (138, 12, 120, 172),
    "irbbb": (106, 5, 94, 118),
    "lbbb": (146, 12, 122, 176),
    "lafb": (98, 8, 80, 116),
    "lpfb": (98, 8, 80, 116),
    "rbbb+lafb": (142, 10, 122, 172),
    "ivcd": (120, 7, 112, 140),
}
_AXIS_DEG = {
    "normal": (42, 32, -28, 88),
    "lafb": (-56, 8, -80, -46),
    "rbbb+lafb": (-62, 10, -85, -46),
    "lpfb": (108, 9, 95, 140),
    "lbbb": (-5, 28, -60, 70),
}


def _within(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    """A normal number, drawn again as uniform where it leaves its range."""
    value = rng.normal(mean, sd)
    return float(value if low <= value <= high else rng.uniform(low, high))


def _even(ms: float) -> float:
    """Milliseconds on the grid of 500 Hz, which the record can realise."""
    return 2.0 * round(ms / 2)


def _draw_rhythm(rng: np.random.Generator, rhythm: str, *, ill: bool) -> dict[str, object]:
    """Rate and the dials that belong to the rhythm."""
    if rhythm == "atrial fibrillation":
        return {
            "hr_bpm": _within(rng, 88, 22, 48, 148),
            "rr_variation": rng.uniform(0.12, 0.28),
            "f_wave_mv": rng.uniform(0.02, 0.11),
        }
    if rhythm == "atrial flutter":
        ratio = int(rng.choice([2, 3, 4], p=[0.4, 0.2, 0.4]))
        return {
            "hr_bpm": rng.uniform(240, 330) / ratio,
            "flutter_ratio": ratio,
            "rr_variation": 0.003,
            "f_wave_mv": rng.uniform(0.10, 0.25),
        }
    if rhythm == "supraventricular tachycardia":
        return {"hr_bpm": rng.uniform(150, 195), "rr_variation": 0.003}
    if rhythm == "junctional":
        return {"hr_bpm": rng.uniform(38, 62), "rr_variation": 0.01}
    if rhythm == "paced":
        return {"hr_bpm": rng.uniform(58, 85), "rr_variation": 0.002}
    off = ill and rng.random() < 0.3
    rate = rng.choice([rng.uniform(40, 59), rng.uniform(101, 150)]) if off else 0
    calm = rng.random() < 0.9
    return {
        "hr_bpm": float(rate or _within(rng, 73, 12, 54, 99)),
        "rr_variation": rng.uniform(0.005, 0.03) if calm else rng.uniform(0.05, 0.10),
    }


def _draw_conduction(
    rng: np.random.Generator, conduction: str, rhythm: str, *, ill: bool
) -> dict[str, float]:
    """QRS, axis and the T wave that follows them."""
    wide = "lbbb" if rhythm == "paced" else conduction
    axis = _within(rng, *_AXIS_DEG.get(wide, _AXIS_DEG["normal"]))
    if ill and conduction in ("normal", "ivcd", "irbbb") and rng.random() < 0.2:
        axis = float(rng.choice([rng.uniform(-75, -32), rng.uniform(92, 145)]))
    t_axis = 45 + 0.25 * (axis - 45) + 14 * rng.standard_normal()
    t_front = max(rng.normal(0.38, 0.20), 0.02)
    if wide == "lbbb":
        axis = float(rng.uniform(-80, -50)) if rhythm == "paced" else axis
        t_axis, t_front = axis + 180 + 20 * rng.standard_normal(), rng.uniform(0.3, 0.9)
    elif wide.startswith("rbbb"):
        t_front = rng.uniform(-0.3, 0.1)
    return {
        "qrs_ms": _even(_within(rng, *_QRS_MS[wide])),
        "axis_deg": axis,
        "t_axis_deg": t_axis,
        "t_front_mv": t_front,
        "t_mv": float(np.exp(rng.normal(-1.20, 0.32))),
    }


def _draw_intervals(
    rng: np.random.Generator, hr_bpm: float, qrs_ms: float, *, ill: bool
) -> dict:
    """PR and QT that this rate allows."""
    rr_ms = 60000 / hr_bpm
    pr = (
        rng.uniform(204, 290)
        if ill and rng.random() < 0.14
        else _within(rng, 156, 20, 112, 200)
    )
    qtc = _within(rng, 408, 17, 370, 446) + 0.5 * max(qrs_ms - 100, 0)
    if ill and rng.random() < 0.10:
        qtc = rng.uniform(464, 530)
    qt = np.clip(qtc * np.cbrt(rr_ms / 1000), qrs_ms + 112, rr_ms - 6)
    p_ms = rng.uniform(120, 140) if ill and rng.random() < 0.08 else rng.uniform(84, 116)
    pr = min(pr, 0.55 * rr_ms)
    return {"pr_ms": _even(pr), "qt_ms": _even(qt), "p_ms": _even(min(p_ms, pr - 8))}


def _draw_illness(rng: np.random.Generator, conduction: str) -> dict[str, object]:
    """Voltage, infarction, ST-T or ectopy; one draw in five gives none."""
    site, height = str(rng.choice(list(TERRITORIES))), float(rng.uniform(0.12, 0.35))
    inverted = {"t_wave_mv": {site: -height}}
    strain = {"st_mv": {"lateral": -0.08}, "t_wave_mv": {"lateral": -height}}
    kinds: dict[str, tuple[float, dict[str, object]]] = {
        "none": (0.21, {}),
        "hypertrophy": (0.07, {"lv_gain": rng.uniform(1.5, 2.2)}),
        "strain": (0.07, {"lv_gain": rng.uniform(1.6, 2.3)} | strain),
        "low voltage": (
            0.06,
            {"qrs_gain": rng.uniform(0.25, 0.42), "t_mv": 0.10, "t_front_mv": 0.15},
        ),
        "old infarction": (0.07, {"old_infarction": (site,)}),
        "infarction with inverted T": (0.07, {"old_infarction": (site,)} | inverted),
        "st elevation": (0.05, {"st_mv": {site: height + 0.05}}),
        "st elevation with q": (
            0.04,
            {"st_mv": {site: height}, "old_infarction": (site,)},
        ),
        "st depression": (0.08, {"st_mv": {site: -0.5 * height}, "t_wave_mv": {site: 0.02}}),
        "t inversion": (0.10, inverted),
        "pvc": (0.08, {"n_pvc": int(rng.integers(1, 4))}),
        "pac": (0.07, {"n_pac": int(rng.integers(1, 3))}),
        "tall p": (0.03, {"p_mv": rng.uniform(0.26, 0.38)}),
    }
    shares = np.array([share for share, _ in kinds.values()])
    kind = list(kinds)[rng.choice(len(kinds), p=shares / shares.sum())]
    # A left block hides Q waves and brings its own ST and T.
    own = conduction == "lbbb" and kind not in ("pvc", "pac", "tall p", "low voltage")
    dials = {} if own else dict(kinds[kind][1])
    if "old_infarction" in dials and conduction == "normal" and site != "anterior":
        low, high = (-28, 15) if site == "inferior" else (40, 88)
        dials["axis_deg"] = rng.uniform(low, high)  # the lost wall lets the axis move away
    return dials


def _draw_recording(rng: np.random.Generator) -> dict[str, object]:
    return {
        "front_gain": float(np.exp(rng.normal(0, 0.18))),
        "wander_mv": float(np.exp(rng.normal(-3.4, 0.6))),
        "emg_mv": float(np.exp(rng.normal(-6.1, 0.6))),
        "mains_mv": float(rng.choice([0.0, 0.001, 0.004])),
        "mains_hz": float(rng.choice([50.0, 60.0])),
    }


def sample_spec(rng: np.random.Generator, balance: str = "balanced") -> HeartSpec:
    """A believable patient; about two in five come out as a normal ECG.

    Args:
        rng: Draws every dial.
        balance: "balanced" shows each rhythm and block often enough to learn it, "prevalent"
            as often as a hospital meets it.

    Returns:
        Dials that `simulate` accepts.

    Raises:
        ECGError: `balance` is neither.

    Example:
        >>> sample_spec(np.random.default_rng(1)).rhythm in RHYTHMS
        True
    """
    _one_of("balance", balance, tuple(_RHYTHM_SHARES))
    ill = bool(rng.random() < 0.55)
    rhythm, conduction = "sinus", "normal"
    if ill:
        rhythm = str(rng.choice(RHYTHMS, p=_RHYTHM_SHARES[balance]))
    if ill and rhythm != "paced":
        conduction = str(rng.choice(CONDUCTIONS, p=_CONDUCTION_SHARES[balance]))
    age = float(round(_within(rng, 66 if ill else 48, 15, 18, 89)))
    dials: dict[str, object] = {"rhythm": rhythm, "conduction": conduction, "age_years": age}
    dials |= _draw_rhythm(rng, rhythm, ill=ill) | _draw_recording(rng)
    dials |= {"sex": str(rng.choice(["female", "male"])), "p_axis_deg": rng.normal(52, 14)}
    dials |= {
        "qrs_gain": float(np.exp(rng.normal(0.04, 0.24))),
        "p_mv": rng.uniform(0.06, 0.18),
    }
    dials |= _draw_conduction(rng, conduction, rhythm, ill=ill)
    dials |= _draw_intervals(rng, dials["hr_bpm"], dials["qrs_ms"], ill=ill)
    if rhythm == "paced" and rng.random() < 0.6:
        dials["p_mv"] = 0.0
    if ill and rhythm in ("sinus", "atrial fibrillation"):
        dials |= _draw_illness(rng, conduction)
    return HeartSpec(**dials)
