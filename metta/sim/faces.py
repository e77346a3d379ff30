"""Faces: the tokens of an object, encoded once when it changes and copied into every observation that contains it.

A face is bytes (hole, feature, value) per token, little-endian in 64-bit words; the holes are filled with the
location when the face is shown. A cell's face has two words: up to FACE_TOKENS tokens, and in the highest byte the
number of the object's tokens. An object with more tokens is shown from its `long_faces`.
"""

import numpy as np

from metta.sim.compiled import inner
from metta.sim.constants import (
    FEATURE_CONVERTING,
    FEATURE_FIRST_ITEM,
    FEATURE_FROZEN,
    FEATURE_GROUP,
    FEATURE_ORIENTATION,
    FEATURE_TYPE,
    NUM_RESOURCES,
    TYPE_AGENT,
)
from metta.sim.world_arrays import (
    COLUMN,
    CONVERTING,
    COOLING,
    FACE_TOKENS,
    FROZEN,
    ITEMS,
    KIND,
    LONG_FACE_WORDS,
    ORIENTATION,
    ROW,
    TYPE_ID,
    Rules,
    World,
)

COUNT_SHIFT = np.uint64(56)
_WITHOUT_COUNT = np.uint64((1 << 56) - 1)
_BYTE = np.uint64(0xFF)
GROUP = 0
"""All agents are of one team."""


@inner
def put_byte(words: np.ndarray, position: int, value: int) -> None:
    """Put a byte into words whose byte at this position is zero."""
    words[position >> 3] |= np.uint64(value) << np.uint64((position & 7) << 3)


@inner
def put_token(words: np.ndarray, token: int, feature: int, value: int) -> None:
    """Put a token, its location left out."""
    put_byte(words, 3 * token + 1, feature)
    put_byte(words, 3 * token + 2, value)


@inner
def put_items(words: np.ndarray, token: int, items: np.ndarray) -> int:
    """Put a token per item that is there, in id order; returns the number of tokens so far."""
    for item in range(NUM_RESOURCES):
        if items[item] != 0:
            put_token(words, token, FEATURE_FIRST_ITEM + item, items[item])
            token += 1
    return token


@inner
def show_in_cell(world: World, entity: int, cell: int, tokens: int) -> None:
    """Copy the start of an entity's long face to its cell."""
    words = world.long_faces[entity]
    world.faces[2 * cell] = words[0]
    world.faces[2 * cell + 1] = (words[1] & _WITHOUT_COUNT) | (np.uint64(tokens) << COUNT_SHIFT)


@inner
def clear(words: np.ndarray) -> None:
    """No tokens."""
    for word in range(LONG_FACE_WORDS):
        words[word] = np.uint64(0)


@inner
def draw_agent(rules: Rules, world: World, agent: int) -> None:
    """Encode an agent."""
    words = world.long_faces[agent]
    clear(words)
    put_token(words, 0, FEATURE_TYPE, TYPE_AGENT)
    put_token(words, 1, FEATURE_GROUP, GROUP)
    put_token(words, 2, FEATURE_FROZEN, 1 if world.entities[agent, FROZEN] > 0 else 0)
    put_token(words, 3, FEATURE_ORIENTATION, world.entities[agent, ORIENTATION])
    tokens = put_items(words, 4, world.entities[agent, ITEMS : ITEMS + NUM_RESOURCES])
    cell = world.entities[agent, ROW] * rules.width + world.entities[agent, COLUMN]
    show_in_cell(world, agent, cell, tokens)


@inner
def draw_converter(rules: Rules, world: World, entity: int) -> None:
    """Encode a converter."""
    words = world.long_faces[entity]
    clear(words)
    busy = world.entities[entity, CONVERTING] + world.entities[entity, COOLING]
    put_token(words, 0, FEATURE_TYPE, rules.kinds[world.entities[entity, KIND], TYPE_ID])
    put_token(words, 1, FEATURE_CONVERTING, busy)
    tokens = put_items(words, 2, world.entities[entity, ITEMS : ITEMS + NUM_RESOURCES])
    cell = world.entities[entity, ROW] * rules.width + world.entities[entity, COLUMN]
    show_in_cell(world, entity, cell, tokens)


@inner
def draw_wall(rules: Rules, world: World, cell: int, kind: int) -> None:
    """Encode a wall."""
    value = np.uint64(rules.kinds[kind, TYPE_ID]) & _BYTE
    world.faces[2 * cell] = (np.uint64(FEATURE_TYPE) << np.uint64(8)) | (value << np.uint64(16))
    world.faces[2 * cell + 1] = np.uint64(1) << COUNT_SHIFT


assert 3 * FACE_TOKENS == 15
