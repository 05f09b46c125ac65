"""Waves as loops of the dipole: sums of Gaussian bumps, and where each lead sees them begin.

A wave begins and ends in a lead where its own component leaves and comes back to a stated
share of its peak in that lead (`EDGE`); over leads the marks follow `over_leads`, the rule of
`measure`.
"""

from dataclasses import dataclass, replace

import numpy as np

from ecg_r1.fiducials import over_leads

# Share of the peak at which a wave begins and ends. With these the bumps fitted to 225 normal
# records of PTB-XL begin and end where a delineator set on LUDB's cardiologists marks them.
EDGE = {"P": 0.10, "QRS": 0.02, "T": 0.10}
SEEN = 0.25  # a lead counts for the marks over leads from this share of the largest lead on
# Smallest wave that a reader sees in a lead, in mV.
VISIBLE = {"P": 0.02, "QRS": 0.08, "T": 0.03}


@dataclass(frozen=True)
class Loop:
    """A sum of Gaussian bumps of the dipole.

    Attributes:
        centres: `(bumps,)` in template time or ms.
        widths: `(bumps,)` standard deviations in the same unit.
        vectors: `(bumps, 3)` mV, Frank's x, y, z.
    """

    centres: np.ndarray
    widths: np.ndarray
    vectors: np.ndarray

    def at(self, times: np.ndarray) -> np.ndarray:
        """The dipole `(3, *times.shape)` in mV."""
        bumps = self.bumps(times)
        flat = self.vectors.T.astype(times.dtype) @ bumps.reshape(len(bumps), -1)
        return flat.reshape(3, *times.shape)

    def bumps(self, times: np.ndarray) -> np.ndarray:
        """Each bump's height, 1 at its centre, `(bumps, *times.shape)`."""
        shape = (-1,) + (1,) * times.ndim
        off = times[None] - self.centres.astype(times.dtype).reshape(shape)
        off *= (np.sqrt(0.5) / self.widths).astype(times.dtype).reshape(shape)
        off *= off
        np.negative(off, out=off)
        return np.exp(off, out=off)

    @property
    def area(self) -> np.ndarray:
        """Time integral `(3,)` in mV times the unit of time."""
        return np.sqrt(2 * np.pi) * self.widths @ self.vectors

    def timed(self, shift: float, scale: float) -> "Loop":
        """The loop with its time t moved to `(t - shift) * scale`."""
        return Loop((self.centres - shift) * scale, self.widths * scale, self.vectors)

    def times(self, factor: float | np.ndarray) -> "Loop":
        """The loop with its vectors multiplied."""
        return replace(self, vectors=self.vectors * factor)

    def turned(self, rotation: np.ndarray) -> "Loop":
        """The loop with its vectors turned by a 3 x 3 rotation."""
        return replace(self, vectors=self.vectors @ rotation.T)

    def __add__(self, other: "Loop") -> "Loop":
        return Loop(
            np.concatenate([self.centres, other.centres]),
            np.concatenate([self.widths, other.widths]),
            np.concatenate([self.vectors, other.vectors]),
        )


def evenly(centres: np.ndarray, width: float, vectors: np.ndarray) -> Loop:
    """A loop of bumps of one width."""
    return Loop(np.asarray(centres, float), np.full(len(centres), width), vectors)


# Template times: of the QRS and of P from onset 0 to offset 1; of ST and T from J point 0 to
# the end of T 1.
QRS_CENTRES, QRS_WIDTH = np.linspace(0.09, 0.91, 8), 0.068
T_CENTRES, T_WIDTH = np.array([0.0, 0.19, 0.37, 0.54, 0.69, 0.82]), 0.10
P_CENTRES, P_WIDTH = np.array([0.18, 0.40, 0.62, 0.84]), 0.13
T_FIRST = 2  # the bumps before are the ST segment's


@dataclass(frozen=True)
class Marks:
    """Where a wave begins, peaks and ends, in the loop's time.

    Attributes:
        leads: `(12, 3)` onset, peak, offset; NaN where the lead shows nothing of the wave.
        onset: Over all leads.
        peak: Over all leads: where the leads together are largest.
        offset: Over all leads.
    """

    leads: np.ndarray
    onset: float
    peak: float
    offset: float

    def timed(self, shift: float, scale: float) -> "Marks":
        """The marks with their time t moved to `(t - shift) * scale`."""
        moved = [(t - shift) * scale for t in (self.onset, self.peak, self.offset)]
        return Marks((self.leads - shift) * scale, *moved)


def find_marks(
    loop: Loop, twelve: np.ndarray, wave: str, grid: np.ndarray, *, first: int = 0
) -> Marks:
    """Marks of one loop.

    Args:
        loop: The wave.
        twelve: Lead field of the twelve leads, `(12, 3)`.
        wave: "P", "QRS" or "T".
        grid: Evenly spaced times that hold the whole wave.
        first: Bumps before this one belong to what comes before the wave (the ST segment):
            onset and peak are found without them, the end with them.
    """
    bumps, vectors = loop.bumps(grid), twelve @ loop.vectors.T
    whole = np.abs(vectors @ bumps)
    size = np.abs(vectors[:, first:] @ bumps[first:]) if first else whole
    onset, peak = _begin(size, EDGE[wave]), size.max(1)
    offset = len(grid) - 1 - _begin(whole[:, ::-1], EDGE[wave])
    counts = peak >= SEEN * peak.max()
    name = wave.lower()
    leads = grid[np.stack([onset, size.argmax(1), offset], axis=1)]
    marks = (
        over_leads(f"{name}_on", leads[counts, 0], need=1),
        float(grid[(size * size).sum(0).argmax()]),
        over_leads(f"{name}_off", leads[counts, 2], need=1),
    )
    leads[peak < VISIBLE[wave]] = np.nan
    return Marks(leads, *marks)


def _begin(size: np.ndarray, edge: float) -> np.ndarray:
    """First sample of each lead above `edge` of its largest."""
    return (size > edge * size.max(1)[:, None]).argmax(1)
