"""An episode as a small still picture: its map, and where the agents went in its last steps; SVG without scripts."""

import base64
from collections.abc import Iterable
from itertools import pairwise

from metta.replay.animation import GROUND, WALL, agent_colour, sign_of, walls_of
from metta.replay.recording import Recording

STEPS = 60
"""Of the paths that are drawn."""


def thumbnail(recording: Recording) -> str:
    """The picture as an address that holds it, one unit per cell."""
    rows, columns = len(recording.start_rows), len(recording.start_rows[0])
    machines: dict[str, list[tuple[int, int]]] = {}
    for row, column, name in recording.converter_places:
        machines.setdefault(sign_of(name)[1], []).append((row, column))
    paths = recording.agents[-STEPS:, :, :2].swapaxes(0, 1).tolist()
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns} {rows}">',
        f'<path fill="{GROUND}" d="M0 0h{columns}v{rows}H0z"/><path fill="{WALL}" d="{_cells(walls_of(recording))}"/>',
        *(f'<path fill="{colour}" d="{_cells(cells)}"/>' for colour, cells in machines.items()),
        '<g fill="none" stroke-width=".4" stroke-linejoin="round" stroke-linecap="round">',
        *(f'<path stroke="{agent_colour(agent)}" d="{_path(path)}"/>' for agent, path in enumerate(paths)),
        "</g></svg>",
    ]
    return "data:image/svg+xml;base64," + base64.b64encode("".join(parts).encode()).decode()


def _cells(cells: Iterable[tuple[int, int]]) -> str:
    return "".join(f"M{column} {row}h1v1h-1z" for row, column in cells)


def _path(places: list[list[int]]) -> str:
    """From cell to cell; an agent that stood still is a point."""
    (row, column), *_ = places
    moves = (
        f"{'v' if after[0] != before[0] else 'h'}{after[0] - before[0] or after[1] - before[1]}"
        for before, after in pairwise(places)
        if after != before
    )
    return f"M{column + 0.5:g} {row + 0.5:g}h0" + "".join(moves)
