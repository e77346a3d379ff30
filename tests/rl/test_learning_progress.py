"""Learning progress against its definition in plain Python, and what it makes of tasks that do or do not change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metta.rl.learning_progress import (
    TRIES,
    initial_state,
    learn,
    means,
    relative_progress,
    reweighted,
    take_turns,
    task_weights,
)

SCALE = 0.05
results_of_five = st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1)), max_size=60)


def plain_means(successes: list[float], scale: float) -> tuple[float, float]:
    """Weighted means by their definition: the k-th last value has the weight (1 - scale)^k."""

    def weighted(values: list[float]) -> float:
        weights = [(1 - scale) ** k for k in range(len(values))][::-1]
        return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)

    fast = [weighted(successes[: n + 1]) for n in range(len(successes))]
    return fast[-1], weighted(fast)


@settings(max_examples=60, deadline=None)
@given(results=results_of_five, scale=st.sampled_from([1e-17, 1e-9, 0.001, 0.05, 1.0]))
def test_means_are_their_definition(results, scale):
    state = learn(initial_state(np.arange(5), 3), results, scale)
    fast, slow = means(state, scale)
    for task in range(5):
        successes = [success for which, success in results if which == task]
        assert state.episodes[task] == len(successes)
        expected = plain_means(successes, scale) if successes else (0.0, 0.0)
        np.testing.assert_allclose((fast[task], slow[task]), expected, rtol=1e-7, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(results=results_of_five, active=st.integers(1, 7))
def test_as_many_are_active_as_wanted_and_only_they_have_weight(results, active):
    state = initial_state(np.array([3, 1, 4, 0, 2]), active)
    for one in results:
        state = learn(state, [one], SCALE)
        weights = task_weights(state, SCALE, 0.1)
        assert state.active.sum() == min(active, 5)
        assert np.array_equal(weights > 0, state.active)
        assert weights[state.active].min() >= 0.1
        assert weights.max() <= 1.1


def test_state_is_not_changed_and_nothing_new_changes_nothing():
    state = learn(initial_state(np.arange(5), 3), [(0, 0.5), (1, 0.25)], SCALE)
    before = [array.copy() for array in state]
    learn(state, [(0, 1.0), (2, 0.1)], SCALE)
    same = learn(state, [], SCALE)
    assert all(np.array_equal(a, b) for a, b in zip(before, state, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(before, same, strict=True))


def known(successes_by_task: list[list[float]]):
    """All tasks active, with these successes."""
    state = initial_state(np.arange(len(successes_by_task)), len(successes_by_task))
    return learn(state, [(task, s) for task, values in enumerate(successes_by_task) for s in values], SCALE)


def test_rising_and_falling_tasks_count_alike_and_steady_ones_get_the_bonus_alone():
    rising = [0.1 * n for n in range(9)]
    state = known([rising, [0.8 - value for value in rising], [0.0] * 9, [1.0] * 9, [0.4] * 9])
    weights = task_weights(state, SCALE, 0.1)
    assert weights[2:] == pytest.approx([0.1, 0.1, 0.1])
    assert min(weights[:2]) > 0.5
    assert max(weights[:2]) == pytest.approx(1.1)


def test_a_rise_from_nearly_nothing_counts_more():
    assert reweighted(np.array([0.0, 0.1, 1.0])) == pytest.approx([0.0, 0.5, 1.0])
    low, middle = known([[0.0, 0.02], [0.5, 0.52]]), known([[0.5, 0.52], [0.0, 0.02]])
    assert relative_progress(low, SCALE)[0] == relative_progress(middle, SCALE)[1] == 1.0
    assert relative_progress(low, SCALE)[1] < 0.5


def test_tasks_with_fewer_than_two_episodes_count_as_the_largest():
    state = known([[], [0.5], [0.5, 0.5], [0.1, 0.6]])
    assert relative_progress(state, SCALE).tolist() == [1.0, 1.0, 0.0, 1.0]


def test_turns_go_from_the_least_progress_to_the_least_tried():
    state = initial_state(np.array([0, 1, 2, 4, 3, 5]), 3)
    assert state.active.tolist() == [True, True, True, False, False, False]
    results = [(0, 0.2), (1, 0.1), (2, 0.3)]
    for _ in range(TRIES - 1):
        state = learn(state, results, SCALE)
    assert state.active.tolist() == [True, True, True, False, False, False]
    # Task 1 alone has had its tries, and stood still; task 4 is first in turn among those without episodes.
    state = learn(state, [(1, 0.1)], SCALE)
    assert state.active.tolist() == [True, False, True, False, True, False]
    assert state.tries[4] == 0
    assert take_turns(state, SCALE).active.tolist() == state.active.tolist()


def test_the_task_that_progresses_most_keeps_its_turn_while_others_are_unknown():
    state = initial_state(np.arange(8), 6)
    for step in range(TRIES):
        state = learn(state, [(0, 0.1 * step), (1, 0.3)], SCALE)
    # Task 1 alone stood still and gave way to task 6; of tasks 2 to 5 nothing is known yet.
    assert state.active.tolist() == [True, False, True, True, True, True, True, False]


def test_a_single_active_task_gives_way_after_its_tries():
    state = initial_state(np.arange(3), 1)
    for step in range(TRIES):
        assert state.active.tolist() == [True, False, False]
        state = learn(state, [(0, 0.1 * step)], SCALE)
    assert state.active.tolist() == [False, True, False]


def test_every_task_is_tried_even_when_nothing_is_ever_learned():
    state = initial_state(np.random.default_rng(0).permutation(64), 16)
    generator = np.random.default_rng(1)
    for _ in range(64 * 2 * TRIES):
        weights = task_weights(state, 0.001, 0.1)
        state = learn(state, [(int(generator.choice(64, p=weights / weights.sum())), 0.0)], 0.001)
    assert state.episodes.min() >= 1


def test_what_is_being_learned_is_drawn_more_than_what_is_not():
    """Tasks 0..3 are learned by practice, the others never: the learnable ones get most episodes while they rise."""
    state = initial_state(np.arange(16), 16)
    generator = np.random.default_rng(2)
    for _ in range(400):
        weights = task_weights(state, 0.001, 0.1)
        task = int(generator.choice(16, p=weights / weights.sum()))
        success = min(1.0, 0.01 * state.episodes[task]) if task < 4 else 0.0
        state = learn(state, [(task, success)], 0.001)
    assert state.episodes[:4].sum() > 200


def draws_of_a_rising_task(time_scale: float) -> list[float]:
    """How often task 0 of 16 is drawn in each quarter of 2000 episodes, over the even share.

    Its success rises from 0.3 to 0.8 in the second quarter; that of the others stands still at 0.5.
    """
    generator = np.random.default_rng(5)
    state = initial_state(np.arange(16), 16)
    drawn = np.zeros(2000)
    for episode in range(2000):
        weights = task_weights(state, time_scale, 0.1)
        task = int(generator.choice(16, p=weights / weights.sum()))
        level = 0.5 if task else 0.3 + 0.5 * np.clip((episode - 500) / 500, 0, 1)
        state = learn(state, [(task, float(np.clip(level + generator.normal(0, 0.02), 0, 1)))], time_scale)
        drawn[episode] = task == 0
    return [16 * float(quarter.mean()) for quarter in np.split(drawn, 4)]


def test_a_task_is_drawn_more_while_it_changes_and_less_afterwards_if_it_has_many_episodes_per_time_scale():
    _, changing, _, long_after = draws_of_a_rising_task(time_scale=0.1)
    assert changing > 3
    assert long_after < 1.5
    # With a thousand episodes to forget, all 2000 of this run are too few: it still looks as if it changed.
    _, changing, _, long_after = draws_of_a_rising_task(time_scale=0.001)
    assert changing > 3
    assert long_after > 3
