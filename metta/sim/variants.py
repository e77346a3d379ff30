"""Variants: configurations that differ only in numbers, one of which each episode of a world is played by.

V variants, K kinds of object. Without variants V is 1 and every episode is played by the one configuration.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from metta.sim.compiled import inner
from metta.sim.config import SimConfig
from metta.sim.randomness import mix
from metta.sim.world_arrays import Rules, make_rules

VARYING_FIELDS = ("objects", "actions")
"""Fields of `SimConfig` in which variants may differ: recipes, durations, initial counts, costs."""

_S11 = np.uint64(11)


@inner
def rules_of(rules: Rules, variant: int) -> Rules:
    """The rules of one variant: `rules` as `stack_rules` gives them, without the first axis."""
    return Rules(
        rules.num_agents,
        rules.height,
        rules.width,
        rules.max_steps,
        rules.truncates,
        rules.freeze_duration,
        rules.failure_penalty,
        rules.random_maps,
        rules.wall_kind,
        rules.wait,
        rules.kinds[variant],
        rules.amounts[variant],
        rules.rewarded,
        rules.rewards,
    )


@inner
def draw_variant(thresholds: np.ndarray, state: np.uint64) -> int:
    """A variant drawn with the state of a random stream; `thresholds` float64 [V] as `weight_thresholds` gives them."""
    uniform = np.float64(mix(state) >> _S11) * 2.0**-53
    variant = 0
    while variant < thresholds.shape[0] - 1 and thresholds[variant] <= uniform:
        variant += 1
    return variant


def stack_rules(config: SimConfig, variants: Sequence[SimConfig]) -> Rules:
    """The numbers of all variants: `kinds` [V, K, ...] and `amounts` [V, ...] have a first axis, the rest is shared.

    Args:
        config: the configuration that the variants vary.
        variants: at least one.

    Raises:
        ValueError: a variant differs in more than numbers of objects and actions.
    """
    for index, variant in enumerate(variants):
        same = variant.model_copy(update={name: getattr(config, name) for name in VARYING_FIELDS}) == config
        kinds = [(name, thing.type) for name, thing in variant.objects.items()]
        if not same or kinds != [(name, thing.type) for name, thing in config.objects.items()]:
            raise ValueError(f"variant {index} differs from the configuration in more than numbers of objects, actions")
    rules = [make_rules(variant) for variant in variants]
    return rules[0]._replace(
        kinds=np.stack([one.kinds for one in rules]), amounts=np.stack([one.amounts for one in rules])
    )


def weight_thresholds(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """[V] shares of the weights up to and including each variant's; weights need not add up to 1.

    Raises:
        ValueError: a weight is negative or not finite, or all are 0.
    """
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.sum() > 0:
        raise ValueError("weights of variants must be finite, not negative, and not all 0")
    cumulative = np.cumsum(weights, dtype=np.float64)
    shares: NDArray[np.float64] = cumulative / cumulative[-1]
    return shares
