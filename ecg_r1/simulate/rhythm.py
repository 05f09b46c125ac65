"""When the atria and the ventricles are activated: the impulses of ten seconds.

Times are in ms from the start of the record; impulses begin before it and end after it, so
that no record starts or stops with an empty edge.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from ecg_r1.ecg import FS, ECGError
from ecg_r1.simulate.spec import HeartSpec

RECORD_MS, STEP_MS = 10_000.0, 1000 / FS
LEAD_IN_MS, LEAD_OUT_MS = 2500.0, 2000.0
OWN, ECTOPIC, RETROGRADE = 0, 1, 2  # kinds of P waves
ALONE = -1  # beat of a P wave that is not conducted
SHORTEST_RR_MS = 280.0
PR_JITTER_MS = 1.0  # of one beat, after PTB-XL's normal records


@dataclass(frozen=True)
class Impulses:
    """Activations of one record.

    Attributes:
        qrs: `(beats,)` onset of each QRS, rising.
        forms: `(beats,)` index into `Heart.forms`.
        p: `(waves,)` onset of each P wave, rising.
        p_kinds: `(waves,)` `OWN`, `ECTOPIC` or `RETROGRADE`.
        p_beats: `(waves,)` the beat that the wave led to (or came from), or `ALONE`.
        spikes: Pacing stimuli.
        flutter: Times at which flutter waves begin, empty in other rhythms.
    """

    qrs: np.ndarray
    forms: np.ndarray
    p: np.ndarray = field(default_factory=lambda: np.zeros(0))
    p_kinds: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    p_beats: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    spikes: np.ndarray = field(default_factory=lambda: np.zeros(0))
    flutter: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def rr_before(self) -> np.ndarray:
        """RR interval that ends with each beat; the first beat gets the second's."""
        rr = np.diff(self.qrs)
        return np.concatenate([rr[:1], rr]) if rr.size else np.full(self.qrs.size, 1000.0)


@dataclass(frozen=True)
class Chance:
    """Everything that is drawn, before any dial is looked at."""

    start: float  # share of an interval before the first beat
    breath: float  # phase of breathing
    normals: np.ndarray
    uniforms: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Chance":
        """The same amount of randomness for every rhythm."""
        return cls(
            rng.uniform(), rng.uniform(0, 2 * np.pi), rng.standard_normal(96), rng.random(192)
        )


def fire(spec: HeartSpec, rng: np.random.Generator) -> Impulses:
    """The impulses of the dialled rhythm.

    Raises:
        ECGError: more premature beats are dialled than fit.
    """
    chance = Chance.draw(rng)
    if spec.rhythm in ("sinus", "ectopic atrial") or (
        spec.rhythm == "paced" and spec.pacing != "ventricular"
    ):
        found = _from_atria(spec, chance)
    elif spec.rhythm == "atrial flutter":
        found = _flutter(spec, chance)
    else:
        found = _from_below(spec, chance)
    found = _premature_ventricular(spec, chance, found)
    return _with_spikes(spec, found)


# ---------------------------------------------------------------- pacemakers


def _train(rate_bpm: float, chance: Chance) -> np.ndarray:
    """A regular pacemaker's impulses over the whole time."""
    rr = 60000 / rate_bpm
    n = int((LEAD_IN_MS + RECORD_MS + LEAD_OUT_MS) / rr) + 2
    return -LEAD_IN_MS + rr * (chance.start + np.arange(n))


def _varied(spec: HeartSpec, chance: Chance) -> np.ndarray:
    """The pacemaker in charge, breathing or fibrillating, with its mean rate in the record."""
    regular = _train(spec.hr_bpm, chance)
    rr, n = spec.rr_ms, len(regular)
    if spec.rhythm == "atrial fibrillation":
        size = max(spec.rr_variation, 1e-3)
        # Skewed, and never shorter than the AV node lets through.
        share = np.exp(size * _taken(chance.normals, n) - 0.5 * size**2)
        steps = np.maximum(share, min(SHORTEST_RR_MS / rr, 1))
    else:
        breath = np.sin(2 * np.pi * regular * spec.breaths_per_min / 60000 + chance.breath)
        drift = np.cumsum(_taken(chance.normals, n)) / 3
        drift -= drift[0] + (drift[-1] - drift[0]) / (n - 1) * np.arange(n)
        slow = 0.30 * drift + 0.27 * _taken(chance.normals[::-1], n)
        steps = 1 + spec.rr_variation * (1.15 * breath + slow)
    first = int(LEAD_IN_MS / rr)
    steps = steps / steps[first : first + max(int(RECORD_MS / rr), 1)].mean()
    return regular[0] + rr * np.concatenate([[0], np.cumsum(steps[:-1])])


def _taken(drawn: np.ndarray, n: int) -> np.ndarray:
    """`n` of the drawn numbers, from the start again when they run out."""
    return drawn.take(np.arange(n), mode="wrap")


def _from_atria(spec: HeartSpec, chance: Chance) -> Impulses:
    """Sinus, ectopic atrial and atrially paced rhythms through the AV node."""
    p = _varied(spec, chance)
    p, kinds = _premature_atrial(spec, chance, p)
    p = _paused(spec, p)
    if spec.av_block == "third degree":
        qrs = _train(spec.escape_bpm, replace(chance, start=(chance.start + 0.37) % 1))
        alone = np.full(len(p), ALONE)
        return Impulses(qrs, np.zeros(len(qrs), int), p, kinds, alone)
    delay, conducted = _av_node(spec, chance, len(p))
    delay = delay + 15.0 * (kinds == ECTOPIC)  # an early impulse finds the node still slow
    beats = np.where(conducted, np.cumsum(conducted) - 1, ALONE)
    qrs = (p + delay)[conducted]
    shown = np.ones(len(p), bool) if spec.p_mv != 0 else np.zeros(len(p), bool)
    return Impulses(qrs, np.zeros(len(qrs), int), p[shown], kinds[shown], beats[shown])


def _av_node(spec: HeartSpec, chance: Chance, n: int) -> tuple[np.ndarray, np.ndarray]:
    """PR of each P wave, and whether it is conducted."""
    delay = spec.pr_ms + PR_JITTER_MS * spec.beat_variation * _taken(chance.normals[40:], n)
    if spec.av_block == "none":
        return delay, np.ones(n, bool)
    place = (np.arange(n) + int(chance.uniforms[0] * spec.av_ratio)) % spec.av_ratio
    if spec.av_block == "mobitz i":
        # Wenckebach: PR grows by ever smaller steps, 60, 30, 20 ms ...
        growth = np.concatenate([[0], np.cumsum(60.0 / np.arange(1, spec.av_ratio))])
        delay = delay + growth[place]
    return delay, place < spec.av_ratio - 1


def _paused(spec: HeartSpec, p: np.ndarray) -> np.ndarray:
    """The sinus node stands still once, in the middle of the record."""
    if not spec.pause_s:
        return p
    middle = int(np.searchsorted(p, 0.45 * RECORD_MS))
    gap = p[middle] - p[middle - 1]
    if 1000 * spec.pause_s <= gap:
        return p
    return np.concatenate([p[:middle], p[middle:] + 1000 * spec.pause_s - gap])


def _from_below(spec: HeartSpec, chance: Chance) -> Impulses:
    """Rhythms of the AV node and the ventricles, and fibrillating atria."""
    qrs = _varied(spec, chance)
    forms = np.zeros(len(qrs), int)
    if spec.rhythm in ("ventricular tachycardia", "paced"):
        away = replace(chance, start=(chance.start + 0.41) % 1)
        p = _train(spec.atrial_bpm, away)
        return Impulses(qrs, forms, p, np.zeros(len(p), int), np.full(len(p), ALONE))
    if spec.rhythm == "atrial fibrillation" or spec.retrograde_p_ms is None:
        return Impulses(qrs, forms)
    p = qrs + spec.retrograde_p_ms
    return Impulses(qrs, forms, p, np.full(len(p), RETROGRADE), np.arange(len(p)))


def _flutter(spec: HeartSpec, chance: Chance) -> Impulses:
    """A circuit in the right atrium; the AV node lets every second, third, ... wave through."""
    ratios = np.array(spec.flutter_ratios)
    wave_ms = spec.rr_ms / ratios.mean()
    waves = _train(60000 / wave_ms, chance)
    # As many of each ratio as dialled, so that the mean rate is kept.
    whole = np.resize(ratios, len(waves) // int(ratios.min()) + 1)
    order = np.argsort(_taken(chance.uniforms[1:], len(whole)))
    through = np.cumsum(whole[order])
    through = through[through < len(waves)]
    return Impulses(waves[through] + 0.45 * wave_ms, np.zeros(len(through), int), flutter=waves)


# ---------------------------------------------------------------- premature beats


def _inside(times: np.ndarray) -> np.ndarray:
    """Indices of impulses with a beat before and a pause after them in the record."""
    found = np.flatnonzero((times > 0.08 * RECORD_MS) & (times < 0.86 * RECORD_MS))
    return found[(found > 1) & (found < len(times) - 2)]


def _premature_atrial(
    spec: HeartSpec, chance: Chance, p: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Early P waves, which reset the sinus node."""
    kinds = np.zeros(len(p), int)
    if not spec.n_pac:
        return p, kinds
    p = p.copy()
    order = _inside(p)[np.argsort(_taken(chance.uniforms[64:], len(_inside(p))))]
    for place in range(spec.n_pac):
        free = [i for i in order if not kinds[i - 1 : i + 2].any()]
        if not free:
            raise ECGError(_too_many(spec))
        i = free[0]
        early = (0.27 + 0.12 * chance.uniforms[100 + place % 20]) * (p[i] - p[i - 1])
        kinds[i] = ECTOPIC
        p[i] -= early
        p[i + 1 :] -= 0.85 * early
    return p, kinds


def _too_many(spec: HeartSpec) -> str:
    return (
        f"{spec.n_pvc} PVCs and {spec.n_pac} PACs do not fit into ten seconds at "
        f"{spec.hr_bpm:g} bpm: dial fewer"
    )


def _premature_ventricular(spec: HeartSpec, chance: Chance, found: Impulses) -> Impulses:
    """Beats from the ventricles in place of conducted ones; the atria go on beating."""
    every = {"bigeminy": 2, "trigeminy": 3}.get(spec.pvc_pattern, 0)
    if not spec.n_pvc and not every:
        return found
    if every:
        chosen = np.arange(2 + int(chance.uniforms[1] * every), len(found.qrs) - 1, every)
    else:
        chosen = _choose(spec, chance, found)
    forms, qrs = found.forms.copy(), found.qrs.copy()
    lost = np.zeros(len(qrs), bool)
    rr = found.rr_before()
    for number, i in enumerate(chosen):
        coupling = 0.58 + 0.10 * chance.uniforms[130 + (number % 3)]
        forms[i] = 1 + number % spec.pvc_forms
        qrs[i] = qrs[i - 1] + max(coupling * rr[i], SHORTEST_RR_MS)
        lost[i] = True
        if spec.pvc_pattern == "couplet":
            forms[i + 1] = forms[i]
            qrs[i + 1] = qrs[i] + max(0.52 * rr[i], SHORTEST_RR_MS)
            lost[i + 1] = True
    alone = found.p_beats.copy()
    alone[(alone >= 0) & lost[np.maximum(alone, 0)]] = ALONE
    return replace(found, qrs=qrs, forms=forms, p_beats=alone)


def _choose(spec: HeartSpec, chance: Chance, found: Impulses) -> np.ndarray:
    """Beats that become PVCs (the first of couplets): not neighbours of another ectopic one."""
    early = {int(b) for b in found.p_beats[found.p_kinds == ECTOPIC] if b >= 0}
    inside = _inside(found.qrs)
    order = inside[np.argsort(_taken(chance.uniforms[64:], len(inside)))]
    width = 2 if spec.pvc_pattern == "couplet" else 1
    taken: set[int] = set(early)
    chosen = []
    for _ in range(spec.n_pvc):
        free = [i for i in order if not taken & set(range(i - 1, i + width + 1))]
        if not free:
            raise ECGError(_too_many(spec))
        chosen.append(int(free[0]))
        taken |= set(range(free[0], free[0] + width))
    return np.array(sorted(chosen), int)


def _with_spikes(spec: HeartSpec, found: Impulses) -> Impulses:
    """Stimuli just before what they capture."""
    if spec.rhythm != "paced":
        return found
    before_p = found.p[found.p_kinds == OWN] - 8.0
    before_qrs = found.qrs[found.forms == 0] - 6.0
    spikes = {
        "atrial": before_p,
        "ventricular": before_qrs,
        "dual": np.concatenate([before_p, before_qrs]),
    }[spec.pacing]
    return replace(found, spikes=np.sort(spikes))
