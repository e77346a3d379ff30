"""Drawing figures as SVG: the frame with its axes, scales, colours and labels; all lengths are in user units (px)."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from metta.analysis.markup import Child, Markup, element

FONT = 12
"""Height of figure text."""
CHARACTER = 6.7
"""Width of an average character."""
LINE_GAP = 13.0
"""Least distance between labels."""

SERIES = 7
"""Colours of lines; the series after these repeat them dashed."""
LIGHT = ("#0072b2", "#c4490a", "#00805c", "#a8467f", "#8a6100", "#1f1f1f", "#5a4fcf")
DARK = ("#56b4e9", "#ff8a47", "#2fc79a", "#e79ac4", "#f0c24b", "#f2f2f2", "#a79ff7")
"""After Okabe and Ito's colour-blind safe palette, made dark or light enough for text on the page's ground."""
DASHES = ("", "6 3", "2 3")

SEQUENTIAL = ("#f7fbff", "#c6dbef", "#6baed6", "#2171b5", "#08306b")
DIVERGING = ("#b35806", "#f1a340", "#fee0b6", "#f7f7f7", "#d8daeb", "#998ec3", "#542788")
"""ColorBrewer's Blues and PuOr, both colour-blind safe."""

STYLE = (
    ".figure{font:12px system-ui,sans-serif;color:var(--ink)}"
    ".figure text{fill:currentColor}.figure .soft{fill:var(--soft)}"
    ".figure .grid{stroke:var(--grid);stroke-width:1}.figure .axis{stroke:var(--soft);stroke-width:1}"
    ".figure .none{fill:none;stroke:var(--grid)}.figure .cell{stroke:var(--soft);stroke-width:.5}"
    ".figure{print-color-adjust:exact}"
    ".figure .line{fill:none;stroke-width:2}.figure .band{opacity:.13}.figure .rule{stroke-width:2}"
    + "".join(f".figure .s{i}{{stroke:var(--s{i})}}.figure .f{i}{{fill:var(--s{i})}}" for i in range(SERIES))
)
"""Rules of all figures; colours are variables, so that they follow light and dark."""


def palette(colours: Sequence[str], ink: str, soft: str, grid: str, ground: str) -> str:
    """The variables that `STYLE` uses, as CSS declarations."""
    series = "".join(f"--s{index}:{colour};" for index, colour in enumerate(colours))
    return f"--ink:{ink};--soft:{soft};--grid:{grid};--ground:{ground};{series}"


LIGHT_PALETTE = palette(LIGHT, "#1c1c1c", "#595959", "#d9d9d9", "#ffffff")
DARK_PALETTE = palette(DARK, "#ececec", "#b3b3b3", "#444444", "#161616")


def drawing(width: float, height: float, title: str, description: str, *children: Child) -> Markup:
    """A whole figure; screen readers read title and description."""
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=f"{width:.0f}",
        height=f"{height:.0f}",
        role="img",
        class_="figure",
    )


def standalone(figure: Markup) -> str:
    """The figure as a file of its own, with the style that the page would give it."""
    dark = f"@media (prefers-color-scheme:dark){{.figure{{{DARK_PALETTE}}}}}"
    style = f"<style>.figure{{{LIGHT_PALETTE}background:var(--ground)}}{dark}{STYLE}</style>"
    return figure.replace("<title>", style + "<title>", 1) + "\n"


def mix(colours: Sequence[str], share: float) -> str:
    """The colour at `share` in [0, 1] of a ramp."""
    place = min(max(share, 0.0), 1.0) * (len(colours) - 1)
    first = min(int(place), len(colours) - 2)
    rest = place - first
    low, high = (_channels(colours[index]) for index in (first, first + 1))
    return "#" + "".join(f"{round(a + rest * (b - a)):02x}" for a, b in zip(low, high, strict=True))


def ink_on(colour: str) -> str:
    """Black or white, whichever has more contrast (WCAG relative luminance)."""
    linear = [(c / 255) / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in _channels(colour)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "#ffffff"


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """About `wanted` round numbers from low to high."""
    if not high > low:
        return [low]
    raw = (high - low) / wanted
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers within the range: 1, 2, 5 times powers of ten, or more of them where the range is narrow."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        found = [factor * 10.0**power for power in powers for factor in factors]
        within = [value for value in found if low * 0.999 <= value <= high * 1.001]
        if len(within) >= 3:
            return within
    return [value for value in ticks(low, high) if value > 0]


def short(value: float) -> str:
    """A number for people: 0.25, 1.5k, 2M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


@dataclass(frozen=True)
class Frame:
    """A plotting area with its scales."""

    left: float
    top: float
    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    log_x: bool = False

    def x(self, value: float) -> float:
        """Place of a value."""
        low, high = self.x_range
        if self.log_x:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.left + self.width * (value - low) / ((high - low) or 1)

    def y(self, value: float) -> float:
        """Place of a value, upwards."""
        low, high = self.y_range
        return self.top + self.height * (1 - (value - low) / ((high - low) or 1))

    def axes(self, x_title: str, y_title: str, x_format: Callable[[float], str] = short) -> list[Markup]:
        """Grid, tick labels and titles."""
        bottom, right = self.top + self.height, self.left + self.width
        parts = []
        for value in ticks(*self.y_range):
            y = self.y(value)
            parts.append(element("line", x1=self.left, x2=right, y1=y, y2=y, class_="grid"))
            parts.append(label(self.left - 6, y + 4, short(value), "end", soft=True))
        for value in log_ticks(*self.x_range) if self.log_x else ticks(*self.x_range):
            x = self.x(value)
            parts.append(element("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis"))
            parts.append(label(x, bottom + 17, x_format(value), "middle", soft=True))
        parts.append(element("line", x1=self.left, x2=right, y1=bottom, y2=bottom, class_="axis"))
        parts.append(label(self.left + self.width / 2, bottom + 34, x_title, "middle"))
        parts.append(label(self.left, self.top - 8, y_title, "start"))
        return parts


def label(x: float, y: float, text: str, anchor: str = "start", soft: bool = False, **attributes: str) -> Markup:
    """A line of text."""
    return element(
        "text", text, x=float(x), y=float(y), text_anchor=anchor, class_="soft" if soft else None, **attributes
    )


def width_of(texts: Sequence[str]) -> float:
    """Room that the longest of these labels needs."""
    return CHARACTER * max((len(text) for text in texts), default=0)


def stroke(index: int) -> dict[str, str | None]:
    """Attributes of the line of a series: colour and dashes."""
    return {"class_": f"line s{index % SERIES}", "stroke_dasharray": DASHES[index // SERIES % len(DASHES)] or None}


def polyline(points: Sequence[tuple[float, float]], index: int) -> Markup:
    """The line of a series."""
    return element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), **stroke(index))


def marker(x: float, y: float, index: int, title: str) -> Markup:
    """The point of a series: colour and one of four shapes, with a text shown on hovering."""
    r, fill = 5.0, f"f{index % SERIES}"
    shape = index % 4
    if shape == 0:
        return element("circle", element("title", title), cx=x, cy=y, r=r, class_=fill)
    corners = (
        [(-r, -r), (r, -r), (r, r), (-r, r)],
        [(0, -r * 1.3), (r * 1.2, r), (-r * 1.2, r)],
        [(0, -r * 1.4), (r * 1.4, 0), (0, r * 1.4), (-r * 1.4, 0)],
    )[shape - 1]
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
    return element("polygon", element("title", title), points=points, class_=fill)


def spread_labels(wanted: Mapping[str, float], low: float, high: float) -> dict[str, float]:
    """Heights for labels, as near as possible to the wanted ones, without overlap, between low and high if they fit."""
    places: dict[str, float] = {}
    last = -math.inf
    for name in sorted(wanted, key=lambda key: wanted[key]):
        last = max(wanted[name], last + LINE_GAP, low)
        places[name] = last
    ceiling = high
    for name in reversed(list(places)):
        places[name] = min(places[name], ceiling)
        ceiling = places[name] - LINE_GAP
    return places
