"""Where adaptive.py's jobs run: the dispatcher that --launcher, --cpus-per-job and --resource ask for."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from metta.base.errors import InputError
from metta.lab.benchmark import Benchmark
from metta.lab.decide import Rank
from metta.lab.dispatch.contract import Dispatcher
from metta.lab.dispatch.local import LocalDispatcher

NO_BUCKET = (
    "--launcher skypilot needs --results-root in a bucket that all machines reach, such as s3://bucket/folder; for "
    "this machine give --local."
)
LAUNCHERS = ("local", "skypilot", "slurm")


def resources(launcher: str, words: Sequence[str]) -> dict[str, Any]:
    """What --resource asks for; values are JSON where they can be read as such, else text.

    Raises:
        InputError: a word is not key=value, is given twice, or the launcher has no resources to choose.
    """
    if words and launcher == "local":
        raise InputError("--resource is for --launcher slurm and --launcher skypilot; jobs on this machine share it.")
    found: dict[str, Any] = {}
    for word in words:
        name, separator, text = word.partition("=")
        name = name.strip().replace("-", "_")
        if not separator or not name.isidentifier() or not text.strip():
            raise InputError(f"--resource {word!r} is not KEY=VALUE, such as partition=gpu or use_spot=true.")
        if name in found:
            raise InputError(f"--resource {name} is given twice.")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text.strip()
    if launcher == "slurm" and not (isinstance(found.get("time", 1), int) and found.get("time", 1) >= 1):
        raise InputError(f"--resource time={found['time']} must be a whole number of minutes, at least 1.")
    return found


def tasks_as_yaml(benchmark: Benchmark, cpus: int, chosen: Mapping[str, Any]) -> list[str]:
    """The SkyPilot tasks of all runs, each as a document that SkyPilot has read and found valid.

    Raises:
        InputError: SkyPilot is missing or refuses a task, or the results would stay on the machines.
    """
    from metta.lab.dispatch.skypilot import as_yaml, check_available, task_record

    check_available()
    if benchmark.bucket is None:
        raise InputError(NO_BUCKET)
    rank = Rank.TRAIN if benchmark.train else Rank.EVALUATE
    commands = [task.command(rank) for task in benchmark.run_tasks()]
    return [as_yaml(task_record(command, benchmark.bucket.address, cpus, chosen)) for command in commands]


def dispatcher(
    launcher: str, benchmark: Benchmark, gpus: Sequence[str], cpus: int, chosen: Mapping[str, Any]
) -> Dispatcher:
    """The place where the jobs of a benchmark run.

    Args:
        launcher: one of `LAUNCHERS`.
        benchmark: what is to be done.
        gpus: this machine's, for jobs on this machine.
        cpus: processor cores per job elsewhere.
        chosen: as `resources` returns.

    Raises:
        InputError: something is missing for the launcher; the sentence says what to install or to set.
    """
    if launcher == "slurm":
        from metta.lab.dispatch.slurm import SlurmDispatcher

        return SlurmDispatcher(benchmark.parallel, benchmark.output, cpus, chosen)
    if launcher == "skypilot":
        from metta.lab.dispatch.skypilot import SkyPilotDispatcher, check_available
        from metta.lab.dispatch.split import SplitDispatcher

        check_available()
        if benchmark.bucket is None:
            raise InputError(NO_BUCKET)
        far = SkyPilotDispatcher(benchmark.parallel, benchmark.bucket.address, cpus, chosen)
        here = {reference.name for reference in benchmark.references}
        return SplitDispatcher(far, LocalDispatcher(1), here)
    return LocalDispatcher(benchmark.parallel, gpus)
