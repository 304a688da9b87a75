"""Draws config/grafana/dashboard.json as an SVG, from what a real Prometheus answers to its panels' own queries.

It stands in for a picture by Grafana, which is in no package registry: queries, titles, units, legends, thresholds and
places are the dashboard's; colours of series, axes and fonts are not Grafana's. Facts: Grafana's docs, "Dashboard JSON
model" (gridPos: 24 columns); Prometheus' docs, "HTTP API" (query_range).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from agent.core.units import duration
from agent.report.words import size

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "config" / "grafana" / "dashboard.json"
PICTURE = ROOT / "docs" / "dashboard.svg"

COLUMN, LINE, GAP = 50, 30, 8  # pixels: of a column and a line of the grid, and between panels
NAMED = {"green": "#1f7a3f", "orange": "#b8680f", "red": "#b3261e", "text": "#6b7280"}
SERIES = ("#2f6fbf", "#c77d1e", "#3c8f5a", "#a04a9c", "#b3443a", "#6b7280", "#1d8a99", "#8a6d1d")
POINTS = 60  # that a panel is asked for
BARS = 12
SCRAPED = 1  # seconds between two scrapes

Series = tuple[str, list[tuple[float, float]]]  # its legend; times and values
Ask = Callable[[str, float, float, float], list[dict[str, Any]]]  # query_range: expression, start, end, step (s)


def picture(ask: Ask, start: float, end: float) -> str:
    """The whole dashboard.

    Args:
        start, end: what it shows, in seconds since 1970.
    """
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    drawn = [_panel(one, ask, start, end) for one in panels]
    height = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in panels) * LINE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {24 * COLUMN} {height}" font-family="sans-serif"'
        f' font-size="12" fill="#1c1e21">\n<rect width="100%" height="100%" fill="#f4f5f5"/>\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


def _panel(panel: dict[str, Any], ask: Ask, start: float, end: float) -> str:
    place = panel["gridPos"]
    x, y = place["x"] * COLUMN, place["y"] * LINE
    if panel["type"] == "row":
        return f'<text x="{x + GAP}" y="{y + 20}" font-size="14" font-weight="bold">{escape(panel["title"])}</text>'
    width, height = place["w"] * COLUMN - GAP, place["h"] * LINE - GAP
    inside = _DRAW[panel["type"]](panel, _answers(panel, ask, start, end), (width, height - 26), (start, end))
    return (
        f'<svg x="{x}" y="{y}" width="{width}" height="{height}">'
        f'<rect width="100%" height="100%" rx="3" fill="#fff" stroke="#d5d8dc"/>'
        f'<text x="8" y="18" font-weight="bold">{escape(panel["title"])}</text>'
        f'<svg y="26" width="{width}" height="{height - 26}">{inside}</svg></svg>'
    )


def _answers(panel: dict[str, Any], ask: Ask, start: float, end: float) -> list[Series]:
    """Prometheus' answer to the panel's query: over the time, or now."""
    [target] = panel["targets"]
    step = (end - start) / (BARS if _bars(panel) else POINTS)
    given = {"$project": ".*", "$__rate_interval": f"{round(step) + SCRAPED}s", "$__range": f"{round(end - start)}s"}
    expression = re.sub("|".join(map(re.escape, given)), lambda found: given[found[0]], target["expr"])
    answer = ask(expression, end if target.get("instant") else start + step, end, step)
    return sorted((_legend(target["legendFormat"], one["metric"]), _points(one["values"])) for one in answer)


def _legend(template: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), template)


def _points(values: Sequence[tuple[float, str]]) -> list[tuple[float, float]]:
    return [(float(time), float(value)) for time, value in values]


def _bars(panel: dict[str, Any]) -> bool:
    return bool(panel["fieldConfig"]["defaults"].get("custom", {}).get("drawStyle") == "bars")


def _shown(value: float, panel: dict[str, Any]) -> str:
    match panel["fieldConfig"]["defaults"].get("unit"):
        case "s":
            return duration(value)
        case "bytes":
            return size(round(value))
    return f"{value:.2g}" if value % 1 else f"{value:.0f}"


def _colour(value: float, panel: dict[str, Any]) -> str:
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return NAMED[[one["color"] for one in steps if one["value"] is None or value >= one["value"]][-1]]


Size = tuple[float, float]


def _stat(panel: dict[str, Any], series: list[Series], room: Size, _times: Size) -> str:
    width, height = room
    if series:
        value = series[0][1][-1][1]
        text, fill = _shown(value, panel), _colour(value, panel)
    else:
        without = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]["result"]
        text, fill = without["text"], NAMED[without["color"]]
    return (
        f'<rect x="1" width="{width - 2}" height="{height - 1}" fill="{fill}"/>'
        f'<text x="{width / 2}" y="{height / 2 + 10}" font-size="28" fill="#fff" text-anchor="middle">'
        f"{escape(text)}</text>"
    )


def _timeseries(panel: dict[str, Any], series: list[Series], room: Size, times: Size) -> str:
    left, top, right, bottom = 56.0, 6.0, room[0] - 12, room[1] - 18 - 15 * -(-len(series) // 2)
    bars = _bars(panel)
    sums: dict[float, float] = {}
    for _, points in series:
        for time, value in points:
            sums[time] = sums.get(time, 0) + value
    most = (
        max([value for _, points in series for _, value in points] + (list(sums.values()) if bars else []), default=0)
        or 1
    )

    def at(time: float, value: float) -> tuple[float, float]:
        return (
            left + (time - times[0]) / (times[1] - times[0]) * (right - left),
            bottom - value / most * (bottom - top),
        )

    drawn = [
        f'<line x1="{left}" x2="{right}" y1="{at(0, value)[1]:.1f}" y2="{at(0, value)[1]:.1f}" stroke="#e3e5e8"/>'
        f'<text x="{left - 6}" y="{at(0, value)[1] + 4:.1f}" text-anchor="end">{escape(_shown(value, panel))}</text>'
        for value in (0, most / 2, most)
    ]
    below: dict[float, float] = {}
    for number, (legend, points) in enumerate(series):
        colour = SERIES[number % len(SERIES)]
        if bars:
            wide = (right - left) / BARS - 3
            for time, value in points:
                x, y = at(time, below.get(time, 0) + value)
                tall = at(time, below.get(time, 0))[1] - y
                below[time] = below.get(time, 0) + value
                drawn.append(
                    f'<rect x="{x - wide:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" fill="{colour}"/>'
                )
        else:
            for line in _unbroken(points, (times[1] - times[0]) / POINTS):
                path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in line))
                drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        x, y = left + number % 2 * (right - left) / 2, bottom + 20 + 15 * (number // 2)
        drawn.append(f'<rect x="{x}" y="{y - 7}" width="10" height="4" fill="{colour}"/>')
        drawn.append(f'<text x="{x + 14}" y="{y}" font-size="11">{escape(legend)}</text>')
    return "".join(drawn) if series else _nothing(room)


def _unbroken(points: list[tuple[float, float]], step: float) -> list[list[tuple[float, float]]]:
    """The line between gaps; a point by itself is a line as long as a step."""
    lines: list[list[tuple[float, float]]] = []
    for point in points:
        if lines and point[0] - lines[-1][-1][0] < 1.5 * step:
            lines[-1].append(point)
        else:
            lines.append([point])
    return [line if len(line) > 1 else [line[0], (line[0][0] + step, line[0][1])] for line in lines]


def _bargauge(panel: dict[str, Any], series: list[Series], room: Size, _times: Size) -> str:
    newest = [(legend, points[-1][1]) for legend, points in series]
    most = max((value for _, value in newest), default=0) or 1
    high = min(26.0, room[1] / max(len(newest), 1))
    drawn = []
    for number, (legend, value) in enumerate(newest):
        y = number * high + high / 2
        wide = value / most * (room[0] - 200)
        drawn.append(f'<text x="8" y="{y + 4}">{escape(legend)}</text>')
        drawn.append(f'<rect x="120" y="{y - 8}" width="{wide:.1f}" height="16" fill="{_colour(value, panel)}"/>')
        drawn.append(f'<text x="{126 + wide:.1f}" y="{y + 4}">{escape(_shown(value, panel))}</text>')
    return "".join(drawn) or _nothing(room)


def _state_timeline(panel: dict[str, Any], series: list[Series], room: Size, times: Size) -> str:
    drawn = []
    for number, (legend, points) in enumerate(series):
        y = number * 40.0 + 10
        drawn.append(f'<text x="8" y="{y + 18}">{escape(legend)}</text>')
        changes = [
            one for one, before in zip(points, [None, *points], strict=False) if not before or one[1] != before[1]
        ]
        for (time, value), (following, _) in zip(changes, [*changes[1:], (times[1], 0.0)], strict=True):
            x, end = (100 + (one - times[0]) / (times[1] - times[0]) * (room[0] - 112) for one in (time, following))
            drawn.append(
                f'<rect x="{x:.1f}" y="{y}" width="{end - x:.1f}" height="28" fill="{_colour(value, panel)}"/>'
            )
    return "".join(drawn) or _nothing(room)


def _nothing(room: Size) -> str:
    return f'<text x="{room[0] / 2}" y="{room[1] / 2}" text-anchor="middle">No data</text>'


_DRAW: dict[str, Callable[[dict[str, Any], list[Series], Size, Size], str]] = {
    "stat": _stat,
    "timeseries": _timeseries,
    "bargauge": _bargauge,
    "state-timeline": _state_timeline,
}
