"""A recording as one HTML page that plays it: nothing beside it, no network, one script that its policy knows."""

import base64
import gzip
import json
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from metta.analysis.replays import shown_episode
from metta.analysis.templating import rendered, source
from metta.replay.animation import agent_colour, sign_of
from metta.replay.recording import Recording
from metta.replay.thumbnail import thumbnail
from metta.sim.config import SimConfig
from metta.sim.constants import ACTION_NAMES, ORIENTATION_NAMES

PACKAGES = ("metta.replay",)
HINT = "Space plays and stops, arrow keys step, n and p choose an agent; or click one on the map or its row."


def replay_page(
    recording: Recording,
    player: str,
    facts: Sequence[tuple[str, str]],
    title: str,
    sim: SimConfig,
    report: str | None = None,
) -> str:
    """The page.

    Args:
        recording: the episode.
        player: who plays.
        facts: name and text of what else is said about it: which environment, where it comes from.
        title: of the page.
        sim: the environment.
        report: address of the report that the page lies beside, if it lies beside one.
    """
    hearts = recording.result["hearts"]
    head = {
        **header(sim, recording.start_rows, recording.legend, recording.converter_places),
        "players": [player] * recording.agents.shape[1],
        "hearts": hearts,
        "arrays": [[name, str(array.dtype), list(array.shape)] for name, array in _arrays(recording).items()],
    }
    return rendered(
        *(PACKAGES, "replay.html", "view.css", [source(PACKAGES, "view.js") + source(PACKAGES, "replay.js")]),
        title=title,
        facts=facts,
        hint=HINT,
        report=report,
        episode=shown_episode(recording.result["map_hash"], len(recording.agents), sum(hearts) / len(hearts)),
        thumbnail=thumbnail(recording),
        data=packed(head, _arrays(recording)),
    )


def header(
    sim: SimConfig, start_rows: list[str], legend: dict[str, str], places: Sequence[tuple[int, int, str]]
) -> dict[str, Any]:
    """What the script has to know of an environment and its map."""
    return {
        "rows": start_rows,
        "legend": legend,
        "actions": list(ACTION_NAMES),
        "orientations": list(ORIENTATION_NAMES),
        "resources": list(sim.resource_names),
        "places": [list(place) for place in places],
        "signs": {name: sign_of(name) for _, _, name in places},
        "colours": [agent_colour(agent) for agent in range(sim.num_agents)],
        "combat": sim.can_attack,
        "window": [sim.obs_height, sim.obs_width],
    }


def _arrays(recording: Recording) -> dict[str, NDArray[Any]]:
    """The arrays by name, those of four bytes first, so that all are aligned."""
    arrays: dict[str, NDArray[Any] | None] = {
        "rewards": recording.rewards,
        "values": recording.values,
        "agents": recording.agents,
        "inventories": recording.inventories,
        "converters": recording.converters,
        "probabilities": recording.probabilities,
    }
    return {name: array for name, array in arrays.items() if array is not None}


def packed(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> str:
    """Header and arrays as text: base64 of gzip of (length of the header, header padded to 4 bytes, arrays)."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    little = [array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays.values()]
    data = len(text).to_bytes(4, "little") + text + b"".join(little)
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()
