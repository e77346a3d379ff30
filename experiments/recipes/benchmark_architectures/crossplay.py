"""Against each other: `uv run experiments/recipes/benchmark_architectures/crossplay.py --runs A B --level LEVEL`.

Policies of different runs and reference players in one world, every second agent the one's and the others the other's,
each pair with mirrored seats over the held-out worlds. Repeating a command plays only what is missing.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.recipes.benchmark_architectures.levels import FIRST_LEVEL
from experiments.recipes.benchmark_architectures.planning import at_least, chosen_names
from experiments.recipes.benchmark_architectures.rungs import KNOWN_LEVELS
from metta.base.addresses import local_path
from metta.base.endings import report_errors
from metta.base.errors import InputError
from metta.base.flags import Parser, natural
from metta.base.stopping import interruptible
from metta.probes.crossplay import crossplay, crossplay_text, entrants
from metta.rl.config import EvaluationConfig, SystemConfig


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return the exit status."""
    return report_errors(lambda: _crossplay(_parser().parse_args(arguments)))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="crossplay.py",
        description="Play policies of different runs and reference players against each other, every pair with "
        "mirrored seats; print hearts, ratings, and who fills machines and who takes. Repeating the command continues.",
    )
    parser.add_argument(
        "--runs",
        nargs="+",
        required=True,
        metavar="WHO",
        help="run folders, checkpoint addresses or reference players (random, blind, reflex, scripted), "
        "each as it is or as NAME=ADDRESS",
    )
    parser.add_argument("--level", default=FIRST_LEVEL, metavar="LEVEL", help=f"level module (default: {FIRST_LEVEL})")
    parser.add_argument("--environment", default="basic", metavar="NAME", help="its evaluation environment")
    parser.add_argument("--worlds", type=natural, default=8, metavar="N", help="held-out worlds (default: 8)")
    parser.add_argument("--seed", type=natural, default=EvaluationConfig().seed, metavar="N", help="evaluation seed")
    parser.add_argument("--threads", type=natural, default=0, metavar="N", help="games at a time (default: all cores)")
    parser.add_argument("--steps", type=natural, metavar="N", help="steps of an episode (default: the level's)")
    parser.add_argument(
        "--output",
        type=local_path,
        default=Path("train_dir/crossplay.json"),
        metavar="FILE",
        help="results (default: train_dir/crossplay.json)",
    )
    return parser


def _crossplay(given: argparse.Namespace) -> int:
    (level,) = chosen_names("--level", given.level, KNOWN_LEVELS)
    at_least("worlds", given.worlds, 1)
    environments = KNOWN_LEVELS[level].make_evals()
    if given.environment not in environments:
        raise InputError(f"--environment: {given.environment!r} is not one of {level}: {', '.join(environments)}.")
    sim = environments[given.environment]
    if given.steps is not None:
        at_least("steps", given.steps, 1)
        sim = sim.model_copy(update={"max_steps": given.steps})
    with interruptible():
        record = crossplay(
            entrants(given.runs),
            level,
            given.environment,
            sim,
            EvaluationConfig(worlds=given.worlds, seed=given.seed),
            SystemConfig(threads=given.threads),
            given.output,
            say=lambda text: print(text, flush=True),
        )
    print(f"\n{crossplay_text(record)}\n\nWritten to {given.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
