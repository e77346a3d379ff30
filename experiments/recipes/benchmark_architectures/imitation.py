"""The imitation probe: `uv run experiments/recipes/benchmark_architectures/imitation.py --architectures fast,gtrxl`.

Every architecture learns to imitate the reflex player in one pass over the samples, and is examined on the held-out
episodes. Repeating a command makes only the records that are missing.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.levels import FIRST_LEVEL, LEVELS, PACKAGE
from metta.base.addresses import local_path
from metta.base.endings import command
from metta.base.errors import InputError
from metta.base.flags import Parser, at_least, one_of, some_of
from metta.base.stopping import continued_when_repeated, interruptible
from metta.cli.main import resolve
from metta.lab.training import TrainJob
from metta.probes.imitation import imitation_text, record_of
from metta.rl.config import RunConfig


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="imitation.py",
        description="Train architectures to imitate the reflex player and compare how well they do; repeating the "
        "command continues it.",
        epilog="key=value words are settings for every run, as in tools/run.py: trainer.learning_rate=0.001",
    )
    add = parser.add_argument
    add(
        "--architectures",
        type=some_of(ARCHITECTURES),
        default=",".join(ARCHITECTURES),
        metavar="A,B",
        help="keys of ARCHITECTURES",
    )
    add("--level", type=one_of(LEVELS), default=FIRST_LEVEL, metavar="LEVEL", help="level module")
    add("--environment", default="basic", metavar="NAME", help="evaluation environment of the level")
    add("--samples", type=at_least(1), default=1_000_000, metavar="N", help="samples per run")
    add("--seeds", type=at_least(1), default=2, metavar="N", help="seeds per architecture")
    add("--first-seed", type=at_least(0), default=0, metavar="N", help="seeds are N, N+1, ...")
    add("--output", type=local_path, default=Path("train_dir/imitation"), metavar="DIR", help="records")
    add("settings", nargs="*", metavar="key=value", help="settings for every run")
    return parser


@command
def main(words: list[str]) -> int:
    """Run one command line."""
    given = _parser().parse_intermixed_args(words)
    configurations = [
        _run_config(architecture, given.level, seed, given.samples, given.settings)
        for seed in range(given.first_seed, given.first_seed + given.seeds)
        for architecture in given.architectures
    ]
    environments = configurations[0].evaluation_environments
    if given.environment not in environments:
        known = f"{given.level}: {', '.join(environments)}"
        raise InputError(f"--environment: {given.environment!r} is not one of {known}.")
    records = []
    with continued_when_repeated(), interruptible():
        for number, config in enumerate(configurations, 1):
            record, new = record_of(config, given.environment, given.output)
            records.append(record)
            said = f"{record['duration_seconds']:.0f} s" if new else "was there"
            hearts = record["result"]["hearts_per_agent"]
            print(f"[{number}/{len(configurations)}] {config.run}: {hearts:.2f} hearts per agent, {said}", flush=True)
    print(f"\n{imitation_text(records)}\n\nRecords in {given.output}")
    return 0


def _run_config(architecture: str, level: str, seed: int, samples: int, settings: Sequence[str]) -> RunConfig:
    """A training run of the level whose learning rate falls over so many samples. Raises `InputError`."""
    job = resolve(
        [
            f"{PACKAGE}.{level}.train",
            f"arch_type={architecture}",
            f"seed={seed}",
            f"run={architecture}.{level}.s{seed}",
            f"trainer.total_timesteps={samples}",
            *settings,
        ]
    )
    assert isinstance(job, TrainJob)
    return job.config


if __name__ == "__main__":
    sys.exit(main())
