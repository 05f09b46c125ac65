"""Waves as loops of the dipole: sums of Gaussian bumps, and where each lead sees them begin.

A wave begins and ends in a lead where its own component leaves and comes back to a stated
share of its peak in that lead (`EDGE`); over leads the marks follow `over_leads`, the rule of
`measure`.
"""

from dataclasses import dataclass

import numpy as np

from ecg_r1.fiducials import over_leads
from ecg_r1.simulate.torso import TWELVE

# Share of the peak at which a wave begins and ends. With these the bumps fitted to 225 normal
# records of PTB-XL begin and end where a delineator set on LUDB's cardiologists marks them.
EDGE = {"P": 0.08, "QRS": 0.02, "T": 0.08}
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
        near: `(bumps, 8)` mV that I, II, V1-V6 see beyond the dipole, because parts of the
            heart are nearer to some electrodes than others.
    """

    centres: np.ndarray
    widths: np.ndarray
    vectors: np.ndarray
    near: np.ndarray | None = None

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

    def seen(self, lead_field: np.ndarray) -> np.ndarray:
        """Heights of the bumps in each lead, mV.

        Args:
            lead_field: `(8, 3)` for I, II, V1-V6 or `(12, 3)` for all leads.
        """
        dipole = lead_field @ self.vectors.T
        if self.near is None:
            return dipole
        return dipole + (self.near.T if len(lead_field) == 8 else TWELVE @ self.near.T)

    @property
    def area(self) -> np.ndarray:
        """Time integral `(3,)` of the dipole in mV times the unit of time."""
        return np.sqrt(2 * np.pi) * self.widths @ self.vectors

    def timed(self, shift: float, scale: float) -> "Loop":
        """The loop with its time t moved to `(t - shift) * scale`."""
        centres = (self.centres - shift) * scale
        return Loop(centres, self.widths * scale, self.vectors, self.near)

    def times(self, factor: float | np.ndarray) -> "Loop":
        """The loop with its vectors multiplied, by one number or one `(bumps, 1)`."""
        near = None if self.near is None else self.near * factor
        return Loop(self.centres, self.widths, self.vectors * factor, near)

    def turned(self, rotation: np.ndarray) -> "Loop":
        """The loop with its vectors turned by a 3 x 3 rotation."""
        return Loop(self.centres, self.widths, self.vectors @ rotation.T, self.near)

    def __add__(self, other: "Loop") -> "Loop":
        near = None
        if self.near is not None or other.near is not None:
            near = np.concatenate(
                [
                    np.zeros((len(one.centres), 8)) if one.near is None else one.near
                    for one in (self, other)
                ]
            )
        return Loop(
            np.concatenate([self.centres, other.centres]),
            np.concatenate([self.widths, other.widths]),
            np.concatenate([self.vectors, other.vectors]),
            near,
        )


def evenly(centres: np.ndarray, width: float, vectors: np.ndarray) -> Loop:
    """A loop of bumps of one width."""
    return Loop(np.asarray(centres, float), np.full(len(centres), width), vectors)


# Template times: of the QRS and of P from onset 0 to offset 1; of ST and T from J point 0 to
# the end of T 1.
QRS_CENTRES, QRS_WIDTH = np.linspace(0.08, 0.92, 10), 0.056
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
    bumps, vectors = loop.bumps(grid), loop.seen(twelve)
    whole = np.abs(vectors @ bumps)
    size = np.abs(vectors[:, first:] @ bumps[first:]) if first else whole
    peak, step = size.max(1), grid[1] - grid[0]
    edge = EDGE[wave] * peak
    onset, offset = _ends(size, edge)
    if first:
        offset = _ends(whole, EDGE[wave] * whole.max(1))[1]
    onset, offset = grid[0] + step * onset, grid[0] + step * offset
    counts = peak >= SEEN * peak.max()
    name = wave.lower()
    leads = np.empty((12, 3))
    leads[:, 0], leads[:, 1], leads[:, 2] = onset, grid[size.argmax(1)], offset
    marks = (
        over_leads(f"{name}_on", onset[counts], need=1),
        float(grid[np.einsum("lt,lt->t", size, size).argmax()]),
        over_leads(f"{name}_off", offset[counts], need=1),
    )
    leads[peak < VISIBLE[wave]] = np.nan
    return Marks(leads, *marks)


def _ends(size: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """Where each lead first and last passes its edge, `(2, leads)` in samples and between."""
    above, n = size > edge[:, None], size.shape[1]
    first = np.maximum(above.argmax(1), 1)
    last = n - 1 - np.maximum(above[:, ::-1].argmax(1), 1)
    inside, way = np.array([first, last]), np.array([[-1], [1]])
    row = np.arange(len(size))
    high, low = size[row, inside], size[row, inside + way]
    return inside + way * (high - edge) / np.where(high > low, high - low, 1)
