"""HTML and SVG as nested calls; text is escaped unless it came out of such a call itself."""

import re
from collections.abc import Iterable
from html import escape
from typing import TypeAlias

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
"""Characters that neither HTML nor XML can hold."""

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Markup(str):
    """Finished markup, to be taken as it is."""

    __slots__ = ()


Child: TypeAlias = "str | Markup | Iterable[Child] | None"
"""Text (escaped), markup, nothing, or several of these."""


def element(name: str, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """One element.

    Args:
        name: of the element, from the program, never from data.
        children: text is escaped, markup is not.
        attributes: values are escaped; `_` in a name stands for `-`, a trailing one is dropped (class_). None and
            False leave the attribute out, True gives it without a value, numbers are rounded to two decimals.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{joined(children)}</{name}>")


def document(title: str, policy: str, style: str, body: Markup, **meta: str) -> str:
    """A whole HTML page for any width of screen.

    Args:
        title: text.
        policy: content security policy.
        style: rules of style, from the program.
        body: the body element.
        meta: further statements about the page, by name.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        [element("meta", name_=name, content=content) for name, content in meta.items()],
        element("title", title),
        element("style", Markup(style)),
    )
    return "<!doctype html>\n" + element("html", head, body, lang="en") + "\n"


def joined(children: Child) -> Markup:
    """Children one after the other."""
    if children is None:
        return Markup()
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return Markup(escaped(children))
    return Markup("".join(joined(child) for child in children))


def escaped(text: str) -> str:
    """Text as markup that shows it; characters that cannot be shown become U+FFFD."""
    return escape(CONTROL.sub("\ufffd", text))


def _attribute(key: str, value: str | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    text = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return f' {name}="{escaped(text)}"'
