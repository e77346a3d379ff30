"""How much a policy depends on the maps it trained on: the same evaluation on training maps and on held-out ones.

Rules, length and, where the run is long enough, the number of episodes are the same on both sides; only the maps and
the uniform numbers that actions are drawn with differ.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metta.base.errors import InputError
from metta.base.seeding import derive_seed
from metta.rl.config import RunConfig
from metta.rl.evaluate import Episodes, evaluate, held_out
from metta.sim.config import SimConfig


def trained_on(config: RunConfig, timesteps: int) -> Episodes:
    """As many episodes as an evaluation has, on maps that this run has met after so many agent-steps, or all it met.

    Raises:
        InputError: the run has not trained yet.
    """
    if timesteps < 1:
        raise InputError("this checkpoint has not been trained, so it has no training maps; give a later one.")
    wanted = config.evaluation.worlds
    steps = timesteps // (config.num_worlds * config.sim.num_agents)
    # A world's first episode is shorter than the others, so the world has met at least so many maps.
    met = max(1, steps // config.episode_length)
    worlds = min(config.num_worlds, wanted)
    return Episodes(
        seed=derive_seed(config.seed, "worlds"),
        worlds=worlds,
        rounds=min(met, -(-wanted // worlds)),
        kept=min(wanted, worlds * met),
        sampling_seed=config.evaluation.seed,
        sampling="generalisation sampling",
    )


def generalisation(checkpoint: Path, config: RunConfig, timesteps: int) -> dict[str, Any]:
    """Per evaluation environment, the results on both kinds of map and their differences.

    Args:
        checkpoint: folder of one checkpoint of the run.
        config: the run.
        timesteps: agent-steps that the checkpoint had trained for.

    Raises:
        InputError: the checkpoint is damaged or untrained, or an evaluation environment has other rooms than training.
    """
    for name, sim in config.evaluation_environments.items():
        if rooms(sim) != rooms(config.sim):
            raise InputError(f"evaluation environment {name!r} has other rooms than training, so no map is in both.")
    sides = {"training": trained_on(config, timesteps), "evaluation": held_out(config.evaluation)}
    results = {
        side: evaluate(checkpoint, config.evaluation_environments, config.evaluation, config.system, episodes)
        for side, episodes in sides.items()
    }
    return {
        name: {
            **{side: results[side][name] for side in sides},
            "gap": {
                measure: gap(results["training"][name], results["evaluation"][name], measure)
                for measure in ("hearts_per_agent", "reward")
            },
        }
        for name in config.evaluation_environments
    }


def rooms(sim: SimConfig) -> tuple[object, ...]:
    """What the maps of an environment depend on besides their seed."""
    return sim.world, sim.num_agents, [(name, thing.type) for name, thing in sim.objects.items()]


def gap(training: Mapping[str, Any], evaluation: Mapping[str, Any], measure: str) -> dict[str, float | None]:
    """Mean on training maps minus mean on evaluation maps, and the standard error of that difference over episodes.

    The error is None if either side has a single episode, which has no spread.
    """
    sides = (training, evaluation)
    variance = sum(side["spread"][measure]["standard_deviation"] ** 2 / side["episodes"] for side in sides)
    return {
        "difference": training[measure] - evaluation[measure],
        "standard_error": math.sqrt(variance) if all(side["episodes"] > 1 for side in sides) else None,
    }
