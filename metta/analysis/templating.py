"""Pages from templates with automatic escaping: style, scripts and data inside, and a policy that allows nothing else.

Nothing is loaded, so text from results can do no harm even if it were not escaped.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import jinja2
import markupsafe

from metta.analysis.palette import DARK_PALETTE, LIGHT_PALETTE

PALETTES = (
    f":root{{color-scheme:light dark;{LIGHT_PALETTE}}}"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{DARK_PALETTE}}}}}"
)


def rendered(
    packages: Sequence[str],
    template: str,
    style: str,
    scripts: Sequence[str],
    connect: str = "'none'",
    **values: Any,
) -> str:
    """A page.

    Args:
        packages: whose folders `templates` hold the files, the first that has a file first.
        template: name of its file.
        style: name of its style sheet's file.
        scripts: texts of scripts, in order.
        connect: where scripts may connect to, in the words of a content security policy.
        values: what the template shows.
    """
    marks = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{mark}'" for mark in marks)
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'; "
        f"connect-src {connect}; script-src {allowed}"
    )
    return (
        _environment(tuple(packages))
        .get_template(template)
        .render(
            policy=policy,
            style=markupsafe.Markup(PALETTES + source(packages, style)),
            scripts=[markupsafe.Markup(script) for script in scripts],
            **values,
        )
    )


def source(packages: Sequence[str], name: str) -> str:
    """Text of a file in the folder `templates` of one of these packages."""
    environment = _environment(tuple(packages))
    return str(environment.loader.get_source(environment, name)[0])  # type: ignore[union-attr]


@cache
def _environment(packages: tuple[str, ...]) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters["data"] = _data
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
