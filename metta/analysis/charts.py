"""The figures of the report: they draw what `findings` computed, and compute nothing.

Every figure works without colour: values stand in the cells, lines carry their name at the end, points have shapes.
"""

from collections.abc import Mapping, Sequence

from metta.analysis.findings.band import Band
from metta.analysis.findings.ladder import Growth, Step
from metta.analysis.findings.standings import Standing
from metta.analysis.intervals import Interval
from metta.analysis.markup import Markup, element
from metta.analysis.svg import (
    DIVERGING,
    FONT,
    SEQUENTIAL,
    SERIES,
    Frame,
    drawing,
    ink_on,
    label,
    marker,
    mix,
    polyline,
    short,
    spread_labels,
    stroke,
    ticks,
    width_of,
)

ROW = 24.0
MARGIN = 16.0
PANEL_WIDTH = 620.0
PANEL_HEIGHT = 330.0
RULER: dict[str, str | None] = {"class_": "axis", "stroke_dasharray": "2 3"}
"""Attributes of the line of a reference player."""
MOST_BANDS = 6
"""With more curves than this their bands would hide each other and are left out."""


def heat_map(
    title: str,
    description: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Mapping[tuple[str, str], float],
    scale: Mapping[str, tuple[float, float]] | tuple[float, float],
    notes: Mapping[tuple[str, str], str] | None = None,
    diverging: bool = False,
) -> Markup:
    """Numbers in coloured cells; cells without a value are outlined and hold a dash.

    Args:
        title: for screen readers.
        description: for screen readers.
        rows: names.
        columns: names.
        values: (row, column) -> value.
        scale: value of the lightest and the darkest colour; per column if a mapping.
        notes: (row, column) -> text shown on hovering and marked by a dot after the number.
        diverging: two colours around the middle instead of one.
    """
    notes = notes or {}
    left = width_of(rows) + MARGIN
    column_width = max(58.0, width_of(["0.000"]) + 14)
    slanted = width_of(columns) > column_width
    top = (width_of(columns) * 0.72 + 22) if slanted else 34.0
    parts: list[Markup] = []
    for place, column in enumerate(columns):
        x = left + (place + 0.5) * column_width
        if slanted:
            parts.append(label(x - 6, top - 8, column, "start", transform=f"rotate(-45 {x - 6:.0f} {top - 8:.0f})"))
        else:
            parts.append(label(x, top - 10, column, "middle"))
    decimals = 2 if any(abs(value) >= 0.1 for value in values.values()) else 3
    for line, row in enumerate(rows):
        y = top + line * ROW
        parts.append(label(left - 8, y + ROW / 2 + 4, row, "end"))
        for place, column in enumerate(columns):
            x = left + place * column_width
            box = {"x": x + 1, "y": y + 1, "width": column_width - 2, "height": ROW - 2}
            value = values.get((row, column))
            if value is None:
                parts.append(element("rect", **box, class_="none"))
                parts.append(label(x + column_width / 2, y + ROW / 2 + 4, "-", "middle", soft=True))
                continue
            low, high = scale if isinstance(scale, tuple) else scale[column]
            colour = mix(DIVERGING if diverging else SEQUENTIAL, (value - low) / ((high - low) or 1))
            note = notes.get((row, column))
            tip = f"{row}, {column}: {value:.4g}{f'; {note}' if note else ''}"
            text = f"{value:z.{decimals}f}" if abs(value) < 100 else short(value)
            parts.append(
                element(
                    "g",
                    element("title", tip),
                    element("rect", **box, fill=colour, class_="cell"),
                    element(
                        "text",
                        text + (" ●" if note else ""),
                        x=x + column_width / 2,
                        y=y + ROW / 2 + 4,
                        text_anchor="middle",
                        style=f"fill:{ink_on(colour)}",
                    ),
                )
            )
    right = width_of(columns[-1:]) * 0.72 if slanted and columns else 0.0
    width = left + len(columns) * column_width + max(MARGIN, right - column_width / 2 + MARGIN)
    return drawing(width, top + len(rows) * ROW + MARGIN, title, description, parts)


def intervals(title: str, description: str, standings: Sequence[Standing], names: Sequence[str]) -> Markup:
    """A column of intervals per aggregate."""
    rows = [standing.architecture for standing in standings]
    left, panel, top = width_of(rows) + MARGIN, 200.0, 34.0
    height = len(rows) * ROW
    parts: list[Markup] = []
    for place, name in enumerate(names):
        own = [standing.aggregates[name] for standing in standings]
        frame = Frame(left + place * (panel + 24), top, panel, height, span(own), (0, 1))
        parts += _x_axis(frame)
        parts.append(label(frame.left, top - 12, name))
        for line, (standing, interval) in enumerate(zip(standings, own, strict=True)):
            y = top + (line + 0.5) * ROW
            parts += interval_mark(frame, y, interval, f"{standing.architecture}, {name}", place)
    parts += [label(left - 8, top + (line + 0.5) * ROW + 4, row, "end") for line, row in enumerate(rows)]
    return drawing(left + len(names) * (panel + 24) + MARGIN, top + height + 34, title, description, parts)


def _x_axis(frame: Frame) -> list[Markup]:
    """Vertical grid and labels below."""
    bottom = frame.top + frame.height
    parts = []
    for value in ticks(*frame.x_range, wanted=4):
        x = frame.x(value)
        parts.append(element("line", x1=x, x2=x, y1=frame.top, y2=bottom, class_="grid"))
        parts.append(label(x, bottom + 16, short(value), "middle", soft=True))
    return parts


def span(values: Sequence[Interval], include: Sequence[float] = ()) -> tuple[float, float]:
    """A range that holds all these intervals, with a little room."""
    ends = [end for value in values for end in value if end is not None] + list(include)
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = 0.06 * (high - low) or max(0.05, abs(high) * 0.1)
    return low - room, high + room


def interval_mark(frame: Frame, y: float, interval: Interval, name: str, index: int) -> list[Markup]:
    """A point with its interval on a row."""
    parts = []
    if interval.low is not None and interval.high is not None:
        low, high = frame.x(interval.low), frame.x(interval.high)
        parts.append(element("line", x1=low, x2=high, y1=y, y2=y, class_=f"rule s{index % SERIES}"))
    parts.append(marker(frame.x(interval.mean), y, index, f"{name}: {text_of(interval)}"))
    return parts


def text_of(interval: Interval) -> str:
    """`0.42 (0.30 to 0.54)`."""
    if interval.low is None or interval.high is None:
        return f"{interval.mean:.3f}"
    return f"{interval.mean:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def lines(
    title: str,
    description: str,
    bands: Mapping[str, Band],
    x_title: str,
    y_title: str,
    numbers: Mapping[str, int],
    levels: Mapping[str, float] | None = None,
) -> Markup:
    """Curves with their bands, each with its name at its end.

    Args:
        title: for screen readers.
        description: for screen readers.
        bands: name -> curve.
        x_title: of the axis.
        y_title: of the axis.
        numbers: name -> number of the series, which decides colour and dashes, the same in all figures.
        levels: name -> height of a line from side to side to compare with.
    """
    levels = levels or {}
    low = min([*(float(band.low.min()) for band in bands.values()), *levels.values()])
    high = max([*(float(band.high.max()) for band in bands.values()), *levels.values()])
    x_range = min(float(b.x[0]) for b in bands.values()), max(float(b.x[-1]) for b in bands.values())
    room = 0.04 * (high - low) or 0.05
    frame = Frame(58, 30, PANEL_WIDTH, PANEL_HEIGHT, x_range, (low - room, high + room))
    parts = frame.axes(x_title, y_title)
    for name, band in bands.items() if len(bands) <= MOST_BANDS else ():
        there = [(frame.x(x), frame.y(y)) for x, y in zip(band.x, band.high, strict=True)]
        back = [(frame.x(x), frame.y(y)) for x, y in zip(band.x, band.low, strict=True)]
        outline = " ".join(f"{x:.1f},{y:.1f}" for x, y in there + back[::-1])
        parts.append(element("polygon", points=outline, class_=f"band f{numbers[name] % SERIES}"))
    for name, band in bands.items():
        points = [(frame.x(x), frame.y(y)) for x, y in zip(band.x, band.middle, strict=True)]
        parts.append(element("g", element("title", name), polyline(points, numbers[name])))
        if len(points) == 1:
            parts.append(marker(*points[0], numbers[name], name))
    end = frame.left + frame.width
    for value in levels.values():
        parts.append(element("line", x1=frame.left, x2=end, y1=frame.y(value), y2=frame.y(value), **RULER))
    wanted = {name: frame.y(value) for name, value in levels.items()}
    wanted |= {name: frame.y(float(band.middle[-1])) for name, band in bands.items()}
    places = spread_labels(wanted, frame.top, frame.top + frame.height)
    for name, y in places.items():
        own = stroke(numbers[name]) if name in bands else RULER
        parts.append(element("line", x1=end + 4, x2=end + 26, y1=y, y2=y, **own))
        parts.append(label(end + 32, y + 4, name))
    width = end + 32 + width_of(list(places)) + MARGIN
    return drawing(width, frame.top + frame.height + 46, title, description, parts)


def scatter(
    title: str,
    description: str,
    points: Mapping[str, tuple[float, float]],
    x_title: str,
    y_title: str,
    numbers: Mapping[str, int],
) -> Markup:
    """Named points over a logarithmic axis of cost; a line joins those that no other one beats on both axes."""
    xs, ys = [x for x, _ in points.values()], [y for _, y in points.values()]
    room = 0.1 * (max(ys) - min(ys)) or 0.05
    frame = Frame(
        58, 30, PANEL_WIDTH, PANEL_HEIGHT, (min(xs) / 1.3, max(xs) * 1.3), (min(ys) - room, max(ys) + room), log_x=True
    )
    parts = frame.axes(x_title, y_title)
    front = pareto(points)
    corners: list[tuple[float, float]] = []
    for name in front:
        x, y = frame.x(points[name][0]), frame.y(points[name][1])
        corners += [(x, corners[-1][1]), (x, y)] if corners else [(x, y)]
    parts.append(element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in corners), class_="none"))
    taken: list[tuple[float, float, float]] = []
    for name, (cost, value) in sorted(points.items(), key=lambda item: -item[1][1]):
        x, y = frame.x(cost), frame.y(value)
        parts.append(marker(x, y, numbers[name], f"{name}: {value:.3f} at {short(cost)}"))
        text = f"{name} ◆" if name in front else name
        place = y + 4
        end = x + 9 + width_of([text])
        while any(abs(place - other) < FONT and x + 9 < right and left < end for left, right, other in taken):
            place += 3
        taken.append((x + 9, end, place))
        parts.append(label(x + 9, place, text))
    width = frame.left + frame.width + width_of(list(points)) + 30
    return drawing(width, frame.top + frame.height + 46, title, description, parts)


def pareto(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Those that no other point beats: none costs less and scores as much, or scores more at the same cost."""
    front: list[str] = []
    best = float("-inf")
    for name, (_, value) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if value > best:
            front.append(name)
            best = value
    return front


def ranks(title: str, description: str, standings: Sequence[Standing]) -> Markup:
    """A bar per architecture, cut into the probabilities of the places, the first place darkest."""
    rows = [standing.architecture for standing in standings]
    left, width, top = width_of(rows) + MARGIN, 560.0, 12.0
    count = len(rows)
    parts: list[Markup] = []
    for line, standing in enumerate(standings):
        y, x = top + line * ROW, left
        parts.append(label(left - 8, y + ROW / 2 + 4, standing.architecture, "end"))
        for place, share in enumerate(standing.ranks):
            if share <= 0:
                continue
            colour = mix(SEQUENTIAL, 1 - place / max(1, count - 1))
            tip = f"{standing.architecture}: place {place + 1} with probability {share:.2f}"
            parts.append(
                element(
                    "g",
                    element("title", tip),
                    element("rect", x=x, y=y + 2, width=share * width, height=ROW - 4, fill=colour),
                    element(
                        "text",
                        str(place + 1) if share * width > 18 else "",
                        x=x + share * width / 2,
                        y=y + ROW / 2 + 4,
                        text_anchor="middle",
                        style=f"fill:{ink_on(colour)}",
                    ),
                )
            )
            x += share * width
        parts.append(element("rect", x=left, y=y + 2, width=width, height=ROW - 4, class_="none"))
    return drawing(left + width + MARGIN, top + count * ROW + MARGIN, title, description, parts)


def steps(title: str, description: str, rows: Sequence[Step], x_title: str) -> Markup:
    """A change with its interval per architecture, around a line at no change."""
    names = [step.architecture for step in rows]
    left, top, height = width_of(names) + MARGIN, 14.0, len(rows) * ROW
    frame = Frame(left, top, 520, height, span([step.change for step in rows], include=[0.0]), (0, 1))
    parts = _x_axis(frame)
    zero = frame.x(0.0)
    parts.append(element("line", x1=zero, x2=zero, y1=top, y2=top + height, class_="axis"))
    for line, step in enumerate(rows):
        y = top + (line + 0.5) * ROW
        parts.append(label(left - 8, y + 4, step.architecture, "end"))
        parts += interval_mark(frame, y, step.change, step.architecture, 0)
    parts.append(label(left + 260, top + height + 34, x_title, "middle"))
    return drawing(left + 520 + MARGIN, top + height + 44, title, description, parts)


def growth(title: str, description: str, rows: Sequence[Growth], y_title: str) -> Markup:
    """Per level, how far architectures are apart, beside how far seeds are."""
    high = max(max(row.spread, row.noise or 0.0) for row in rows) or 1.0
    frame = Frame(58, 40, max(300.0, 110.0 * len(rows)), 200, (0, len(rows)), (0, high * 1.1))
    parts = frame.axes("", y_title, x_format=lambda _: "")
    for place, row in enumerate(rows):
        for side, (value, name) in enumerate(((row.spread, "architectures"), (row.noise, "seeds"))):
            if value is None:
                continue
            x, y = frame.x(place + 0.18 + 0.34 * side), frame.y(value)
            parts.append(
                element(
                    "rect",
                    element("title", f"{row.level}: {value:.3f} between {name}"),
                    x=x,
                    y=y,
                    width=frame.width / len(rows) * 0.3,
                    height=frame.top + frame.height - y,
                    class_=f"f{side}",
                    fill_opacity="1" if side == 0 else "0.55",
                )
            )
        parts.append(label(frame.x(place + 0.5), frame.top + frame.height + 17, row.level, "middle"))
    x = frame.left + width_of([y_title]) + 24
    for side, name in enumerate(("between architectures", "between seeds")):
        parts.append(element("rect", x=x, y=22.0, width=12, height=12, class_=f"f{side}"))
        parts.append(label(x + 18, 32, name))
        x += 24 + width_of([name]) + 14
    return drawing(max(x, frame.left + frame.width + 30), frame.top + frame.height + 30, title, description, parts)
