"""Which seeds tuning may use: settings are never chosen on anything that a published result is measured on.

Worlds of training come from a run's seed and worlds of evaluation from `evaluation.seed`, under different names
(`metta/base/seeding.py`), so that two runs share maps only if they share one of these seeds.
"""

from collections.abc import Iterable

from metta.base.errors import InputError
from metta.rl.config import RunConfig

TUNING_SEEDS = range(1000, 2000)
"""Training seeds of tuning; all others may be published."""
TUNING_EVALUATION_SEED = 77
"""`evaluation.seed` of tuning; all others may be published."""
PUBLISHED_SEEDS = range(3)
"""Every architecture in `published/` is to have these on every level, at least."""


def check_tuning(configs: Iterable[RunConfig]) -> None:
    """Raise `InputError` for a run on a seed that may be published."""
    for config in configs:
        if config.seed not in TUNING_SEEDS:
            raise InputError(
                f"seed {config.seed} may be used by published runs; seeds of tuning are {TUNING_SEEDS.start} to "
                f"{TUNING_SEEDS.stop - 1}."
            )
        if config.evaluation.seed != TUNING_EVALUATION_SEED:
            raise InputError(
                f"evaluation.seed={config.evaluation.seed} may be used by published runs; tuning evaluates with "
                f"evaluation.seed={TUNING_EVALUATION_SEED} only."
            )


def check_published(configs: Iterable[RunConfig]) -> None:
    """Raise `InputError` for a run on a seed that settings were chosen on."""
    for config in configs:
        if config.seed in TUNING_SEEDS:
            raise InputError(
                f"seed {config.seed} is reserved for tuning ({TUNING_SEEDS.start} to {TUNING_SEEDS.stop - 1}), so that "
                "results are not measured on what settings were chosen on; give other seeds (--first-seed)."
            )
        if config.evaluation.seed == TUNING_EVALUATION_SEED:
            raise InputError(
                f"evaluation.seed={TUNING_EVALUATION_SEED} is reserved for tuning, so that results are not measured on "
                "what settings were chosen on; give another."
            )
