"""The files that travel with the package: example ECGs and the small checkpoint."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str = "") -> Path:
    """Where a shipped file or folder lies, in a checkout and in an installed wheel alike.

    A wheel carries `assets/` inside the package; a checkout has it beside the package.

    Args:
        name: Path inside `assets/`, with forward slashes, such as "ecgs/examples.json" or
            "nano"; empty for the folder itself.

    Returns:
        An absolute path. It need not exist: the caller knows what its absence means.

    Example:
        >>> shipped("nano").name
        'nano'
    """
    inside = _PACKAGE / "assets"
    return (inside if inside.is_dir() else _PACKAGE.parent / "assets") / name
