"""Many runs: `uv run experiments/recipes/benchmark_architectures/adaptive.py --experiment-id x --local`.

Repeating a command continues it: finished runs are not repeated. `--help` explains every flag.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from experiments.recipes.benchmark_architectures.learning_rates import untuned
from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.levels import EVERY_LEVEL, LEVELS
from experiments.recipes.benchmark_architectures.planning import (
    add_forecast,
    add_replays,
    at_least,
    benchmark_study,
    call_text,
    check_forecast,
    chosen_names,
    print_forecast,
)
from metta.analysis.results import FILE_NAME, read_results
from metta.base.addresses import local_path
from metta.base.endings import report_errors
from metta.base.errors import InputError
from metta.base.flags import Parser
from metta.lab.benchmark import Benchmark
from metta.lab.bucket import Bucket, is_bucket
from metta.lab.decide import RetryPolicy
from metta.lab.executors.launcher import LAUNCHERS, BaseLauncher, launcher
from metta.lab.plan import id_part, plan
from metta.lab.study import Study


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return the exit status."""
    return report_errors(lambda: _adaptive(list(sys.argv[1:] if arguments is None else arguments)))


def _adaptive(words: list[str]) -> int:
    given = _parser().parse_intermixed_args(words)
    if given.local and given.launcher not in (None, "local"):
        raise InputError(f"--local and --launcher {given.launcher} exclude each other; give one of them.")
    for name in ("max_parallel", "jobs_per_gpu", "cpus_per_job"):
        at_least(name, getattr(given, name), 1)
    name = "local" if given.local else given.launcher or "skypilot"
    place = launcher(name, given.max_parallel, given.jobs_per_gpu, given.cpus_per_job, given.resource)
    command = call_text("adaptive.py", words)
    study = build_study(given, place, command)
    if given.dry_run:
        _print_plan(study, given, place)
        return 0
    if remark := place.remark(study.parallel):
        print(remark)
    if given.until_decided is None:
        return _execute(study, place)
    from experiments.recipes.benchmark_architectures.until_decided import further_runs

    counts = {(run.spec.architecture, run.spec.level): given.seeds_per_level for run in study.runs}
    while True:
        # Replays are written when it is known which runs there are.
        status = _execute(
            replace(study, reducer=Benchmark(given.timesteps, command, "none", untuned(ARCHITECTURES))), place
        )
        file = study.output / FILE_NAME
        more = {} if status else further_runs(file, read_results(file), counts, given.first_seed, given.until_decided)
        if not more:
            break
        counts |= more
        print(f"\nFurther seeds, where they decide: {', '.join(f'{a} on {b}: {n}' for (a, b), n in more.items())}.\n")
        study = build_study(given, place, command, counts)
    if status or given.replays == "none":
        return status
    return _execute(study, place)


def _execute(study: Study, place: BaseLauncher) -> int:
    address = study.bucket.address if study.bucket else None
    fresh = replace(study, records={}, faults={})
    return fresh.execute(place.executor(study.parallel, study.output, address))


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
        help="further seeds, in stages, for neighbours in a level's ranking that cannot be told apart, up to N per "
        "architecture and level",
    )
    add("--levels", default=EVERY_LEVEL, metavar="A,B", help="level modules (default: all)")
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
        f"(default: {RetryPolicy.silence_seconds:g}; with SkyPilot 1800)",
    )
    add("--skip-training", action="store_true", help="only evaluate the checkpoints that are there")
    add_replays(parser)
    add_forecast(parser)
    add("settings", nargs="*", metavar="key=value", help="settings for every run")
    return parser


def build_study(
    given: argparse.Namespace, place: BaseLauncher, command: str, counts: Mapping[tuple[str, str], int] | None = None
) -> Study:
    """The study that the flags ask for, every run of it checked. Raises `InputError` for a bad flag.

    Args:
        given: the flags.
        place: where jobs run.
        command: as typed.
        counts: seeds by architecture and level, where they are other than `--seeds-per-level`.
    """
    for name in ("timesteps", "seeds_per_level"):
        at_least(name, getattr(given, name), 1)
    for name in ("first_seed", "retries"):
        at_least(name, getattr(given, name), 0)
    if given.until_decided is not None:
        at_least("until_decided", given.until_decided, given.seeds_per_level)
        if given.skip_training:
            raise InputError("--until-decided trains further seeds; leave out --skip-training.")
    if given.heartbeat_timeout is not None:
        at_least("heartbeat_timeout", given.heartbeat_timeout, 30)
    check_forecast(given)
    if id_part(given.experiment_id) != given.experiment_id:
        raise InputError(f"--experiment-id {given.experiment_id!r}: use letters, digits, _ and - only.")
    architectures = chosen_names("--architectures", given.architectures, ARCHITECTURES)
    levels = chosen_names("--levels", given.levels, LEVELS)
    bucket = Bucket.open(given.results_root).below(given.experiment_id) if is_bucket(given.results_root) else None
    output = bucket.folder if bucket else local_path(given.results_root) / given.experiment_id
    most = max(counts.values()) if counts else given.seeds_per_level
    specs = [
        spec
        for spec in plan(given.experiment_id, architectures, levels, range(given.first_seed, given.first_seed + most))
        if counts is None or spec.seed - given.first_seed < counts[spec.architecture, spec.level]
    ]
    slots, threads = place.share(len(specs))
    results = Benchmark(given.timesteps, command, given.replays, untuned(ARCHITECTURES))
    policy = RetryPolicy(retries=given.retries, silence_seconds=given.heartbeat_timeout or place.silence_seconds)
    return benchmark_study(given, specs, output, results, policy, slots, threads, bucket, place.elsewhere)


def _print_plan(study: Study, given: argparse.Namespace, place: BaseLauncher) -> None:
    """The forecast, with --commands what the jobs become at their place and every command before it."""
    commands = [run.command() for run in study.runs]
    print_forecast(study, given, place.preview(commands, study.bucket.address if study.bucket else None))
    if given.until_decided is not None:
        mark = "# " if given.commands else ""
        print(f"{mark}Further seeds follow where neighbours are not told apart, up to {given.until_decided} each.")


if __name__ == "__main__":
    sys.exit(main())
