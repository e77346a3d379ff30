"""Where compiled kernels are kept when neither the checkout nor the home folder can be written."""

import os
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"
"""Numba reads it when it is imported; a folder that a user names there is left alone."""


def find_place(environment: MutableMapping[str, str], package: Path, home_cache: Path, temporary: Path) -> None:
    """Name a folder of this user's in `temporary` to numba where its own places cannot be written.

    Numba keeps compiled code, which it executes, beside the source or in the user's cache folder. A folder in
    `temporary` that somebody else owns or may write to is therefore not used.

    Args:
        environment: where the variable is set.
        package: folder of the sources.
        home_cache: the user's cache folder, which need not exist.
        temporary: folder for temporary files.
    """
    if VARIABLE in environment or _can_be_written(package) or _can_be_written(home_cache):
        return
    place = temporary / f"metta-compiled-{os.getuid()}"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
        if found.st_uid != os.getuid() or found.st_mode & 0o022 or place.is_symlink():
            place = Path(tempfile.mkdtemp(prefix="metta-compiled-", dir=temporary))
    except OSError:
        return  # nothing can be written at all; numba says so
    environment[VARIABLE] = str(place)


def _can_be_written(folder: Path) -> bool:
    """Whether a file can be made in a folder, or in the nearest one above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
