"""The environment variables that a job's process gets: its threads, its runner, and a place for compiled modules."""

import os
import sys
from pathlib import Path

from metta.base.stopping import RUNNER_VARIABLE

BYTECODE = Path(sys.prefix) / "bytecode"
"""Compiled modules of the jobs, where the caller wants none beside the sources: without them every job of thousands
compiles torch and numba anew, which is two thirds of the time it needs to start."""


def job_environment(threads: int) -> dict[str, str]:
    """This process's environment, changed for a job of its own.

    Args:
        threads: of the numerical libraries; 0 leaves the choice to the command.
    """
    environment = {**os.environ, RUNNER_VARIABLE: str(os.getpid())}
    if threads:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment[name] = str(threads)
    if environment.pop("PYTHONDONTWRITEBYTECODE", "") and "PYTHONPYCACHEPREFIX" not in environment:
        environment["PYTHONPYCACHEPREFIX"] = str(BYTECODE)
    return environment
