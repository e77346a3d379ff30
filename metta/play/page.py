"""The page of a live world: the one that shows recordings, with controls to steer an agent and to change episodes."""

from collections.abc import Sequence

from metta.analysis.templating import rendered, source
from metta.replay.page import PACKAGES
from metta.sim.constants import ACTION_NAMES, FIRST_ATTACK, LAST_ATTACK

HINT = (
    "Space plays and pauses, the left and right arrow keys step, n and p choose an agent. When you steer: w a s d or "
    "the arrow keys move, g gets, u puts, x waits{}. While paused, such a key plays one step; while playing, it sets "
    "the next."
)
BUTTONS = {
    "Wait": "noop",
    "North": "move_north",
    "South": "move_south",
    "West": "move_west",
    "East": "move_east",
    "Get": "get_items",
    "Put": "put_items",
}


def play_page(title: str, facts: Sequence[tuple[str, str]], steer: int | None, combat: bool) -> str:
    """The page; it asks the server that it comes from for everything else.

    Args:
        title: of the page.
        facts: name and text of what is said about the game.
        steer: agent that is steered at first, or None.
        combat: whether agents can attack.
    """
    packages = ("metta.play", *PACKAGES)
    return rendered(
        *(packages, "play.html", "view.css", [source(packages, "view.js") + source(packages, "play.js")]),
        connect="'self'",
        title=title,
        facts=facts,
        hint=HINT.format(", 1 to 9 attack" if combat else ""),
        steer=steer,
        buttons={words: ACTION_NAMES.index(name) for words, name in BUTTONS.items()},
        targets=range(FIRST_ATTACK, LAST_ATTACK + 1) if combat else (),
    )
