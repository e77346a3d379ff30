"""Two players in one world: mirrored seats mirror the results, each side sees and does only its own."""

import numpy as np
import pytest
import torch

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.base.addresses import RANDOM, REFLEX
from metta.rl.config import EvaluationConfig
from metta.rl.crossplay import Seats, play_game
from metta.rl.evaluate import evaluate_player, held_out
from metta.rl.players import REFERENCE_PLAYERS, PolicyPlayer
from metta.rl.shards import Shards
from metta.rl.specs import spec_of
from tests.rl.small_run import SIM

CPU = torch.device("cpu")
EVEN = SIM.model_copy(update={"num_agents": 4, "max_steps": 60})
RANDOM_PLAYER = REFERENCE_PLAYERS[RANDOM](EVEN)
EPISODES = held_out(EvaluationConfig(worlds=2))


@pytest.mark.parametrize("name", ["fast", "gtrxl", "memory_free"])
def test_mirrored_seats_mirror_the_results_of_two_copies_to_the_last_bit(name):
    one, copy = (ARCHITECTURES[name].build(spec_of(EVEN), seed=1) for _ in range(2))
    there, back = play_game(one, copy, EVEN, EPISODES, CPU), play_game(copy, one, EVEN, EPISODES, CPU)
    assert there == back
    hearts = [np.add(there[side]["hearts"], back[1 - side]["hearts"]).tolist() for side in range(2)]
    assert hearts[0] == hearts[1]


def test_two_copies_play_as_one_player_alone():
    policy = ARCHITECTURES["fast"].build(spec_of(EVEN), seed=1)
    alone = evaluate_player(PolicyPlayer(policy, EVEN, CPU), EVEN, EPISODES, Shards(1))["per_episode"]
    sides = play_game(policy, policy, EVEN, EPISODES, CPU)
    for world, episode in enumerate(alone):
        assert sides[0]["hearts"][world] == sum(episode["hearts"][0::2])
        assert sides[1]["hearts"][world] == sum(episode["hearts"][1::2])


def test_the_better_player_gets_more_in_either_seat():
    sim = SIM.model_copy(update={"max_steps": 200})
    for seats in (0, 1):
        players = [REFERENCE_PLAYERS[REFLEX](sim), RANDOM_PLAYER]
        sides = play_game(players[seats], players[1 - seats], sim, EPISODES, CPU)
        better, worse = sides[seats], sides[1 - seats]
        assert better["agents"] == 2 - seats
        assert sum(better["hearts"]) > sum(worse["hearts"])
        assert better["counters"]["lost_ore_red"] > worse["counters"]["lost_ore_red"]


def test_counters_are_sums_of_the_side_s_agents():
    sides = play_game(RANDOM_PLAYER, RANDOM_PLAYER, EVEN, EPISODES, CPU)
    alone = evaluate_player(RANDOM_PLAYER, EVEN, EPISODES, Shards(1))["per_episode"]
    for name in sides[0]["counters"]:
        whole = sum(sum(episode["counters"][name]) for episode in alone)
        assert sides[0]["counters"][name] + sides[1]["counters"][name] == whole


def test_each_side_draws_with_its_own_agents_numbers():
    seats = Seats(RANDOM_PLAYER, RANDOM_PLAYER, EVEN.num_agents, CPU)
    numbers = torch.rand(8, generator=torch.Generator().manual_seed(0))
    actions, _ = seats.choose(None, 0, 2, seats.initial_state(2), numbers)
    expected, _ = RANDOM_PLAYER.choose(None, 0, 2, None, numbers)
    assert actions.tolist() == expected.tolist()
