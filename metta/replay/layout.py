"""The page on which an episode is watched, recorded or live: controls, map, tables; styles and scripts inside."""

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from types import ModuleType

from metta import replay
from metta.analysis.markup import Child, Markup, document, element
from metta.analysis.palette import DARK_PALETTE, LIGHT_PALETTE

SPEEDS = ("1", "4", "10", "30", "60")
"""Steps per second to choose from."""


def packaged(package: ModuleType, name: str) -> str:
    """Text of a file that lies in a package."""
    return (resources.files(package) / name).read_text(encoding="utf-8")


def episode_page(
    title: str,
    facts: Sequence[tuple[str, str]],
    script: str,
    hint: str,
    data: Markup | None = None,
    steering: Child = None,
    connect: str = "'none'",
    **meta: str,
) -> str:
    """The page.

    Args:
        title: of the page.
        facts: name and text of what is said about the episode: who plays, which environment, where it comes from.
        script: what runs after `view.js`.
        hint: which keys do what.
        data: element that holds the recording.
        steering: controls beside the usual ones.
        connect: where the script may connect to, in the words of a content security policy.
        meta: further statements about the page, by name.
    """
    code = packaged(replay, "view.js") + script
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; connect-src {connect}; "
        f"script-src 'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
    )
    style = (
        f":root{{color-scheme:light dark;{LIGHT_PALETTE}}}@media (prefers-color-scheme:dark){{:root{{{DARK_PALETTE}}}}}"
    )
    body = element(
        "body",
        element("h1", title),
        element("p", "The page needs a browser that runs its script.", id="message", role="status"),
        _controls(hint),
        steering,
        _panels(),
        _about(facts),
        data,
        element("script", Markup(code)),
    )
    return document(title, policy, style + packaged(replay, "view.css"), body, **meta)


def _controls(hint: str) -> Markup:
    speeds = [element("option", f"{speed} steps/s", value=speed, selected=speed == "10") for speed in SPEEDS]
    return element(
        "div",
        element("button", "Play", id="play", type="button"),
        element("button", "Back", id="back", type="button", aria_label="One step back"),
        element("button", "Step", id="step", type="button", aria_label="One step on"),
        element("label", "Speed ", element("select", speeds, id="speed")),
        element("label", "Step ", element("input", id="scrub", type="range", min="0", value="0", step="1")),
        element("output", "", id="clock"),
        element("p", hint, class_="hint"),
        class_="controls",
        role="group",
        aria_label="Playing",
    )


def _panels() -> Markup:
    return element(
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
            _scrolling(
                element("table", element("thead", "", id="all-head"), element("tbody", "", id="all")), "All agents"
            ),
            element("h2", "Converters"),
            _scrolling(element("table", element("tbody", "", id="converters")), "Converters"),
            aria_label="Tables",
        ),
    )


def _scrolling(content: Markup, name: str) -> Markup:
    return element("div", content, class_="scroll", tabindex="0", role="region", aria_label=name)


def _about(facts: Sequence[tuple[str, str]]) -> Markup:
    rows = [element("tr", element("th", name, scope="row"), element("td", text)) for name, text in facts]
    return element(
        "details", element("summary", "About this episode"), element("table", element("tbody", rows)), id="facts"
    )
