"""The dials of one heart, its body and its recording."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ecg_r1.ecg import LEADS, ECGError
from ecg_r1.simulate.recording import Recording
from ecg_r1.simulate.torso import TERRITORIES

RHYTHMS = (
    "sinus",
    "ectopic atrial",
    "atrial fibrillation",
    "atrial flutter",
    "supraventricular tachycardia",
    "junctional",
    "ventricular tachycardia",
    "paced",
)
AV_BLOCKS = ("none", "mobitz i", "mobitz ii", "third degree")
ESCAPES = ("junctional", "ventricular")
PACING = ("atrial", "ventricular", "dual")
CONDUCTIONS = (
    *("normal", "lbbb", "ilbbb", "rbbb", "irbbb", "lafb", "lpfb", "rbbb+lafb", "rbbb+lpfb"),
    "ivcd",
)
PATHWAYS = ("left lateral", "posteroseptal", "right")
PVC_PATTERNS = ("single", "couplet", "bigeminy", "trigeminy")


@dataclass(frozen=True)
class HeartSpec:
    """The dials of one heart. Every number is continuous; a slider moves one thing.

    Mappings take leads or territories (keys of `TERRITORIES`; the mean of their leads, a minus
    where they are seen from behind): a dipole is turned towards them, so that reciprocal
    changes appear by themselves. None means "as this patient's heart has it"; the patient is
    drawn by `simulate`'s seed.
    """

    # The person
    age_years: float | None = None  # None: 50 for the shape of the waves
    sex: str | None = None  # "female" or "male"
    variation: float = 1.0  # of the patient's shapes around the mean heart; 0 is the mean heart
    beat_variation: float = 1.0  # of size and direction from beat to beat; 0 none

    # Rhythm
    rhythm: str = "sinus"  # one of RHYTHMS
    hr_bpm: float = 70.0  # of the pacemaker in charge: sinus node, ventricles in AF and flutter
    rr_variation: float = 0.025  # SD of RR / mean RR; atrial fibrillation about 0.2
    breaths_per_min: float = 15.0
    atrial_bpm: float = 80.0  # of P waves that do not conduct: VT, ventricular pacing
    av_block: str = "none"  # one of AV_BLOCKS; first degree is a long PR
    av_ratio: int = 4  # P waves to one dropped beat in Mobitz I and II; 2 is 2:1
    escape: str = "junctional"  # one of ESCAPES, in third-degree block
    escape_bpm: float = 42.0
    flutter_ratios: tuple[int, ...] = (4,)  # flutter waves per QRS; several: drawn beat by beat
    f_wave_mv: float = 0.08  # fibrillation waves in V1, flutter waves in II
    retrograde_p_ms: float | None = None  # from QRS onset, in SVT and junctional; None: hidden
    pacing: str = "ventricular"  # one of PACING
    n_pac: int = 0
    n_pvc: int = 0  # single PVCs or couplets; bigeminy and trigeminy set their own number
    pvc_forms: int = 1  # 1 uniform, 2 or 3 multiform
    pvc_pattern: str = "single"  # one of PVC_PATTERNS
    pause_s: float = 0.0  # one sinus pause of this length; 0 none

    # Atria
    pr_ms: float = 160.0
    p_ms: float = 104.0
    p_mv: float | None = None  # height of P in II
    p_axis_deg: float | None = None
    p_terminal_mv: float = 0.0  # added to the negative end of P in V1 (left atrium)
    pr_depression_mv: float = 0.0  # of the PR segment in II

    # Ventricles
    qrs_ms: float = 90.0
    axis_deg: float | None = None  # frontal QRS axis, net area
    conduction: str = "normal"  # one of CONDUCTIONS
    delta_ms: float = 0.0  # length of a delta wave (pre-excitation), part of qrs_ms
    pathway: str = "left lateral"  # one of PATHWAYS
    qrs_gain: float = 1.0  # of the whole QRS: about 0.4 is low voltage
    lv_gain: float = 1.0  # of the left ventricle alone: about 2 is hypertrophy
    rv_gain: float = 1.0  # of the right ventricle alone: about 3 is hypertrophy
    front_gain: float = 1.0  # of V1-V6 against the limb leads: chest wall
    rotation_deg: float = 0.0  # clockwise about the long axis: later transition in V1-V6
    scar_mv: Mapping[str, float] = field(default_factory=dict)  # early forces lost: Q waves
    dextrocardia: bool = False

    # Repolarisation
    qt_ms: float = 390.0
    t_gain: float = 1.0
    t_axis_deg: float | None = None
    t_sharpness: float = 1.0  # above 1: a narrow, tented T
    t_wave_mv: Mapping[str, float] = field(default_factory=dict)  # height of T set in leads
    st_elevation_mv: Mapping[str, float] = field(default_factory=dict)  # added from J on
    st_curve: float = 0.0  # -1 concave, 1 convex
    j_wave_mv: Mapping[str, float] = field(default_factory=dict)  # notch at the end of the QRS
    u_mv: float = 0.02  # height of U in V3; less in a heart turned away from it
    strain: float = 0.0  # ST and T against a hypertrophied wall, 0 to 1
    digoxin: float = 0.0  # effect on ST, T and QT, 0 to 1
    potassium_mmol: float = 4.2  # serum potassium, mmol/l, 2 to 9

    recording: Recording = field(default_factory=Recording)

    def __post_init__(self) -> None:
        self._check_choices()
        self._check_times()
        if not 2 <= self.potassium_mmol <= 9:
            raise ECGError(f"potassium_mmol {self.potassium_mmol:g} is outside 2-9 mmol/l")
        for name in ("digoxin", "strain"):
            if not 0 <= getattr(self, name) <= 1:
                raise ECGError(f"{name} {getattr(self, name):g} is outside 0-1")

    @property
    def has_p(self) -> bool:
        """Whether a P wave leads the conducted beats."""
        leading = self.rhythm in ("sinus", "ectopic atrial") or (
            self.rhythm == "paced" and self.pacing != "ventricular"
        )
        return leading and self.av_block != "third degree"

    @property
    def rr_ms(self) -> float:
        """Mean RR interval of the pacemaker in charge."""
        return 60000 / self.hr_bpm

    def _check_choices(self) -> None:
        for name, allowed in (
            ("rhythm", RHYTHMS),
            ("av_block", AV_BLOCKS),
            ("escape", ESCAPES),
            ("pacing", PACING),
            ("conduction", CONDUCTIONS),
            ("pathway", PATHWAYS),
            ("pvc_pattern", PVC_PATTERNS),
            ("sex", (None, "female", "male")),
        ):
            one_of(name, getattr(self, name), allowed)
        for dial in ("scar_mv", "t_wave_mv", "st_elevation_mv", "j_wave_mv"):
            for place in getattr(self, dial):
                one_of(f"lead or territory of {dial}", place, (*LEADS, *TERRITORIES))
        if self.av_ratio < 2:
            raise ECGError(f"av_ratio {self.av_ratio} must be 2 or more")
        if not self.flutter_ratios or min(self.flutter_ratios) < 1:
            raise ECGError(f"flutter_ratios {self.flutter_ratios} must be whole and positive")
        if not 1 <= self.pvc_forms <= 3:
            raise ECGError(f"pvc_forms {self.pvc_forms} must be 1, 2 or 3")

    def _check_times(self) -> None:
        for name in ("hr_bpm", "escape_bpm", "atrial_bpm"):
            if not 20 <= getattr(self, name) <= 300:
                raise ECGError(
                    f"{name} {getattr(self, name):g} is outside 20-300: choose a rate within it"
                )
        if self.av_block == "none" and not self.qrs_ms + 100 <= self.qt_ms <= self.rr_ms:
            raise ECGError(
                f"qt_ms {self.qt_ms:g} must lie between qrs_ms + 100 = {self.qrs_ms + 100:g} "
                f"and the RR interval {self.rr_ms:.0f} ms"
            )
        if self.qrs_ms <= 0 or self.p_ms <= 0:
            raise ECGError(f"qrs_ms {self.qrs_ms:g} and p_ms {self.p_ms:g} must be positive")
        if self.has_p and not self.p_ms <= self.pr_ms < self.rr_ms:
            raise ECGError(
                f"pr_ms {self.pr_ms:g} must lie between p_ms {self.p_ms:g} and RR "
                f"{self.rr_ms:.0f} ms"
            )
        if not 0 <= self.delta_ms < 0.7 * self.qrs_ms:
            raise ECGError(
                f"delta_ms {self.delta_ms:g} must be less than 0.7 qrs_ms = "
                f"{0.7 * self.qrs_ms:g}"
            )


def one_of(what: str, value: object, allowed: tuple) -> None:
    """Raises ECGError, which lists what is allowed, unless `value` is among it."""
    if value not in allowed:
        known = ", ".join(str(one) for one in allowed if one is not None)
        raise ECGError(f"{what} {value!r} is unknown: choose one of {known}")
