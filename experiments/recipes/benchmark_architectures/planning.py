"""From flags to a plan: what run_benchmark.py and adaptive.py share. Every run is checked before anything starts."""

import argparse
import itertools
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from experiments.recipes.benchmark_architectures.learning_rates import untuned
from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.levels import EVERY_LEVEL, PACKAGE
from experiments.recipes.benchmark_architectures.rungs import KNOWN_LEVELS
from experiments.recipes.benchmark_architectures.seeds import check_published
from metta.base.addresses import CHECKPOINTS_FOLDER, PLAYERS, REFERENCES_FOLDER, check_run_name, path_text
from metta.base.errors import InputError
from metta.base.flags import at_least, some_of
from metta.cli.main import resolve
from metta.lab.benchmark import REPLAYS, Benchmark
from metta.lab.bucket import Bucket
from metta.lab.decide import RetryPolicy
from metta.lab.evaluation_key import RULES
from metta.lab.executors.contract import command_text
from metta.lab.forecast import forecast, known_speeds
from metta.lab.identity import KnownRuns
from metta.lab.plan import RunSpec
from metta.lab.planned import PlannedReference, PlannedRun
from metta.lab.run_folder import RunFolder
from metta.lab.study import Study
from metta.lab.training import TrainJob


def call_text(script: str, words: Sequence[str]) -> str:
    """The call of a script of this folder as a user would type it."""
    return shlex.join(["uv", "run", f"{PACKAGE.replace('.', '/')}/{script}", *words])


def print_commands(runs: Iterable[PlannedRun]) -> None:
    """Every run's command as it can be typed."""
    for run in runs:
        print(command_text(run.words))


def add_extent(
    parser: argparse.ArgumentParser,
    steps: str,
    seeds: str,
    first_seed: str = "",
    architectures: Iterable[str] = ARCHITECTURES,
) -> None:
    """The flags that say which runs, whatever those of steps and seeds are called.

    `architectures` are those that may be named, without a flag where there are none; `first_seed` is further help.
    """
    add = parser.add_argument
    known = list(architectures)
    if known:
        add(
            "--architectures", type=some_of(known), default=",".join(known), metavar="A,B", help="keys of ARCHITECTURES"
        )
    add("--levels", type=some_of(KNOWN_LEVELS), default=EVERY_LEVEL, metavar="A,B", help="level modules")
    add(steps, dest="timesteps", type=at_least(1), default=1_000_000, metavar="N", help="agent-steps per run")
    add(seeds, dest="seeds", type=at_least(1), default=3, metavar="N", help="seeds per architecture and level")
    add("--first-seed", type=at_least(0), default=0, metavar="N", help=f"seeds are N, N+1, ...{first_seed}")
    add("settings", nargs="*", metavar="key=value", help="settings for every run")


def add_of_benchmarks(parser: argparse.ArgumentParser) -> None:
    """The flags of a benchmark that every command for one has, those of a forecast included."""
    add = parser.add_argument
    add("--skip-training", action="store_true", help="only evaluate the checkpoints that are there")
    add(
        "--replays",
        choices=REPLAYS,
        default="all",
        help="replays to write at the end, of each architecture on each level: none, of the best episode, or of the "
        "best and the median one; `python -m metta.lab.replays` writes them later",
    )
    add("--dry-run", action="store_true", help="forecast runs, time, disk and cost; nothing is run or written")
    add("--commands", action="store_true", help="with --dry-run: also print every command as it can be typed")
    add(
        "--steps-per-second",
        type=at_least(1e-9, float),
        metavar="X",
        help="for the forecast: agent-steps per second of one job (default: as in earlier runs on this machine in or "
        "beside the output folder, otherwise the speeds in docs/architectures.md scaled to this machine)",
    )
    add(
        "--price-per-hour",
        type=at_least(1e-9, float),
        metavar="X",
        help="for the forecast: price of running one job for an hour",
    )


def print_forecast(study: Study, given: argparse.Namespace, first: Iterable[str] = ()) -> None:
    """The forecast; with --commands after `first` and every command as it can be typed, as comments of the shell."""
    if given.commands:
        for line in first:
            print(line)
        print_commands(study.runs)
    speeds = known_speeds(study.output.parent, study.runs[0].threads)
    expected = forecast(study.runs, study.parallel, speeds, given.steps_per_second)
    sentences = expected.sentences(study.parallel, given.price_per_hour, study.output)
    if not given.commands:
        sentences.append("--commands also prints every command as it can be typed")
    for sentence in [f"{len(study.runs)} runs in {study.output}", *sentences]:
        print(f"# {sentence}" if given.commands else sentence)


def benchmark_study(
    given: argparse.Namespace,
    command: str,
    specs: Sequence[RunSpec],
    output: Path,
    policy: RetryPolicy,
    parallel: int,
    threads: int,
    bucket: Bucket | None = None,
    elsewhere: bool = False,
) -> Study:
    """The study that makes a benchmark of these runs, each checked. Raises `InputError`.

    Arguments as of `Study` and `PlannedRun`; `given` are the flags. Threads are a run's own: what the settings say, or
    what the runs that are there have, so that they can be continued with another number of jobs at a time, or by the
    other command; `threads` where neither says anything, 0 leaving the choice to the run.
    """
    if not given.dry_run:
        for flag in ("commands", "steps_per_second", "price_per_hour"):
            if getattr(given, flag):
                raise InputError(f"--{flag.replace('_', '-')} is for what --dry-run prints; give --dry-run, too.")
    settings = [f"trainer.total_timesteps={given.timesteps}", *given.settings]
    if any(word.startswith("system.threads=") for word in settings):
        threads = 0
    else:
        known = KnownRuns(output).threads
        threads = threads if known is None else known
        settings += [f"system.threads={threads}"] if threads else []
    train = not given.skip_training
    runs = planned_runs(specs, output, settings, bucket, train, threads=threads, elsewhere=elsewhere)
    check_published(run.job.config for run in runs)
    references = planned_references(list(dict.fromkeys(spec.level for spec in specs)), output, settings, threads)
    results = Benchmark(given.timesteps, command, given.replays, untuned(ARCHITECTURES))
    return Study(output, runs, references, results, policy, parallel, bucket)


def planned_runs(
    specs: Sequence[RunSpec],
    output: Path,
    settings: Sequence[str],
    bucket: Bucket | None = None,
    train: bool = True,
    first_number: int = 1,
    **further: Any,
) -> list[PlannedRun]:
    """The commands of these runs, resolved once per architecture and level.

    A run that is there already under another name keeps it: what it is its settings say.

    Args:
        specs: the plan, in order.
        output: folder in which the run folders lie.
        settings: key=value words for every run.
        bucket: whose local folder `output` is, if any.
        train: False: only what is there is evaluated.
        first_number: of the runs in their study.
        further: fields of `PlannedRun` that are the same for all.
    """
    if any(word.startswith("evaluate=") for word in settings):
        raise InputError("evaluate cannot be set: these commands evaluate every run.")
    if sum(word.startswith("trainer.total_timesteps=") for word in settings) > 1:
        raise InputError("trainer.total_timesteps is set by a flag for all runs alike (--help names it).")
    jobs: dict[tuple[str, str], TrainJob] = {}
    known = KnownRuns(output, elsewhere=bucket is None)
    runs = []
    for number, spec in enumerate(specs, start=first_number):
        job = jobs.get((spec.architecture, spec.level))
        if job is None:
            place = bucket.address if bucket else path_text(output)
            found = resolve(_train_words(spec, spec.id, place, settings))
            assert isinstance(found, TrainJob)
            job = jobs[spec.architecture, spec.level] = found
        config = job.config.model_copy(update={"run": check_run_name(spec.id), "seed": spec.seed})
        folder = known.folder_of(spec.key, spec.id, config.model_dump(mode="json"), train).path
        place = bucket.address if bucket else path_text(folder.parent)
        # Its file is named, because evaluations with other settings than the run's own would go to another one.
        evaluate = (
            *(f"{PACKAGE}.{spec.level}.evaluate", f"policy_uri={place}/{folder.name}/{CHECKPOINTS_FOLDER}"),
            *(f"output={path_text(RunFolder(folder).evaluation_file)}", *_evaluation_settings(settings)),
        )
        runs.append(
            PlannedRun(
                number,
                spec,
                TrainJob.of(config.model_copy(update={"run": folder.name}), place, job.evaluate, job.wandb),
                _train_words(spec, folder.name, place, settings),
                evaluate,
                train,
                bucket=bucket.below(folder.name) if bucket else None,
                **further,
            )
        )
    return runs


def _train_words(spec: RunSpec, name: str, place: str, settings: Sequence[str]) -> tuple[str, ...]:
    """The training command of a run that is called `name` and lies in the folder, or bucket, `place`."""
    own = (f"run={name}", f"arch_type={spec.architecture}", f"seed={spec.seed}", f"train_dir={place}")
    return (f"{PACKAGE}.{spec.level}.train", *own, *settings)


def planned_references(
    levels: Sequence[str], output: Path, settings: Sequence[str], threads: int
) -> list[PlannedReference]:
    """The evaluations of the reference players on these levels."""
    found = []
    for level, player in itertools.product(levels, PLAYERS):
        file = output / REFERENCES_FOLDER / f"{level}.{player}.json"
        own = (f"policy_uri={player}", f"output={path_text(file)}")
        words = (f"{PACKAGE}.{level}.evaluate", *own, *_evaluation_settings(settings))
        rules = resolve(words).config.model_dump(mode="json", include=set(RULES))
        found.append(PlannedReference(player, level, file, words, rules, threads))
    return found


def _evaluation_settings(settings: Sequence[str]) -> list[str]:
    """Those settings that an evaluation has, too."""
    return [word for word in settings if word.startswith(("evaluation.", "evaluation_environments.", "system."))]
