"""Public data sets from PhysioNet: size and licence first, then files, resumed and verified.

What this leaves out: data under a use agreement (MIMIC), which everyone fetches for themselves
after signing it.
"""

import csv
import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from ecg_r1.ecg import ECGError

if TYPE_CHECKING:
    import httpx

SUMS = "SHA256SUMS.txt"
CONNECTIONS = 8  # PhysioNet's files are small: what costs is the way there and back
WAITS_S = (0.0, 1.0, 2.0, 4.0, 8.0)  # before each attempt
TIMEOUT_S = 60.0
FOLDS = tuple(range(1, 11))  # of PTB-XL
T = TypeVar("T")


@dataclass(frozen=True)
class PublicSet:
    """A data set that anyone may download.

    Attributes:
        name: As it is asked for.
        title: What it is.
        url: Folder of its files, with a slash at the end.
        licence: Name and address of its licence.
        gigabytes: Size of what is fetched, about.
        wanted: Beginnings of the paths that are fetched.
        unwanted: Beginnings among them that are not.
        table: File that names each record's fold, where it has folds.
    """

    name: str
    title: str
    url: str
    licence: str
    gigabytes: float
    wanted: tuple[str, ...] = ("",)
    unwanted: tuple[str, ...] = ()
    table: str = ""


SETS = (
    PublicSet(
        "ptbxl",
        "PTB-XL 1.0.3: 21,799 ECGs of 10 s at 500 Hz, labels, reports (Wagner et al. 2020)",
        "https://physionet.org/files/ptb-xl/1.0.3/",
        "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/",
        2.7,
        wanted=("records500/", "ptbxl_database.csv", "scp_statements.csv", "LICENSE"),
        table="ptbxl_database.csv",
    ),
    PublicSet(
        "cinc2021",
        "PhysioNet/CinC Challenge 2021 1.0.3, without its copy of PTB-XL (Reyna et al. 2021)",
        "https://physionet.org/files/challenge-2021/1.0.3/",
        "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/",
        6.0,
        wanted=("training/", "LICENSE"),
        unwanted=("training/ptb-xl/", "training/ptb/"),
    ),
    PublicSet(
        "ludb",
        "LUDB 1.0.1: 200 ECGs, every wave marked by cardiologists (Kalyakulina et al. 2020)",
        "https://physionet.org/files/ludb/1.0.1/",
        "ODC-By 1.0, https://opendatacommons.org/licenses/by/1-0/",
        0.03,
    ),
)
UNFETCHED = {
    "mimic": "MIMIC-IV-ECG comes with the data-use agreement of MIMIC-IV in mind: get it from "
    "https://physionet.org/content/mimic-iv-ecg/ yourself, then give its folder to `corpus` "
    "as mimic:FOLDER"
}


def public_set(name: str) -> PublicSet:
    """The data set of this name.

    Raises:
        ECGError: There is none, or it is not ours to fetch.
    """
    if name in UNFETCHED:
        raise ECGError(UNFETCHED[name])
    for one in SETS:
        if one.name == name:
            return one
    raise ECGError(f"{name!r} is no data set; choose from {', '.join(s.name for s in SETS)}")


def announcement(one: PublicSet, folder: Path, folds: Sequence[int] = FOLDS) -> str:
    """What a user must know before the download: what, how much, under which licence, where."""
    size = one.gigabytes * (len(folds) / len(FOLDS) if one.table else 1)
    some = "" if len(folds) == len(FOLDS) else f", folds {', '.join(map(str, folds))}"
    return (
        f"{one.title}{some}\nFrom {one.url}\nAbout {size:.2g} GB into {folder}\n"
        f"Licence: {one.licence}"
    )


def fetch(one: PublicSet, folder: Path, *, folds: Sequence[int] = FOLDS) -> int:
    """Download a data set, or what is still missing of it, and verify every file.

    A file that was cut off goes on where it stopped. Files that are there and have the right
    checksum are left alone.

    Args:
        one: What to download.
        folder: Where to.
        folds: Which folds, for a data set with folds.

    Returns:
        Number of files that stand there verified.

    Raises:
        ECGError: The server cannot be reached, a file fails its checksum twice, the disk is
            too small, or folds are asked of a data set without folds.
    """
    import httpx  # noqa: PLC0415  a third of a second to import
    from tqdm.auto import tqdm  # noqa: PLC0415

    _check(one, folder, folds)
    limits = httpx.Limits(max_connections=CONNECTIONS)
    with httpx.Client(timeout=TIMEOUT_S, limits=limits, follow_redirects=True) as client:
        sums = _checksums(client, one)
        paths = [path for path in sums if _is_wanted(one, path)]
        if one.table and len(folds) < len(FOLDS):
            _fetch_file(client, one, folder, one.table, sums[one.table])
            of_folds = _records_of(folder / one.table, folds)
            paths = [p for p in paths if _record_of(p) in of_folds or "/" not in p]
        with (
            ThreadPoolExecutor(CONNECTIONS) as pool,
            tqdm(total=len(paths), unit="file", desc=one.name) as bar,
        ):
            waiting = [
                pool.submit(_fetch_file, client, one, folder, path, sums[path])
                for path in paths
            ]
            try:
                for done in as_completed(waiting):
                    done.result()
                    bar.update()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    return len(paths)


def _check(one: PublicSet, folder: Path, folds: Sequence[int]) -> None:
    if len(folds) < len(FOLDS) and not one.table:
        raise ECGError(f"{one.name} has no folds: leave them out")
    unknown = [fold for fold in folds if fold not in FOLDS]
    if unknown or not folds:
        raise ECGError(f"fold {unknown[0] if unknown else '(none)'} is not one of 1 to 10")
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free / 1e9
    needed = one.gigabytes * (len(folds) / len(FOLDS) if one.table else 1)
    there = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e9
    if free + there < needed:
        raise ECGError(f"{one.name} needs {needed:.1f} GB, but {folder} has {free:.1f} GB left")


def _is_wanted(one: PublicSet, path: str) -> bool:
    return path.startswith(one.wanted) and not (one.unwanted and path.startswith(one.unwanted))


def _checksums(client: "httpx.Client", one: PublicSet) -> dict[str, str]:
    """Path of each file of a data set to its SHA-256, by the publisher's list."""
    answer = _tried(lambda: client.get(one.url + SUMS).raise_for_status(), one.url + SUMS)
    sums = {}
    for line in answer.text.splitlines():
        digest, _, path = line.strip().partition(" ")
        path = path.strip().lstrip("*").removeprefix("./")
        if not path:
            continue
        if path.startswith("/") or ".." in PurePosixPath(path).parts or "\\" in path:
            raise ECGError(f"{one.url}{SUMS} names {path!r}, which lies outside of the folder")
        sums[path] = digest.lower()
    lacking = [name for name in (one.table,) if name and name not in sums]
    if lacking or not sums:
        raise ECGError(f"{one.url}{SUMS} does not name {', '.join(lacking) or 'any file'}")
    return sums


def _records_of(table: Path, folds: Sequence[int]) -> set[str]:
    with table.open(newline="", encoding="utf-8") as lines:
        return {
            row["filename_hr"]
            for row in csv.DictReader(lines)
            if int(float(row["strat_fold"])) in folds
        }


def _record_of(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(""))


def _fetch_file(
    client: "httpx.Client", one: PublicSet, folder: Path, path: str, digest: str
) -> None:
    """Bring one file into the folder with the right content, whatever lies there already."""
    target = folder / path
    if target.is_file() and _digest(target) == digest:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    for _ in range(2):  # a wrong beginning spoils a resumed file: once more from nothing
        _tried(lambda: _download(client, one.url + path, part), one.url + path)
        if _digest(part) == digest:
            part.replace(target)
            return
        part.unlink()
    raise ECGError(
        f"{one.url}{path} does not have the checksum of {SUMS}: try again later; if it stays "
        "so, the publisher has changed the file"
    )


def _download(client: "httpx.Client", url: str, part: Path) -> None:
    """The rest of a file, behind what is there of it."""
    start = part.stat().st_size if part.is_file() else 0
    # Compressed on the way, a range would be one of other bytes.
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == 416:  # nothing lies behind what is there
            return
        answer.raise_for_status()
        # A server that knows no ranges sends the whole file.
        with part.open("ab" if answer.status_code == 206 else "wb") as file:
            for chunk in answer.iter_raw():
                file.write(chunk)


def _tried(ask: Callable[[], T], url: str) -> T:
    """Ask again, later and later, while a server or the way to it fails."""
    import httpx  # noqa: PLC0415

    for wait_s in WAITS_S:
        time.sleep(wait_s)
        try:
            return ask()
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            if status < 500 and status != 429:
                raise ECGError(f"{url}: the server answers {status}") from error
            problem: Exception = error
        except httpx.HTTPError as error:
            problem = error
    raise ECGError(
        f"{url} cannot be fetched: {problem}; run the same command again to go on"
    ) from problem


def _digest(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
