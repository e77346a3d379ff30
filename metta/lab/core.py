"""The numerical core: the code that the numbers of a run depend on, and its mark at any commit of the repository."""

import functools
import hashlib
import subprocess

from metta.base.errors import InputError
from metta.lab.provenance import REPOSITORY

RECIPES = "experiments/recipes/benchmark_architectures"
CORE = (
    *("metta/sim", "metta/agent", "metta/rl"),
    *(f"{RECIPES}/{name}.py" for name in ("level", "learning_rates")),
    *(f"{RECIPES}/level_{name}.py" for name in ("1_basic", "2_easy", "3_medium", "4_hard", "5_expert")),
)
"""Files and folders of the core, from the root of the repository."""


@functools.cache
def core_mark(commit: str) -> str:
    """The same for commits whose core is the same, in hexadecimal digits. Raises `InputError` for an unknown commit."""
    command = ["git", "-C", str(REPOSITORY), "ls-tree", commit, "--", *CORE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not done.stdout:
        raise InputError(f"commit {commit!r} is not in this repository: fetch it, so that its core can be compared.")
    return hashlib.blake2b(done.stdout.encode(), digest_size=8).hexdigest()
