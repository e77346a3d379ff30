"""Some steps of a replay as an animated picture: one SVG file without scripts, as pages of repositories show it.

S steps shown, A agents.
"""

import colorsys
from collections.abc import Iterable
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from metta.replay.recording import Recording
from metta.sim.constants import EAST, HEART, NORTH, RESOURCES, SOUTH, WEST

CELL = 24
MARGIN = 30
SECONDS_PER_STEP = 0.15
DEGREES = {NORTH: 0, EAST: 90, SOUTH: 180, WEST: 270}
SIGNS = {
    "mine": ("m", "#8d6e4a"),
    "generator": ("g", "#2f7f86"),
    "altar": ("\N{BLACK HEART SUIT}", "#c2185b"),
    "lasery": ("L", "#7e57c2"),
    "armory": ("A", "#607d8b"),
}
"""Machine -> letter and colour; white letters can be read on these."""
GROUND, WALL, INK = "#f4f1ea", "#b9b2a3", "#2b2b2b"


def animated_picture(recording: Recording, title: str, first: int = 0, steps: int = 150) -> str:
    """Steps from `first` on, `steps` or to the episode's end, as the text of an SVG file that repeats them.

    Agents are discs of one colour each with a mark where they look; a machine is filled while something is in it to be
    taken; below stand the hearts that all agents together hold.
    """
    agents = recording.agents[first : first + steps]
    columns, rows = len(recording.start_rows[0]), len(recording.start_rows)
    width, height = columns * CELL, rows * CELL + MARGIN
    duration = f"{len(agents) * SECONDS_PER_STEP:.2f}s"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" role="img"><title>{escape(title)}</title>',
        f'<rect width="{width}" height="{height}" fill="{GROUND}"/>',
        *(
            f'<rect x="{column * CELL}" y="{row * CELL}" width="{CELL}" height="{CELL}" fill="{WALL}"/>'
            for row, column in walls_of(recording)
        ),
        *_machines(recording, first, len(agents), duration),
        *_agents(agents, duration),
        *_hearts(recording, first, len(agents), width, height, duration),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def sign_of(name: str) -> tuple[str, str]:
    """Letter and colour of a machine; machines of one's own have the first letter of their names."""
    return SIGNS.get(name.partition("_")[0], (name[0], "#707070"))


def agent_colour(agent: int) -> str:
    """Of an agent, unlike that of the agents before it; a white number can be read on each."""
    red, green, blue = colorsys.hls_to_rgb(agent * 0.618034 % 1, 0.36, 0.75)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"


def walls_of(recording: Recording) -> list[tuple[int, int]]:
    """Row and column of every cell of wall."""
    cells = ((row, column, cell) for row, line in enumerate(recording.start_rows) for column, cell in enumerate(line))
    return [(row, column) for row, column, cell in cells if recording.legend[cell] == "wall"]


def _machines(recording: Recording, first: int, steps: int, duration: str) -> Iterable[str]:
    contents = recording.converters[first : first + steps, :, :-1]
    for index, (row, column, name) in enumerate(recording.converter_places):
        letter, colour = sign_of(name)
        full = _has_output(contents[:, index], name.partition("_")[0])
        opacity = _animate("fill-opacity", (("1" if each else "0.25") for each in full), duration, "discrete")
        yield (
            f'<rect x="{column * CELL + 2}" y="{row * CELL + 2}" width="{CELL - 4}" height="{CELL - 4}" rx="4" '
            f'fill="{colour}" stroke="{colour}">{opacity}</rect>'
            f'<text x="{(column + 0.5) * CELL}" y="{(row + 0.72) * CELL}" font-size="14" text-anchor="middle" '
            f'fill="{INK}">{escape(letter)}</text>'
        )


def _has_output(contents: NDArray[np.uint8], kind: str) -> NDArray[np.bool_]:
    """Whether something lies in a machine to be taken, bool [S], from its contents uint8 [S, R]."""
    outputs = {"mine": "ore_", "generator": "battery_", "altar": "heart", "lasery": "laser", "armory": "armor"}
    which = [index for index, resource in enumerate(RESOURCES) if resource.startswith(outputs.get(kind, ""))]
    return np.any(contents[:, which] > 0, axis=1).astype(np.bool_)


def _agents(agents: NDArray[np.uint8], duration: str) -> Iterable[str]:
    for index in range(agents.shape[1]):
        colour = agent_colour(index)
        places = (f"{(column + 0.5) * CELL:g} {(row + 0.5) * CELL:g}" for row, column in agents[:, index, :2].tolist())
        turns = (str(DEGREES[orientation]) for orientation in agents[:, index, 2].tolist())
        moved = _animate_transform("translate", places, duration, "linear")
        turned = _animate_transform("rotate", turns, duration, "discrete")
        yield (
            f'<g>{moved}<circle r="{CELL * 0.4:g}" fill="{colour}" stroke="white"/>'
            f'<path d="M-5,-3 L0,-9 L5,-3" fill="none" stroke="white" stroke-width="2">{turned}</path></g>'
        )


def _hearts(recording: Recording, first: int, steps: int, width: int, height: int, duration: str) -> Iterable[str]:
    held = recording.inventories[first : first + steps, :, HEART].sum(axis=1).tolist()
    per_heart = min(8.0, (width - 130) / max(*held, 1))
    bar = _animate("width", (f"{per_heart * each:g}" for each in held), duration, "discrete")
    yield f'<text x="6" y="{height - 9}" font-size="14" fill="{INK}">hearts held</text>'
    yield f'<rect x="100" y="{height - 21}" height="14" width="0" fill="{SIGNS["altar"][1]}">{bar}</rect>'


def _animate(attribute: str, values: Iterable[str], duration: str, mode: str) -> str:
    return (
        f'<animate attributeName="{attribute}" values="{";".join(values)}" dur="{duration}" calcMode="{mode}" '
        'repeatCount="indefinite"/>'
    )


def _animate_transform(kind: str, values: Iterable[str], duration: str, mode: str) -> str:
    return (
        f'<animateTransform attributeName="transform" type="{kind}" values="{";".join(values)}" dur="{duration}" '
        f'calcMode="{mode}" repeatCount="indefinite"/>'
    )
