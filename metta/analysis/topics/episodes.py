"""Episodes that can be watched: the best and the median one of every architecture on a level."""

import os
import shlex
from pathlib import Path
from urllib.parse import quote

from metta.analysis.blocks import Block, Cell, Column, Link, Table, Text, counted
from metta.analysis.gather import Gathered
from metta.analysis.metrics import HEARTS
from metta.analysis.replays import KINDS, MEDIAN, Choice, Page, choices, page_of
from metta.base.files import file_part

SAME_HEARTS = 5e-3
"""Hearts per agent are shown with two decimals."""
WORDS = (
    "Watch the median first: the best shows what an architecture can do, the median what it does. A replay is played "
    "again from the checkpoint; where its hearts differ from the evaluation's, rounding has changed an action."
)


def by_level(benchmark: Gathered, home: Path) -> dict[str, list[Block]]:
    """Level -> links to its replays.

    Args:
        benchmark: with its run folders.
        home: folder of the page, from which links lead to replays.
    """
    pages = [(choice, page_of(choice)) for choice in choices(benchmark)]
    found: dict[str, list[Block]] = {}
    for level in benchmark.levels:
        own = [(choice, page) for choice, page in pages if choice.level == level]
        median = [(choice, page) for choice, page in own if page and choice.kind == MEDIAN]
        median.sort(key=lambda pair: -pair[0].episode.hearts_per_agent)
        links = [_link(choice, page, home) for choice, page in median]
        rows: dict[str, list[Cell]] = {}
        for choice, page in own:
            rows.setdefault(choice.architecture, [choice.architecture]).extend(_cells(choice, page, home))
        found[level] = [Text("Watch the median episode, best first: ", links=links)] if links else []
        if rows:
            columns = [column for kind in KINDS for column in (Column(kind, HEARTS.digits), f"{kind} episode")]
            found[level].append(
                Table(
                    f"replays_{file_part(level)}",
                    f"Episodes on {level} worth watching, hearts per agent",
                    ["architecture", *columns],
                    [*rows.values()],
                    folded=True,
                )
            )
    return found


def words(benchmark: Gathered) -> list[Text]:
    """How to watch, and how to write replays that are missing."""
    pages = [page_of(choice) for choice in choices(benchmark)]
    missing = sum(page is None for page in pages)
    if not missing:
        return [Text(WORDS)] if pages else []
    here = Path.cwd()  # where the command is typed
    seen = [source.relative_to(here) if source.is_relative_to(here) else source for source in benchmark.sources]
    command = f"uv run python -m metta.lab.replays {shlex.join(map(str, seen))}"
    return [
        Text(
            f"{WORDS} {missing} of {counted(len(pages), 'replay')} not written yet; a benchmark writes them when its "
            "runs are done. To write them now: ",
            code=command,
        )
    ]


def _cells(choice: Choice, page: Page | None, home: Path) -> list[Cell]:
    """Hearts, and which episode, with a link to its page where there is one."""
    episode = choice.episode
    which = f"seed {episode.run.key.seed}, {episode.environment}, episode {episode.number}"
    return [episode.hearts_per_agent, _link(choice, page, home, which) if page else which]


def _link(choice: Choice, page: Page, home: Path, text: str = "") -> Link:
    hearts = choice.episode.hearts_per_agent
    text = text or f"{choice.architecture} ({hearts:.2f})"
    if abs(page.hearts_per_agent - hearts) >= SAME_HEARTS:
        text += f" ({page.hearts_per_agent:.2f} in the replay)"
    label = f"watch {text}, {choice.kind} episode of {choice.architecture} on {choice.level}"
    return Link(text, label, address(page.file, home), page.picture)


def address(file: Path, home: Path) -> str:
    """The relative address of a file for a page in the folder `home`."""
    return quote(os.path.relpath(file.resolve(), home.resolve()).replace(os.sep, "/"))
