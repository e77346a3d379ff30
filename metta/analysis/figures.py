"""The kinds of figures, as Vega-Lite specifications; pages, SVG and PNG are made of the same ones.

A figure's data are records of one list. `who` names an architecture or reference player, has the same colour and shape
everywhere, and is left out while the parameter `off` names it. `kind` says which layer draws a record.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import altair

from metta.analysis.intervals import Estimate
from metta.analysis.metrics import SCORE, Metric
from metta.analysis.palette import DASHES, SERIES, SHAPES

Record = dict[str, Any]
Spec = dict[str, Any]

HEIGHT, WIDTH, ROW = 260, 620, 22
"""Of figures in pixels, where the page's width does not decide; of a row of names."""
CONFIG: Spec = {
    "font": "system-ui, sans-serif",
    "background": "transparent",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "domainColor": "currentColor",
        "tickColor": "currentColor",
        "gridColor": "currentColor",
        "gridOpacity": 0.13,
        "domainOpacity": 0.4,
        "titleFontWeight": "normal",
        "titleFontSize": 12,
        "labelFontSize": 11,
        "labelLimit": 150,
    },
    "legend": {"labelColor": "currentColor", "titleColor": "currentColor", "symbolStrokeWidth": 2, "columns": 1},
    "text": {"color": "currentColor"},
    "rule": {"color": "currentColor"},
}
ON_WHITE: Spec = CONFIG | {"background": "white"}
"""Of files of their own."""
LABELS = (
    "abs(datum.value) >= 1e6 ? format(datum.value / 1e6, '.3~r') + 'M' : "
    "abs(datum.value) >= 1e3 ? format(datum.value / 1e3, '.3~r') + 'k' : format(datum.value, '.3~r')"
)
"""Of axes."""


@dataclass(frozen=True)
class Figure:
    """A drawing and what to read from it."""

    name: str
    """Of its file."""
    title: str
    spec: Spec
    caption: str = ""


@dataclass(frozen=True)
class Axis:
    """What an axis shows."""

    title: str
    log: bool = False
    domain: tuple[float, float] | None = None
    ticks: Sequence[float] = field(default=())
    zero: bool = True


def axis_of(metric: Metric, values: Iterable[float] = (), log: bool = False) -> Axis:
    """Of a metric; scores have the fixed scale 0 to 1, which only values beyond it can widen."""
    found = list(values)
    if log:
        return Axis(
            f"{metric.title}, log scale", log, ticks=log_ticks(found), domain=(min(found) / 1.3, max(found) * 1.3)
        )
    if metric is SCORE:
        return Axis(metric.title, domain=(min([0.0, *found]), max([1.0, *found])))
    return Axis(metric.title)


def log_ticks(values: Sequence[float]) -> list[float]:
    """1, 2 and 5 times powers of ten around these values; in a narrow range whole multiples."""
    low, high = min(values) / 1.3, max(values) * 1.3
    powers = [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    few = [step * power for power in powers for step in (1, 2, 5) if low <= step * power <= high]
    return (
        few
        if len(few) > 2
        else [step * power for power in powers for step in range(1, 10) if low <= step * power <= high]
    )


def lines(
    who: Sequence[str],
    means: Sequence[Record],
    x: Axis,
    y: Axis,
    seeds: Sequence[Record] = (),
    players: Mapping[str, float] | None = None,
    order: Sequence[str] = (),
) -> Spec:
    """Lines through means, seeds as dots, players as lines from side to side.

    Args:
        who: everybody, in the order of colours.
        means: `who`, `x`, `y` and what else hovering shows.
        x: axis.
        y: axis.
        seeds: the same for single seeds.
        players: reference player -> height.
        order: names on the x axis where it holds names.
    """
    across = altair.X("x:N", sort=list(order), title=x.title, axis=altair.Axis(labelAngle=-25)) if order else _x(x)
    mean = altair.Chart().transform_filter("datum.kind == 'mean'").encode(x=across, y=_y(y), color=_colour(who))
    dots = altair.Chart().transform_filter("datum.kind == 'seed'").encode(x=across, y=_y(y), color=_colour(who))
    layers = [
        *_levels_of_players(players, "y"),
        *([dots.mark_point(filled=True, size=14, opacity=0.35).encode(tooltip=_tips(seeds, x, y))] if seeds else []),
        mean.mark_line(strokeWidth=2).encode(strokeDash=_dashes(who)),
        mean.mark_point(filled=True, size=42).encode(shape=_shape(who), tooltip=_tips(means, x, y)),
    ]
    return _spec(layers, [*_kind("mean", means), *_kind("seed", seeds), *_players(players, "y")], HEIGHT)


def dots(
    who: Sequence[str],
    rows: Mapping[str, Estimate],
    axis: Axis,
    players: Mapping[str, float] | None = None,
    zero: bool = False,
    seeds: Mapping[str, Sequence[int]] | None = None,
) -> Spec:
    """A row for each name: seeds as dots, the mean as a tick, its interval as a line.

    Args:
        who: everybody, in the order of colours.
        rows: name -> mean, in the order of rows.
        axis: of the values.
        players: reference player -> value.
        zero: whether to draw a line at 0.
        seeds: name -> numbers of the seeds, for hovering.
    """
    means: list[Record] = []
    single: list[Record] = []
    for name, row in rows.items():
        means.append({"who": name, "x": row.mean, "low": row.low, "high": row.high})
        numbers = (seeds or {}).get(name) or range(len(row.values))
        single += [{"who": name, "x": v, "seed": seed} for v, seed in zip(row.values, numbers, strict=False)]
    across = _x(axis)
    line = altair.Y("who:N", sort=list(rows), title=None, axis=altair.Axis(grid=True, tickSize=0, labelPadding=6))
    mean = altair.Chart().transform_filter("datum.kind == 'mean'").encode(y=line, color=_colour(who))
    dot = altair.Chart().transform_filter("datum.kind == 'seed'").encode(x=across, y=line, color=_colour(who))
    middle = altair.Chart().transform_filter("datum.kind == 'zero'").mark_rule(opacity=0.5).encode(x=across)
    tips = _tips(single, axis)
    layers = [
        *_levels_of_players(players, "x"),
        *([middle] if zero else []),
        mean.mark_rule(strokeWidth=2.5, opacity=0.6).encode(x=altair.X("low:Q", title=axis.title), x2="high:Q"),
        *(
            [dot.mark_point(filled=True, size=40, opacity=0.65).encode(shape=_shape(who), tooltip=tips)]
            if single
            else []
        ),
        mean.mark_tick(thickness=3, size=15).encode(x=across, tooltip=_tips(means, axis)),
    ]
    records = [*_kind("mean", means), *_kind("seed", single), *_players(players, "x")]
    return _spec(layers, [*records, *([{"kind": "zero", "who": "", "x": 0.0}] if zero else [])], ROW * len(rows))


def scatter(
    who: Sequence[str], points: Sequence[Record], x: Axis, y: Axis, players: Mapping[str, float] | None = None
) -> Spec:
    """A named point for everybody; what nothing else beats on both axes is joined by a line.

    Args:
        who: everybody, in the order of colours.
        points: `who`, `x`, `y`, `low`, `high` (of y).
        x: axis of a cost.
        y: axis.
        players: reference player -> height.
    """
    front = pareto({point["who"]: (point["x"], point["y"]) for point in points})
    best = [{"who": "", "x": point["x"], "y": point["y"]} for point in points if point["who"] in front]
    base = altair.Chart().transform_filter("datum.kind == 'mean'").encode(x=_x(x), y=_y(y), color=_colour(who))
    joined = altair.Chart().transform_filter("datum.kind == 'front'").encode(x=_x(x), y=_y(y))
    layers = [
        *_levels_of_players(players, "y"),
        joined.mark_line(interpolate="step-after", strokeDash=[2, 3], opacity=0.5, color="currentColor"),
        base.mark_rule(opacity=0.4).encode(y=altair.Y("low:Q", title=y.title), y2="high:Q"),
        base.mark_point(filled=True, size=80).encode(shape=_shape(who), tooltip=_tips(points, x, y)),
        base.mark_text(align="left", dx=8, fontSize=11).encode(text="who:N", color=altair.value("currentColor")),
    ]
    records = [*_kind("mean", points), *_kind("front", best), *_players(players, "y")]
    return _spec(layers, records, HEIGHT + 40)


def pareto(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Those that no other point beats: none costs less and scores as much, or scores more at the same cost."""
    front: list[str] = []
    best = -math.inf
    for name, (_, value) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if value > best:
            front.append(name)
            best = value
    return front


def svg(spec: Spec) -> str:
    """The figure as a file of its own, with a legend."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(spec | {"width": WIDTH}, config=ON_WHITE))


def png(spec: Spec) -> bytes:
    """The same as pixels."""
    import vl_convert

    return bytes(vl_convert.vegalite_to_png(spec | {"width": WIDTH}, config=ON_WHITE, scale=2.0))


def _x(axis: Axis) -> altair.X:
    return altair.X("x:Q", **_positional(axis))


def _y(axis: Axis) -> altair.Y:
    return altair.Y("y:Q", **_positional(axis))


def _positional(axis: Axis) -> dict[str, Any]:
    looks: dict[str, Any] = {"labelExpr": LABELS}
    if axis.ticks:
        looks["values"] = list(axis.ticks)
    scale: dict[str, Any] = {"type": "log"} if axis.log else {"zero": axis.zero}
    if axis.domain:
        scale |= {"domain": list(axis.domain), "nice": False}
    return {
        "title": axis.title,
        "scale": altair.Scale(**scale),
        "axis": altair.Axis(labelOverlap="greedy", tickCount=6, **looks),
    }


def _colour(who: Sequence[str]) -> altair.Color:
    return altair.Color("who:N", scale=_own(who, SERIES), title=None)


def _shape(who: Sequence[str]) -> altair.Shape:
    return altair.Shape("who:N", scale=_own(who, SHAPES), title=None)


def _dashes(who: Sequence[str]) -> altair.StrokeDash:
    return altair.StrokeDash("who:N", scale=_own(who, DASHES), title=None)


def _own(who: Sequence[str], values: Sequence[Any]) -> altair.Scale:
    """One of the values for everybody, over and over."""
    return altair.Scale(domain=list(who), range=[values[place % len(values)] for place in range(len(who))])


def _levels_of_players(players: Mapping[str, float] | None, channel: str) -> list[altair.Chart]:
    """A line from side to side for every reference player, with its name; names do not stand on each other."""
    chart = altair.Chart().transform_filter("datum.kind == 'player'")
    tips = [altair.Tooltip("who:N", title="player"), altair.Tooltip(f"{channel}:Q", title="value", format=".3~f")]
    layers = [chart.mark_rule(strokeDash=[3, 3], opacity=0.6).encode(**{channel: f"{channel}:Q"}, tooltip=tips)]
    half = max((players or {}).values(), default=0.0) / 2
    for place, (player, value) in enumerate((players or {}).items()):
        own = chart.transform_filter(f"datum.who == '{player}'")
        side: Literal["left", "right"] = "right" if channel == "x" and value > half else "left"
        text = own.mark_text(align=side, fontSize=10.5, opacity=0.85, dx=2, dy=-6 if channel == "y" else 0)
        aside = altair.value(62 * place) if channel == "y" else altair.value(-6 - 11 * (place % 2))
        layers.append(text.encode(**{channel: f"{channel}:Q", "x" if channel == "y" else "y": aside}, text="who:N"))
    return layers if players else []


def _players(players: Mapping[str, float] | None, channel: str) -> list[Record]:
    return [{"kind": "player", "who": name, channel: value} for name, value in (players or {}).items()]


def _kind(kind: str, records: Iterable[Record]) -> list[Record]:
    return [{"kind": kind, **record} for record in records]


def _tips(records: Sequence[Record], x: Axis, y: Axis | None = None) -> list[altair.Tooltip]:
    """What hovering shows: all that a record holds."""
    titles = {"who": "who", "low": "95 % from", "high": "to", "x": x.title, "y": y.title if y else ""}
    found = []
    for key in dict.fromkeys(key for record in records for key in record):
        text = any(isinstance(record[key], str) for record in records if key in record)
        title = titles.get(key, key)
        name = f"{key}:{'N' if text else 'Q'}"
        found.append(altair.Tooltip(name, title=title, format=altair.Undefined if text else ",.4~r"))
    return found


def _spec(layers: Sequence[altair.Chart], records: list[Record], height: float) -> Spec:
    found: Spec = altair.layer(*layers).properties(width="container", height=height).to_dict(validate=False)
    # Records are not altair's business: it would check each of them against the schema of all of Vega-Lite.
    found["data"] = {"values": records}
    for layer in found["layer"]:
        del layer["data"]
    found["params"] = [{"name": "off", "value": []}]
    found["transform"] = [{"filter": "indexof(off, datum.who) < 0"}]
    found.pop("config", None)
    return found
