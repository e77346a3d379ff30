"""The report as one HTML page that opens from disk: sections in a template, figures drawn by Vega-Lite in the page.

Nothing is loaded: scripts and data are in the page, and its policy allows nothing else, so that text from results can
do no harm even if it were not escaped.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2
import markupsafe

from metta.analysis.blocks import Figure, Section, Table, Text
from metta.analysis.figures import CONFIG
from metta.analysis.gather import Gathered
from metta.analysis.palette import DARK_PALETTE, LIGHT_PALETTE, SERIES
from metta.base.addresses import PLAYERS


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
    blocks = [block for section in sections for block in section.blocks]
    figures = [block for block in blocks if isinstance(block, Figure)]
    tables = [block for block in blocks if isinstance(block, Table)]
    swatches = {name: SERIES[place % len(SERIES)] for place, name in enumerate(benchmark.architectures)}
    players = [name for name in PLAYERS if any(name in found for found in benchmark.references.values())]
    scripts = [_vega(), _source("report.js")] if figures else [_source("report.js")]
    html = (
        _environment()
        .get_template("report.html")
        .render(
            title=title,
            headline=headline,
            status=status,
            sections=sections,
            swatches=swatches if figures else {},
            players=players if figures else [],
            specs={figure.name: figure.spec for figure in figures},
            config=CONFIG,
            scripts=[markupsafe.Markup(script) for script in scripts],
            policy=policy(*scripts),
            style=markupsafe.Markup(
                f":root{{color-scheme:light dark;{LIGHT_PALETTE}}}"
                f"@media screen and (prefers-color-scheme:dark){{:root{{{DARK_PALETTE}}}}}" + _source("report.css")
            ),
        )
    )
    return Report(html, tables, figures)


def policy(*scripts: str) -> str:
    """The content security policy of a page that runs these scripts and nothing else."""
    marks = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{mark}'" for mark in marks)
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src {allowed}; base-uri 'none'; "
        "form-action 'none'"
    )


@cache
def _vega() -> str:
    """Vega, Vega-Lite and their embedding as one script (about 0.9 MB; seconds to make, once in a process)."""
    import vl_convert

    # As a script that stands in a page: what would end it, or begin a comment, can only be inside a text.
    bundle = str(vl_convert.javascript_bundle())  # type: ignore[call-arg]
    return re.sub("</(?=script)", r"<\\/", bundle, flags=re.IGNORECASE).replace("<!--", "\\x3c!--")


def _source(name: str) -> str:
    return str(_environment().loader.get_source(_environment(), name)[0])  # type: ignore[union-attr]


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("metta.analysis"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters["data"] = _data
    environment.tests["text"] = lambda block: isinstance(block, Text)
    environment.tests["table"] = lambda block: isinstance(block, Table)
    environment.tests["figure"] = lambda block: isinstance(block, Figure)
    return environment


def _printable(value: Any) -> Any:
    """Text without the characters that HTML cannot hold."""
    if not isinstance(value, str) or isinstance(value, markupsafe.Markup):
        return value
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in value)


def _data(value: Mapping[str, Any]) -> markupsafe.Markup:
    """JSON that can stand in a script element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return markupsafe.Markup(text.replace("<", "\\u003c"))
