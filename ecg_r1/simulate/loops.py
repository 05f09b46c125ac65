"""Waves as loops of the dipole: sums of Gaussian bumps, and where each lead sees them begin.

A wave begins and ends in a lead where its own component leaves and comes back to a stated
share of its peak in that lead (`EDGE`); over leads the marks follow `over_leads`, the rule of
`measure`.
"""

from dataclasses import dataclass
from functools import cached_property

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
    near: np.ndarray

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

    def seen(self, twelve: np.ndarray) -> np.ndarray:
        """Heights of the bumps, `(12, bumps)` mV, through a lead field `(12, 3)`."""
        return twelve @ self.vectors.T + TWELVE @ self.near.T

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
        return Loop(self.centres, self.widths, self.vectors * factor, self.near * factor)

    def turned(self, rotation: np.ndarray) -> "Loop":
        """The loop with its vectors turned by a 3 x 3 rotation."""
        return Loop(self.centres, self.widths, self.vectors @ rotation.T, self.near)

    def __add__(self, other: "Loop") -> "Loop":
        return Loop(
            np.concatenate([self.centres, other.centres]),
            np.concatenate([self.widths, other.widths]),
            np.concatenate([self.vectors, other.vectors]),
            np.concatenate([self.near, other.near]),
        )


def evenly(
    centres: np.ndarray, width: float, vectors: np.ndarray, near: np.ndarray | None = None
) -> Loop:
    """A loop of bumps of one width; without `near`, of the dipole alone."""
    near = np.zeros((len(centres), 8)) if near is None else near
    return Loop(centres, np.full(len(centres), width), vectors, near)


# Template times: of the QRS and of P from onset 0 to offset 1; of ST and T from J point 0 to
# the end of T 1.
QRS_CENTRES, QRS_WIDTH = np.linspace(0.08, 0.92, 10), 0.056
T_CENTRES, T_WIDTH = np.array([0.0, 0.19, 0.37, 0.54, 0.69, 0.82]), 0.10
P_CENTRES, P_WIDTH = np.array([0.18, 0.40, 0.62, 0.84]), 0.13
T_FIRST = 2  # the bumps before are the ST segment's


@dataclass(frozen=True)
class Marks:
    """Where a wave begins, peaks and ends, in the loop's time; worked out when asked for.

    Attributes:
        loop: The wave.
        twelve: Lead field of the twelve leads, `(12, 3)`.
        wave: "P", "QRS" or "T".
        grid: Evenly spaced times that hold the whole wave.
        first: Bumps before this one belong to what comes before the wave (the ST segment):
            onset and peak are found without them, the end with them.
    """

    loop: Loop
    twelve: np.ndarray
    wave: str
    grid: np.ndarray
    first: int = 0

    def timed(self, shift: float, scale: float) -> "Marks":
        """The marks with their time t moved to `(t - shift) * scale`."""
        loop, grid = self.loop.timed(shift, scale), (self.grid - shift) * scale
        return Marks(loop, self.twelve, self.wave, grid, self.first)

    @property
    def onset(self) -> float:
        """Over all leads."""
        return self._over_leads("on")

    @property
    def peak(self) -> float:
        """Over all leads: where the leads together are largest."""
        size = self._seen[0]
        return float(self.grid[np.einsum("lt,lt->t", size, size).argmax()])

    @property
    def offset(self) -> float:
        """Over all leads."""
        return self._over_leads("off")

    @property
    def leads(self) -> np.ndarray:
        """`(12, 3)` onset, peak, offset; NaN where the lead shows nothing of the wave."""
        size, peaks, *_ = self._seen
        tops = self.grid[size.argmax(1)]
        leads = np.column_stack([self._ends("on"), tops, self._ends("off")])
        leads[peaks < VISIBLE[self.wave]] = np.nan
        return leads

    @cached_property
    def _seen(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Size `(12, times)` and peak `(12,)` of the wave, and with what comes before it."""
        bumps, heights = self.loop.bumps(self.grid), self.loop.seen(self.twelve)
        whole = np.abs(heights @ bumps)
        size = np.abs(heights[:, self.first :] @ bumps[self.first :]) if self.first else whole
        return size, size.max(1), whole, whole.max(1)

    def _ends(self, side: str) -> np.ndarray:
        """Each lead's onset ("on") or offset ("off"), `(12,)`."""
        size, peaks, whole, whole_peaks = self._seen
        step, edge = self.grid[1] - self.grid[0], EDGE[self.wave]
        if side == "on":
            return self.grid[0] + step * _rises(size, edge * peaks)
        return self.grid[-1] - step * _rises(whole[:, ::-1], edge * whole_peaks)

    def _over_leads(self, side: str) -> float:
        peaks = self._seen[1]
        ends = self._ends(side)[peaks >= SEEN * peaks.max()]
        return over_leads(f"{self.wave.lower()}_{side}", ends, need=1)


def _rises(size: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """Where each lead first passes its edge, `(leads,)` in samples and between."""
    above = np.maximum((size > edge[:, None]).argmax(1), 1)
    row = np.arange(len(size))
    high, low = size[row, above], size[row, above - 1]
    return above - (high - edge) / np.where(high > low, high - low, 1)
