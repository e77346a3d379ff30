"""The imitation probe: what is taught, that it is learned, the same numbers for the same seed."""

import numpy as np
import pytest
import torch

from metta.base.addresses import REFLEX
from metta.base.errors import RunError
from metta.rl.adam import Adam
from metta.rl.imitation import TaughtWorlds, imitate, imitation_update
from metta.rl.players import REFERENCE_PLAYERS
from metta.rl.rollout import Collector
from metta.rl.sampling import uniforms
from metta.rl.shards import Shards
from metta.rl.trainer import initial_policy, training_worlds
from metta.sim.vector_env import VectorEnv
from tests.rl.small_run import STEPS_PER_UPDATE, small_run

LAST_ACTION = 1
"""Row of an observation that tells the last action."""
SHORT = small_run(updates=3)


def test_the_teacher_labels_everything_and_acts_in_every_second_world():
    config = small_run()
    policy, steps = initial_policy(config), 8
    env = VectorEnv(config.sim, num_worlds=2, seed=1)
    env.reset()
    teacher = REFERENCE_PLAYERS[REFLEX](config.sim)
    worlds = TaughtWorlds(env, teacher, steps)
    shards = Shards(1)
    collector = Collector(worlds, policy, steps, torch.device("cpu"), shards)
    for segment in range(2):
        numbers = uniforms(0, "teacher", segment, (steps, 6))
        worlds.begin(numbers)
        segments = collector.collect(uniforms(0, "test", segment, (steps, 6)))
        for t in range(steps):
            shown = VectorEnv(config.sim, num_worlds=2, seed=1)
            shown.buffers.observations[:] = segments.observations[:, t].numpy()
            expected, _ = teacher.choose(shown, 0, 2, None, numbers[t])
            assert worlds.labels[:, t].tolist() == expected.tolist()
        done = segments.observations[:, 1:, LAST_ACTION, 2].long()
        assert torch.equal(done[:3], worlds.labels[:3, :-1])
        assert torch.equal(done[3:], segments.actions[3:, :-1])


def test_equal_seeds_give_equal_numbers_on_any_number_of_examining_threads():
    one = imitate(SHORT, "basic")
    assert one == imitate(SHORT, "basic")
    other = imitate(small_run(updates=3, seed=1), "basic")
    assert other["learning"] != one["learning"]
    assert one["samples"] == 3 * STEPS_PER_UPDATE
    assert one["episodes"] == 3


def test_imitating_is_learned():
    result = imitate(small_run(updates=120, learning_rate=3e-3), "basic")
    samples, losses = result["learning"]
    assert samples == [STEPS_PER_UPDATE * update for update in range(1, 121)]
    assert np.mean(losses[-10:]) < 0.9 * losses[0]
    for states in ("own_states", "teacher_states"):
        assert result[states]["cross_entropy"] < 0.9 * np.log(16)
        assert 0 < result[states]["agreement"] < 1


def test_a_loss_that_is_not_finite_is_one_sentence():
    config = small_run()
    policy = initial_policy(config)
    optimizer = Adam(list(policy.parameters()), config.trainer)
    worlds = TaughtWorlds(training_worlds(config, None), REFERENCE_PLAYERS[REFLEX](config.sim), 8)
    worlds.begin(uniforms(0, "teacher", 0, (8, 6)))
    shards = Shards(1)
    segments = Collector(worlds, policy, 8, torch.device("cpu"), shards).collect(uniforms(0, "test", 0, (8, 6)))
    before = policy.actor(torch.ones(1, 1, 32))
    segments.state = tuple(torch.full_like(part, float("nan")) for part in segments.state)
    with pytest.raises(RunError, match="the cross-entropy became nan"):
        imitation_update(policy, optimizer, segments, worlds.labels, config, shards, 0, 0)
    assert torch.equal(policy.actor(torch.ones(1, 1, 32)), before)
