"""Many runs: `uv run experiments/recipes/benchmark_architectures/adaptive.py --experiment-id x --local`.

Repeating a command continues it: finished runs are not repeated. `--help` explains every flag.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from experiments.recipes.benchmark_architectures.launchers import LAUNCHERS, dispatcher, resources, tasks_as_yaml
from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.planning import (
    LEVELS,
    add_replays,
    at_least,
    call_text,
    chosen_names,
    planned_references,
    planned_runs,
    print_commands,
    with_threads,
)
from experiments.recipes.benchmark_architectures.seeds import check_published
from metta.analysis.results import read_results
from metta.base.addresses import local_path
from metta.base.endings import report_errors
from metta.base.errors import InputError
from metta.base.flags import Parser
from metta.lab.benchmark import Benchmark
from metta.lab.bucket import Bucket, is_bucket
from metta.lab.decide import Rules
from metta.lab.dispatch.local import visible_gpus
from metta.lab.forecast import forecast, measured_speeds
from metta.lab.plan import id_part, plan
from metta.lab.provenance import cores

SKYPILOT_SILENCE = 1800.0
"""Seconds: SkyPilot calls a job running while its machine is still being set up."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return the exit status."""
    return report_errors(lambda: _adaptive(list(sys.argv[1:] if arguments is None else arguments)))


def _adaptive(words: list[str]) -> int:
    given = _parser().parse_intermixed_args(words)
    launcher = "local" if given.local else given.launcher
    if given.local and given.launcher not in (None, "local"):
        raise InputError(f"--local and --launcher {given.launcher} exclude each other; give one of them.")
    launcher = launcher or "skypilot"
    chosen = resources(launcher, given.resource)
    gpus = visible_gpus() if launcher == "local" else []
    command = call_text("adaptive.py", words)
    benchmark = build_benchmark(given, launcher, gpus, command)
    if given.dry_run:
        if launcher == "skypilot":
            _print_tasks(benchmark, given.cpus_per_job, chosen)
        _print_plan(benchmark, given)
        if given.until_decided is not None:
            print(f"# Further seeds follow where neighbours are not told apart, up to {given.until_decided} each.")
        return 0
    if launcher == "local" and benchmark.parallel < given.max_parallel:
        what = f"{len(gpus)} GPUs" if gpus else f"{cores()} cores"
        print(f"{benchmark.parallel} jobs at a time, because this machine has {what}.")
    if given.until_decided is None:
        return benchmark.execute(dispatcher(launcher, benchmark, gpus, given.cpus_per_job, chosen))
    from experiments.recipes.benchmark_architectures.until_decided import further_runs

    counts = {(run.spec.architecture, run.spec.level): given.seeds_per_level for run in benchmark.runs}
    while True:
        now = replace(benchmark, replays="none")  # they are written when it is known which runs there are
        status = now.execute(dispatcher(launcher, now, gpus, given.cpus_per_job, chosen))
        file = now.results_file
        more = {} if status else further_runs(file, read_results(file), counts, given.first_seed, given.until_decided)
        if not more:
            break
        counts |= more
        print(f"\nFurther seeds, where they decide: {', '.join(f'{a} on {b}: {n}' for (a, b), n in more.items())}.\n")
        benchmark = build_benchmark(given, launcher, gpus, command, counts)
    if status or given.replays == "none":
        return status
    return benchmark.execute(dispatcher(launcher, benchmark, gpus, given.cpus_per_job, chosen))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="adaptive.py",
        description="Train every architecture on every level with every seed, many at a time, evaluate, and compare; "
        "repeating the command continues it.",
        epilog="key=value words are settings for every run, as in tools/run.py: trainer.learning_rate=0.001",
    )
    add = parser.add_argument
    add("--experiment-id", required=True, metavar="NAME", help="name of the experiment and of its folder")
    add("--timesteps", type=int, default=1_000_000, metavar="N", help="agent-steps per run (default: 1000000)")
    add("--max-parallel", type=int, default=16, metavar="N", help="jobs at a time, at most (default: 16 = 4 x 4 GPUs)")
    add("--seeds-per-level", type=int, default=3, metavar="N", help="seeds per architecture and level (default: 3)")
    add("--first-seed", type=int, default=0, metavar="N", help="seeds are N, N+1, ... (default: 0)")
    add(
        "--until-decided",
        type=int,
        metavar="N",
        help="then further seeds, in stages, for neighbours in a level's ranking that are not told apart, up to N per "
        "architecture and level",
    )
    add("--levels", default=",".join(LEVELS), metavar="A,B", help="level modules (default: all)")
    add("--architectures", default="", metavar="A,B", help="keys of ARCHITECTURES (default: all)")
    add(
        "--results-root",
        default="./train_dir",
        metavar="PLACE",
        help="folder, or address in a bucket (s3://bucket/folder), in which the experiment's folder lies "
        "(default: ./train_dir)",
    )
    add("--retries", type=int, default=2, metavar="N", help="further tries of a run that failed (default: 2)")
    add("--launcher", choices=LAUNCHERS, help="where jobs run (default: skypilot)")
    add("--local", action="store_true", help="short for --launcher local: this machine")
    add("--jobs-per-gpu", type=int, default=1, metavar="N", help="with --local: jobs that share a GPU (default: 1)")
    add("--cpus-per-job", type=int, default=4, metavar="N", help="elsewhere: cores, and threads, of a job (default: 4)")
    add(
        "--resource",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="elsewhere, may be repeated: an option of sbatch (partition=gpu, time=600 minutes, gpus_per_node=0) or an "
        "entry of a SkyPilot task's resources (accelerators=L4:1, infra=aws, use_spot=true)",
    )
    add(
        "--heartbeat-timeout",
        type=float,
        metavar="S",
        help="seconds without a sign of life after which a run is ended and tried again "
        f"(default: {Rules.silence_seconds:g}; with SkyPilot {SKYPILOT_SILENCE:g})",
    )
    add("--skip-training", action="store_true", help="only evaluate the checkpoints that are there")
    add_replays(parser)
    add("--dry-run", action="store_true", help="print commands and a forecast of time and cost; nothing is run")
    add(
        "--steps-per-second",
        type=float,
        metavar="X",
        help="for the forecast: agent-steps per second and job (default: as measured in the runs in --results-root)",
    )
    add("--price-per-hour", type=float, metavar="X", help="for the forecast: price of one job's place for an hour")
    add("settings", nargs="*", metavar="key=value", help="settings for every run")
    return parser


def build_benchmark(
    given: argparse.Namespace,
    launcher: str,
    gpus: Sequence[str],
    command: str,
    counts: Mapping[tuple[str, str], int] | None = None,
) -> Benchmark:
    """The benchmark that the flags ask for, every run of it checked. Raises `InputError` for a bad flag.

    Args:
        given: the flags.
        launcher: where jobs run.
        gpus: of this machine, with launcher local.
        command: as typed.
        counts: seeds by architecture and level, where they are other than `--seeds-per-level`.
    """
    for name in ("timesteps", "max_parallel", "seeds_per_level", "jobs_per_gpu", "cpus_per_job"):
        at_least(name, getattr(given, name), 1)
    for name in ("first_seed", "retries"):
        at_least(name, getattr(given, name), 0)
    if given.until_decided is not None:
        at_least("until_decided", given.until_decided, given.seeds_per_level)
        if given.skip_training:
            raise InputError("--until-decided trains further seeds; leave out --skip-training.")
    if given.heartbeat_timeout is not None:
        at_least("heartbeat_timeout", given.heartbeat_timeout, 30)
    for name in ("steps_per_second", "price_per_hour"):
        if getattr(given, name) is not None:
            at_least(name, getattr(given, name), 1e-9)
    if id_part(given.experiment_id) != given.experiment_id:
        raise InputError(f"--experiment-id {given.experiment_id!r}: use letters, digits, _ and - only.")
    names = list(ARCHITECTURES)
    architectures = chosen_names("--architectures", given.architectures or ",".join(names), names)
    levels = chosen_names("--levels", given.levels, LEVELS)
    bucket = None
    if is_bucket(given.results_root):
        bucket = Bucket.open(given.results_root).below(given.experiment_id)
    output = bucket.folder if bucket else local_path(given.results_root) / given.experiment_id
    seeds = range(given.first_seed, given.first_seed + given.seeds_per_level)
    specs = plan(given.experiment_id, architectures, levels, seeds)
    if counts is not None:
        every = range(given.first_seed, given.first_seed + max(counts.values()))
        specs = [
            spec
            for spec in plan(given.experiment_id, architectures, levels, every)
            if spec.seed - given.first_seed < counts[spec.architecture, spec.level]
        ]

    settings = [f"trainer.total_timesteps={given.timesteps}", *given.settings]
    slots = given.max_parallel
    if launcher == "local":
        places = len(gpus) * given.jobs_per_gpu if gpus else cores()
        slots = min(slots, places, len(specs))
        threads, settings = with_threads(settings, output, max(1, cores() // slots))
    else:
        slots = min(slots, len(specs))
        threads = given.cpus_per_job
        settings.append(f"system.threads={threads}")
    runs = planned_runs(specs, output, settings, bucket.address if bucket else None, not given.skip_training)
    check_published(run.job.config for run in runs)
    if bucket:
        elsewhere = launcher == "skypilot"
        runs = [replace(run, bucket=bucket.below(run.folder.path.name), elsewhere=elsewhere) for run in runs]
    silence = given.heartbeat_timeout or (SKYPILOT_SILENCE if launcher == "skypilot" else Rules.silence_seconds)
    return Benchmark(
        output=output,
        runs=runs,
        references=planned_references(levels, output, settings),
        max_timesteps=given.timesteps,
        parallel=slots,
        threads=threads,
        train=not given.skip_training,
        command=command,
        rules=Rules(retries=given.retries, silence_seconds=silence),
        split=True,
        replays=given.replays,
        bucket=bucket,
    )


def _print_tasks(benchmark: Benchmark, cpus: int, chosen: Mapping[str, Any]) -> None:
    """The tasks for SkyPilot as comments, so that the commands below them stay a script."""
    try:
        documents = tasks_as_yaml(benchmark, cpus, chosen)
    except InputError as error:
        print(f"# no SkyPilot tasks: {error}")
        return
    for document in documents:
        for line in ["---", *document.splitlines()]:
            print(f"#| {line}")


def _print_plan(benchmark: Benchmark, given: argparse.Namespace) -> None:
    """Every command as it can be typed, then the forecast as comments of the shell."""
    print_commands(benchmark.runs, benchmark.train)
    speeds = measured_speeds(benchmark.output.parent, benchmark.threads)
    expected = forecast(benchmark.runs, benchmark.parallel, speeds, given.steps_per_second)
    print(f"# {len(benchmark.runs)} runs in {benchmark.output}")
    for sentence in expected.sentences(benchmark.parallel, given.price_per_hour):
        print(f"# {sentence}")
    if expected.unknown:
        missing = ",".join(expected.unknown)
        measure = ["--experiment-id", "speed", "--architectures", missing, "--timesteps", "50000"]
        measure += ["--levels", "level_1_basic", "--seeds-per-level", "1", "--local"]
        measure += ["--max-parallel", str(benchmark.parallel), "--results-root", given.results_root]
        print(f"# give --steps-per-second, or measure with: {call_text('adaptive.py', measure)}")


if __name__ == "__main__":
    sys.exit(main())
