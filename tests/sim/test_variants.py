"""Variants of an environment: each episode is exactly one configuration's, chosen by seed, world, episode, weights."""

import numpy as np
import pytest

from metta.sim.arena import arena_config
from metta.sim.config import SimConfig
from metta.sim.constants import ACTION_NAMES
from metta.sim.vector_env import VectorEnv

STEPS = 25


def arena(laser_cost: int, initial_count: int, altar_ratio: int = 1) -> SimConfig:
    return arena_config(
        size=9,
        num_agents=7,
        altar_ratio=altar_ratio,
        initial_count=initial_count,
        laser_cost=laser_cost,
        rewards={"ore": 0.5, "laser": 0.7},
        caps={"ore": 2.0, "laser": 2.0},
        max_steps=STEPS,
    )


VARIANTS = (arena(1, 0), arena(100, 2), arena(0, 3, altar_ratio=2))
WORLDS = 6
FIELDS = ("observations", "rewards", "terminals", "resets", "action_success", "final_observations")


def started(num_worlds: int = WORLDS, first_world: int = 0, seed: int = 3, threads: int = 1) -> VectorEnv:
    env = VectorEnv(
        VARIANTS[0], num_worlds=num_worlds, seed=seed, first_world=first_world, threads=threads, variants=VARIANTS
    )
    env.reset()
    return env


def actions(steps: int, worlds: int = WORLDS) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 16, (steps, worlds * 7), dtype=np.int32)


def shown(env: VectorEnv) -> list[np.ndarray]:
    return [getattr(env.buffers, name).copy() for name in FIELDS]


@pytest.mark.parametrize("variant", range(len(VARIANTS)))
def test_one_variant_alone_is_its_configuration(variant: int) -> None:
    env, plain = started(), VectorEnv(VARIANTS[variant], num_worlds=WORLDS, seed=3)
    env.set_variant_weights(np.eye(len(VARIANTS))[variant])
    env.reset()
    plain.reset()
    for row in actions(2 * STEPS + 5):
        assert all(np.array_equal(a, b) for a, b in zip(shown(env), shown(plain), strict=True))
        env.step(row)
        plain.step(row)
    assert {record.variant for record in env.drain_episodes()} == {variant}
    assert {record.variant for record in plain.drain_episodes()} == {0}


def test_variants_in_few_steps() -> None:
    """Small enough for tests.mutations, which runs it uncompiled."""
    assert len({started(num_worlds=8).variant(world) for world in range(8)}) > 1
    lone, drawn = VectorEnv(VARIANTS[0], num_worlds=1, seed=3, episode_steps=1, variants=VARIANTS), set()
    lone.reset()
    for row in actions(8, 1):
        drawn.add(lone.variant(0))
        lone.step(row)
    assert len(drawn) > 1
    attack = np.full(2 * 7, ACTION_NAMES.index("attack_4"), np.int32)
    for variant, config in enumerate(VARIANTS):
        env, plain = started(num_worlds=2), VectorEnv(config, num_worlds=2, seed=3)
        env.set_variant_weights(np.eye(len(VARIANTS))[variant])
        for one in (env, plain):
            one.reset()
            one.step(attack)
        assert env.variant(0) == env.variant(1) == variant
        assert all(np.array_equal(a, b) for a, b in zip(shown(env), shown(plain), strict=True))


def test_mixed_worlds_each_follow_their_own_variant() -> None:
    env = started()
    plain = [VectorEnv(config, num_worlds=WORLDS, seed=3) for config in VARIANTS]
    for one in plain:
        one.reset()
    assert len({env.variant(world) for world in range(WORLDS)}) > 1
    for row in actions(STEPS - 1):
        env.step(row)
        for one in plain:
            one.step(row)
        for world in range(WORLDS):
            streams = slice(7 * world, 7 * world + 7)
            own = plain[env.variant(world)].buffers
            assert np.array_equal(env.buffers.observations[streams], own.observations[streams])
            assert np.array_equal(env.buffers.rewards[streams], own.rewards[streams])


def episode_variants(env: VectorEnv, acts: np.ndarray) -> dict[tuple[int, int], int]:
    for row in acts:
        env.step(row)
    return {(record.world, record.episode): record.variant for record in env.drain_episodes()}


def test_choice_depends_on_seed_world_and_episode_alone() -> None:
    acts = actions(6 * STEPS)
    whole = episode_variants(started(), acts)
    assert len(whole) == 6 * WORLDS
    assert episode_variants(started(threads=3), acts) == whole
    part = episode_variants(started(num_worlds=2, first_world=3), np.ascontiguousarray(acts[:, 21:35]))
    assert part == {key: value for key, value in whole.items() if key[0] in (3, 4)}
    assert episode_variants(started(seed=4), acts) != whole


def test_variants_come_as_often_as_their_weights_say_and_maps_do_not_depend_on_them() -> None:
    config = VARIANTS[0].model_copy(update={"max_steps": 1})
    variants = [variant.model_copy(update={"max_steps": 1}) for variant in VARIANTS]
    env = VectorEnv(config, num_worlds=100, seed=0, variants=variants)
    env.set_variant_weights(np.array([3.0, 0.0, 1.0]))
    env.reset()
    plain = VectorEnv(config, num_worlds=100, seed=0)
    plain.reset()
    drawn = []
    for _ in range(20):
        assert [env.start_rows(world) for world in range(100)] == [plain.start_rows(world) for world in range(100)]
        for one in (env, plain):
            one.step(np.zeros(one.num_streams, np.int32))
        drawn += [record.variant for record in env.drain_episodes()]
    shares = np.bincount(drawn, minlength=3) / len(drawn)
    assert shares[1] == 0
    # Standard deviation of the share: sqrt(3/4 * 1/4 / 2000) = 0.0097.
    assert abs(shares[0] - 0.75) < 0.04


def test_new_weights_count_from_the_next_episode_on() -> None:
    env = started()
    before = [env.variant(world) for world in range(WORLDS)]
    env.set_variant_weights(np.array([0.0, 0.0, 2.0]))
    acts = actions(2 * STEPS)
    first = episode_variants(env, acts[:STEPS])
    assert [first[world, 0] for world in range(WORLDS)] == before
    assert set(episode_variants(env, acts[STEPS:]).values()) == {2}


def test_continues_exactly_from_its_state() -> None:
    acts = actions(5 * STEPS)
    env = started()
    env.set_variant_weights(np.array([1.0, 2.0, 3.0]))
    episode_variants(env, acts[:40])
    state = env.state_dict()
    other = started(seed=9)
    other.load_state_dict(state)
    assert episode_variants(env, acts[40:]) == episode_variants(other, acts[40:])
    assert all(np.array_equal(a, b) for a, b in zip(shown(env), shown(other), strict=True))


def test_refuses_variants_of_another_shape_and_bad_weights() -> None:
    smaller = VARIANTS[0].model_copy(update={"max_steps": 7})
    without = VARIANTS[0].model_copy(
        update={"objects": {name: thing for name, thing in VARIANTS[0].objects.items() if name != "lasery"}}
    )
    for wrong in (smaller, without):
        with pytest.raises(ValueError, match="variant 1 differs from the configuration in more than numbers"):
            VectorEnv(VARIANTS[0], num_worlds=1, seed=0, variants=(VARIANTS[1], wrong))
    env = started()
    for weights in ([1.0, -1.0, 1.0], [0.0, 0.0, 0.0], [np.inf, 1.0, 1.0], [np.nan, 1.0, 1.0]):
        with pytest.raises(ValueError, match="finite, not negative"):
            env.set_variant_weights(np.array(weights))
    with pytest.raises(ValueError, match="2 weights for 3 variants"):
        env.set_variant_weights(np.ones(2))
