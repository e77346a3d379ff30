"""The runs that the settings of docs/protocol.md are chosen on, most important first, as a plan of batch.py.

    uv run python -m experiments.plans.learning [candidates|ablation|rates|curriculum|quick] > plan.txt
    uv run experiments/recipes/benchmark_architectures/batch.py plan.txt --archive runs.tar.gz --cpu-jobs 2
    uv run python -m experiments.plans.collect runs.tar.gz

A run has the default settings except those on its line, a tuning seed, and no held-out curve. Within a part the first
seed of everything comes before the second.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.levels import LEVELS as LEVEL_RECORDS
from experiments.recipes.benchmark_architectures.run_benchmark import QUICK
from experiments.recipes.benchmark_architectures.seeds import TUNING_EVALUATION_SEED, TUNING_SEEDS
from metta.base.endings import report_errors
from metta.base.flags import Parser, one_of

LEVELS = dict(enumerate(LEVEL_RECORDS, start=1))
SEEDS = tuple(TUNING_SEEDS)[:3]
BUDGET = 1_000_000
Settings = Mapping[str, Any]

CANDIDATES: dict[str, Settings] = {
    "c, rate 0.002, 1 epoch": {},
    "c, rate 0.003, 1 epoch": {"learning_rate": 0.003},
    "c, rate 0.001, 1 epoch": {"learning_rate": 0.001},
    "c, rate 0.001, 2 epochs": {"learning_rate": 0.001, "epochs": 2},
    "rate 0.002, 2 epochs, scale 1": {"epochs": 2},
    "rate 0.002, 2 epochs": {"epochs": 2, "reward_scale": 0.5},
    "default": {"learning_rate": 0.001, "reward_scale": 0.5},
    "b, lambda 0.95": {"epochs": 2, "gae_lambda": 0.95},
}
"""What the defaults were chosen from: the first, and what differs from it. Names are those of `learning_runs.csv`;
"default" was the default before."""

ABLATIONS: dict[str, Settings] = {
    "all pieces": {},
    "no verbs prior": {"verbs_prior": False},
    "no egocentric view": {"egocentric_view": False},
    "no front view": {"front_view": False},
    "neither view": {"egocentric_view": False, "front_view": False},
    "learning rate stays": {"final_learning_rate_share": 1.0},
    "entropy weight stays": {"final_entropy_share": 1.0},
    "rewards as they are": {"reward_scale": 0.0},
    "newest weights": {"average_share": 0.0},
}
"""Each piece taken away from the rest."""

CURRICULA: dict[str, Settings] = {
    f"curriculum {sampler}": {"curriculum.sampler": sampler} for sampler in ("learning_progress", "uniform", "off")
}
"""How the training episodes of level 5 are drawn."""

Part = tuple[Sequence[str], Sequence[int], Mapping[str, Settings]]
PARTS: dict[str, Part] = {
    "candidates": (("fast", "trxl", "vit_reset"), (1, 2, 3, 4, 5), CANDIDATES),
    "ablation": (("fast",), (1, 3, 5), ABLATIONS),
    "rates": (tuple(ARCHITECTURES), (1,), {f"rate {rate}": {"learning_rate": rate} for rate in (0.001, 0.002, 0.003)}),
    "curriculum": (("fast",), (5,), CURRICULA),
    "quick": (("trxl", "transformer"), (1,), {"quick": {"total_timesteps": QUICK["timesteps"]}}),
}
"""Architectures, levels and variants: what the defaults are chosen from, the worth of each piece, learning rates for
all architectures, the worth of level 5's curriculum, whether the pair of `run_benchmark.py --quick` separates."""


def main() -> None:
    """Print the parts asked for, or all."""
    parser = Parser("python -m experiments.plans.learning", str(__doc__))
    parser.add_argument(
        "parts", nargs="*", type=one_of(PARTS), metavar="PART", help=f"of {', '.join(PARTS)} (default: all)"
    )
    for part in parser.parse_args().parts or PARTS:
        architectures, levels, variants = PARTS[part]
        for seed in SEEDS:
            for name, settings in variants.items():
                for architecture in architectures:
                    for level in levels:
                        print(line(name, architecture, LEVELS[level], seed, settings))


def line(name: str, architecture: str, level: str, seed: int, settings: Settings) -> str:
    """One run of the plan; `name` says what is varied."""
    given = words({"total_timesteps": BUDGET, "curve_points": 0, **settings})
    experiment = f"experiment={label(name)}"
    return " ".join([architecture, level, str(seed), experiment, *given, f"evaluation.seed={TUNING_EVALUATION_SEED}"])


def words(settings: Settings) -> list[str]:
    """Settings as they are typed; those without a dot are the trainer's."""
    return [f"{key if '.' in key else f'trainer.{key}'}={str(value).lower()}" for key, value in settings.items()]


def label(name: str) -> str:
    """A variant's name as a part of its runs' names."""
    return re.sub(r"[^a-z0-9]+", "_", name)


if __name__ == "__main__":
    sys.exit(report_errors(main))
