"""The runs that published/ lacks, most important first, as a plan of batch.py.

    uv run python -m experiments.plans.published > plan.txt
    uv run experiments/recipes/benchmark_architectures/batch.py plan.txt --archive runs.tar.gz --cpu-jobs 2
    python3 tasks.py publish runs.tar.gz

Run the second command in a checkout of the commit that the published runs name (published/README.md). A seed of
everything on the first level, and of three architectures on all levels, comes before the next seed; then the rest.
"""

import sys
from collections.abc import Iterator

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.levels import LEVELS
from experiments.recipes.benchmark_architectures.seeds import PUBLISHED_SEEDS
from metta.analysis.results import Key
from metta.base.endings import report_errors
from metta.base.flags import Parser
from metta.base.provenance import REPOSITORY

STEPS = 1_000_000
ON_ALL_LEVELS = ("fast", "trxl", "vit_reset")


def main() -> None:
    """Print the lines of the plan."""
    Parser("python -m experiments.plans.published", str(__doc__)).parse_args()
    there = {path.name for path in (REPOSITORY / "published" / str(STEPS) / "runs").glob("*.json")}
    for key in in_order():
        if f"{key.architecture}.{key.level}.s{key.seed}.json" not in there:
            print(f"{key.architecture} {key.level} {key.seed} trainer.total_timesteps={STEPS}")


def in_order() -> Iterator[Key]:
    """Every published run that there is to be, once."""
    first, *others = LEVELS
    seen = set()
    for architectures in (ON_ALL_LEVELS, tuple(ARCHITECTURES)):
        for seed in PUBLISHED_SEEDS:
            keys = [Key(architecture, first, seed) for architecture in ARCHITECTURES]
            keys += [Key(architecture, level, seed) for level in reversed(others) for architecture in architectures]
            for key in keys:
                if key not in seen:
                    seen.add(key)
                    yield key


if __name__ == "__main__":
    sys.exit(report_errors(main))
