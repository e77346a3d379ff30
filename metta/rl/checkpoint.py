"""Checkpoints: complete, verified folders that appear at once or not at all, so that a killed run loses nothing.

    checkpoints/step_000000491520/     policy.safetensors, policy.json     the policy alone, enough to act
                                       trainer.safetensors, trainer.json   what a resumed run needs besides
                                       manifest.json                       size and SHA-256 of the four
    checkpoints/best.json              which checkpoint had the most hearts per agent on held-out worlds

A checkpoint is written to a hidden folder beside its place, flushed to disk, and renamed. Whatever a kill leaves
behind is hidden, and the next start removes it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from metta.agent.spec import CHOICES, EnvironmentSpec
from metta.base.errors import InputError, RunError
from metta.base.files import UNFINISHED, flush_to_disk
from metta.base.run_files import CHECKPOINT, MANIFEST, POLICY_RECORD, POLICY_WEIGHTS

if TYPE_CHECKING:
    from metta.agent.policy import Policy

FILES = (POLICY_WEIGHTS, POLICY_RECORD, "trainer.safetensors", "trainer.json")


def checkpoint_name(timesteps: int) -> str:
    """Name of the checkpoint after that many agent-steps; names sort by age."""
    return f"{CHECKPOINT}{timesteps:012d}"


def list_checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints below `folder`, oldest first."""
    return sorted(path for path in folder.glob(f"{CHECKPOINT}*") if path.is_dir())


def write_checkpoint(
    folder: Path,
    timesteps: int,
    policy_tensors: Mapping[str, Tensor],
    policy_record: Mapping[str, Any],
    trainer_tensors: Mapping[str, Tensor],
    trainer_record: Mapping[str, Any],
) -> Path:
    """Write one checkpoint atomically and return its folder; an existing one of that name is left as it is.

    Raises:
        RunError: it could not be written (disk full, no permission); nothing half-written remains.
    """
    place = folder / checkpoint_name(timesteps)
    if place.exists():
        return place
    hidden = folder / f".{place.name}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        hidden.mkdir()
        contents = {
            POLICY_WEIGHTS: _tensor_bytes(policy_tensors),
            POLICY_RECORD: _json_bytes(policy_record),
            "trainer.safetensors": _tensor_bytes(trainer_tensors),
            "trainer.json": _json_bytes(trainer_record),
        }
        manifest = {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in contents.items()
        }
        for name, data in [*contents.items(), (MANIFEST, _json_bytes(manifest))]:
            _write_durably(hidden / name, data)
        _flush_folder(hidden)
        os.rename(hidden, place)
        _flush_folder(folder)
    except OSError as error:
        shutil.rmtree(hidden, ignore_errors=True)
        raise RunError(
            f"could not write the checkpoint {place}: {error.strerror or error}; earlier checkpoints are kept."
        ) from error
    return place


def remove_leftovers(folder: Path) -> None:
    """Remove hidden folders and files that a killed writer left behind."""
    for path in folder.glob(f".{CHECKPOINT}*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(f".*{UNFINISHED}"):
        path.unlink(missing_ok=True)


def remove_newer(folder: Path, checkpoint: Path) -> None:
    """Remove what is newer than a checkpoint, which the run goes on from: it is damaged, and written anew when due."""
    for path in list_checkpoints(folder):
        if path.name > checkpoint.name:
            _remove(path)


def keep_checkpoints(folder: Path, newest: int, named: set[str]) -> None:
    """Remove all checkpoints except the `newest` youngest and those `named`."""
    for path in list_checkpoints(folder)[:-newest]:
        if path.name not in named:
            _remove(path)


def _remove(checkpoint: Path) -> None:
    # Renamed first: a checkpoint that is only half removed must not look complete.
    doomed = checkpoint.with_name(f".{checkpoint.name}.{os.getpid()}")
    os.rename(checkpoint, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def read_policy_files(checkpoint: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The policy's tensors and record. Raises InputError when the checkpoint is missing or damaged."""
    return _read(checkpoint, "policy")


def read_trainer_files(checkpoint: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The trainer's tensors and record. Raises InputError when the checkpoint is missing or damaged."""
    return _read(checkpoint, "trainer")


def load_policy(checkpoint: Path, spec: EnvironmentSpec | None = None) -> "Policy":
    """The policy of a checkpoint, rebuilt from its files alone, on the CPU.

    Raises:
        InputError: the checkpoint is missing or damaged, or was trained for other actions or observations than `spec`,
            if that is given.
    """
    from metta.agent.checkpoint import rebuild_policy

    tensors, record = read_policy_files(checkpoint)
    policy = rebuild_policy(tensors, record, str(checkpoint)).policy
    if spec is not None:
        check_fits(policy, spec, f"the policy in {checkpoint}")
    return policy


def check_fits(policy: "Policy", spec: EnvironmentSpec, name: str = "the policy") -> None:
    """Raise `InputError`, which calls the policy by `name`, if it was built for other actions or observations."""
    own = policy.spec.model_copy(update={name: getattr(spec, name) for name in CHOICES})
    if own != spec:
        different = next(name for name in type(spec).model_fields if getattr(own, name) != getattr(spec, name))
        raise InputError(
            f"{name} does not fit this environment: its {different} is {getattr(own, different)}, the environment's "
            f"{getattr(spec, different)}."
        )


def newest_sound(folder: Path) -> Path | None:
    """The newest checkpoint whose files are all as they were written, or None if there is no checkpoint at all.

    Raises:
        InputError: there are checkpoints, but every one is damaged.
    """
    checkpoints = list_checkpoints(folder)
    for checkpoint in reversed(checkpoints):
        if is_sound(checkpoint):
            return checkpoint
    if checkpoints:
        raise InputError(
            f"every checkpoint in {folder} is damaged ({_fault_of(checkpoints[-1])}); "
            "remove the folder to start the run again from nothing."
        )
    return None


def is_sound(checkpoint: Path) -> bool:
    """Whether all files of a checkpoint are as they were written."""
    return all(_fault(checkpoint, name) is None for name in FILES)


def _fault_of(checkpoint: Path) -> str:
    return next(fault for name in FILES if (fault := _fault(checkpoint, name)))


def _fault(checkpoint: Path, name: str) -> str | None:
    """What is wrong with one file of a checkpoint, or None."""
    try:
        expected = json.loads((checkpoint / MANIFEST).read_bytes())[name]
        data = (checkpoint / name).read_bytes()
    except (OSError, ValueError, KeyError, TypeError):
        return f"{checkpoint / name} or its manifest cannot be read"
    if len(data) != expected["bytes"]:
        return f"{checkpoint / name} has {len(data)} bytes instead of {expected['bytes']}"
    if hashlib.sha256(data).hexdigest() != expected["sha256"]:
        return f"{checkpoint / name} does not have the contents it was written with"
    return None


def _read(checkpoint: Path, part: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors.torch import load

    if not checkpoint.is_dir():
        raise InputError(f"there is no checkpoint at {checkpoint}.")
    for name in (f"{part}.safetensors", f"{part}.json"):
        if fault := _fault(checkpoint, name):
            raise InputError(f"the checkpoint is damaged: {fault}.")
    record = json.loads((checkpoint / f"{part}.json").read_bytes())
    return load((checkpoint / f"{part}.safetensors").read_bytes()), record


def _tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    from safetensors.torch import save

    return save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def _json_bytes(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        flush_to_disk(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        flush_to_disk(descriptor)
    finally:
        os.close(descriptor)
