"""Names of runs and addresses of checkpoints, as users write them, turned into paths."""

import re
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import unquote

from metta.base.errors import InputError
from metta.base.files import reason

RANDOM, BLIND, REFLEX, SCRIPTED = "random", "blind", "reflex", "scripted"
PLAYERS = {
    RANDOM: "all actions alike, 0 of the score",
    BLIND: "fixed action probabilities",
    REFLEX: "no memory, sees its own window",
    SCRIPTED: "1 of the score",
}
"""The reference players, worst first, and what tables say of them; each name is an address, too. The objects that play
are in metta/rl/players.py."""

NEWEST = "newest"
BEST = "best"
CHECKPOINTS_FOLDER = "checkpoints"
RUNS_FOLDER = Path("train_dir")
"""Where runs lie unless told otherwise."""
RUNS_NAMED = 3
"""Runs that a message names."""
REFERENCES_FOLDER = "references"
"""In a benchmark's folder: evaluations of the reference players."""

_RUN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=-]{0,199}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def check_run_name(name: str) -> str:
    """`name` if it is one folder name below train_dir, else `InputError`."""
    if not _RUN_NAME.fullmatch(name):
        raise InputError(
            f"run={name!r} is not a run name: it becomes one folder below train_dir, so use up to 200 letters, digits "
            "and . _ + = -, beginning with a letter, a digit or _."
        )
    return name


@dataclass(frozen=True)
class CheckpointAddress:
    """A folder of checkpoints and which of them: `newest`, `best` or the name of one."""

    folder: Path
    name: str = NEWEST

    def __str__(self) -> str:
        return f"{self.folder}:{self.name}" if self.name != NEWEST else str(self.folder)


def local_path(address: str) -> Path:
    """The path that a user means, in every flag and key alike.

    A plain path is taken as it is, whatever characters it has; `file://./relative` and `file:///absolute` are URLs, in
    which `%20` stands for a space. In both a leading `~` or `~name` is a home folder.

    Raises:
        InputError: another scheme, no path, one that the system refuses to look at, or no such home folder.
    """
    scheme = _SCHEME.match(address)
    if scheme is None:
        path = address
    elif scheme[1].lower() == "file":
        path = unquote(address[scheme.end() :])
    else:
        raise InputError(f"address {address!r}: {scheme[1]}:// is not supported; use file://path or a plain path.")
    if not path or "\0" in path:
        raise InputError(f"address {address!r} names no path.")
    if not path.isascii() and path != path.encode(errors="replace").decode():
        raise InputError(
            f"address {address!r} has bytes that are not UTF-8 text; rename the folder, or work inside it."
        )
    try:
        found = Path(path).expanduser() if path.startswith("~") else Path(path)
        with suppress(FileNotFoundError, NotADirectoryError):
            found.stat()
    except RuntimeError:
        raise InputError(f"address {address!r}: there is no home folder for {Path(path).parts[0]}.") from None
    except OSError as error:  # too long a name, a folder of somebody else
        raise InputError(f"address {address!r} cannot be looked at: {reason(error)}.") from None
    return found


def path_text(path: Path) -> str:
    """What to write for `path` so that `local_path` reads it back, whatever it is called."""
    return f"./{path}" if str(path).startswith("~") else str(path)


def runs_below(folder: Path, name: str = "") -> str:
    """A few runs below a folder, as part of a sentence: those with `name` in their own, if any; empty without runs."""
    runs = sorted(found.parent for depth in ("*", "*/*") for found in folder.glob(f"{depth}/{CHECKPOINTS_FOLDER}"))
    named = [run for run in runs if name in run.name] or runs
    if not named:
        return ""
    left = len(named) - RUNS_NAMED
    return f" ({', '.join(map(str, named[:RUNS_NAMED]))}{f' and {left} more' * (left > 0)})"


def checkpoint_address(address: str) -> CheckpointAddress:
    """Read a checkpoint address.

    Accepted: a checkpoints folder (its newest), `folder:best`, `folder:<name>`, one checkpoint inside a checkpoints
    folder, or a run folder in place of its checkpoints folder; each as a plain path or with `file://` in front. Whether
    the checkpoint is whole is found out when it is loaded.

    Raises:
        InputError: nothing is there, or the address is none of these.
    """
    path = local_path(address)
    name = NEWEST
    if not path.exists() and ":" in path.name:
        folder, _, name = path.name.rpartition(":")
        path = path.with_name(folder) if folder else path.parent
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
            raise InputError(
                f"address {address!r}: {name!r} is not a checkpoint name; use newest, best or the name of one."
            )
    if not path.exists():
        near = get_close_matches(address, PLAYERS, n=1)
        meant = f" Did you mean the reference player {near[0]!r}?" if near else ""
        raise InputError(
            f"there is no checkpoint at {address!r}: {path} does not exist.{meant} Give the folder of a run or of one "
            f"checkpoint{runs_below(RUNS_FOLDER, path.name)}, or a reference player: {', '.join(PLAYERS)}."
        )
    if path.is_file():
        path = path.parent
    if path.parent.name == CHECKPOINTS_FOLDER and name == NEWEST:
        return CheckpointAddress(path.parent, path.name)
    nested = path / CHECKPOINTS_FOLDER
    return CheckpointAddress(nested if nested.is_dir() else path, name)
