"""The PettingZoo and Gymnasium views: those projects' own checks, and agreement with the native environment."""

import gymnasium.utils.env_checker as checker
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from pettingzoo.test import parallel_api_test, parallel_seed_test

from metta.sim.arena import arena_config
from metta.sim.config import SimConfig
from metta.sim.gymnasium_env import ArenaStreams
from metta.sim.pettingzoo_env import ArenaParallelEnv
from metta.sim.vector_env import VectorEnv
from tests.reference.cases import arena_case
from tests.sim.lockstep import config_of

WEIGHTS = {"ore": 0.5, "battery": 0.9}
WORLDS = 3


def small_arena(max_steps: int = 25) -> SimConfig:
    """Six agents in a small room."""
    return arena_config(
        size=9,
        num_agents=6,
        altar_ratio=1,
        initial_count=2,
        laser_cost=1,
        rewards=WEIGHTS,
        caps=WEIGHTS,
        max_steps=max_steps,
    )


def random_actions(steps: int, streams: int) -> np.ndarray:
    """int32 [T, N], every action equally often."""
    return np.random.default_rng(3).integers(0, 16, (steps, streams)).astype(np.int32)


# ---- PettingZoo


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("num_cycles", [10, 60], ids=["cut off", "to the end"])
def test_pettingzoo_api(num_cycles: int) -> None:
    parallel_api_test(ArenaParallelEnv(small_arena()), num_cycles=num_cycles)


def test_pettingzoo_seeds() -> None:
    parallel_seed_test(lambda: ArenaParallelEnv(small_arena()), num_cycles=20)


def test_pettingzoo_agrees_with_native() -> None:
    config = small_arena()
    native = VectorEnv(config, num_worlds=1, seed=5)
    native.reset()
    env = ArenaParallelEnv(config, render_mode="ansi")
    observations, _ = env.reset(seed=5)
    assert env.render() == "\n".join(native.map_rows(0))
    actions = random_actions(25, 6)
    np.testing.assert_array_equal(np.stack(list(observations.values())), native.buffers.observations)
    for step, row in enumerate(actions):
        native.step(row)
        last = step == 24
        result = env.step({name: int(action) for name, action in zip(env.agents, row, strict=True)})
        observations, rewards, terminations, truncations, infos = result
        expected = native.buffers.final_observations if last else native.buffers.observations
        np.testing.assert_array_equal(np.stack([observations[name] for name in env.possible_agents]), expected)
        assert list(rewards.values()) == native.buffers.rewards.tolist()
        assert list(terminations.values()) == [last] * 6
        assert not any(truncations.values())
        assert [info["action_success"] for info in infos.values()] == native.buffers.action_success.tolist()
    assert env.agents == []
    assert env.step({}) == ({}, {}, {}, {}, {})


def test_pettingzoo_unseeded_resets_differ_and_follow_the_last_seed() -> None:
    def maps(env: ArenaParallelEnv) -> list[str | None]:
        rendered = []
        for seed in (7, None, None):
            env.reset(seed=seed)
            rendered.append(env.render())
        return rendered

    first, second = (maps(ArenaParallelEnv(small_arena(), render_mode="ansi")) for _ in range(2))
    assert first == second
    assert len(set(first)) == 3


def test_pettingzoo_names_the_agent_without_an_action() -> None:
    env = ArenaParallelEnv(small_arena())
    env.reset(seed=0)
    with pytest.raises(ValueError, match="agent_1"):
        env.step({"agent_0": 0})
    with pytest.raises(ValueError, match="human"):
        ArenaParallelEnv(small_arena(), render_mode="human")


def test_pettingzoo_reports_truncations() -> None:
    env = ArenaParallelEnv(config_of(arena_case(["@.@"], max_steps=1, episode_truncates=True)))
    env.reset(seed=0)
    _, _, terminations, truncations, _ = env.step(dict.fromkeys(env.agents, 0))
    assert not any(terminations.values())
    assert all(truncations.values())


# ---- Gymnasium


def streams(**arguments: object) -> ArenaStreams:
    """Three worlds of the small arena."""
    return ArenaStreams(small_arena(), num_worlds=WORLDS, **arguments)


@pytest.mark.filterwarnings("error")
def test_gymnasium_checks() -> None:
    env = streams()
    checker.check_reset_seed_determinism(env)
    checker.check_reset_options(env)
    checker.check_reset_return_type(env)
    checker.check_reset_return_info_deprecation(env)
    checker.check_seed_deprecation(env)
    checker.check_space_limit(env.single_observation_space, "observation")
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    env.close()


@pytest.mark.parametrize("max_steps", [1, 25])
def test_gymnasium_data_is_not_reused(max_steps: int) -> None:
    """With one stream, because the check asks for the truth value of the flags; also over an episode's end."""
    env = ArenaStreams(config_of(arena_case(["@.m"], max_steps=max_steps)), num_worlds=1)
    checker.check_returned_data_not_reused(env)


def test_gymnasium_steps_are_determined_by_the_seed() -> None:
    results = []
    for _ in range(2):
        env = streams()
        env.action_space.seed(1)
        results.append([env.reset(seed=9), *(env.step(env.action_space.sample()) for _ in range(30))])
    assert checker.data_equivalence(results[0], results[1], exact=True)


def test_gymnasium_agrees_with_native_and_keeps_final_observations() -> None:
    config = small_arena()
    native = VectorEnv(config, num_worlds=WORLDS, seed=5, desynchronise=True)
    native.reset()
    env = streams(desynchronise=True, first_world=0)
    observations, infos = env.reset(seed=5)
    np.testing.assert_array_equal(observations, native.buffers.observations)
    assert infos == {}
    returns = np.zeros(env.num_envs)
    lengths = np.zeros(env.num_envs, int)
    ends = 0
    for row in random_actions(60, env.num_envs):
        native.step(row)
        observations, rewards, terminations, truncations, infos = env.step(row)
        buffers = native.buffers
        np.testing.assert_array_equal(observations, buffers.observations)
        np.testing.assert_array_equal(rewards, buffers.rewards)
        np.testing.assert_array_equal(terminations, buffers.terminals)
        np.testing.assert_array_equal(truncations, buffers.truncations)
        returns += rewards
        lengths += 1
        ended = terminations | truncations
        np.testing.assert_array_equal(infos["_action_success"], ~ended)
        np.testing.assert_array_equal(infos["action_success"], buffers.action_success & ~ended)
        assert ("final_obs" in infos) == ended.any()
        if ended.any():
            np.testing.assert_array_equal(infos["_final_obs"], ended)
            np.testing.assert_array_equal(infos["_final_info"], ended)
            for stream in range(env.num_envs):
                if ended[stream]:
                    np.testing.assert_array_equal(infos["final_obs"][stream], buffers.final_observations[stream])
                else:
                    assert infos["final_obs"][stream] is None
            final = infos["final_info"]
            np.testing.assert_allclose(final["episode_return"][ended], returns[ended], atol=1e-4)
            np.testing.assert_array_equal(final["episode_length"][ended], lengths[ended])
            np.testing.assert_array_equal(final["action_success"], buffers.action_success & ended)
            returns[ended] = 0
            lengths[ended] = 0
            ends += 1
    assert ends >= 3


def test_gymnasium_wrappers_understand_the_autoreset() -> None:
    env = RecordEpisodeStatistics(streams())
    env.reset(seed=2)
    for row in random_actions(25, WORLDS * 6):
        *_, infos = env.step(row)
    assert (infos["episode"]["l"] == 25).all()


def test_gymnasium_refuses_partial_resets_and_wrong_shapes() -> None:
    env = streams()
    with pytest.raises(ValueError, match="reset_mask"):
        env.reset(options={"reset_mask": np.ones(env.num_envs, bool)})
    env.reset(seed=0)
    with pytest.raises(ValueError, match="18"):
        env.step(np.zeros(5, np.int32))
