"""Runs the fast simulator and its twin side by side and compares everything either of them shows."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from metta.base.seeding import derive_seed
from metta.sim.config import FixedMap, SimConfig
from metta.sim.episodes import COUNTER_NAMES
from metta.sim.vector_env import VectorEnv
from tests.reference.arena_twin import ArenaTwin

FIELDS = (
    *("num_agents", "max_steps", "episode_truncates", "obs_width", "obs_height", "num_observation_tokens"),
    *("resource_names", "objects", "agent", "agent_initial_inventory", "actions"),
)
OPTIONAL_FIELDS = ("rounds",)


def config_of(case: Mapping[str, Any]) -> SimConfig:
    """The simulator's configuration for a case-like dictionary."""
    world = FixedMap(rows=tuple(case["map"]), legend=dict(case["legend"]))
    names = (*FIELDS, *(name for name in OPTIONAL_FIELDS if name in case))
    return SimConfig(**{name: case[name] for name in names}, world=world)


def answers(seed: int, world: int, episode: int) -> Callable[[int, int], int]:
    """What an agent's n-th round is answered with in an episode, computed with Python's own integers."""
    whole = (1 << 64) - 1

    def mix(word: int) -> int:
        word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 & whole
        word = (word ^ (word >> 27)) * 0x94D049BB133111EB & whole
        return word ^ (word >> 31)

    def split(key: int, *parts: int) -> int:
        for part in parts:
            key = mix((key ^ part) + 0x9E3779B97F4A7C15 & whole)
        return key

    def answer(agent: int, n: int) -> int:
        of_episode = split(0, derive_seed(seed, "worlds") & whole, world, episode, 5)
        return 5 + (mix(split(0, of_episode, agent, n, 5)) >> 63)  # put_items or get_items

    return answer


def assert_same_state(env: VectorEnv, world: int, twin: ArenaTwin, where: str) -> None:
    """Inventories, agent states, converters and step counts agree."""
    np.testing.assert_array_equal(env.inventory(world)[:, : len(twin.resources)], twin.inventory(), where)
    np.testing.assert_array_equal(env.agent_state(world), twin.agent_state(), where)
    assert [list(entry) for entry in env.converters(world)] == twin.final_converters(), where
    assert env.steps(world) == twin.step_count, where
    if twin.rounds:
        np.testing.assert_array_equal(env.answers(world), [agent.answer for agent in twin.agents], where)


def run_lockstep(env: VectorEnv, case: Mapping[str, Any], actions: np.ndarray) -> int:
    """Step all worlds of `env` with `actions` int32 [T, N] next to one twin per world, over episode ends.

    Maps are read from the environment, so worlds may be generated. Returns the number of episodes that ended.
    """
    agents = env.num_agents
    env.reset()

    def twin_of(world: int) -> ArenaTwin:
        rounds = answers(env.seed, env.first_world + world, env.episode(world))
        return ArenaTwin(case, env.start_rows(world), rounds)

    twins = [twin_of(world) for world in range(env.num_worlds)]
    episodes = 0
    for world, twin in enumerate(twins):
        first = world * agents
        np.testing.assert_array_equal(env.buffers.observations[first : first + agents], twin.observations(), "reset")
        assert_same_state(env, world, twin, "reset")
    for index, row in enumerate(actions):
        env.step(row)
        records = {record.world - env.first_world: record for record in env.drain_episodes()}
        for world in range(env.num_worlds):
            mine = slice(world * agents, (world + 1) * agents)
            where = f"world {world}, step {index + 1}"
            order = env.action_order(world)
            result = twins[world].step(row[mine], order)
            ended = bool(result.terminals[0] or result.truncations[0])
            buffers = env.buffers
            shown = buffers.final_observations if ended else buffers.observations
            np.testing.assert_array_equal(shown[mine], result.observations, where)
            assert buffers.rewards[mine].tobytes() == result.rewards.tobytes(), where
            np.testing.assert_array_equal(buffers.terminals[mine], result.terminals, where)
            np.testing.assert_array_equal(buffers.truncations[mine], result.truncations, where)
            np.testing.assert_array_equal(buffers.action_success[mine], result.action_success, where)
            np.testing.assert_array_equal(buffers.resets[mine], ended, where)
            if ended:
                episodes += 1
                record = records.pop(world)
                assert record.length == twins[world].step_count, where
                width = len(twins[world].resources)
                np.testing.assert_array_equal(record.final_inventory[:, :width], twins[world].inventory(), where)
                counts = [[agent.counts[name] for name in COUNTER_NAMES] for agent in twins[world].agents]
                np.testing.assert_array_equal(record.counters, counts, where)
                twins[world] = twin_of(world)
                np.testing.assert_array_equal(buffers.observations[mine], twins[world].observations(), where)
            assert_same_state(env, world, twins[world], where)
        assert not records
    return episodes
