"""Evaluation: the same held-out episodes for everybody, none of them seen in training, and results that add up."""

import numpy as np
import pytest
import torch

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.base.addresses import BLIND, PLAYERS, RANDOM, REFLEX, SCRIPTED
from metta.base.errors import InputError
from metta.base.seeding import derive_seed
from metta.rl.checkpoint import newest_sound
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.rl.evaluate import evaluate, evaluate_player, held_out, summary
from metta.rl.metrics import episode_result
from metta.rl.players import REFERENCE_PLAYERS, WORLDS_AT_ONCE, PolicyPlayer
from metta.rl.sampling import sample_actions, uniforms
from metta.rl.shards import Shards
from metta.rl.trainer import spec_of, train
from metta.sim.vector_env import VectorEnv
from tests.rl.small_run import SIM, small_run

EVALUATION = EvaluationConfig(worlds=3)
SYSTEM = SystemConfig(device="cpu", threads=1)


def test_random_and_policies_meet_the_same_worlds(tmp_path):
    train(small_run(updates=2), tmp_path)
    policy = evaluate(newest_sound(tmp_path / "checkpoints"), {"basic": SIM}, EVALUATION, SYSTEM)["basic"]
    floor = evaluate(RANDOM, {"basic": SIM}, EVALUATION, SYSTEM)["basic"]
    assert policy["worlds_hash"] == floor["worlds_hash"]
    assert [e["map_hash"] for e in policy["per_episode"]] == [e["map_hash"] for e in floor["per_episode"]]
    other = evaluate(RANDOM, {"basic": SIM}, EvaluationConfig(worlds=3, seed=5), SYSTEM)["basic"]
    assert other["worlds_hash"] != floor["worlds_hash"]


def test_the_summary_is_made_of_the_episodes():
    result = evaluate(RANDOM, {"basic": SIM}, EVALUATION, SYSTEM)["basic"]
    assert result["episodes"] == len(result["per_episode"]) == 3
    hearts = [np.mean(episode["hearts"]) for episode in result["per_episode"]]
    assert result["hearts_per_agent"] == pytest.approx(np.mean(hearts))
    assert result["spread"]["hearts_per_agent"]["standard_deviation"] == pytest.approx(np.std(hearts, ddof=1))
    for episode in result["per_episode"]:
        assert episode["length"] == SIM.max_steps
        assert len(episode["hearts"]) == len(episode["reward"]) == SIM.num_agents


@pytest.mark.parametrize("name", [RANDOM, "fast", "vit_sliding", "agalite"])
def test_an_episode_depends_on_the_seed_and_its_world_alone(name):
    """Not on the number of worlds, nor on the threads."""
    device = torch.device("cpu")
    policy = None if name == RANDOM else ARCHITECTURES[name].build(spec_of(SIM), seed=1)
    player = REFERENCE_PLAYERS[RANDOM](SIM) if policy is None else PolicyPlayer(policy, SIM, device)
    played = {}
    for worlds, threads in ((9, 1), (9, 2), (1, 1), (3, 2), (4, 1)):
        shards = Shards(threads)
        wanted = held_out(EvaluationConfig(worlds=worlds))
        played[worlds, threads] = evaluate_player(player, SIM, wanted, shards)["per_episode"]
        shards.close()
    for (worlds, _), episodes in played.items():
        assert episodes == played[9, 1][:worlds]
    numbers = held_out(EvaluationConfig(worlds=9)).numbers(SIM, 0, 9)
    assert len(numbers.unique(dim=1).T) == 9 * SIM.num_agents, "every agent of every world has its own"


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_policy_plays_as_in_a_plain_loop_over_its_forward(name):
    sim = SIM.model_copy(update={"max_steps": 12})
    policy = ARCHITECTURES[name].build(spec_of(sim), seed=1)
    wanted = held_out(EVALUATION)
    shards = Shards(1)
    played = evaluate_player(PolicyPlayer(policy, sim, torch.device("cpu")), sim, wanted, shards)
    shards.close()

    env = VectorEnv(sim, num_worlds=WORLDS_AT_ONCE["cpu"], seed=wanted.seed)
    env.reset()
    numbers = wanted.numbers(sim, 0, env.num_worlds)
    state = policy.initial_state(env.num_streams)
    for number in numbers:
        observations, resets = (torch.from_numpy(a.copy()) for a in (env.buffers.observations, env.buffers.resets))
        with torch.no_grad():
            output = policy(observations.unsqueeze(1), resets.unsqueeze(1), state)
        actions, _ = sample_actions(output.logits[:, 0], number)
        state = output.state
        env.step(actions.to(torch.int32).numpy())
    episodes = [episode for episode in env.drain_episodes() if episode.world < wanted.worlds]
    assert played == summary([episode_result(episode, sim) for episode in episodes])


@pytest.mark.parametrize("player", [*PLAYERS, "policy"])
def test_thoughts_do_not_change_what_a_player_does(player):
    policy = ARCHITECTURES["fast"].build(spec_of(SIM), seed=1)
    actor = REFERENCE_PLAYERS[player](SIM) if player in PLAYERS else PolicyPlayer(policy, SIM, torch.device("cpu"))
    thoughtful, quick = (VectorEnv(SIM, num_worlds=2, seed=3) for _ in range(2))
    states = []
    for env in (thoughtful, quick):
        env.reset()
        states.append(actor.initial_state(2))
    for number in uniforms(0, "test", 0, (SIM.max_steps, quick.num_streams)):
        decision = actor.act(thoughtful, 0, 2, states[0], number)
        actions, states[1] = actor.choose(quick, 0, 2, states[1], number)
        states[0] = decision.state
        assert np.array_equal(decision.actions, actions)
        thoughtful.step(decision.actions)
        quick.step(actions)


def test_training_never_sees_an_evaluation_map():
    held_out = VectorEnv(SIM, num_worlds=16, seed=derive_seed(EVALUATION.seed, "evaluation worlds"))
    held_out.reset()
    unseen = {tuple(held_out.start_rows(world)) for world in range(16)}
    for seed in (0, 1, EVALUATION.seed):
        training = VectorEnv(SIM, num_worlds=16, seed=derive_seed(seed, "worlds"))
        training.reset()
        assert not unseen & {tuple(training.start_rows(world)) for world in range(16)}


def test_a_policy_for_other_observations_is_refused(tmp_path):
    train(small_run(updates=1), tmp_path)
    other = SIM.model_copy(update={"num_observation_tokens": 100})
    with pytest.raises(InputError, match="num_observation_tokens is 200, the environment's 100"):
        evaluate(newest_sound(tmp_path / "checkpoints"), {"basic": other}, EVALUATION, SYSTEM)


def test_every_name_of_a_reference_player_is_a_player():
    assert list(REFERENCE_PLAYERS) == list(PLAYERS)


def test_players_that_know_more_are_far_above_those_that_know_less_on_the_same_worlds_on_any_number_of_threads():
    sim = SIM.model_copy(update={"max_steps": 400})
    results = {player: evaluate(player, {"basic": sim}, EVALUATION, SYSTEM)["basic"] for player in PLAYERS}
    assert len({result["worlds_hash"] for result in results.values()}) == 1
    hearts = {player: result["hearts_per_agent"] for player, result in results.items()}
    assert hearts[BLIND] > 1.5 * hearts[RANDOM]
    assert hearts[REFLEX] > 3 * hearts[BLIND]
    assert hearts[SCRIPTED] > 3 * hearts[BLIND]
    for player in PLAYERS:
        two = evaluate(player, {"basic": sim}, EVALUATION, SystemConfig(device="cpu", threads=2))["basic"]
        assert two == results[player]
