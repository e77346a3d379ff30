"""Whatever the state, the decision keeps the slots, the order, the pauses and what is finished."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from metta.lab.decide import End, Item, Rank, Rules, Start, after_failure, decide

RULES = Rules(retries=2, retry_seconds=5.0, silence_seconds=300.0)
TIMES = st.floats(0, 1000)
ITEMS = st.builds(
    Item,
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
    items: list[Item], slots: int, now: float
) -> None:
    decision = decide(items, slots, now, RULES)
    started = [action.index for action in decision.actions if isinstance(action, Start)]
    active = sum(item.active for item in items)
    assert len(started) == len(set(started))
    assert not started or active + len(started) <= slots
    for item in (items[index] for index in started):
        assert item.rank is not None
        assert not item.active
        assert not item.held
        assert item.retry_at <= now
        assert not item.permanent
        assert item.attempts <= RULES.retries


@given(LISTS, st.integers(1, 5), TIMES)
def test_no_slot_stays_free_while_something_is_ready_and_urgent_things_go_first(
    items: list[Item], slots: int, now: float
) -> None:
    started = {action.index for action in decide(items, slots, now, RULES).actions if isinstance(action, Start)}
    ready = {
        index
        for index, item in enumerate(items)
        if item.rank is not None and not (item.active or item.held or item.has_failed(RULES)) and item.retry_at <= now
    }
    assert started <= ready
    assert len(started) == min(len(ready), max(0, slots - sum(item.active for item in items)))
    order = [(items[index].rank, index) for index in sorted(ready, key=lambda index: (items[index].rank, index))]
    assert started == {index for _, index in order[: len(started)]}


@given(LISTS, st.integers(0, 5), TIMES)
def test_only_the_silent_are_ended_and_only_once(items: list[Item], slots: int, now: float) -> None:
    for action in decide(items, slots, now, RULES).actions:
        if isinstance(action, End):
            item = items[action.index]
            assert item.active or item.held
            assert not item.ending
            assert item.alive_at is not None
            assert now - item.alive_at > RULES.silence_seconds


@given(LISTS, st.integers(1, 5), TIMES)
def test_settled_means_that_nothing_will_ever_happen(items: list[Item], slots: int, now: float) -> None:
    decision = decide(items, slots, now, RULES)
    if decision.settled:
        assert decide(items, slots, now + 1e9, RULES).actions == ()
        assert not any(item.active for item in items)
        assert all(item.rank is None or item.has_failed(RULES) for item in items)
    else:
        # Time alone brings an action, unless a slot is taken by work that is alive or gives no signs.
        later = decide(items, slots, now + 1e9, RULES)
        assert later.actions or any(item.active or item.held for item in items)


def test_a_failing_task_is_tried_as_often_as_the_rules_say_with_growing_pauses() -> None:
    item, now, starts = Item(rank=Rank.TRAIN), 0.0, []
    while not decide([item], 1, now, RULES).settled:
        if decide([item], 1, now, RULES).actions:
            starts.append(now)
            item = after_failure(item, permanent=False, now=now, rules=RULES)
        now += 1.0
    assert starts == [0.0, 5.0, 35.0]
    assert after_failure(Item(rank=Rank.TRAIN), True, 0.0, RULES).has_failed(RULES)


def test_ten_thousand_runs_take_little_memory() -> None:
    tracemalloc.start()
    items = [Item(rank=Rank.TRAIN, retry_at=float(index)) for index in range(10_000)]
    decision = decide(items, 16, 20_000.0, RULES)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [action.index for action in decision.actions] == list(range(16))
    assert peak < 20 * 2**20
