"""Files that are never half written: atomic replacement, JSON and JSON lines, locks, and disk faults as sentences."""

import contextlib
import errno
import fcntl
import json
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from metta.base.errors import InputError, InUseError, RunError

WRONG_PLACE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
    *(errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP),
}
"""Faults of a path that the user chose; all others (full disk, broken device) can happen to a good path, too."""


NOT_SUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
"""What a file system answers that does not know an operation at all."""


def flush_to_disk(descriptor: int) -> None:
    """Wait until the system has written a file or folder; some network file systems cannot say, and are believed."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED:
            raise


def reason(error: OSError) -> str:
    """What the operating system said, without numbers and paths."""
    return (error.strerror or str(error)).lower()


@contextlib.contextmanager
def disk_faults(path: Path, doing: str) -> Iterator[None]:
    """Turn an `OSError` inside into one sentence: a wrong place to write is `InputError`, a full disk `RunError`."""
    try:
        yield
    except OSError as error:
        message = f"cannot {doing} {path}: {reason(error)}."
        raise (InputError if error.errno in WRONG_PLACE else RunError)(message) from error


def make_folder(path: Path) -> None:
    """Create `path` with its parents and prove that a file can be written in it; raises `InputError` or `RunError`."""
    with disk_faults(path, "write to the folder"):
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(b"0" * 4096)
            probe.flush()
            flush_to_disk(probe.fileno())


UNFINISHED = ".part"
"""How the hidden names end of files that `write_atomically` has not finished, or never will after a crash."""


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `content` so that `path` always holds either all of the old or all of the new bytes, also after a crash."""
    data = content.encode() if isinstance(content, str) else content
    with disk_faults(path, "write"):
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{UNFINISHED}")
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                flush_to_disk(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_json(path: Path, value: Any) -> None:
    """`write_atomically` with indented JSON; non-finite numbers are refused, since JSON has none."""
    write_atomically(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`. Raises `InputError` if it is missing, damaged or not an object."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"there is no file {path}.") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason(error)}.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged or not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} is damaged: it holds {type(value).__name__} instead of an object.")
    return value


class Holder(NamedTuple):
    """The process that holds a lock."""

    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.pid else "a process of unknown id"


@contextlib.contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold an exclusive lock on the file `path` (created if needed); the system releases it however the process ends.

    Raises:
        InUseError: another process holds it; names `what` and the holder's process id and machine.
        InputError: the file system has no locks.
    """
    with disk_faults(path, "lock"):
        file: IO[str] = path.open("a+")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUseError(f"{what} is in use by {_written_holder(file)}; wait or stop it.") from None
        except OSError as error:
            raise InputError(
                f"cannot lock {path}: {reason(error)}. Two processes must not work on one run: give a folder on a file "
                "system with locks (flock), or have this one mounted with them (Lustre: -o flock)."
            ) from None
        with disk_faults(path, "lock"):
            file.truncate(0)
            file.write(f"{os.getpid()} {socket.gethostname()}")
            file.flush()
        yield


def holder(path: Path) -> Holder | None:
    """Who holds the lock on the file `path`, or None; a holder that could not write its name has process id 0."""
    try:
        file: IO[str] = path.open("r")
    except OSError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _written_holder(file)
        except OSError:
            return None  # nobody can hold a lock here
    return None


def _written_holder(file: IO[str]) -> Holder:
    file.seek(0)
    pid, _, host = file.read().partition(" ")
    return Holder(int(pid), host) if pid.isdigit() else Holder(0, "")


def file_part(text: str) -> str:
    """Text as part of a file name."""
    return "".join(character if character.isalnum() or character in "-_" else "_" for character in text)[:80]
