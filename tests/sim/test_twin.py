"""The fast simulator equals its slow twin, bit for bit, over random configurations, maps and actions."""

from typing import Any

import numpy as np
import pytest

from metta.sim.arena import arena_config
from metta.sim.vector_env import VectorEnv
from tests.reference.cases import ACTION, FLAVOURS, LARGE, Flavour, arena_case, random_actions, random_case
from tests.sim.lockstep import config_of, run_lockstep

SEEDS = 10  # per flavour; 50 times as many in the slow sweep


EAST, PUT, GET, NOOP = ACTION["move_east"], ACTION["put_items"], ACTION["get_items"], ACTION["noop"]
WEST, HIT = ACTION["move_west"], ACTION["attack_0"]


def full_converter() -> dict[str, Any]:
    """A recipe of 200 and two agents, so that the second deposit exceeds the most that a converter holds."""
    case = arena_case(["@n@"], agent__initial_inventory={"ore_red": 255}, agent__resource_limits={"ore_red": 255})
    case["objects"]["generator_red"] |= {"max_conversions": 0, "input_resources": {"ore_red": 200}}
    return case


def boundless_mine() -> dict[str, Any]:
    """Outputs of 100 without limit or cooldown, so that the third reaches the most that a converter holds."""
    case = arena_case(["@m"])
    case["objects"]["mine_red"] |= {"max_output": -1, "cooldown": 0, "output_resources": {"ore_red": 100}}
    return case


def duel() -> dict[str, Any]:
    """An attacker that runs out of room, and a victim with one armor, against the edge of a map without a border."""
    hands = [{"laser": 9, "ore_red": 48}, {"armor": 1, "heart": 2, "ore_red": 7, "laser": 3}]
    return arena_case(["@@.", "..."], agent_initial_inventory=hands, agent__action_failure_penalty=0.1)


DIRECTED = {
    "penalties": (arena_case(["@m"], agent__action_failure_penalty=0.1), [16, -1, EAST, HIT, EAST]),
    "duel": (duel(), [[EAST, NOOP], *[[HIT, NOOP]] * 3, *[[NOOP, EAST]] * 12, [EAST, HIT], [HIT, EAST]]),
    "full converter": (full_converter(), [[EAST, WEST], [PUT, NOOP], [NOOP, PUT], [PUT, PUT]]),
    "boundless mine": (boundless_mine(), [EAST, NOOP, NOOP, NOOP, GET, GET]),
    "64 columns": (arena_case(["@" + "." * 50 + "mn#_So" + "." * 7], obs_width=15, obs_height=3), [EAST] * 55),
    **{f"{n} tokens": (arena_case(["@m#"], num_observation_tokens=n), [EAST, GET, EAST]) for n in range(1, 12)},
}


@pytest.mark.parametrize("name", DIRECTED)
def test_directed_cases(name: str) -> None:
    case, actions = DIRECTED[name]
    env = VectorEnv(config_of(case), num_worlds=1, seed=0)
    run_lockstep(env, case, np.array(actions, np.int32).reshape(len(actions), -1))


def compare(flavour: Flavour, seed: int) -> None:
    """One random case of a flavour, stepped over the end of its first episode."""
    rng = np.random.default_rng([seed, FLAVOURS.index(flavour) if flavour in FLAVOURS else 99])
    case = random_case(rng, flavour)
    env = VectorEnv(config_of(case), num_worlds=1, seed=seed)
    run_lockstep(env, case, random_actions(rng, flavour, flavour.steps, case["num_agents"]))


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("flavour", FLAVOURS, ids=lambda flavour: flavour.name)
def test_random_cases(flavour: Flavour, seed: int) -> None:
    compare(flavour, seed)


@pytest.mark.parametrize("seed", range(2))
def test_large_maps(seed: int) -> None:
    compare(LARGE, seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(50))
@pytest.mark.parametrize("flavour", [*FLAVOURS, LARGE], ids=lambda flavour: flavour.name)
def test_random_cases_in_depth(flavour: Flavour, block: int) -> None:
    count = 1 if flavour is LARGE else SEEDS
    for seed in range(1000 + block * count, 1000 + (block + 1) * count):
        compare(flavour, seed)


def test_more_than_200_tokens_are_cut_in_order() -> None:
    rows = ["#" * 15, *["#" + "@" * 13 + "#"] * 13, "#" * 15]
    case = arena_case(rows, agent__initial_inventory={"laser": 9, "ore_red": 3, "heart": 1, "armor": 1})
    env = VectorEnv(config_of(case), num_worlds=1, seed=0)
    rng = np.random.default_rng(0)
    run_lockstep(env, case, random_actions(rng, FLAVOURS[1], 4, case["num_agents"]))
    assert (env.buffers.observations[80, :, 0] != 255).all()


def test_generated_worlds_of_a_level() -> None:
    """A small arena in a batch; the twin takes each episode's generated map from the environment."""
    rewards = {"ore": 0.01, "battery": 0.05, "laser": 0.05, "armor": 0.05, "blueprint": 0.01}
    config = arena_config(
        size=11,
        num_agents=12,
        altar_ratio=3,
        initial_count=2,
        laser_cost=1,
        rewards=rewards,
        caps=dict.fromkeys(rewards, 1.0),
        max_steps=30,
    )
    env = VectorEnv(config, num_worlds=3, seed=4)
    case = {**config.model_dump(mode="json"), "legend": env.legend}
    actions = random_actions(np.random.default_rng(1), FLAVOURS[0], 70, env.num_streams)
    assert run_lockstep(env, case, actions) == 6
