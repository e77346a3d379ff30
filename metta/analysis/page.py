"""The report as one HTML page that opens from disk: sections in a template, figures drawn by Vega-Lite in the page."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from metta.analysis.blocks import Block, Figure, Section, Table, Text
from metta.analysis.figures import CONFIG
from metta.analysis.gather import Gathered
from metta.analysis.palette import SERIES
from metta.analysis.templating import rendered, source
from metta.base.addresses import PLAYERS

PACKAGES = ("metta.analysis",)


@dataclass(frozen=True)
class Report:
    """Everything that is written."""

    html: str
    tables: list[Table]
    figures: list[Figure]


def page(benchmark: Gathered, title: str, headline: str, status: str, sections: list[Section]) -> Report:
    """The page with its tables and figures.

    Args:
        benchmark: who is switched on and off.
        title: of the page.
        headline: the result in a sentence.
        status: what was planned and how much of it is there.
        sections: in order.
    """
    sections = _named_apart(sections)
    blocks = [block for section in sections for block in section.blocks]
    figures = [block for block in blocks if isinstance(block, Figure)]
    tables = [block for block in blocks if isinstance(block, Table)]
    swatches = {name: SERIES[place % len(SERIES)] for place, name in enumerate(benchmark.architectures)}
    players = [name for name in PLAYERS if any(name in found for found in benchmark.references.values())]
    scripts = [_vega(), source(PACKAGES, "report.js")] if figures else [source(PACKAGES, "report.js")]
    html = rendered(
        *(PACKAGES, "report.html", "report.css", scripts),
        title=title,
        headline=headline,
        status=status,
        sections=sections,
        swatches=swatches if figures else {},
        players=players if figures else [],
        specs={figure.name: figure.spec for figure in figures},
        config=CONFIG,
    )
    return Report(html, tables, figures)


def _named_apart(sections: Sequence[Section]) -> list[Section]:
    """No two tables, and no two figures, with one name: each of two results folders may hold a crossplay.json."""
    seen: Counter[tuple[str, str]] = Counter()

    def apart(block: Block) -> Block:
        if isinstance(block, Text):
            return block
        seen[type(block).__name__, block.name] += 1
        count = seen[type(block).__name__, block.name]
        return replace(block, name=f"{block.name}_{count}") if count > 1 else block

    return [replace(section, blocks=[*map(apart, section.blocks)]) for section in sections]


@cache
def _vega() -> str:
    """Vega, Vega-Lite and their embedding as one script (about 0.9 MB; seconds to make, once in a process)."""
    import vl_convert

    # As a script that stands in a page: what would end it, or begin a comment, can only be inside a text.
    bundle = str(vl_convert.javascript_bundle())  # type: ignore[call-arg]
    return re.sub("</(?=script)", r"<\\/", bundle, flags=re.IGNORECASE).replace("<!--", "\\x3c!--")
