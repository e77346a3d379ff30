"""The numerical core: the code that the numbers of a run depend on, and its mark at any commit of the repository."""

import functools
import hashlib
from fnmatch import fnmatch

from metta.base.errors import InputError
from metta.base.provenance import git

RECIPES = "experiments/recipes/benchmark_architectures/"
CORE = ("metta/sim", "metta/agent", "metta/rl", RECIPES)
"""Folders of the core, from the root of the repository; of the recipes only the following."""
RECIPES_OF_THE_CORE = ("level.py", "level_*.py", "learning_rates.py")


@functools.cache
def core_mark(commit: str) -> str:
    """The same for commits whose core is the same, in hexadecimal digits. Raises `InputError` for an unknown commit."""
    listed = git("ls-tree", commit, "--", *CORE)
    if not listed:
        raise InputError(f"commit {commit!r} is not in this repository: fetch it, so that its core can be compared.")
    lines = [line for line in listed.splitlines() if _is_of_the_core(line.rpartition("\t")[2])]
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


def _is_of_the_core(path: str) -> bool:
    return not path.startswith(RECIPES) or any(fnmatch(path[len(RECIPES) :], name) for name in RECIPES_OF_THE_CORE)
