"""What ECG files hold, as they hold it: channels, names, units and sampling rate, unconverted.

Files come from strangers: sizes, counts and companion file names are checked before a
library opens anything, and whatever a library cannot parse becomes an `ECGError`.

One module for each format: `wfdb_files`, `dicom`, `muse` and `aecg` (over `markup`), `mat`,
`npy` and `table`; `common` has what they share.
"""

from pathlib import Path

from ecg_r1.formats.aecg import aecg_channels
from ecg_r1.formats.common import (
    MAX_BYTES,
    MAX_CHANNELS,
    MAX_TEXT_BYTES,
    Channels,
    ECGError,
    check_size,
    is_file,
    parse_age,
    parse_sex,
    quoted,
)
from ecg_r1.formats.dicom import has_dicom_mark, read_dicom
from ecg_r1.formats.markup import parse_xml
from ecg_r1.formats.mat import read_mat
from ecg_r1.formats.muse import muse_channels
from ecg_r1.formats.npy import read_npy
from ecg_r1.formats.table import parse_table, read_table
from ecg_r1.formats.wfdb_files import (
    collect_wfdb,
    read_wfdb,
    wfdb_header_lines,
    wfdb_header_of,
)

__all__ = [
    "MAX_BYTES",
    "MAX_CHANNELS",
    "MAX_TEXT_BYTES",
    "Channels",
    "ECGError",
    "check_size",
    "collect_wfdb",
    "is_file",
    "parse_age",
    "parse_sex",
    "parse_table",
    "quoted",
    "read_channels",
    "wfdb_header_lines",
]

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
DICOM_SUFFIXES = (".dcm", ".dicom")
XML_ROOTS = {"RestingECG": muse_channels, "AnnotatedECG": aecg_channels}


def read_channels(path: str | Path, n_leads: int | None = None) -> Channels:
    """The channels of a WFDB, DICOM, GE MUSE, HL7 aECG, MATLAB, NPY or text file.

    Args:
        path: The file; for WFDB its `.hea`, `.dat` or `.mat`, or the record without extension.
        n_leads: Number of leads that the caller named, which tells how an array lies.

    Raises:
        ECGError: If the file is missing, too large, of another kind, or contradicts itself.
    """
    path = Path(path)
    header = wfdb_header_of(path)
    if header is not None:
        return read_wfdb(header)
    if not is_file(path):
        raise ECGError(f"no such file: {str(path)!r}")
    check_size(path, MAX_BYTES)
    return _read_single(path, n_leads)


def _read_single(path: Path, n_leads: int | None) -> Channels:
    suffix = path.suffix.lower()
    if suffix == ".xml" or (suffix == ".txt" and _is_markup(path)):
        return _read_xml(path)
    if suffix in TEXT_SUFFIXES:
        return read_table(path)
    if suffix == ".npy":
        return read_npy(path, n_leads)
    if suffix == ".mat":
        return read_mat(path, n_leads)
    if suffix == ".dat":
        raise ECGError(f"{path.name} needs its WFDB header {path.stem}.hea beside it")
    if suffix in DICOM_SUFFIXES or has_dicom_mark(path):
        return read_dicom(path)
    raise ECGError(
        f"{path.name} is none of the files read here: WFDB (.hea with .dat or .mat), "
        "DICOM (.dcm), GE MUSE or HL7 aECG (.xml), .mat, .npy, .csv, .tsv, .txt"
    )


def _is_markup(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(64).lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<")


def _read_xml(path: Path) -> Channels:
    root = parse_xml(path)
    if root.tag not in XML_ROOTS:
        raise ECGError(
            f"{path.name} is XML of another kind, {quoted(root.tag)!r}: GE MUSE (RestingECG) "
            "and HL7 (AnnotatedECG) are read"
        )
    return XML_ROOTS[root.tag](root, path.name)
