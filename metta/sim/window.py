"""The observation window as tables: which occupied cells an agent sees, in token order, without sorting.

Cells of a window are ranked in token order (Manhattan distance, then row, then the negative before the positive
column). A map row is kept as bits; the bits of one window row, split into a low and a high half, index a table that
gives the ranks of those cells as a bit set of G 64-bit words. The union over the rows is the set of ranks to emit,
from the lowest bit up.

Map rows are stored in overlapping 32-bit words, one per 16 columns: word j holds padded columns 16j..16j+31, so that
the bits of a window that starts in column c are in one word, c // 16. Padding is the columns left of the agent in a
window, and as many rows above and below as the window reaches.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

COLUMNS_PER_WORD = 16


class Window(NamedTuple):
    """Tables for one window size on one map width."""

    rows: int
    columns: int
    center_row: int
    """Row of the agent in the window."""
    center_column: int
    """Column of the agent in the window."""
    half_bits: int
    """Columns in the low half of a window row."""
    num_rank_words: int
    """G, even: the kernels take two words at a time."""
    rank_words: NDArray[np.uint64]
    """[rows, 2, 2 ** half_bits, G] flattened: ranks of the cells in half a window row."""
    rank_cell: NDArray[np.int32]
    """[64 * G] offset of the cell with this rank from the agent's cell."""
    rank_location: NDArray[np.uint64]
    """[64 * G] location byte of the cell with this rank, repeated in every third byte (see faces.py)."""


def token_order(rows: int, columns: int) -> list[tuple[int, int]]:
    """Row and column offsets of a window's cells in the order of their tokens."""
    center_row, center_column = rows // 2, columns // 2
    offsets = [(row - center_row, column - center_column) for row in range(rows) for column in range(columns)]
    return sorted(offsets, key=lambda offset: (abs(offset[0]) + abs(offset[1]), offset[0], offset[1]))


def location(row: int, column: int) -> int:
    """Location byte of a window cell."""
    return (row << 4) | column


def window_tables(rows: int, columns: int, map_width: int) -> Window:
    """The tables of a window of rows x columns cells on a map of the given width."""
    order = token_order(rows, columns)
    center_row, center_column = rows // 2, columns // 2
    half_bits = (columns + 1) // 2
    num_rank_words = 2 * ((len(order) + 127) // 128)
    rank_words = np.zeros((rows, 2, 1 << half_bits, num_rank_words), np.uint64)
    rank_cell = np.zeros(64 * num_rank_words, np.int32)
    rank_location = np.zeros(64 * num_rank_words, np.uint64)
    for rank, (row_offset, column_offset) in enumerate(order):
        row, column = row_offset + center_row, column_offset + center_column
        rank_cell[rank] = row_offset * map_width + column_offset
        rank_location[rank] = location(row, column)
        half, bit = divmod(column, half_bits)
        with_bit = [bits for bits in range(1 << half_bits) if bits >> bit & 1]
        rank_words[row, half, with_bit, rank // 64] |= np.uint64(1 << (rank % 64))
    return Window(
        rows=rows,
        columns=columns,
        center_row=center_row,
        center_column=center_column,
        half_bits=half_bits,
        num_rank_words=num_rank_words,
        rank_words=rank_words.reshape(-1),
        rank_cell=rank_cell,
        rank_location=rank_location,
    )


def words_per_row(map_width: int) -> int:
    """Words per map row."""
    return (map_width - 1) // COLUMNS_PER_WORD + 1
