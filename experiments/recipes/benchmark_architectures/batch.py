"""As many runs as fit into a given time, packed into one small archive: on a GPU, on CPU cores, or on both at once.

    uv run experiments/recipes/benchmark_architectures/batch.py PLAN --archive runs.tar.gz --minutes 60 --cpu-jobs 2

PLAN is a text file with a run on each line, in the order in which they are to be done (`#` starts a comment):

    fast level_1_basic 0 trainer.total_timesteps=1000000
    vit level_2_easy 3 experiment=wide policy.width=128 on=cpu

A line is architecture, level, seed, and settings as in tools/run.py. `experiment=` tells apart runs that differ only in
settings. With `--at-once K` the runs train K at a time in this process, side by side on its GPU, and are evaluated on
CPU cores; runs with `on=cpu`, and all runs without `--at-once`, are one-thread processes, `--cpu-jobs` at a time. No
run starts that would not end in time, judging by the speed of those that have ended; runs that are unfinished when the
time is up are stopped and kept. The archive is valid at every moment. The same command continues: runs that are
finished in the archive or in `--work` are not repeated, and stopped ones continue from their checkpoints. Settings
after the flags go to every run.
"""

import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from experiments.recipes.benchmark_architectures.planning import planned_runs
from metta.base import output
from metta.base.addresses import local_path
from metta.base.endings import command
from metta.base.errors import InputError
from metta.base.files import locked, make_folder, reason
from metta.base.flags import Parser, at_least
from metta.base.provenance import cores, now
from metta.base.stopping import continued_when_repeated, interruptible, stop_this_process
from metta.lab.batch import TRAINED_ON_ONE_CORE, Batch, BatchRun, Place
from metta.lab.plan import RunSpec


def read_plan(lines: Iterable[str], work: Path, settings: Sequence[str], gpu: bool) -> list[BatchRun]:
    """The runs of a plan file, each checked.

    Args:
        lines: of the file.
        work: folder of the run folders.
        settings: key=value words for every run; those of its line come after them.
        gpu: whether runs without `on=cpu` train in this process.

    Raises:
        InputError: a line is none, names what does not exist, or repeats the name of an earlier run.
    """
    runs: list[BatchRun] = []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) < 3 or not words[2].isdigit():
            raise InputError(f"line {number} of the plan must be ARCHITECTURE LEVEL SEED [key=value ...]: {line!r}.")
        own = [word for word in words[3:] if word != "on=cpu" and not word.startswith("experiment=")]
        place: Place = "gpu" if gpu and "on=cpu" not in words else "cpu"
        experiment = next((word.split("=", 1)[1] for word in words if word.startswith("experiment=")), "batch")
        spec = RunSpec.parse({"experiment": experiment, "architecture": words[0], "level": words[1], "seed": words[2]})
        if place == "cpu" and gpu:  # beside the same run on the GPU
            spec = spec.model_copy(update={"experiment": f"{experiment}-cpu"})
        if any(run.planned.spec == spec for run in runs):
            raise InputError(f"line {number} of the plan repeats {spec.id}; give one of them experiment=<name>.")
        every = [*settings, *own, *(TRAINED_ON_ONE_CORE if place == "cpu" else ())]
        latest = {word.split("=")[0]: word for word in every}
        try:
            (planned,) = planned_runs([spec], work, list(latest.values()))
        except InputError as error:
            raise InputError(f"line {number} of the plan: {error}") from None
        runs.append(BatchRun(planned, place))
    if not runs:
        raise InputError("the plan names no run.")
    return runs


@command
def main(words: list[str]) -> int:
    """Returns 1 if a run failed, 130 when it was asked to stop."""
    parser = Parser("batch.py", str(__doc__))
    parser.add_argument("plan", type=local_path, help="file with a run on each line")
    parser.add_argument("--archive", type=local_path, required=True, help="the archive to write or continue (.tar.gz)")
    parser.add_argument("--work", type=local_path, default=Path("train_dir/batch"), help="folder for the run folders")
    parser.add_argument("--minutes", type=at_least(0, float), default=60.0, help="time limit for everything")
    parser.add_argument(
        "--at-once", type=at_least(0), default=0, help="runs that train side by side in this process; 0: none do"
    )
    parser.add_argument(
        "--cpu-jobs", type=at_least(0), default=cores(), help="one-thread processes at a time (default: all cores)"
    )
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings for every run")
    given = parser.parse_intermixed_args(words)
    deadline = time.monotonic() + 60 * given.minutes
    try:
        lines = given.plan.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"cannot read {given.plan}: {reason(error)}.") from None
    except UnicodeDecodeError:
        raise InputError(f"cannot read {given.plan}: it is not text.") from None
    runs = read_plan(lines, given.work, given.settings, gpu=given.at_once > 0)
    make_folder(given.work)
    make_folder(given.archive.parent)

    def say(line: str) -> None:
        try:
            output.say(f"{now()} {line}")
        except BrokenPipeError:
            stop_this_process()

    lock = given.archive.with_name(f".{given.archive.name}.lock")
    with locked(lock, f"the archive {given.archive}"):
        batch = Batch(runs, given.archive, deadline, given.at_once, given.cpu_jobs, say)
        with continued_when_repeated(), interruptible():
            batch.execute()
    return 1 if any(run.state == "failed" for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
