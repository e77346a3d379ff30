"""What was read from files, kept until they change, so that refreshing a report reads only what is new."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Content = TypeVar("Content")


class FileMemory:
    """Contents by file and reader; a file counts as changed when its identity, size or time of change is another."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Path, str], tuple[tuple[int, int, int], Any]] = {}

    def read(self, reader: Callable[[Path], Content], file: Path) -> Content:
        """`reader(file)`, remembered if that did not fail.

        Raises:
            InputError: as `reader` does.
        """
        key, stamp = (file, reader.__qualname__), _stamp(file)
        kept = self._kept.get(key)
        if kept is not None and stamp is not None and kept[0] == stamp:
            known: Content = kept[1]
            return known
        content = reader(file)
        # Stamped before reading: what changes meanwhile is read again.
        if stamp is not None:
            self._kept[key] = stamp, content
        return content


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
