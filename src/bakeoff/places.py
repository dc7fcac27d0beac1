"""Where bakeoff keeps things: `BAKEOFF_HOME`, or the usual folders of the user's account."""

import os
from pathlib import Path

from .errors import BakeoffError


def cache() -> Path:
    """Files that can be made or fetched again (data sets, collected batches)."""
    return _place("cache", "XDG_CACHE_HOME", ".cache")


def state() -> Path:
    """What has been run and read: the store."""
    return _place("state", "XDG_DATA_HOME", ".local/share")


def given_data() -> Path | None:
    """The folder named by `BAKEOFF_DATA`, looked in before anything is fetched."""
    folder = os.environ.get("BAKEOFF_DATA")
    return Path(folder) if folder else None


def _place(under_home: str, variable: str, fallback: str) -> Path:
    if own := os.environ.get("BAKEOFF_HOME"):
        folder = Path(own) / under_home
    else:
        folder = Path(os.environ.get(variable) or Path.home() / fallback) / "bakeoff"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise BakeoffError(f"{folder} cannot be made: {problem.strerror}", "Set BAKEOFF_HOME to a folder that can be written.") from None
    return folder
