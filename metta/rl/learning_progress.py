"""Which training tasks to draw: those whose success changes, in either direction. Pure: state in, state out.

Source: Kanitscheider et al., "Multi-task curriculum learning in a complex, visual, hard-exploration domain:
Minecraft", arXiv 2106.14876 (2021); Zhang et al., "OMNI", arXiv 2306.01711 (2023) uses the same measure.

- A task's fast mean follows its success, its slow mean follows the fast one, both exponentially.
- Both are reweighted by f(p) = (1 - q) p / (p + q (1 - 2 p)) with q = 0.1, so that a rise from 0.01 to 0.02 counts
  more than one from 0.51 to 0.52; learning progress is the distance of the two, whichever is larger.

Differs in: the means are corrected for their start (as in Adam), because a task here has tens of episodes rather than
thousands; successes are those of training episodes, not of separate evaluations, and what a random player reaches is
not subtracted from them (OMNI does both); progress is divided by the largest of the active tasks, instead of z-scores
and a sigmoid; a task with fewer than two successes known counts as the largest; and only some tasks are active at a
time, the others taking turns with the active ones that progress least.

K tasks.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

REWEIGHTING = 0.1
"""q above."""

TRIES = 4
"""Episodes that a task is given before another may take its turn."""

ROUNDING = 1e-6
"""Progress up to this is none: the means of a task that stands still differ by rounding."""

Floats = NDArray[np.float64]


class ProgressState(NamedTuple):
    """What is known of every task."""

    episodes: NDArray[np.int64]
    """[K] successes known."""
    fast: Floats
    """[K] fast mean, not yet corrected for its start from 0."""
    slow: Floats
    """[K] slow mean, likewise."""
    active: NDArray[np.bool_]
    """[K] the task may be drawn."""
    tries: NDArray[np.int64]
    """[K] successes known since the task became active."""
    turn: NDArray[np.int64]
    """[K] a permutation: who becomes active first among tasks with equally many episodes."""


def initial_state(turn: NDArray[np.int64], active_tasks: int) -> ProgressState:
    """Nothing known; the first `active_tasks` tasks in the order of `turn` (int64 [K], a permutation) are active."""
    count = len(turn)
    return ProgressState(
        episodes=np.zeros(count, np.int64),
        fast=np.zeros(count),
        slow=np.zeros(count),
        active=turn < active_tasks,
        tries=np.zeros(count, np.int64),
        turn=turn.astype(np.int64),
    )


def learn(state: ProgressState, results: Sequence[tuple[int, float]], time_scale: float) -> ProgressState:
    """The state after further episodes.

    Args:
        state: what is known; not changed.
        results: task and success in [0, 1] of each episode, in the order of their ends.
        time_scale: share of the new in each mean, in (0, 1].
    """
    new = state._replace(
        episodes=state.episodes.copy(), tries=state.tries.copy(), fast=state.fast.copy(), slow=state.slow.copy()
    )
    for task, success in results:
        new.episodes[task] += 1
        new.tries[task] += 1
        new.fast[task] += time_scale * (success - new.fast[task])
        corrected = new.fast[task] / known_share(new.episodes[task], time_scale)
        new.slow[task] += time_scale * (corrected - new.slow[task])
    return take_turns(new, time_scale) if results else new


def take_turns(state: ProgressState, time_scale: float) -> ProgressState:
    """Active tasks with enough tries and at most the active tasks' median progress make room for waiting ones.

    The one with the largest progress stays, unless it is the only one active; the median alone would let it go while
    most active tasks are unknown and count as the largest, too.
    """
    waiting = np.flatnonzero(~state.active)
    progress = relative_progress(state, time_scale)
    active = np.flatnonzero(state.active)
    stays = (progress[active] == 1.0) & (len(active) > 1)
    low = active[(state.tries[active] >= TRIES) & (progress[active] <= np.median(progress[active])) & ~stays]
    low = low[np.argsort(progress[low], kind="stable")]
    waiting = waiting[np.lexsort((state.turn[waiting], state.episodes[waiting]))]
    count = min(len(low), len(waiting))
    new_active, tries = state.active.copy(), state.tries.copy()
    new_active[low[:count]] = False
    new_active[waiting[:count]] = True
    tries[waiting[:count]] = 0
    return state._replace(active=new_active, tries=tries)


def means(state: ProgressState, time_scale: float) -> tuple[Floats, Floats]:
    """[K] fast and slow means, corrected for their start; 0 for tasks without episodes."""
    weight = known_share(np.maximum(state.episodes, 1), time_scale)
    return state.fast / weight, state.slow / weight


def known_share(episodes: NDArray[np.int64], time_scale: float) -> Floats:
    """Weight of so many successes, at least one, in a mean that starts from 0; the rest is the start's.

    It is 1 - (1 - time_scale)^episodes, written so that a tiny time scale loses no digits.
    """
    log_kept = np.log1p(-time_scale) if time_scale < 1 else -np.inf
    weight: Floats = -np.expm1(episodes * log_kept)
    return weight


def reweighted(probability: Floats) -> Floats:
    """f of the head of this file."""
    result: Floats = (1.0 - REWEIGHTING) * probability / (probability + REWEIGHTING * (1.0 - 2.0 * probability))
    return result


def learning_progress(state: ProgressState, time_scale: float) -> Floats:
    """[K] distance of the reweighted means, in [0, 1]; 0 for tasks with fewer than two episodes."""
    fast, slow = means(state, time_scale)
    distance = np.abs(reweighted(fast) - reweighted(slow))
    return np.where((distance > ROUNDING) & (state.episodes >= 2), distance, 0.0)


def relative_progress(state: ProgressState, time_scale: float) -> Floats:
    """[K] learning progress divided by the largest of the active tasks; 1 for tasks with fewer than two episodes."""
    progress = learning_progress(state, time_scale)
    largest = progress[state.active].max(initial=0.0)
    scaled: Floats = np.minimum(progress / largest, 1.0) if largest > 0 else progress
    return np.where(state.episodes >= 2, scaled, 1.0)


def task_weights(state: ProgressState, time_scale: float, exploration_bonus: float) -> Floats:
    """[K] how likely each task is drawn, relative to the others; 0 for tasks that are not active."""
    weights: Floats = np.where(state.active, relative_progress(state, time_scale) + exploration_bonus, 0.0)
    return weights
