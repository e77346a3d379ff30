"""Which evaluation episodes of an architecture are worth watching, and where their replays lie.

Per level: of all evaluated episodes of an architecture there, over its seeds and the level's evaluation environments,
the one with the most hearts per agent, and the median one (of an even number the lower of the middle two).
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # gathering needs numpy; a command that only names a file does not
    from metta.analysis.gather import Gathered, Run

BEST, MEDIAN = "best", "median"
KINDS = (BEST, MEDIAN)


class Episode(NamedTuple):
    """One evaluated episode."""

    hearts_per_agent: float
    environment: str
    number: int
    """Of the evaluation, from 0."""
    run: "Run"


class Choice(NamedTuple):
    """An episode worth watching."""

    architecture: str
    level: str
    kind: str
    """`BEST` or `MEDIAN`."""
    episode: Episode


def choices(benchmark: "Gathered") -> list[Choice]:
    """The best and the median episode of every architecture on every level where it has results."""
    found = []
    for level in benchmark.levels:
        for architecture in benchmark.architectures:
            episodes = ranked(benchmark.of(architecture, level))
            if episodes:
                found.append(Choice(architecture, level, BEST, episodes[0]))
                found.append(Choice(architecture, level, MEDIAN, episodes[len(episodes) // 2]))
    return found


def ranked(runs: Sequence["Run"]) -> list[Episode]:
    """Every evaluated episode of these runs, most hearts first; of equal ones the earlier seed's first."""
    episodes = [
        Episode(hearts, environment, number, run)
        for run in runs
        for environment, result in run.record.evaluation.results.items()
        for number, hearts in enumerate(result.hearts_of_episodes)
    ]
    return sorted(episodes, key=lambda episode: -episode.hearts_per_agent)


REPLAY_PATTERN = "replay.*.html"
"""What `replay_name` gives."""


def replay_name(checkpoint: str, level: str, environment: str, episode: int) -> str:
    """Name of the page of one episode, in the folder of its run; what could leave the folder becomes `_`."""
    parts = (re.sub(r"[^A-Za-z0-9_.+=-]", "_", part) for part in (checkpoint, level, environment))
    return f"replay.{'.'.join(parts)}.{episode}.html"


class Page(NamedTuple):
    """The replay of an episode."""

    file: Path
    hearts_per_agent: float
    """At the end of the replay; differs from the evaluation only if rounding turned an action."""
    picture: str
    """A thumbnail as an address that holds it; empty if the page has none."""


HEAD_BYTES = 65_536
"""How much of a page is read to see what it shows."""
_SHOWN = re.compile(r'<meta name="episode" content="([0-9a-f]+) ([0-9]+) ([0-9.]+)">')
_PICTURE = re.compile(r'<link rel="icon" href="(data:image/svg\+xml;base64,[A-Za-z0-9+/=]+)">')


def shown_episode(map_hash: str, steps: int, hearts_per_agent: float) -> str:
    """What a replay's page says of itself in its head, to be found again by `page_of`."""
    return f"{map_hash} {steps} {hearts_per_agent:.6f}"


def file_of(choice: Choice) -> Path | None:
    """Where the episode's replay lies, if there is one; None if it is not known which checkpoint played."""
    files = choice.episode.run.files
    if files.evaluated.checkpoint is None:
        return None
    name = replay_name(files.evaluated.checkpoint, choice.level, choice.episode.environment, choice.episode.number)
    return files.folder / name


def page_of(choice: Choice) -> Page | None:
    """The episode's replay; None if there is none, or one of an evaluation that has been repeated with other maps."""
    file = file_of(choice)
    if file is None:
        return None
    try:
        with file.open("rb") as opened:
            head = opened.read(HEAD_BYTES).decode(errors="replace")
    except OSError:
        return None
    found, picture = _SHOWN.search(head), _PICTURE.search(head)
    if found is None or not plays(choice, found[1], int(found[2])):
        return None
    return Page(file, float(found[3]), picture[1] if picture else "")


def plays(choice: Choice, map_hash: str, steps: int) -> bool:
    """Whether a recording of this map and so many steps is the chosen episode's."""
    episodes = choice.episode.run.files.evaluated.episodes.get(choice.episode.environment, [])
    number = choice.episode.number
    return number < len(episodes) and episodes[number] == (map_hash, steps)
