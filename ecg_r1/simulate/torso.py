"""The torso: how electrodes see the heart's dipole.

Frank's axes: x to the left, y to the feet, z to the back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import atan2, cos, degrees, radians, sin, sqrt

import numpy as np

from ecg_r1.ecg import LEADS

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
FIELD = DOWER * np.array([1, 1, 0.86, 1.06, 0.88, 0.93, 0.98, 1.08])[:, None]
# The atria lie to the right and the back: V3-V6 see them smaller than the ventricles (fitted to
# the P waves of the same records).
ATRIAL_SHARE = np.array([1, 1, 1, 1, 0.75, 0.5, 0.5, 0.5])
# The twelve leads from I, II, V1-V6: Einthoven's and Goldberger's laws.
TWELVE = np.zeros((12, 8))
TWELVE[0, 0] = TWELVE[1, 1] = 1
TWELVE[2, :2] = -1, 1
TWELVE[3, :2] = -0.5, -0.5
TWELVE[4, :2] = 1, -0.5
TWELVE[5, :2] = -0.5, 1
TWELVE[6:, 2:] = np.eye(6)

# Parts of the left ventricle and the leads that face them: Surawicz B, Knilans T 2008,
# Chou's Electrocardiography, 6th ed. A minus: the leads see it from behind.
TERRITORIES: dict[str, tuple[str, ...]] = {
    "septal": ("V1", "V2"),
    "anterior": ("V1", "V2", "V3", "V4"),
    "lateral": ("I", "aVL", "V5", "V6"),
    "high lateral": ("I", "aVL"),
    "inferior": ("II", "III", "aVF"),
    "posterior": ("-V1", "-V2", "-V3"),
}


@dataclass(frozen=True)
class Torso:
    """One patient's lead field `(8, 3)`: rows I, II, V1-V6, mV per mV of dipole."""

    field: np.ndarray

    def twelve(self) -> np.ndarray:
        """The lead field of all twelve leads, `(12, 3)`."""
        return TWELVE @ self.field

    def towards(self, levels: Mapping[str, float]) -> np.ndarray:
        """The smallest dipole that gives each lead or territory (mean of its leads) its level.

        More than three levels, or levels that no dipole can give, are met in the mean square.
        """
        rows = self._rows(levels)
        if len(rows) == 1:
            return rows[0] * (next(iter(levels.values())) / (rows[0] @ rows[0]))
        # Small singular values would ask for a huge dipole where two leads are nearly alike.
        return np.linalg.pinv(rows, rcond=0.1) @ np.array(list(levels.values()))

    def level(self, name: str, dipole: np.ndarray) -> np.ndarray:
        """What a lead or territory sees of a dipole `(3, times)`, in mV."""
        return self._rows([name])[0] @ dipole

    def _rows(self, names: Iterable[str]) -> np.ndarray:
        twelve = self.twelve()
        rows = []
        for name in names:
            leads = TERRITORIES.get(name, (name,))
            rows.append(sum(_row(twelve, lead) for lead in leads) / len(leads))
        return np.array(rows)

    def axis(self, vector: np.ndarray) -> float:
        """Frontal axis in degrees, -180 to 180, of a dipole or of the area of a loop."""
        i = self.field[0] @ vector
        avf = self.field[1] @ vector - 0.5 * i
        return degrees(atan2(2 * avf, sqrt(3) * i))

    def turn_to(self, area: np.ndarray, fixed: np.ndarray, axis_deg: float) -> float:
        """Turn about z (rad) that brings the net area, plus what stays fixed, onto the axis.

        Where what stays is too large for that, the turn that comes closest.
        """
        along, across = self._along_and_across(axis_deg)
        cosine = across[:2] @ area[:2]
        sine = across[:2] @ np.array([-area[1], area[0]])
        rest = across[2] * area[2] + across @ fixed
        middle = np.arctan2(sine, cosine)
        half = np.arccos(np.clip(-rest / max(np.hypot(cosine, sine), 1e-12), -1, 1))
        angles = (middle + half, middle - half)
        return max(angles, key=lambda a: along @ (turn(a) @ area + fixed))

    def missing(self, area: np.ndarray, axis_deg: float) -> np.ndarray:
        """What a net area lacks in x and y, `(3,)`, to lie on the axis.

        It keeps the size that the frontal leads see.
        """
        rows = np.array(self._along_and_across(axis_deg))
        along, across = rows @ area
        lacks = [np.hypot(along, across) - along, -across]
        return np.append(np.linalg.solve(rows[:, :2], lacks), 0.0)

    def _along_and_across(self, axis_deg: float) -> tuple[np.ndarray, np.ndarray]:
        """Frontal leads `(3,)` that look along an axis, and at a right angle to it."""
        i, avf = self.field[0], self.field[1] - 0.5 * self.field[0]
        x, y = cos(radians(axis_deg)), sin(radians(axis_deg))
        return x * sqrt(3) * i + y * 2 * avf, x * 2 * avf - y * sqrt(3) * i


def _row(twelve: np.ndarray, lead: str) -> np.ndarray:
    row = twelve[LEADS.index(lead.removeprefix("-"))]
    return -row if lead.startswith("-") else row


def turn(angle: float) -> np.ndarray:
    """Rotation about z by `angle` radians, clockwise as the cardiologist counts the axis."""
    c, s = cos(angle), sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def rotate(angle: float) -> np.ndarray:
    """Rotation about the body's long axis y by `angle` radians.

    Positive is clockwise seen from the feet: the anterior forces turn to the left and back,
    and the transition in V1-V6 comes later.
    """
    c, s = cos(angle), sin(angle)
    return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
