"""Observations: the tokens of what an agent sees, nearest first."""

from typing import Any

import numpy as np

from metta.sim.compiled import inner, trailing_zeros
from metta.sim.constants import (
    FEATURE_CUE_GET,
    FEATURE_CUE_PUT,
    FEATURE_EPISODE_COMPLETION,
    FEATURE_LAST_ACTION,
    FEATURE_LAST_ACTION_ARGUMENT,
    FEATURE_LAST_REWARD,
    FIRST_ATTACK,
    FIRST_MOVE,
    GET_ITEMS,
    LAST_MOVE,
    PADDING,
    TOKEN_BYTES,
)
from metta.sim.faces import COUNT_SHIFT
from metta.sim.window import COLUMNS_PER_WORD, Window
from metta.sim.world_arrays import COLUMN, CUE, FACE_TOKENS, LONG_FACE_WORDS, ROW, SHOWN_ACTION, STEP, Rules, World

GLOBAL_TOKENS = 4
FACE_BYTES = 16
WORD_BYTES = 8
LONG_FACE_BYTES = WORD_BYTES * LONG_FACE_WORDS
TOKENS_IN_THREE_WORDS = 8
# Every third byte of a face is a location; where they lie in a word depends on the word's place modulo 3.
_HOLES_0 = np.uint64(1 | 1 << 24 | 1 << 48)
_HOLES_1 = np.uint64(1 << 8 | 1 << 32 | 1 << 56)
_HOLES_2 = np.uint64(1 << 16 | 1 << 40)
_HOLES_SHORT_1 = np.uint64(1 << 8 | 1 << 32)
_ONE = np.uint64(1)
_PADDING_WORD = np.uint64(0xFFFFFFFFFFFFFFFF)


@inner
def observe_world(rules: Rules, world: World, window: Window, rewards: np.ndarray, observations: np.ndarray) -> None:
    """Write observations uint8 [A, 3 * M] of a world's agents; `rewards` [A] are those so far."""
    completion = completion_value(world.clock[STEP], rules.max_steps)
    for agent in range(rules.num_agents):
        observe_agent(rules, world, window, agent, completion, rewards[agent], observations[agent])


@inner
def observe_agent(
    rules: Rules, world: World, window: Window, agent: int, completion: int, reward: np.float32, out: np.ndarray
) -> None:
    """Write the observation uint8 [3 * M] of one agent; changes nothing else and reads nobody else's."""
    put_global_tokens(world, window, agent, completion, last_reward_value(reward), out)
    tokens = GLOBAL_TOKENS
    if rules.wait > 0 and world.entities[agent, CUE] != 0:
        feature = FEATURE_CUE_GET if world.entities[agent, CUE] == GET_ITEMS else FEATURE_CUE_PUT
        put_token(out, tokens, (window.center_row << 4) | window.center_column, feature, 1)
        tokens += 1
    put_objects(world, window, agent, rules.width, tokens, out)


@inner
def completion_value(step: int, max_steps: int) -> int:
    """step / max_steps * 255 to the nearest whole, halves up."""
    return (2 * 255 * step + max_steps) // (2 * max_steps)


@inner
def last_reward_value(reward: np.float32) -> int:
    """100 times the reward to the nearest whole (halves away from zero), modulo 256."""
    if reward == np.float32(0.0):
        return 0
    hundredfold = np.float32(reward * np.float32(100.0))
    whole = (abs(np.float64(hundredfold)) + 0.5) // 1.0  # `np.floor` does not exist on a GPU
    signed = -whole if hundredfold < 0 else whole
    return int(signed % 256.0)


@inner
def shown_argument(action: int) -> int:
    """Argument of a shown action: the orientation of a move, the k of an attack, else 0."""
    if FIRST_MOVE <= action <= LAST_MOVE:
        return action - FIRST_MOVE
    if action >= FIRST_ATTACK:
        return action - FIRST_ATTACK
    return 0


@inner
def store_word(out: np.ndarray, position: int, word: np.uint64) -> None:
    """Eight bytes, lowest first (the compiler makes one store of them)."""
    p = np.uint64(position)
    out[p] = np.uint8(word & np.uint64(0xFF))
    out[p + np.uint64(1)] = np.uint8((word >> np.uint64(8)) & np.uint64(0xFF))
    out[p + np.uint64(2)] = np.uint8((word >> np.uint64(16)) & np.uint64(0xFF))
    out[p + np.uint64(3)] = np.uint8((word >> np.uint64(24)) & np.uint64(0xFF))
    out[p + np.uint64(4)] = np.uint8((word >> np.uint64(32)) & np.uint64(0xFF))
    out[p + np.uint64(5)] = np.uint8((word >> np.uint64(40)) & np.uint64(0xFF))
    out[p + np.uint64(6)] = np.uint8((word >> np.uint64(48)) & np.uint64(0xFF))
    out[p + np.uint64(7)] = np.uint8((word >> np.uint64(56)) & np.uint64(0xFF))


@inner
def put_token(out: np.ndarray, token: int, location: int, feature: int, value: int) -> None:
    """Write one token if there is a row for it."""
    if TOKEN_BYTES * token < out.shape[0]:
        out[TOKEN_BYTES * token] = np.uint8(location)
        out[TOKEN_BYTES * token + 1] = np.uint8(feature)
        out[TOKEN_BYTES * token + 2] = np.uint8(value)


@inner
def put_global_tokens(
    world: World, window: Window, agent: int, completion: int, last_reward: int, out: np.ndarray
) -> None:
    """Write the four tokens about the episode and the agent's last step."""
    here = (window.center_row << 4) | window.center_column
    action = world.entities[agent, SHOWN_ACTION]
    put_token(out, 0, here, FEATURE_EPISODE_COMPLETION, completion)
    put_token(out, 1, here, FEATURE_LAST_ACTION, action)
    put_token(out, 2, here, FEATURE_LAST_ACTION_ARGUMENT, shown_argument(action))
    put_token(out, 3, here, FEATURE_LAST_REWARD, last_reward)


@inner
def put_objects(world: World, window: Window, agent: int, width: int, tokens: int, out: np.ndarray) -> None:
    """Write, behind so many tokens, those of every object in the window, by rank, then the padding.

    `width` is the map's.
    """
    row = world.entities[agent, ROW]
    column = world.entities[agent, COLUMN]
    cell = row * width + column
    position = tokens * TOKEN_BYTES
    for group in range(0, window.num_rank_words, 2):
        near, far = ranks_in_view(world, window, row, column, group)
        position = show_ranks(world, window, cell, near, 64 * group, out, position)
        position = show_ranks(world, window, cell, far, 64 * group + 64, out, position)
    pad(out, position)


@inner
def show_ranks(
    world: World, window: Window, cell: int, ranks: np.uint64, first_rank: int, out: np.ndarray, position: int
) -> int:
    """Write the tokens of a set of ranks, lowest first; returns the position behind them."""
    while ranks != np.uint64(0):
        rank = trailing_zeros(ranks) + np.uint64(first_rank)
        ranks &= ranks - _ONE
        there = cell + window.rank_cell[rank]
        position = show(world, there, window.rank_location[rank], out, position)
    return position


@inner
def pad(out: np.ndarray, position: int) -> None:
    """Fill the rest of an observation, many bytes at a time while there is room for them."""
    while position + 4 * WORD_BYTES <= out.shape[0]:
        for word in range(4):
            store_word(out, position + word * WORD_BYTES, _PADDING_WORD)
        position += 4 * WORD_BYTES
    while position + WORD_BYTES <= out.shape[0]:
        store_word(out, position, _PADDING_WORD)
        position += WORD_BYTES
    while position < out.shape[0]:
        out[position] = np.uint8(PADDING)
        position += 1


@inner
def ranks_in_view(world: World, window: Window, row: int, column: int, group: int) -> tuple[np.uint64, np.uint64]:
    """Bit sets of the ranks 64 * group .. 64 * group + 127 whose cells are taken, seen from a cell.

    Indices are unsigned here and in `show`: signed ones cost a test for being negative each.
    """
    word = np.uint64(column // COLUMNS_PER_WORD)
    shift = column % COLUMNS_PER_WORD
    low_mask = (1 << window.half_bits) - 1
    high_mask = (1 << (window.columns - window.half_bits)) - 1
    near = np.uint64(0)
    far = np.uint64(0)
    for r in range(window.rows):
        bits = np.int64(world.occupied[np.uint64(row + r), word]) >> shift
        low = ((2 * r) << window.half_bits) + (bits & low_mask)
        high = ((2 * r + 1) << window.half_bits) + ((bits >> window.half_bits) & high_mask)
        low = low * window.num_rank_words + group
        high = high * window.num_rank_words + group
        near |= window.rank_words[np.uint64(low)] | window.rank_words[np.uint64(high)]
        far |= window.rank_words[np.uint64(low + 1)] | window.rank_words[np.uint64(high + 1)]
    return near, far


@inner
def show(world: World, cell: int, location: np.uint64, out: np.ndarray, position: int) -> Any:
    """Write the tokens of what stands in a cell, cut at the end of `out`; returns the position behind them."""
    first = world.faces[np.uint64(2 * cell)]
    second = world.faces[np.uint64(2 * cell + 1)]
    tokens = np.int64(second >> COUNT_SHIFT)
    if tokens <= FACE_TOKENS:
        if position + FACE_BYTES > out.shape[0]:
            return show_bytewise(world.faces[2 * cell : 2 * cell + 2], tokens, location, out, position)
        # Bytes behind the object's tokens are written too; what follows overwrites them.
        store_word(out, position, first | location * _HOLES_0)
        store_word(out, position + WORD_BYTES, second | location * _HOLES_SHORT_1)
        return position + TOKEN_BYTES * tokens
    words = world.long_faces[world.cells[cell] - 1]
    if position + LONG_FACE_BYTES > out.shape[0]:
        return show_bytewise(words, tokens, location, out, position)
    show_three_words(words, 0, location, out, position)
    if tokens > TOKENS_IN_THREE_WORDS:
        show_three_words(words, 3, location, out, position + 3 * WORD_BYTES)
    return position + TOKEN_BYTES * tokens


@inner
def show_three_words(words: np.ndarray, word: int, location: np.uint64, out: np.ndarray, position: int) -> None:
    """Eight tokens of a long face, from a word whose number is a multiple of 3."""
    store_word(out, position, words[word] | location * _HOLES_0)
    store_word(out, position + WORD_BYTES, words[word + 1] | location * _HOLES_1)
    store_word(out, position + 2 * WORD_BYTES, words[word + 2] | location * _HOLES_2)


@inner
def show_bytewise(words: np.ndarray, tokens: int, location: np.uint64, out: np.ndarray, position: int) -> int:
    """The same byte by byte, for the end of the row."""
    end = min(position + TOKEN_BYTES * tokens, out.shape[0])
    start = position
    while position < end:
        i = position - start
        if i % TOKEN_BYTES == 0:
            out[position] = np.uint8(location)
        else:
            out[position] = np.uint8((words[i >> 3] >> np.uint64((i & 7) << 3)) & np.uint64(0xFF))
        position += 1
    return position
