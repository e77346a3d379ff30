"""Links to episodes that can be watched."""

import os
import shlex
from pathlib import Path
from urllib.parse import quote

from metta.analysis.gather import Gathered
from metta.analysis.markup import element
from metta.analysis.replays import BEST, MEDIAN, Choice, Page, choices, page_of
from metta.analysis.sections.blocks import Block, counted, file_part, paragraph
from metta.analysis.table import Cell, Link, Table


def replays(benchmark: Gathered, home: Path) -> list[Block]:
    """The best and the median episode of every architecture and level, with links to their pages."""
    found = choices(benchmark)
    if not found:
        return [paragraph("No run has been evaluated yet.")]
    pages = [(choice, page_of(choice)) for choice in found]
    missing = sum(page is None for _, page in pages)
    blocks: list[Block] = [
        paragraph(
            "Of all episodes of an architecture on a level, over its seeds and the evaluation environments, the one "
            "with the most hearts per agent and the one in the middle, as pages that play them. Watch the median "
            "first: the best shows what an architecture can do, the median what it does. A replay is played anew from "
            "the checkpoint; where its hearts differ from the evaluation's, rounding has turned an action."
        )
    ]
    if missing:
        here = Path.cwd()  # where the command is typed
        seen = [source.relative_to(here) if source.is_relative_to(here) else source for source in benchmark.sources]
        sources = shlex.join(map(str, seen))
        blocks.append(
            paragraph(
                f"{missing} of {counted(len(pages), 'replay')} not written yet; a benchmark writes them when its runs "
                "are done. To write them now: ",
                element("code", f"uv run python -m metta.lab.replays {sources}"),
            )
        )
    for level in benchmark.levels:
        cells: dict[str, list[Cell]] = {}
        for choice, page in pages:
            if choice.level == level:
                cells.setdefault(choice.architecture, []).extend(_replay_cells(choice, page, home))
        if cells:
            blocks.append(
                Table(
                    f"replays_{file_part(level)}",
                    f"Episodes on {level}, hearts per agent",
                    ["architecture", *(text for kind in (BEST, MEDIAN) for text in (kind, "episode", "page"))],
                    [[name, *own] for name, own in cells.items()],
                )
            )
    return blocks


def _replay_cells(choice: Choice, page: Page | None, home: Path) -> list[Cell]:
    """Hearts, which episode, and the link to its page."""
    episode = choice.episode
    which = f"seed {episode.run.key.seed}, {episode.environment}, episode {episode.number}"
    if page is None:
        return [episode.hearts_per_agent, which, None]
    same = abs(page.hearts_per_agent - episode.hearts_per_agent) < SAME_HEARTS
    text = "watch" if same else f"watch ({page.hearts_per_agent:.3f} in the replay)"
    label = f"{text}, {choice.kind} episode of {choice.architecture} on {choice.level}"
    return [episode.hearts_per_agent, which, Link(text, label, address(page.file, home))]


SAME_HEARTS = 5e-4
"""Hearts per agent are shown with three decimals."""


def address(file: Path, home: Path) -> str:
    """The relative address of a file for a page in the folder `home`."""
    return quote(os.path.relpath(file.resolve(), home.resolve()).replace(os.sep, "/"))
