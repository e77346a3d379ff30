"""Where a result comes from: code version, package versions, machine and command, as plain data."""

import functools
import hashlib
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numba", "numpy", "pydantic", "gymnasium", "pettingzoo", "safetensors")
REPOSITORY = Path(__file__).resolve().parents[2]


def now() -> str:
    """The time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def provenance() -> dict[str, Any]:
    """Everything about this process that a reader of its results may ask for."""
    return {
        "time": now(),
        "command": sys.argv,
        "code": code_version(),
        "packages": {name: _package_version(name) for name in PACKAGES},
        "machine": machine(),
    }


@functools.cache
def code_version() -> dict[str, Any]:
    """Git commit and whether tracked files differ from it (null outside git), and a hash of the source itself.

    Taken once per process: what runs is what was imported.
    """
    return {
        "version": _package_version("metta-architecture-benchmark"),
        "commit": git("rev-parse", "HEAD"),
        "modified": None
        if (changes := git("status", "--porcelain", "--untracked-files=no")) is None
        else bool(changes),
        "source_sha256": _source_hash(),
    }


@functools.cache
def machine() -> dict[str, Any]:
    """Processor, cores given to this process, memory in GiB, graphics cards, system and Python."""
    gpus = [path.read_text() for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))]
    return {
        "processor": _field(Path("/proc/cpuinfo"), "model name") or platform.processor() or platform.machine(),
        "cores": cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpus": [line.split(":", 1)[1].strip() for text in gpus for line in text.splitlines() if "Model" in line],
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _package_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def git(*arguments: str) -> str | None:
    """What git says in the repository; None where there is no git, or it refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", str(REPOSITORY), *arguments], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _source_hash() -> str:
    """SHA-256 over the Python files of metta and experiments, in path order."""
    digest = hashlib.sha256()
    files = [path for package in ("metta", "experiments") for path in (REPOSITORY / package).rglob("*.py")]
    for path in sorted(files):
        digest.update(f"{path.relative_to(REPOSITORY)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _field(path: Path, name: str) -> str | None:
    if not path.exists():
        return None
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return line.split(":", 1)[1].strip()
    return None
