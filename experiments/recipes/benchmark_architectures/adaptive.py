"""Many runs: `uv run experiments/recipes/benchmark_architectures/adaptive.py --experiment-id x --local`.

Repeating a command continues it: finished runs are not repeated. `--help` explains every flag.
"""

import argparse
import sys
from collections.abc import Mapping

from experiments.recipes.benchmark_architectures.planning import (
    add_extent,
    add_of_benchmarks,
    benchmark_study,
    call_text,
    print_forecast,
)
from metta.analysis.results import FILE_NAME, read_results
from metta.base.addresses import local_path
from metta.base.endings import command
from metta.base.errors import InputError
from metta.base.flags import Parser, at_least
from metta.lab.bucket import Bucket, is_bucket
from metta.lab.decide import RetryPolicy
from metta.lab.executors.launcher import LAUNCHERS, BaseLauncher, launcher
from metta.lab.plan import id_part, plan
from metta.lab.study import Study


@command
def main(words: list[str]) -> int:
    """Run one command line."""
    given = _parser().parse_intermixed_args(words)
    if given.local and given.launcher not in (None, "local"):
        raise InputError(f"--local and --launcher {given.launcher} exclude each other; give one of them.")
    name = "local" if given.local else given.launcher or "skypilot"
    place = launcher(name, given.max_parallel, given.jobs_per_gpu, given.cpus_per_job, given.resource)
    counts = {(name, level): given.seeds for name in given.architectures for level in given.levels}
    command = call_text("adaptive.py", words)
    study = build_study(given, place, command, counts)
    if given.dry_run:
        _print_plan(study, given, place)
        return 0
    if remark := place.remark(study.parallel):
        print(remark)
    if given.until_decided is None:
        return _execute(study, place)
    from experiments.recipes.benchmark_architectures.until_decided import further_runs

    replays, given.replays = given.replays, "none"  # they are written when it is known which runs there are
    more: Mapping[tuple[str, str], int] = counts
    while more:
        counts |= more
        study = build_study(given, place, command, counts)
        if status := _execute(study, place):
            return status
        file = study.output / FILE_NAME
        more = further_runs(file, read_results(file), counts, given.first_seed, given.until_decided)
        if more:
            said = ", ".join(f"{name} on {level}: {number}" for (name, level), number in more.items())
            print(f"\nFurther seeds, where they decide: {said}.\n")
    given.replays = replays
    return 0 if replays == "none" else _execute(build_study(given, place, command, counts), place)


def _execute(study: Study, place: BaseLauncher) -> int:
    address = study.bucket.address if study.bucket else None
    return study.execute(place.executor(study.parallel, study.output, address))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="adaptive.py",
        description="Train every architecture on every level with every seed, many at a time, evaluate, and compare; "
        "repeating the command continues it.",
        epilog="key=value words are settings for every run, as in tools/run.py: trainer.learning_rate=0.001",
    )
    add = parser.add_argument
    add("--experiment-id", required=True, metavar="NAME", help="name of the experiment and of its folder")
    add_extent(parser, "--timesteps", "--seeds-per-level")
    add("--max-parallel", type=at_least(1), default=16, metavar="N", help="most jobs at a time")
    add(
        "--until-decided",
        type=at_least(1),
        metavar="N",
        help="further seeds, in stages, for neighbours in a level's ranking that cannot be told apart, up to N per "
        "architecture and level",
    )
    add(
        "--results-root",
        default="./train_dir",
        metavar="PLACE",
        help="folder, or address in a bucket (s3://bucket/folder), in which the experiment's folder lies "
        "(default: ./train_dir)",
    )
    add("--retries", type=at_least(0), default=2, metavar="N", help="further attempts at a run that failed")
    add("--launcher", choices=LAUNCHERS, help="where jobs run (default: skypilot)")
    add("--local", action="store_true", help="short for --launcher local: this machine")
    add("--jobs-per-gpu", type=at_least(1), default=1, metavar="N", help="with --local: jobs that share a GPU")
    add(
        "--cpus-per-job",
        type=at_least(1),
        default=4,
        metavar="N",
        help="with Slurm and SkyPilot: cores and threads of a job",
    )
    add(
        "--resource",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="may be repeated; with Slurm an option of sbatch (partition=gpu, time=<minutes>, gpus_per_node=0), with "
        "SkyPilot an entry of the task's resources (accelerators=L4:1, infra=aws, use_spot=true)",
    )
    add(
        "--heartbeat-timeout",
        type=at_least(30, float),
        metavar="S",
        help="seconds without a sign of life after which a run is ended and tried again "
        f"(default: {RetryPolicy.silence_seconds:g}; with SkyPilot 1800)",
    )
    add_of_benchmarks(parser)
    return parser


def build_study(
    given: argparse.Namespace, place: BaseLauncher, command: str, counts: Mapping[tuple[str, str], int]
) -> Study:
    """The study that the flags ask for, every run of it checked. Raises `InputError` for a bad flag.

    Args:
        given: the flags.
        place: where jobs run.
        command: as typed.
        counts: seeds by architecture and level.
    """
    if given.until_decided is not None and given.until_decided < given.seeds:
        raise InputError(f"--until-decided must be at least --seeds-per-level, {given.seeds}.")
    if given.until_decided is not None and given.skip_training:
        raise InputError("--until-decided trains further seeds; leave out --skip-training.")
    if id_part(given.experiment_id) != given.experiment_id:
        raise InputError(f"--experiment-id {given.experiment_id!r}: use letters, digits, _ and - only.")
    bucket = Bucket.open(given.results_root).below(given.experiment_id) if is_bucket(given.results_root) else None
    output = bucket.folder if bucket else local_path(given.results_root) / given.experiment_id
    seeds = range(given.first_seed, given.first_seed + max(counts.values()))
    specs = [
        spec
        for spec in plan(given.experiment_id, given.architectures, given.levels, seeds)
        if spec.seed - given.first_seed < counts[spec.architecture, spec.level]
    ]
    slots, threads = place.share(len(specs))
    policy = RetryPolicy(retries=given.retries, silence_seconds=given.heartbeat_timeout or place.silence_seconds)
    return benchmark_study(given, command, specs, output, policy, slots, threads, bucket, place.elsewhere)


def _print_plan(study: Study, given: argparse.Namespace, place: BaseLauncher) -> None:
    """The forecast, with --commands what the jobs become at their place and every command before it."""
    commands = [run.command() for run in study.runs]
    print_forecast(study, given, place.preview(commands, study.bucket.address if study.bucket else None))
    if given.until_decided is not None:
        mark = "# " if given.commands else ""
        print(f"{mark}Further seeds follow where neighbours cannot be told apart, up to {given.until_decided} each.")


if __name__ == "__main__":
    sys.exit(main())
