"""NumPy arrays: plain numbers and their shape, nothing else."""

import warnings
from pathlib import Path
from tokenize import TokenError

import numpy as np

from ecg_r1.formats.common import (
    CUT_SHORT,
    MAX_SAMPLES_LOADED,
    PARSE_FAILURES,
    Channels,
    ECGError,
    brief,
    lies_upright,
)


def read_npy(path: Path, n_leads: int | None) -> Channels:
    """The channels of one array; its names, units and rate have to come from elsewhere."""
    shape = _npy_shape(path)
    upright = lies_upright(shape, n_leads, path.name)
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    array = array if upright else array.T
    with np.errstate(all="ignore"):  # what is too large for 64 bits becomes infinite
        signal = np.array(array[:, :MAX_SAMPLES_LOADED], dtype=np.float64)
    return Channels(signal, None, (None,) * len(signal), None, array.shape[1], "NPY")


def _npy_shape(path: Path) -> tuple[int, ...]:
    """Shape from the header, after checking that the file really holds that many numbers."""
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers written by Python 2
            version = np.lib.format.read_magic(file)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, _, dtype = read(file)
            held = (path.stat().st_size - file.tell()) // max(dtype.itemsize, 1)
    except (SyntaxError, TokenError, *PARSE_FAILURES) as error:
        raise ECGError(
            f"{path.name} is not a readable NPY file ({brief(error)}): save it again with "
            "numpy.save"
        ) from error
    if dtype.kind not in "fiu":
        raise ECGError(f"{path.name} holds {dtype}, not plain numbers")
    declared = int(np.prod([int(side) for side in shape], dtype=object))
    if declared != held or declared < 1:
        why = CUT_SHORT if held < declared else "its header is wrong; save it again"
        raise ECGError(f"{path.name} declares {declared} numbers, but holds {held}: {why}")
    return tuple(int(side) for side in shape)
