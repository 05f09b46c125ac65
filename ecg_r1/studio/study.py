"""What a visitor looks at: a record or a page, measured, and what was changed of it."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ecg_r1.auditing import Audit, audit
from ecg_r1.augment import Scan, apply_scan
from ecg_r1.claims.facts import Facts
from ecg_r1.display import ARM_NAMES
from ecg_r1.ecg import ECG, FS, LEADS, ECGError
from ecg_r1.inputs import Case, open_case
from ecg_r1.measurement import Measurements, measure
from ecg_r1.page import draw_page
from ecg_r1.protocol import Findings, apply_protocol
from ecg_r1.shipped import shipped

if TYPE_CHECKING:
    from ecg_r1.report import Reading
    from ecg_r1.studio.recorded import Asked

ARMS = tuple(ARM_NAMES)
NAMES = {**ARM_NAMES, "control": "Control"}
CONTROLS = ("none", "blank", "other")
SPEEDS_MM_S, GAINS_MM_MV = (12.5, 25.0, 50.0), (5.0, 10.0, 20.0)
GRAIN = 255 / 12  # grey levels of noise on the page at dial 1: ours


@dataclass(frozen=True, eq=False)
class Study:
    """One ECG as it came, with everything that was measured on it.

    Attributes:
        title: For display.
        ecg: The record, None when only a picture came.
        image: The picture, None when a record came.
        measured: What was measured, None without a record.
        found: What the protocol says of it.
        facts: What claims are checked against.
        known: The example's entry, with the label of its source; None for other records.
        dials: The simulator's, for a simulated record.
    """

    title: str
    ecg: ECG | None = None
    image: Image.Image | None = None
    measured: Measurements | None = None
    found: Findings | None = None
    facts: Facts | None = None
    known: dict[str, Any] | None = None
    dials: Mapping[str, Any] | None = None


def study(
    case: Case,
    title: str,
    known: dict[str, Any] | None = None,
    dials: Mapping[str, Any] | None = None,
) -> Study:
    """Measure a case and judge it."""
    ecg = case.ecg
    if ecg is None:
        return Study(title, image=case.image, known=known)
    measured = measure(ecg)
    person = (ecg.age_years, ecg.sex)
    found = apply_protocol(
        measured, age_years=person[0], sex=person[1], calibrated=ecg.calibrated
    )
    facts = Facts.of(measured, found, calibrated=ecg.calibrated, person=person)
    return Study(title, ecg, None, measured, found, facts, known, dials)


@dataclass(frozen=True)
class Change:
    """What is done to a record and its page before a model sees them; the defaults do nothing.

    Attributes:
        leads_off: Leads that are silent.
        hide: "signal" or "image": a modality that no arm gets; "" hides none.
        noise_mv: Muscle noise at each lead, standard deviation in mV.
        wander_mv: Baseline wander at 0.3 Hz, amplitude in mV.
        blur: 0 to 1; 1 smears a point over half a percent of the page's width.
        rotate_deg: Turn of the page, counter-clockwise.
        grain: Noise of the picture, 0 to 1.
        layout: "3x4", "6x2", "12x1", or "" for the page the model was trained on.
        speed_mm_s: Paper speed.
        gain_mm_mv: Gain.
    """

    leads_off: tuple[str, ...] = ()
    hide: str = ""
    noise_mv: float = 0.0
    wander_mv: float = 0.0
    blur: float = 0.0
    rotate_deg: float = 0.0
    grain: float = 0.0
    layout: str = ""
    speed_mm_s: float = 25.0
    gain_mm_mv: float = 10.0

    def __post_init__(self) -> None:
        unknown = [lead for lead in self.leads_off if lead not in LEADS]
        if unknown:
            raise ECGError(f"lead {unknown[0]!r} is unknown: choose from {', '.join(LEADS)}")
        if self.hide not in ("", "signal", "image"):
            raise ECGError(f'hide {self.hide!r} must be "signal", "image" or empty')

    def words(self) -> list[str]:
        """What differs from an untouched record, in words.

        Example:
            >>> Change(leads_off=("V1",), rotate_deg=3).words()
            ['without V1', 'page turned by 3 degrees']
        """
        said = {
            f"without {', '.join(self.leads_off)}": self.leads_off,
            f"no {self.hide} at all": self.hide,
            f"noise of {self.noise_mv:g} mV": self.noise_mv,
            f"baseline wander of {self.wander_mv:g} mV": self.wander_mv,
            f"page blurred ({self.blur:g})": self.blur,
            f"page turned by {self.rotate_deg:g} degrees": self.rotate_deg,
            f"page grainy ({self.grain:g})": self.grain,
            f"layout {self.layout}": self.layout,
            f"{self.speed_mm_s:g} mm/s": self.speed_mm_s != 25,
            f"{self.gain_mm_mv:g} mm/mV": self.gain_mm_mv != 10,
        }
        return [words for words, is_so in said.items() if is_so]


def altered(ecg: ECG, change: Change) -> ECG:
    """The record as the change leaves it; the same change gives the same noise."""
    if not (change.leads_off or change.noise_mv or change.wander_mv):
        return ecg
    rng = np.random.default_rng(0)
    n = ecg.signal.shape[1]
    phase = rng.uniform(0, 2 * np.pi, (12, 1))
    wander = change.wander_mv * np.sin(2 * np.pi * 0.3 * np.arange(n) / FS + phase)
    signal = ecg.signal + wander + rng.normal(0, 1, (12, n)) * change.noise_mv
    signal[[LEADS.index(lead) for lead in change.leads_off]] = np.nan
    return replace(ecg, signal=signal)


def altered_page(ecg: ECG, change: Change, page: dict[str, Any]) -> Image.Image:
    """The page of an altered record, scaled to what the model was trained to see.

    Args:
        ecg: The record, altered already.
        change: Layout, speed, gain and what befell the picture.
        page: Arguments of `draw_page` for the model's own page.
    """
    drawn = dict(page) | {"speed_mm_s": change.speed_mm_s, "gain_mm_mv": change.gain_mm_mv}
    if change.layout:
        drawn["layout"] = change.layout
    return damaged(draw_page(ecg, **drawn), change)


def damaged(image: Image.Image, change: Change) -> Image.Image:
    """A picture as blur, rotation and grain leave it."""
    if not (change.blur or change.rotate_deg or change.grain):
        return image
    scan = Scan(
        rotation_deg=change.rotate_deg,
        blur=0.005 * change.blur,
        noise=GRAIN * change.grain,
    )
    return apply_scan(image.convert("RGB"), scan, np.random.default_rng(0))


@dataclass(frozen=True, eq=False)
class Control:
    """What the control arm is shown in place of the ECG.

    Attributes:
        ecg: The record it reads, from signal and page.
        words: What that is.
    """

    ecg: ECG
    words: str


def control_of(study: Study, kind: str, examples: list[dict[str, Any]]) -> Control | None:
    """What the control arm reads: a flat line, or another patient's record; None for no arm.

    The model's prompt always holds a signal or a page, so that it cannot be asked without any.

    Raises:
        ECGError: The kind is unknown.
    """
    if kind not in CONTROLS:
        raise ECGError(f"control {kind!r} is unknown: choose one of {', '.join(CONTROLS)}")
    if kind == "none":
        return None
    if kind == "blank":
        return Control(ECG(np.zeros((12, 10 * FS)), source="flat line"), "a flat line")
    own = None if study.known is None else study.known["file"]
    other = next(one for one in reversed(examples) if one["file"] != own)
    ecg = open_case([shipped(f"ecgs/{other['file']}")]).ecg
    return Control(ecg, f"another patient's ECG ({other['title']})")


def column(place: int, arm: str) -> str:
    """The name of a model's column for one arm.

    Example:
        >>> column(0, "signal"), column(1, "signal")
        ('signal', 'signal-2')
    """
    return arm if place == 0 else f"{arm}-{place + 1}"


def place_of(column: str) -> tuple[int, str]:
    """Model's place and arm of a column; undoes `column`."""
    arm, _, number = column.partition("-")
    return (int(number) - 1 if number else 0), arm


@dataclass
class Session:
    """What one visitor has on the screen; lives in memory only.

    Attributes:
        study: The ECG, None before the first one.
        change: What was done to it for the models.
        control_kind: Which control arm was asked for, one of `CONTROLS`.
        control: What that arm was shown; None without it.
        readings: Column to what its arm wrote last.
        audits: Column to the audit of a finished reading.
        asked: The models that read, by place, and what they were asked.
        opened: A visitor's own ECG between its opening and its reading.
        chosen: The example at which the list stands, as far as it was read.
        wanted: Number of the reading that was asked for last; the first view is 0.
        begun: Number of the reading that began last.
    """

    study: Study | None = None
    change: Change = field(default_factory=Change)
    control_kind: str = "none"
    control: Control | None = None
    readings: dict[str, "Reading"] = field(default_factory=dict)
    audits: dict[str, Audit] = field(default_factory=dict)
    asked: dict[int, "Asked"] = field(default_factory=dict)
    opened: Study | None = None
    chosen: str = ""
    wanted: int = 0
    begun: int = -1

    def ask(self) -> int:
        """The number of one more reading; none that was asked for before begins any more."""
        self.wanted += 1
        return self.wanted

    def begin(self, number: int) -> bool:
        """Whether a reading is still the one that is wanted; each begins once.

        Example:
            >>> session = Session()
            >>> first, second = session.ask(), session.ask()
            >>> session.begin(first), session.begin(second), session.begin(second)
            (False, True, False)
        """
        if number != self.wanted or number == self.begun:
            return False
        self.begun = number
        return True

    def start(self, study: Study, change: Change, control_kind: str) -> None:
        """Put a new ECG on the screen with its settings; what was said of the last one goes."""
        self.readings, self.audits, self.asked, self.control = {}, {}, {}, None
        self.study, self.change, self.control_kind = study, change, control_kind

    def as_now(self) -> "Session":
        """The session as it stands, which a reading that goes on beside it does not change."""
        now = copy(self)
        now.readings, now.audits = dict(now.readings), dict(now.audits)
        now.asked = dict(now.asked)
        return now

    def finish(self, column: str) -> Audit | None:
        """The audit of a column's reading once it is done; made once."""
        reading = self.readings.get(column)
        if self.study is None or reading is None or not reading.done or reading.problem:
            return None
        if column not in self.audits:
            self.audits[column] = audit(reading.text, self.study.facts)
        return self.audits[column]

    def reader(self, column: str) -> str:
        """Name of the model of a column."""
        return self.asked[place_of(column)[0]].name

    def titles(self) -> dict[str, str]:
        """Column to its title, in the page's order; models are named where there are two."""
        found = {}
        order = list(NAMES)
        for place, arm in sorted(
            map(place_of, self.readings), key=lambda one: (one[0], order.index(one[1]))
        ):
            name = column(place, arm)
            shown = f": {self.control.words}" if arm == "control" and self.control else ""
            by = f" ({self.asked[place].name})" if len(self.asked) > 1 else ""
            found[name] = f"{NAMES[arm]}{shown}{by}"
        return found
