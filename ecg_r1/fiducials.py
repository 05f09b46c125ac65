"""From the marks of single leads to one mark over all leads: measured and simulated alike.

A cardiograph reports the earliest onset and the latest end over leads. Taken literally, the
worst lead decides, and half of LUDB's normal records get a QRS of 120 ms or more; a quantile
over leads says the same without that.
"""

import numpy as np

WAVES = ("P", "QRS", "T")

# Quantile over the leads that show the wave.
GLOBAL_RULE = {
    "p_on": 0.45,
    "p_peak": 0.5,
    "p_off": 0.55,
    "qrs_on": 0.45,
    "qrs_off": 0.55,
    "t_on": 0.45,
    "t_peak": 0.5,
    "t_off": 0.5,
}


def over_leads(name: str, marks: np.ndarray, *, need: int = 3) -> float:
    """One mark over all leads by `GLOBAL_RULE`.

    Args:
        name: Key of `GLOBAL_RULE`.
        marks: One mark a lead, NaN where the lead does not show the wave.
        need: Fewest leads that must show it.

    Returns:
        The mark in the unit of `marks`; NaN when fewer than `need` leads show the wave.

    Example:
        >>> over_leads("p_peak", np.array([10.0, 12.0, np.nan, 14.0]))
        12.0
    """
    known = sorted(marks[~np.isnan(marks)].tolist())
    if len(known) < max(need, 1):
        return np.nan
    # np.quantile's linear rule, forty times faster on a dozen numbers
    place = GLOBAL_RULE[name] * (len(known) - 1)
    below = int(place)
    above = min(below + 1, len(known) - 1)
    return known[below] + (place - below) * (known[above] - known[below])
