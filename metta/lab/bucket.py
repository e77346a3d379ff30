"""Run folders in a bucket: a local folder is worked in, and the bucket, reached through fsspec, has the last word.

    train_dir/s3/<bucket>/<path>/<run>/     the local folder of s3://<bucket>/<path>/<run>
    <run>/.bucket.json                      what was last sent or fetched: size, time and the store's own mark, per file
    .owner.json (in the bucket only)        who controls the experiment

Who starts to work on a run fetches what others did since, or sends what an interrupted process could not send. Files
are sent in an order that keeps the bucket whole: checkpoints, then metrics, then what says that work is done; an object
appears in a store at once or not at all. That a run is worked on once at a time is what the engine guarantees that
starts its job; an experiment has one controller, whose name stands in the bucket while it works.
"""

import json
import os
import re
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from metta.base.addresses import CHECKPOINTS_FOLDER
from metta.base.errors import InputError, InUseError, RunError
from metta.base.files import disk_faults, read_json, reason, write_atomically
from metta.base.run_files import CONFIGURATION, EVALUATION, LOG, MANIFEST, METRICS, STATUS

PACKAGES = {"s3": "`uv sync --group s3`", "gs": "`uv pip install gcsfs`", "az": "`uv pip install adlfs`"}
"""What to install for a scheme, where fsspec itself does not say."""
NOTE = ".bucket.json"
OWNER = ".owner.json"
SECONDS_BETWEEN_SENDINGS = 15.0
LAST = (STATUS, EVALUATION)
"""Sent after everything else: they say that the rest is there."""
RECORDS = (CONFIGURATION, STATUS, EVALUATION, METRICS, LOG)
"""What a controller reads of a run."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


def is_bucket(address: str) -> bool:
    """Whether this is the address of a store, and not of a folder of this machine."""
    found = _ADDRESS.fullmatch(address)
    return found is not None and found[1].lower() != "file"


def local_folder(address: str) -> Path:
    """Where the contents of a bucket address lie on this machine. Raises `InputError` if it names no place."""
    found = _ADDRESS.fullmatch(address)
    parts = [part for part in found[2].split("/") if part] if found else []
    if not found or not parts or any(part in (".", "..") or "\0" in part for part in parts):
        raise InputError(f"address {address!r} names no folder in a bucket; write it as s3://bucket/folder.")
    return Path("train_dir", found[1].lower(), *parts)


@dataclass
class Bucket:
    """A folder in a store, and its local folder."""

    address: str
    folder: Path
    _fs: Any
    _root: str

    @classmethod
    def open(cls, address: str) -> "Bucket":
        """Reach a store.

        Raises:
            InputError: its scheme is unknown, or a package is missing.
            RunError: it does not answer.
        """
        import fsspec

        folder = local_folder(address)
        scheme = address.partition("://")[0].lower()
        try:
            fs, root = fsspec.core.url_to_fs(address.rstrip("/"))
        except ImportError as error:
            need = PACKAGES.get(scheme, str(error))
            raise InputError(f"address {address!r} needs a further package: {need}.") from None
        except ValueError as error:
            raise InputError(f"address {address!r}: {error}; use s3://, gs:// or az://, or a local path.") from None
        except OSError as error:
            raise RunError(f"the store at {address!r} does not answer: {reason(error)}.") from error
        return cls(address.rstrip("/"), folder, fs, root)

    def below(self, name: str) -> "Bucket":
        """The folder `name` of this one."""
        return Bucket(f"{self.address}/{name}", self.folder / name, self._fs, f"{self._root}/{name}")

    def fetch(self, wanted: Callable[[str], bool] = lambda name: True) -> None:
        """Make the local folder as the bucket is, as far as names are wanted; what has not changed is not fetched.

        Raises:
            RunError: the store does not answer.
        """
        note = self._note()
        there = {name: mark for name, mark in self._listed().items() if wanted(name)}
        runs: dict[str, dict[str, dict[str, Any]]] = {}
        for name in sorted(there, key=_order):
            run, _, own = name.partition("/")
            if own and run not in runs:
                runs[run] = self.below(run)._note()
            # Also what a run's own process sent or fetched: what lies here is that, or newer and not sent yet.
            known = (note.get(name, {}).get("there"), runs.get(run, {}).get(own, {}).get("there"))
            if there[name] in known and (self.folder / name).exists():
                continue
            try:
                with self._asking():
                    data = self._fs.cat_file(f"{self._root}/{name}")
            except FileNotFoundError:
                continue  # an old checkpoint that has just been removed
            self._write_here(name, data)
            note[name] = {"here": self._mark_here(name), "there": there[name]}
        for name in [name for name in note if wanted(name) and name not in there]:
            (self.folder / name).unlink(missing_ok=True)
            with suppress(OSError):
                (self.folder / name).parent.rmdir()
            del note[name]
        self._write_note(note)

    def send(self, wanted: Callable[[str], bool] = lambda name: True) -> None:
        """Make the bucket as the local folder is, as far as names are wanted; what has not changed is not sent.

        Raises:
            RunError: the store does not answer.
        """
        note = self._note()
        here = {name: self._mark_here(name) for name in self._names_here() if wanted(name)}
        try:
            for name in sorted(here, key=_order):
                if here[name] is None or note.get(name, {}).get("here") == here[name]:
                    continue
                try:
                    data = (self.folder / name).read_bytes()
                except FileNotFoundError:
                    continue  # an old checkpoint that has just been removed
                self._put_there(name, data)
                with self._asking():
                    note[name] = {"here": here[name], "there": _mark(self._fs.info(f"{self._root}/{name}"))}
            for name in [name for name in note if wanted(name) and name not in here]:
                with suppress(FileNotFoundError), self._asking():
                    self._fs.rm_file(f"{self._root}/{name}")
                del note[name]
        finally:
            self._write_note(note)

    def holds(self, wanted: Callable[[str], bool]) -> bool:
        """Whether there is a file with a wanted name. Raises `RunError` if the store does not answer."""
        return any(wanted(name) for name in self._listed())

    def changed_there(self) -> bool:
        """Whether somebody else has changed the bucket since it was last sent or fetched."""
        there, note = self._listed(), self._note()
        return bool(there) and there != {name: entry["there"] for name, entry in note.items()}

    @contextmanager
    def owned(self, what: str) -> Iterator[None]:
        """Be the only controller of the experiment; `what` names it in messages.

        Raises:
            InUseError: another one is, or was until its machine vanished.
            InputError: there is no such bucket.
            RunError: the store does not answer.
        """
        owner = {"id": uuid.uuid4().hex, "pid": os.getpid(), "host": socket.gethostname()}
        before = self._owner()
        if before is not None and not _has_died(before):
            raise InUseError(
                f"{what} is in use by process {before['pid']} on {before['host']}; wait or stop it, or remove "
                f"{self.address}/{OWNER} if that machine is gone."
            )
        self._put_there(OWNER, json.dumps(owner).encode())
        if self._owner() != owner:
            raise InUseError(f"{what} was taken by another process at the same time; wait or stop it.")
        try:
            yield
        finally:
            with suppress(FileNotFoundError, RunError), self._asking():
                if self._owner() == owner:
                    self._fs.rm_file(f"{self._root}/{OWNER}")

    @contextmanager
    def synchronised(self, warn: Callable[[str], None]) -> Iterator[None]:
        """Have the newest state in the local folder, and send it regularly and at the end.

        What is missing here at the start is fetched: only what is removed inside is removed in the bucket.

        Raises:
            RunError: the store does not answer at the start or at the end; what is local stays.
        """
        if self.changed_there() or not all((self.folder / name).exists() for name in self._note()):
            self.fetch()
        ended = threading.Event()

        def follow() -> None:
            warned = False
            while not ended.wait(SECONDS_BETWEEN_SENDINGS):
                try:
                    self.send()
                except (InputError, RunError) as error:
                    if not warned:
                        warn(f"{error} The run goes on; it is sent later.")
                    warned = True

        thread = threading.Thread(target=follow, name="bucket", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self.send()

    def _names_here(self) -> list[str]:
        names = []
        for folder, inner, files in os.walk(self.folder):  # unlike rglob it may meet folders that go away
            inner[:] = [name for name in inner if not name.startswith(".")]
            names += [Path(folder, name).relative_to(self.folder).as_posix() for name in files if name[0] != "."]
        return names

    def _mark_here(self, name: str) -> list[int] | None:
        try:
            found = (self.folder / name).stat()
        except FileNotFoundError:
            return None
        return [found.st_size, found.st_mtime_ns]

    def _listed(self) -> dict[str, str]:
        """Names and the store's marks of everything there."""
        found = {}
        with suppress(FileNotFoundError), self._asking():
            self._fs.invalidate_cache()
            found = dict(self._fs.find(self._root, detail=True))
        root = self._fs._strip_protocol(self._root).rstrip("/") + "/"
        marks = {path.removeprefix(root): _mark(info) for path, info in found.items()}
        return {name: mark for name, mark in marks.items() if not any(p.startswith(".") for p in name.split("/"))}

    def _owner(self) -> dict[str, Any] | None:
        with suppress(FileNotFoundError), self._asking():
            data = self._fs.cat_file(f"{self._root}/{OWNER}")
            with suppress(ValueError, TypeError):
                return {"pid": None, "host": None} | dict(json.loads(data))
            return {"pid": None, "host": None}  # damaged: somebody's, nobody knows whose
        return None

    def _put_there(self, name: str, data: bytes) -> None:
        place = f"{self._root}/{name}"
        try:
            with self._asking():
                # Object stores, which are those with asynchronous clients, have no folders, and s3fs would make a
                # bucket of that name, perhaps a misspelt one.
                if not self._fs.async_impl:
                    self._fs.makedirs(place.rpartition("/")[0], exist_ok=True)
                self._fs.pipe_file(place, data)
        except FileNotFoundError as error:
            raise InputError(f"cannot write to {self.address}: {_line(error)}.") from error

    def _note(self) -> dict[str, dict[str, Any]]:
        try:
            return read_json(self.folder / NOTE)
        except InputError:
            return {}

    def _write_note(self, note: dict[str, dict[str, Any]]) -> None:
        self._write_here(NOTE, json.dumps(note).encode())

    def _write_here(self, name: str, data: bytes) -> None:
        place = self.folder / name
        with disk_faults(place, "write"):
            place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, data)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Ask the store inside; what its library has tried again in vain becomes `RunError`."""
        try:
            yield
        except (FileNotFoundError, InputError):
            raise
        except Exception as error:
            raise RunError(f"cannot reach {self.address}: {type(error).__name__}: {_line(error)}.") from error


def _order(name: str) -> tuple[int, bool, str]:
    """Checkpoints first, each one's manifest at its end; what says that work is done last."""
    first = 0 if name.startswith(f"{CHECKPOINTS_FOLDER}/") else 2 if name.endswith(LAST) else 1
    folder, _, file = name.rpartition("/")
    return first, False if first else file == MANIFEST, f"{folder}/{file}"


def _mark(info: dict[str, Any]) -> str:
    """What changes in a store's description of an object when the object does."""
    for key in ("ETag", "etag", "md5Hash", "content_md5", "mtime", "LastModified", "last_modified", "created"):
        value = info.get(key)
        if value is not None:
            # Some stores describe an object by a date when asked for it, and by a number when listed.
            return f"{info.get('size')} {value.timestamp() if isinstance(value, datetime) else value}"
    return str(info.get("size"))


def _has_died(owner: dict[str, Any]) -> bool:
    """Whether it was a process of this machine that is gone."""
    if owner["host"] == socket.gethostname() and isinstance(owner["pid"], int):
        try:
            os.kill(owner["pid"], 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
    return False


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason was given"])[0].rstrip(".")
