"""Checkpoints on the Hugging Face hub: told before the download, resumed, and read offline.

What this leaves out: HTTP. `huggingface_hub` speaks to the hub, keeps the cache, draws the
progress bar and, within a call, goes on inside a file whose connection was cut.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import try_to_load_from_cache
from huggingface_hub.utils import filter_repo_objects

from ecg_r1.ecg import ECGError

# What loading needs: configuration, tokenizer and weights, not pictures or pickles.
WANTED = ["*.json", "*.jinja", "*.txt", "*.safetensors"]
LOOK_UP_S = 10.0  # without an answer for so long, the hub is out of reach
# The root of the HTTP library's errors, whichever of its two names this version depends on.
_HTTP_ERROR: type[Exception] = HfHubHTTPError.__bases__[0]
_OUT_OF_REACH = (_HTTP_ERROR, OSError)


@dataclass(frozen=True)
class HubFacts:
    """What the hub says about a checkpoint, and what of it is still to come.

    Attributes:
        repo: "owner/name".
        commit: The revision's commit, in full.
        licence: As its model card names it, None where it does not.
        total_bytes: Size of the files that loading needs.
        missing_bytes: Of these, what is not in the cache yet.
        free_bytes: Free on the cache's disk.
        folder: The cache.
    """

    repo: str
    commit: str
    licence: str | None
    total_bytes: int
    missing_bytes: int
    free_bytes: int
    folder: Path

    def to_text(self) -> str:
        """What a person must know before the download, in three lines.

        Example:
            >>> print(HubFacts("a/b", "f9257759", "apache-2.0", 17_741_876_040, 17_741_876_040,
            ...                52_000_000_000, Path("cache")).to_text())
            a/b, revision f9257759, licence apache-2.0
            17.7 GB, of which 17.7 GB are still to be downloaded
            into cache, where 52.0 GB are free
        """
        licence = self.licence or "not stated: look at its page before you use it"
        return (
            f"{self.repo}, revision {self.commit[:8]}, licence {licence}\n"
            f"{_gigabytes(self.total_bytes)}, of which {_gigabytes(self.missing_bytes)} are "
            f"still to be downloaded\n"
            f"into {self.folder}, where {_gigabytes(self.free_bytes)} are free"
        )

    def check_disk(self) -> None:
        """Refuse a download that the disk cannot hold.

        Raises:
            ECGError: Says what is needed and what is there.
        """
        if self.missing_bytes > self.free_bytes:
            raise ECGError(
                f"{self.repo} needs {_gigabytes(self.missing_bytes)} more on disk, and "
                f"{self.folder} has {_gigabytes(self.free_bytes)}: free some, or set HF_HOME "
                "to a folder on a larger disk"
            )


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 50_000_000 else f"{n_bytes / 1e6:.1f} MB"


def look_up(repo: str, revision: str | None = None) -> HubFacts | None:
    """Ask the hub about a checkpoint; one request, no download.

    Args:
        repo: "owner/name".
        revision: Branch, tag or commit; the newest by default.

    Returns:
        None when the hub is out of reach, or switched off with HF_HUB_OFFLINE.

    Raises:
        ECGError: There is no such repository or revision, or it holds no weights that can be
            read safely.
    """
    try:
        info = HfApi().model_info(
            repo, revision=revision, files_metadata=True, timeout=LOOK_UP_S
        )
    except RevisionNotFoundError as error:
        raise ECGError(f"{repo} has no revision {revision!r} on the hub") from error
    except RepositoryNotFoundError as error:
        raise ECGError(
            f"{repo!r} is not on the hub ({constants.ENDPOINT}), or not for everyone: "
            "`hf auth login` if you were given access"
        ) from error
    except HFValidationError as error:
        raise ECGError(f"{repo!r} is no name of a checkpoint: {error}") from error
    except _OUT_OF_REACH:
        return None
    wanted = list(
        filter_repo_objects(
            info.siblings or [], allow_patterns=WANTED, key=lambda file: file.rfilename
        )
    )
    if not any(file.rfilename.endswith(".safetensors") for file in wanted):
        raise ECGError(f"{repo} holds no weights as safetensors")
    folder = Path(constants.HF_HUB_CACHE)
    return HubFacts(
        repo=repo,
        commit=info.sha,
        licence=getattr(info.card_data, "license", None),
        total_bytes=sum(file.size or 0 for file in wanted),
        missing_bytes=sum(
            file.size or 0
            for file in wanted
            if not isinstance(
                try_to_load_from_cache(repo, file.rfilename, revision=info.sha), str
            )
        ),
        free_bytes=_free_on_disk(folder),
        folder=folder,
    )


def _free_on_disk(folder: Path) -> int:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


def hub_config(facts: HubFacts) -> Path:
    """The checkpoint's `config.json`, a few kilobytes, to know what the rest would need.

    Raises:
        ECGError: It cannot be fetched.
    """
    return Path(
        _fetched(
            lambda: hf_hub_download(facts.repo, "config.json", revision=facts.commit),
            facts.repo,
        )
    )


def download(repo: str, revision: str | None = None) -> Path:
    """The checkpoint's files, those that are there already left alone; with progress bars.

    One file after the other: the library starts a file anew when a call fails, so that at most
    one shard is lost, and one file already uses the whole connection.

    Args:
        repo: "owner/name".
        revision: Branch, tag or commit; the newest by default.

    Returns:
        The folder in the cache.

    Raises:
        ECGError: The connection broke and stayed broken. Files that have come are kept.
    """
    return Path(
        _fetched(
            lambda: snapshot_download(
                repo, revision=revision, allow_patterns=WANTED, max_workers=1
            ),
            repo,
        )
    )


def _fetched(ask: Callable[[], str], repo: str) -> str:
    try:
        return ask()
    except _OUT_OF_REACH as error:
        problem = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ECGError(
            f"the download of {repo} broke off ({problem}); the same command goes on with the "
            "file that was not finished"
        ) from error


def cached(repo: str, revision: str | None = None) -> Path:
    """The checkpoint's folder in the cache, without any network.

    Raises:
        ECGError: It is not there, or not all of it.
    """
    try:
        return Path(
            snapshot_download(
                repo, revision=revision, allow_patterns=WANTED, local_files_only=True
            )
        )
    except (LocalEntryNotFoundError, HFValidationError) as error:
        which = f"{repo} at {revision!r}" if revision else repo
        raise ECGError(
            f"{which} is not whole in the cache ({constants.HF_HUB_CACHE}), and the hub "
            f"({constants.ENDPOINT}) is out of reach: load it once with a connection"
        ) from error
