"""A recording as one HTML page that plays it: nothing beside it, no network, one script that its policy knows."""

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metta.analysis.markup import Markup, element
from metta.analysis.svg import DARK_PALETTE, LIGHT_PALETTE
from metta.replay.recording import Recording
from metta.sim.constants import ACTION_NAMES, ORIENTATION_NAMES

SPEEDS = ("1", "4", "10", "30", "60")
"""Steps per second to choose from."""


def replay_page(
    recording: Recording,
    facts: Sequence[tuple[str, str]],
    title: str,
    window: tuple[int, int],
    resource_names: Sequence[str],
) -> str:
    """The page.

    Args:
        recording: the episode.
        facts: name and text of what is said about it: who plays, which environment, where it comes from.
        title: of the page.
        window: rows and columns that an agent sees.
        resource_names: in id order.
    """
    script = _file("player.js")
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        f"script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(_style() + _file("player.css"))),
    )
    data = packed(_header(recording, window, resource_names), _arrays(recording))
    body = element(
        "body",
        element("h1", title),
        element("p", "The page needs a browser that runs its script.", id="message", role="status"),
        _controls(),
        element(
            "main",
            element(
                "section",
                element("canvas", "", id="map", role="img", aria_label="Map", tabindex="0"),
                element("ul", "", id="key", aria_label="What the signs mean"),
                aria_label="Map",
            ),
            element(
                "section",
                element("h2", "Selected agent"),
                element("p", element("label", "Agent ", element("select", "", id="agent"))),
                element("canvas", "", id="view", role="img", aria_label="What the selected agent sees"),
                element("table", element("tbody", "", id="about")),
                element("h3", "Action probabilities", id="probabilities-title"),
                element("table", element("tbody", "", id="probabilities"), aria_labelledby="probabilities-title"),
                aria_label="Selected agent",
            ),
            element(
                "section",
                element("h2", "Everybody"),
                element(
                    "div",
                    element("table", element("thead", "", id="all-head"), element("tbody", "", id="all")),
                    class_="scroll",
                    tabindex="0",
                    role="region",
                    aria_label="All agents",
                ),
                element("h2", "Converters"),
                element(
                    "div",
                    element("table", element("tbody", "", id="converters")),
                    class_="scroll",
                    tabindex="0",
                    role="region",
                    aria_label="Converters",
                ),
                aria_label="Tables",
            ),
        ),
        element(
            "details",
            element("summary", "About this episode"),
            element(
                "table",
                element(
                    "tbody",
                    [element("tr", element("th", name, scope="row"), element("td", text)) for name, text in facts],
                ),
            ),
        ),
        element("script", Markup(data), type="text/plain", id="data"),
        element("script", Markup(script)),
    )
    return "<!doctype html>\n" + element("html", head, body, lang="en") + "\n"


def _controls() -> Markup:
    return element(
        "div",
        element("button", "Play", id="play", type="button"),
        element("button", "Back", id="back", type="button", aria_label="One step back"),
        element("button", "Step", id="step", type="button", aria_label="One step on"),
        element(
            "label",
            "Speed ",
            element(
                "select",
                [element("option", f"{speed} steps/s", value=speed, selected=speed == "10") for speed in SPEEDS],
                id="speed",
            ),
        ),
        element("label", "Step ", element("input", id="scrub", type="range", min="0", value="0", step="1")),
        element("output", "", id="clock"),
        element(
            "p", "Keys: space plays and stops, arrow keys step, n and p choose an agent; or click one.", class_="hint"
        ),
        class_="controls",
        role="group",
        aria_label="Playing",
    )


def _style() -> str:
    return (
        f":root{{color-scheme:light dark;{LIGHT_PALETTE}}}@media (prefers-color-scheme:dark){{:root{{{DARK_PALETTE}}}}}"
    )


def _file(name: str) -> str:
    return (resources.files("metta.replay") / name).read_text(encoding="utf-8")


def _header(recording: Recording, window: tuple[int, int], resource_names: Sequence[str]) -> dict[str, Any]:
    return {
        "rows": recording.start_rows,
        "legend": recording.legend,
        "actions": list(ACTION_NAMES),
        "orientations": list(ORIENTATION_NAMES),
        "resources": list(resource_names),
        "places": recording.converter_places,
        "window": list(window),
        "hearts": recording.result["hearts"],
        "arrays": [[name, str(array.dtype), list(array.shape)] for name, array in _arrays(recording).items()],
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


assert np.dtype(np.float32).itemsize == 4
