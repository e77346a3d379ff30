"""Sentences of the mechanics page that no recorded case covers, with expectations worked out by hand."""

import numpy as np
import pytest

from tests.reference.arena_twin import ArenaTwin, TwinStep, reward_byte, window_order
from tests.reference.cases import ACTION, arena_case

NOOP, PUT, GET, ATTACK = ACTION["noop"], ACTION["put_items"], ACTION["get_items"], ACTION["attack_0"]
NORTH, SOUTH, WEST, EAST = (ACTION[f"move_{name}"] for name in ("north", "south", "west", "east"))


def play(twin: ArenaTwin, *steps: list[int], order: list[int] | None = None) -> TwinStep:
    """Carry out the steps (one list of actions each) and return the last result."""
    for actions in steps:
        result = twin.step(actions, order if order is not None else list(range(len(twin.agents))))
    return result


def contents_over_time(twin: ArenaTwin, item: str, steps: int) -> list[int]:
    """The first converter's amount of `item` after steps 1..steps of doing nothing."""
    amounts = []
    for _ in range(steps):
        play(twin, [NOOP] * len(twin.agents))
        amounts.append(twin.converters()[0].contents.get(item, 0))
    return amounts


def test_empty_mine_fills_at_1_52_103_and_idles_at_5() -> None:
    amounts = contents_over_time(ArenaTwin(arena_case(["m.@"])), "ore_red", 400)
    rises = [step for step in range(1, 401) if amounts[step - 1] > ([0, *amounts])[step - 1]]
    assert rises == [1, 52, 103, 154, 205]
    assert amounts[-1] == 5


def test_generator_fed_in_step_1_is_empty_handed_until_2_and_ready_at_27() -> None:
    twin = ArenaTwin(arena_case(["@n"], agent__initial_inventory={"ore_red": 3}))
    play(twin, [EAST], [PUT])  # fed in step 2
    assert play(twin, [GET]).action_success.all()  # step 3
    assert twin.converters()[0].cooling_until is not None
    play(twin, *[[NOOP]] * 24)
    assert twin.step_count == 27
    assert twin.converters()[0].cooling_until is not None
    play(twin, [NOOP])
    assert twin.converters()[0].cooling_until is None


def test_cooldown_0_converts_every_tick_and_never_cools() -> None:
    twin = ArenaTwin(arena_case(["m.@"], objects__mine_red__cooldown=0, objects__mine_red__max_output=-1))
    assert contents_over_time(twin, "ore_red", 5) == [1, 2, 3, 4, 5]
    assert twin.final_converters() == [[0, 0, "mine_red", {"ore_red": 5}, True, False]]


def test_max_output_sums_over_outputs_and_initial_count_may_exceed_it() -> None:
    case = arena_case(["m.@"], objects__mine_red__output_resources={"ore_red": 1, "ore_blue": 1})
    case["objects"]["mine_red"] |= {"max_output": 4, "cooldown": 0}
    assert contents_over_time(ArenaTwin(case), "ore_red", 4) == [1, 2, 2, 2]
    case["objects"]["mine_red"]["initial_resource_count"] = 9
    assert contents_over_time(ArenaTwin(case), "ore_red", 3) == [9, 9, 9]


def test_max_conversions_ends_production_but_not_the_last_cooldown_nor_deposits() -> None:
    case = arena_case(["@n"], agent__initial_inventory={"ore_red": 9}, objects__generator_red__max_conversions=1)
    case["objects"]["generator_red"]["cooldown"] = 3
    twin = ArenaTwin(case)
    play(twin, [EAST], [PUT], [PUT])
    assert twin.final_converters() == [[0, 1, "generator_red", {"ore_red": 1, "battery_red": 1}, False, True]]
    play(twin, [PUT], [NOOP], [NOOP], [PUT])
    assert twin.final_converters() == [[0, 1, "generator_red", {"ore_red": 3, "battery_red": 1}, False, False]]


def test_inputs_inside_are_capped_at_255_only() -> None:
    case = arena_case(["@n@"], agent__initial_inventory={"ore_red": 255}, agent__resource_limits={"ore_red": 255})
    case["objects"]["generator_red"] |= {"max_conversions": 0, "input_resources": {"ore_red": 200}}
    twin = ArenaTwin(case)
    assert play(twin, [EAST, WEST], [PUT, NOOP], [NOOP, PUT]).action_success.all()
    assert twin.converters()[0].contents["ore_red"] == 255
    assert twin.inventory()[:, 0].tolist() == [55, 200]
    assert not play(twin, [PUT, PUT]).action_success.any()


def test_get_is_limited_by_room_and_never_returns_inputs() -> None:
    case = arena_case(["@n"], agent__initial_inventory={"ore_red": 5}, agent__resource_limits={"battery_red": 3})
    case["objects"]["generator_red"] |= {"initial_resource_count": 5}
    twin = ArenaTwin(case)
    play(twin, [EAST], [PUT], [GET])
    assert twin.agents[0].held == {"ore_red": 4, "battery_red": 3}
    # Taking 3 of 5 made room, so the ore put in was converted at once and came out in step 4.
    assert not play(twin, [GET]).action_success.any()
    assert twin.converters()[0].contents == {"battery_red": 3, "ore_red": 0}


def test_failed_and_invalid_actions_cost_the_penalty_once_and_twice() -> None:
    twin = ArenaTwin(arena_case(["@m"], agent__action_failure_penalty=0.1, max_steps=10))
    result = play(twin, [ACTION["attack_3"]])
    assert result.rewards[0] == -np.float32(0.1)
    assert result.observations[0, 1:4].tolist() == [[85, 8, 10], [85, 9, 3], [85, 10, 246]]
    result = play(twin, [16])
    assert result.rewards[0] == -np.float32(0.1) - np.float32(0.1)
    assert result.observations[0, :4].tolist() == [[85, 7, 51], [85, 8, 0], [85, 9, 0], [85, 10, 236]]
    assert not result.action_success.any()


@pytest.mark.parametrize(
    ("reward", "byte"), [(0.0, 0), (-0.1, 246), (-2.56, 0), (-0.004, 0), (-0.006, 255), (1.5, 150)]
)
def test_reward_byte(reward: float, byte: int) -> None:
    assert reward_byte(np.float32(reward)) == byte


def test_victim_acts_again_at_step_10_after_or_11_before_its_own_turn() -> None:
    case = arena_case(["@@..."], agent_initial_inventory=[{"laser": 1}, {}])
    for order, first_act in (([0, 1], 12), ([1, 0], 12)):
        twin = ArenaTwin(case)
        play(twin, [EAST, NOOP], [ATTACK, NOOP], order=order)  # attacks come first, whatever the order
        while not play(twin, [NOOP, NOOP], order=order).action_success[1]:
            pass
        assert twin.step_count == first_act
    case = arena_case(["@@..."], agent_initial_inventory=[{"laser": 1}, {"laser": 1}])
    twin = ArenaTwin(case)
    play(twin, [EAST, EAST], [ATTACK, ATTACK], order=[1, 0])  # 1 attacks thin air, is then hit
    while not play(twin, [NOOP, NOOP]).action_success[1]:
        pass
    assert twin.step_count == 13


def test_invalid_actions_do_not_count_the_freeze_down() -> None:
    twin = ArenaTwin(arena_case(["@@..."], agent_initial_inventory=[{"laser": 1}, {}]))
    play(twin, [EAST, NOOP], [ATTACK, NOOP])
    assert twin.agents[1].frozen == 9
    play(twin, [NOOP, 99], [NOOP, -1])
    assert twin.agents[1].frozen == 9


def test_theft_takes_what_fits_and_the_laser_is_paid_after_it() -> None:
    hands = [{"laser": 50, "ore_red": 48}, {"laser": 5, "ore_red": 7, "heart": 2}]
    twin = ArenaTwin(arena_case(["@@..."], agent_initial_inventory=hands))
    play(twin, [EAST, NOOP], [ATTACK, NOOP])
    # No room for a 51st laser at the time of the theft, although one is paid right after.
    assert twin.inventory()[:, [0, 6, 8]].tolist() == [[50, 2, 49], [5, 0, 5]]
    play(twin, [ATTACK, NOOP])  # already frozen: nothing taken, laser paid
    assert twin.inventory()[:, [0, 6, 8]].tolist() == [[50, 2, 48], [5, 0, 5]]


def test_armor_saves_a_frozen_target_too() -> None:
    twin = ArenaTwin(arena_case(["@@..."], agent_initial_inventory=[{"laser": 3}, {"armor": 1, "heart": 4}]))
    play(twin, [EAST, NOOP], [ATTACK, NOOP])
    assert twin.agents[1].frozen == 0
    play(twin, [ATTACK, NOOP])
    assert twin.agents[1].frozen == 9
    twin.agents[1].held["armor"] = 1
    play(twin, [ATTACK, NOOP])
    assert (twin.agents[1].held["armor"], twin.agents[1].frozen) == (0, 8)


def test_facing_outwards_without_a_border_hits_oneself() -> None:
    twin = ArenaTwin(arena_case(["@.."], agent__initial_inventory={"laser": 2, "heart": 3}))
    result = play(twin, [NORTH], [ATTACK])
    assert result.action_success.all()
    assert twin.agents[0].frozen == 10
    assert twin.inventory()[0, [6, 8]].tolist() == [3, 1]
    while not play(twin, [NOOP]).action_success[0]:
        pass
    assert twin.step_count == 13


def test_clamped_cells_that_coincide_count_an_agent_once() -> None:
    # Facing west from column 0: the nine cells clamp to the three of column 0; centre (oneself), left, right.
    rows = ["@..", "@..", "@.."]
    hands = [{"heart": 1}, {"laser": 9}, {"heart": 2}]
    for number, victim in ((0, 1), (1, 2), (2, 0), (8, 0)):
        twin = ArenaTwin(arena_case(rows, agent_initial_inventory=hands))
        play(twin, [NOOP, WEST, NOOP], [NOOP, ATTACK + number, NOOP])
        assert [agent.frozen > 0 for agent in twin.agents].index(True) == victim


def test_scan_order_sees_through_walls_at_distances_1_to_3() -> None:
    rows = [".@@@.", ".@#@.", ".@@@.", "..@.."]
    order = [6, 5, 7, 3, 4, 1, 0, 2]  # agent ids by scan order, facing north from agent 8 (the wall hides nobody)
    found = ArenaTwin(arena_case(rows))
    attacker = found.agents[8]
    ids = [found.agents.index(agent) for agent in found._targets(attacker)]
    assert ids == [index for index in order if index != attacker]


def test_initial_items_are_clipped_paid_out_in_step_1_and_replaced_per_agent() -> None:
    case = arena_case(["@@"], agent__initial_inventory={"heart": 300, "ore_red": 60})
    twin = ArenaTwin(case)
    assert twin.inventory()[:, [0, 6]].tolist() == [[50, 255], [50, 255]]
    assert play(twin, [NOOP, NOOP]).rewards.tolist() == [100.5, 100.5]
    case["agent_initial_inventory"] = [{"heart": 1}, {}]
    twin = ArenaTwin(case)
    assert play(twin, [NOOP, NOOP]).rewards.tolist() == [1.0, 0.0]
    assert play(twin, [NOOP, NOOP]).rewards.tolist() == [0.0, 0.0]


def test_truncating_episodes_end_with_truncations() -> None:
    result = play(ArenaTwin(arena_case(["@"], max_steps=1, episode_truncates=True)), [NOOP])
    assert result.truncations.all()
    assert not result.terminals.any()


def test_tokens_are_cut_at_exactly_the_given_number() -> None:
    case = arena_case(["#" * 12, "#" * 12, "#####@######", "#" * 12], num_observation_tokens=7)
    tokens = ArenaTwin(case).observations()[0].tolist()
    assert tokens[4:] == [[85, 0, 0], [85, 1, 0], [85, 2, 0]]
    case["num_observation_tokens"] = 200
    tokens = ArenaTwin(case).observations()[0].tolist()
    assert tokens[8:10] == [[(4 << 4) | 5, 0, 1], [(5 << 4) | 4, 0, 1]]
    assert tokens[-1] == [255, 255, 255]


def test_window_order_covers_each_cell_once() -> None:
    for rows, columns in ((11, 11), (1, 5), (7, 3), (15, 15), (4, 6)):
        offsets = window_order(rows, columns)
        assert len(set(offsets)) == len(offsets) == rows * columns
        distances = [abs(down) + abs(right) for down, right in offsets]
        assert distances == sorted(distances)
    assert window_order(3, 3)[:5] == [(0, 0), (-1, 0), (0, -1), (0, 1), (1, 0)]
