"""The runs that published/ lacks, most important first, as a plan of batch.py.

    uv run python -m experiments.plans.published > plan.txt
    uv run experiments/recipes/benchmark_architectures/batch.py plan.txt --archive runs.tar.gz --cpu-jobs 2
    python3 tasks.py publish runs.tar.gz

Run the second command in a checkout of the commit that the published runs name (published/README.md). Levels come one
after the other, and on a level one seed of every architecture before the next seed.
"""

import sys
from collections.abc import Iterator

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.seeds import PUBLISHED_SEEDS
from metta.analysis.results import Key
from metta.base.endings import report_errors
from metta.base.flags import Parser
from metta.base.provenance import REPOSITORY

STEPS = 1_000_000
IN_ORDER = ("level_1_basic", "level_3_medium", "level_5_expert", "level_4_hard", "level_2_easy")
"""Levels, the one that a comparison needs most first."""


def main() -> None:
    """Print the lines of the plan."""
    Parser("python -m experiments.plans.published", str(__doc__)).parse_args()
    there = {path.name for path in (REPOSITORY / "published" / str(STEPS) / "runs").glob("*.json")}
    for key in in_order():
        if f"{key.architecture}.{key.level}.s{key.seed}.json" not in there:
            print(f"{key.architecture} {key.level} {key.seed} trainer.total_timesteps={STEPS}")


def in_order() -> Iterator[Key]:
    """Every published run that there is to be, once."""
    for level in IN_ORDER:
        for seed in PUBLISHED_SEEDS:
            for architecture in ARCHITECTURES:
                yield Key(architecture, level, seed)


if __name__ == "__main__":
    sys.exit(report_errors(main))
