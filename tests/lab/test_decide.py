"""Whatever the state, the decision keeps the slots, the order, the pauses and what is finished."""

from hypothesis import given
from hypothesis import strategies as st

from metta.lab.decide import Rank, RetryPolicy, TaskState, after_failure, decide

POLICY = RetryPolicy(retries=2, retry_seconds=5.0, silence_seconds=300.0)
TIMES = st.floats(0, 1000)
ITEMS = st.builds(
    TaskState,
    rank=st.none() | st.sampled_from(Rank),
    active=st.booleans(),
    held=st.booleans(),
    ending=st.booleans(),
    alive_at=st.none() | TIMES,
    attempts=st.integers(0, 4),
    retry_at=TIMES,
    permanent=st.booleans(),
)
LISTS = st.lists(ITEMS, max_size=12)


@given(LISTS, st.integers(0, 5), TIMES)
def test_only_what_is_free_ready_and_unfinished_is_started_within_the_slots(
    states: list[TaskState], slots: int, now: float
) -> None:
    started = decide(states, slots, now, POLICY).starts
    active = sum(state.active for state in states)
    assert len(started) == len(set(started))
    assert not started or active + len(started) <= slots
    for state in (states[index] for index in started):
        assert state.rank is not None
        assert not state.active
        assert not state.held
        assert state.retry_at <= now
        assert not state.permanent
        assert state.attempts <= POLICY.retries


@given(LISTS, st.integers(1, 5), TIMES)
def test_no_slot_stays_free_while_something_is_ready_and_urgent_things_go_first(
    states: list[TaskState], slots: int, now: float
) -> None:
    started = {*decide(states, slots, now, POLICY).starts}
    ready = {
        index
        for index, state in enumerate(states)
        if state.rank is not None
        and not (state.active or state.held or state.has_failed(POLICY))
        and state.retry_at <= now
    }
    assert started <= ready
    assert len(started) == min(len(ready), max(0, slots - sum(state.active for state in states)))
    order = [(states[index].rank, index) for index in sorted(ready, key=lambda index: (states[index].rank, index))]
    assert started == {index for _, index in order[: len(started)]}


@given(LISTS, st.integers(0, 5), TIMES)
def test_only_the_silent_are_ended_and_only_once(states: list[TaskState], slots: int, now: float) -> None:
    for state in (states[index] for index in decide(states, slots, now, POLICY).ends):
        assert state.active or state.held
        assert not state.ending
        assert state.alive_at is not None
        assert now - state.alive_at > POLICY.silence_seconds


@given(LISTS, st.integers(1, 5), TIMES)
def test_settled_means_that_nothing_will_ever_happen(states: list[TaskState], slots: int, now: float) -> None:
    decision = decide(states, slots, now, POLICY)
    if decision.settled:
        assert decide(states, slots, now + 1e9, POLICY) == ([], [], True)
        assert not any(state.active for state in states)
        assert all(state.rank is None or state.has_failed(POLICY) for state in states)
    else:
        # Time alone brings an action, unless a slot is taken by work that is alive or gives no signs.
        later = decide(states, slots, now + 1e9, POLICY)
        assert later.starts or later.ends or any(state.active or state.held for state in states)


def test_a_failing_task_is_tried_as_often_as_the_rules_say_with_growing_pauses() -> None:
    state, now, starts = TaskState(rank=Rank.TRAIN), 0.0, []
    while not decide([state], 1, now, POLICY).settled:
        if decide([state], 1, now, POLICY).starts:
            starts.append(now)
            state = after_failure(state, permanent=False, now=now, policy=POLICY)
        now += 1.0
    assert starts == [0.0, 5.0, 35.0]
    assert after_failure(TaskState(rank=Rank.TRAIN), True, 0.0, POLICY).has_failed(POLICY)
