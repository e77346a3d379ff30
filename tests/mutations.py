"""Breaks the simulator on purpose, one line at a time, and checks that its tests notice.

    uv run python -m tests.mutations [--list] [--only WORD ...] [--jobs N]

Each mutation is applied alone to a temporary copy of the repository's metta/ and tests/; the simulator's tests must
then fail there ("killed"). Prints one line per mutation. Exit status 1 if one survives, 2 if a mutation's old text is
not in the source exactly once or if the tests fail without any mutation. Every copy compiles its kernels anew, which
is most of the time a mutation takes.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
TESTS = ("tests/sim/test_twin.py", "tests/sim/test_properties.py")
TIME_LIMIT = 600  # seconds; tests that hang count as failed


@dataclass(frozen=True)
class Mutation:
    """One line made wrong: `old`, which stands exactly once in metta/sim/`file`, becomes `new`."""

    topic: str
    file: str
    old: str
    new: str

    @property
    def source(self) -> Path:
        """Path relative to the repository."""
        return Path("metta/sim") / self.file

    def __str__(self) -> str:
        return f"{self.topic}: {self.file}: {self.old.strip()!r} -> {self.new.strip()!r}"


MUTATIONS: tuple[Mutation, ...] = ()


def misfits(mutations: Sequence[Mutation], root: Path) -> list[str]:
    """One sentence per mutation that does not fit the sources under `root`."""
    sentences = []
    for mutation in mutations:
        path = root / mutation.source
        count = path.read_text().count(mutation.old) if path.exists() else 0
        if count != 1:
            sentences.append(f"{mutation.source} holds {mutation.old.strip()!r} {count} times instead of once.")
        if mutation.old == mutation.new:
            sentences.append(f"{mutation.source}: {mutation.old.strip()!r} is not changed.")
    return sentences


def copy_repository(target: Path) -> None:
    """The parts that the tests need, without anything compiled."""
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "metta", target / "metta", ignore=without)
    shutil.copytree(REPOSITORY / "tests", target / "tests", ignore=without)
    shutil.copy2(REPOSITORY / "pyproject.toml", target)


def run_tests(root: Path) -> tuple[bool, str]:
    """Whether the simulator's tests pass in the copy at `root`, and the line that says why not."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    environment.pop("NUMBA_CACHE_DIR", None)
    where = subprocess.run(
        [sys.executable, "-c", "import metta; print(metta.__file__)"],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if not Path(where).resolve().is_relative_to(root.resolve()):
        raise SystemExit(f"the copy's tests would import {where}, not the copy")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider"]
    command += ["-m", "not slow", *TESTS]
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=TIME_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"no end within {TIME_LIMIT} s"
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return done.returncode == 0, lines[0].split(" - ")[0] if lines else f"exit status {done.returncode}"


def try_mutation(mutation: Mutation | None) -> tuple[bool, str, float]:
    """Whether the tests pass with this mutation (None: without any), why not, and the seconds it took."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        root = Path(folder)
        copy_repository(root)
        if mutation is not None:
            path = root / mutation.source
            path.write_text(path.read_text().replace(mutation.old, mutation.new))
        passed, reason = run_tests(root)
    return passed, reason, time.monotonic() - start


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print the mutations and check that they fit, run nothing")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="only mutations whose description has one of these")
    parser.add_argument("--jobs", type=int, default=1, help="mutations tried at the same time (default 1)")
    options = parser.parse_args(arguments)
    chosen = [m for m in MUTATIONS if not options.only or any(word in str(m) for word in options.only)]
    problems = misfits(chosen, REPOSITORY)
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(str(mutation) for mutation in chosen))
        return 0
    passed, reason, seconds = try_mutation(None)
    if not passed:
        print(f"The tests fail without any mutation ({reason}); nothing can be learnt from mutations.", file=sys.stderr)
        return 2
    print(f"unchanged  {seconds:4.0f} s  all tests pass", flush=True)
    survivors = 0
    with ThreadPoolExecutor(max(1, options.jobs)) as pool:
        for mutation, (passed, reason, seconds) in zip(chosen, pool.map(try_mutation, chosen), strict=True):
            survivors += passed
            verdict = "SURVIVED" if passed else "killed"
            print(f"{verdict:9s}  {seconds:4.0f} s  {mutation}{'' if passed else f'  [{reason}]'}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutations killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
