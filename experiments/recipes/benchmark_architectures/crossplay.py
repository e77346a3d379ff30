"""Against each other: `uv run experiments/recipes/benchmark_architectures/crossplay.py --runs A B --level LEVEL`.

Policies of different runs and reference players in one world, every second agent the one's and the others the other's,
each pair with mirrored seats over the held-out worlds. Repeating a command plays only what is missing.
"""

import argparse
import sys
from pathlib import Path

from experiments.recipes.benchmark_architectures.levels import FIRST_LEVEL
from experiments.recipes.benchmark_architectures.rungs import KNOWN_LEVELS
from metta.base.addresses import local_path
from metta.base.endings import command
from metta.base.errors import InputError
from metta.base.flags import Parser, at_least, one_of
from metta.base.stopping import interruptible
from metta.probes.crossplay import crossplay, crossplay_text, entrants
from metta.rl.config import EvaluationConfig, SystemConfig


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="crossplay.py",
        description="Play policies of different runs and reference players against each other, every pair with "
        "mirrored seats; print hearts, ratings, and who fills machines and who takes. Repeating the command continues.",
    )
    add = parser.add_argument
    add(
        "--runs",
        nargs="+",
        required=True,
        metavar="WHO",
        help="run folders, checkpoint addresses or reference players (random, blind, reflex, scripted), "
        "each as it is or as NAME=ADDRESS",
    )
    add("--level", type=one_of(KNOWN_LEVELS), default=FIRST_LEVEL, metavar="LEVEL", help="level module")
    add("--environment", default="basic", metavar="NAME", help="evaluation environment of the level")
    add("--worlds", type=at_least(1), default=8, metavar="N", help="held-out worlds")
    add("--seed", type=at_least(0), default=EvaluationConfig().seed, metavar="N", help="evaluation seed")
    add("--threads", type=at_least(0), default=0, metavar="N", help="games at a time (default: all cores)")
    add("--steps", type=at_least(1), metavar="N", help="steps of an episode (default: the level's)")
    add("--output", type=local_path, default=Path("train_dir/crossplay.json"), metavar="FILE", help="results")
    return parser


@command
def main(words: list[str]) -> int:
    """Run one command line."""
    given = _parser().parse_args(words)
    environments = KNOWN_LEVELS[given.level].make_evals()
    if given.environment not in environments:
        known = f"{given.level}: {', '.join(environments)}"
        raise InputError(f"--environment: {given.environment!r} is not one of {known}.")
    sim = environments[given.environment]
    if given.steps is not None:
        sim = sim.model_copy(update={"max_steps": given.steps})
    with interruptible():
        record = crossplay(
            entrants(given.runs),
            given.level,
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
