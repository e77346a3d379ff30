"""The report as one HTML page: sections with prose, figures, captions and tables, from findings to markup.

The page holds no script and loads nothing: its policy forbids both, so that text from results can do no harm even if
it were not escaped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from metta.analysis.findings import Findings
from metta.analysis.gather import Gathered
from metta.analysis.markup import Child, Markup, document, element, joined
from metta.analysis.sections import all_sections
from metta.analysis.sections.blocks import Block, Figure, Section
from metta.analysis.sections.overall import status, title
from metta.analysis.svg import DARK_PALETTE, LIGHT_PALETTE, STYLE
from metta.analysis.table import Table, scrolling

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

CSS = (
    f":root{{color-scheme:light dark;{LIGHT_PALETTE}}}"
    f"@media (prefers-color-scheme:dark){{:root{{{DARK_PALETTE}}}}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,sans-serif}"
    "main,header,footer,nav{max-width:70rem;margin:0 auto;padding:0 1rem}"
    "h1{font-size:1.7rem;margin:1.2rem 0 .3rem;line-height:1.2}"
    "h2{font-size:1.3rem;margin:2.4rem 0 .5rem;border-top:1px solid var(--grid);padding-top:1rem}"
    "h3{font-size:1.05rem;margin:1.6rem 0 .3rem}"
    "p,li,figcaption{max-width:46rem}ul{padding-left:1.2rem}a{color:var(--s0)}"
    "nav ul{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.2rem 1rem}"
    "figure{margin:1rem 0 1.6rem}figcaption{color:var(--soft);font-size:.93rem}"
    ".scroll{overflow-x:auto;max-width:100%}.scroll:focus-visible,a:focus-visible,summary:focus-visible"
    "{outline:2px solid var(--s1);outline-offset:2px}"
    # A shade at an edge behind which more is to be found; it moves away with the content.
    ".scroll{background:linear-gradient(to right,var(--ground) 30%,transparent) 0 0/2.5rem 100% no-repeat local,"
    "linear-gradient(to left,var(--ground) 30%,transparent) 100% 0/2.5rem 100% no-repeat local,"
    "linear-gradient(to right,#8888,transparent) 0 0/.7rem 100% no-repeat scroll,"
    "linear-gradient(to left,#8888,transparent) 100% 0/.7rem 100% no-repeat scroll}"
    "svg{display:block;max-width:none}"
    "table{border-collapse:collapse;min-width:min(100%,30rem);font-size:.87rem;margin:.4rem 0}"
    "caption{text-align:left;color:var(--soft);padding:.2rem 0}"
    "th,td{padding:.22rem .6rem;border-bottom:1px solid var(--grid);text-align:left;vertical-align:top}"
    "td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "tbody th{font-weight:600;white-space:nowrap;position:sticky;left:0;background:var(--ground)}"
    "details{margin:.4rem 0 1rem}summary{cursor:pointer;color:var(--s0)}"
    "#behaviour{display:flex;flex-wrap:wrap;gap:0 2.5rem}#behaviour>h2,#behaviour>p{flex-basis:100%}"
    "#behaviour>figure{min-width:0;max-width:100%}#behaviour figcaption{max-width:30rem}"
    "code{font-size:.85em;overflow-wrap:anywhere}"
    ".note{border-left:4px solid var(--s1);padding:.3rem .8rem;margin:1rem 0;max-width:46rem}"
    ".skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;background:var(--ground);padding:.4rem}"
    "@media print{:root{" + LIGHT_PALETTE + "color-scheme:light}nav,.skip{display:none}"
    "body{font-size:11pt}figure,table{break-inside:avoid}.scroll{overflow:visible;background:none}"
    "details:not([open])::details-content{content-visibility:visible;block-size:auto}"
    "svg{max-width:100%;height:auto}h2,h3{break-after:avoid}tbody th{position:static}}"
) + STYLE


@dataclass(frozen=True)
class Report:
    """Everything that is written."""

    html: str
    tables: Sequence[Table]
    figures: Sequence[Figure]


def report(benchmark: Gathered, found: Findings, home: Path) -> Report:
    """The page with its tables and figures; `home` is the folder it will lie in."""
    parts = all_sections(benchmark, found, home)
    heading = title(benchmark)
    body = element(
        "body",
        element("a", "Skip to the content", href="#summary", class_="skip"),
        element("header", element("h1", heading), element("p", status(benchmark))),
        element(
            "nav",
            element("ul", [element("li", element("a", part.title, href=f"#{part.id}")) for part in parts]),
            aria_label="Contents",
        ),
        element("main", [_section(part) for part in parts]),
        element("footer", element("p", "Written by ", element("code", "uv run python -m metta.analysis.report"), ".")),
    )
    html = document(heading, POLICY, CSS, body)
    blocks = [block for part in parts for block in part.blocks]
    figures = [block for block in blocks if isinstance(block, Figure)]
    tables = [block for block in blocks if isinstance(block, Table)]
    tables += [figure.table for figure in figures if figure.table is not None]
    return Report(html, tables, figures)


def _section(part: Section) -> Markup:
    numbers = iter(range(1, 1 + sum(isinstance(block, Figure) for block in part.blocks)))
    return element(
        "section",
        element("h2", part.title, id=f"{part.id}-title"),
        [_block(block, part, numbers) for block in part.blocks],
        id=part.id,
        aria_labelledby=f"{part.id}-title",
    )


def _block(block: Block, part: Section, numbers: Iterable[int]) -> Markup:
    if isinstance(block, Figure):
        name = f"{part.id}-figure-{next(islice(numbers, 1))}"
        return element(
            "figure",
            element("h3", block.title, id=name),
            scrolling(block.svg, block.title),
            element("figcaption", block.caption),
            details("Numbers of this figure", block.table.html()) if block.table else None,
            aria_labelledby=name,
        )
    if isinstance(block, Table):
        return block.html() if block.open else details(block.title, block.html())
    return block


def details(summary: str, content: Child) -> Markup:
    """Content that is folded away at first."""
    return element("details", element("summary", summary), joined(content))
