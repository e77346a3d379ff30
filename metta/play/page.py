"""The page of a live world: the one that shows recordings, with controls to steer an agent and to change episodes."""

from collections.abc import Sequence

from metta import play
from metta.analysis.markup import element
from metta.replay.layout import episode_page, packaged
from metta.sim.constants import ACTION_NAMES, FIRST_ATTACK, LAST_ATTACK

HINT = (
    "Keys: space plays and stops, left and right arrow step, n and p choose an agent. When you steer: w a s d or the "
    "arrow keys move, g gets, u puts, 1 to 9 attack, x waits. Paused, such a key is one step; playing, it is the next."
)
BUTTONS = {
    "noop": "Wait",
    "move_north": "North",
    "move_south": "South",
    "move_west": "West",
    "move_east": "East",
    "get_items": "Get",
    "put_items": "Put",
}


def play_page(title: str, facts: Sequence[tuple[str, str]], steer: int | None) -> str:
    """The page; it asks the server that it comes from for everything else.

    Args:
        title: of the page.
        facts: name and text of what is said about the game.
        steer: agent that is steered at first, or None.
    """
    buttons = [
        element("button", words, type="button", class_="act", data_action=str(ACTION_NAMES.index(name)))
        for name, words in BUTTONS.items()
    ]
    attacks = [
        element("option", f"agent {k + 1} in front", value=str(FIRST_ATTACK + k))
        for k in range(LAST_ATTACK - FIRST_ATTACK + 1)
    ]
    steering = element(
        "div",
        element("label", "You steer ", element("select", element("option", "nobody", value=""), id="steer")),
        element("span", *buttons, role="group", aria_label="Actions of the steered agent"),
        element("label", "Target ", element("select", attacks, id="target")),
        element("button", "Attack", type="button", id="attack"),
        element("label", "Episode ", element("select", "", id="episode")),
        element("button", "Begin", type="button", id="restart"),
        class_="steering",
        role="group",
        aria_label="Steering",
        data_steer="" if steer is None else str(steer),
        id="steering",
    )
    return episode_page(title, facts, packaged(play, "play.js"), HINT, steering=steering, connect="'self'")
