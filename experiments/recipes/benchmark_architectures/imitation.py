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
from experiments.recipes.benchmark_architectures.planning import at_least, chosen_names
from metta.base.addresses import local_path
from metta.base.endings import report_errors
from metta.base.errors import InputError
from metta.base.flags import Parser, natural
from metta.base.stopping import interruptible
from metta.cli.main import resolve
from metta.lab.training import TrainJob
from metta.probes.imitation import imitation_text, record_of
from metta.rl.config import RunConfig


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return report_errors(lambda: _imitation(_parser().parse_intermixed_args(words)))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="imitation.py",
        description="Train architectures to imitate the reflex player and compare how well they do; repeating the "
        "command continues it.",
        epilog="key=value words are settings for every run, as in tools/run.py: trainer.learning_rate=0.001",
    )
    parser.add_argument("--architectures", metavar="A,B", help="keys of ARCHITECTURES (default: all)")
    parser.add_argument("--level", default=FIRST_LEVEL, metavar="LEVEL", help=f"level module (default: {FIRST_LEVEL})")
    parser.add_argument("--environment", default="basic", metavar="NAME", help="its evaluation environment")
    parser.add_argument("--samples", type=natural, default=1_000_000, metavar="N", help="(default: 1000000)")
    parser.add_argument("--seeds", type=natural, default=2, metavar="N", help="seeds per architecture (default: 2)")
    parser.add_argument("--first-seed", type=natural, default=0, metavar="N", help="seeds are N, N+1, ... (default: 0)")
    parser.add_argument(
        "--output",
        type=local_path,
        default=Path("train_dir/imitation"),
        metavar="DIR",
        help="records (default: train_dir/imitation)",
    )
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings for every run")
    return parser


def _imitation(given: argparse.Namespace) -> int:
    chosen = chosen_names("--architectures", given.architectures or "", ARCHITECTURES)
    (level,) = chosen_names("--level", given.level, LEVELS)
    at_least("samples", given.samples, 1)
    at_least("seeds", given.seeds, 1)
    configurations = [
        _run_config(name, level, seed, given.samples, given.settings)
        for seed in range(given.first_seed, given.first_seed + given.seeds)
        for name in chosen
    ]
    environments = configurations[0].evaluation_environments
    if given.environment not in environments:
        raise InputError(f"--environment: {given.environment!r} is not one of {level}: {', '.join(environments)}.")
    records = []
    with interruptible():
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
