"""Recurrent state as a nested tuple of tensors, batch first: the few operations everything else needs on it.

Axes: B batch (streams) is the first axis of every leaf.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

State = Tensor | tuple["State", ...]
"""A tensor or a tuple of states; the empty tuple is the state of a policy without memory."""


def map_state(function: Callable[..., Tensor], *states: State) -> State:
    """`function` of the corresponding leaves of states of one structure."""
    if isinstance(states[0], Tensor):
        return function(*states)
    return tuple(map_state(function, *parts) for parts in zip(*states, strict=True))


def leaves(state: State) -> Iterator[Tensor]:
    """The tensors of a state, in order."""
    if isinstance(state, Tensor):
        yield state
    else:
        for part in state:
            yield from leaves(part)


def with_leaves(state: State, tensors: Sequence[Tensor]) -> State:
    """A state of the structure of `state` made of `tensors` in the order of `leaves`."""
    remaining = iter(tensors)
    return map_state(lambda _: next(remaining), state)


def rows(state: State, index: Tensor | slice) -> State:
    """The rows `index` of every leaf."""
    return map_state(lambda leaf: leaf[index], state)


def concatenate(states: Sequence[State]) -> State:
    """States of several groups of streams as one."""
    return map_state(lambda *parts: torch.cat(parts), *states)


def detach(state: State) -> State:
    """The same numbers without a gradient."""
    return map_state(lambda leaf: leaf.detach(), state)
