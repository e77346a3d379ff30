"""Which cells are taken, as the bits from which observation windows are cut (layout: window.py)."""

import numpy as np

from metta.sim.compiled import inner
from metta.sim.window import COLUMNS_PER_WORD, Window
from metta.sim.world_arrays import World


@inner
def flip(world: World, window: Window, row: int, column: int) -> None:
    """Mark a free cell as taken, or a taken one as free."""
    padded_row = row + window.center_row
    padded_column = column + window.center_column
    word = padded_column // COLUMNS_PER_WORD
    bit = padded_column % COLUMNS_PER_WORD
    if word < world.occupied.shape[1]:
        world.occupied[padded_row, word] ^= np.uint32(1 << bit)
    if word > 0:
        world.occupied[padded_row, word - 1] ^= np.uint32(1 << (bit + COLUMNS_PER_WORD))
