"""A panel of the dashboard, and its JSON by Grafana's schema.

Types, options and defaults by grafana-foundation-sdk@f178d5a4 (Apache-2.0), against which a test decodes it.
"""

from typing import Any, Literal

from msgspec import Struct

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
GRID_WIDTH = 24
Kind = Literal["timeseries", "stat", "table", "bargauge"]
_STEPS = [{"value": None, "color": "green"}]


class Query(Struct, frozen=True):
    """PromQL, and how a series is named: `{{node}}`."""

    expr: str
    legend: str = ""


class Panel(Struct, frozen=True, kw_only=True):
    """`unit` is Grafana's id of it; `most` is the end of the axis; a full row of panels is 24 wide."""

    title: str
    kind: Kind
    queries: tuple[Query, ...]
    description: str
    unit: str = "short"
    decimals: int | None = None
    most: int | None = None
    width: int = 12
    height: int = 8


class Row(Struct, frozen=True):
    """A heading and what is below it."""

    title: str
    panels: tuple[Panel, ...]


def laid_out(rows: tuple[Row, ...]) -> list[dict[str, Any]]:
    """Panels as JSON, from left to right and top to bottom, with ids from 1 up."""
    found: list[dict[str, Any]] = []
    top = 0
    for row in rows:
        found.append(_row(row.title, len(found) + 1, top))
        left, top = 0, top + 1
        for panel in row.panels:
            if left + panel.width > GRID_WIDTH:
                left, top = 0, top + found[-1]["gridPos"]["h"]
            place = {"h": panel.height, "w": panel.width, "x": left, "y": top}
            found.append(_panel(panel, len(found) + 1, place))
            left += panel.width
        top += found[-1]["gridPos"]["h"]
    return found


def _row(title: str, number: int, top: int) -> dict[str, Any]:
    place = {"h": 1, "w": GRID_WIDTH, "x": 0, "y": top}
    return {"type": "row", "collapsed": False, "title": title, "gridPos": place, "id": number, "panels": []}


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    options, custom = _options(panel.kind)
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": _STEPS},
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "custom": custom,
    }
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    if panel.most is not None:
        defaults["max"] = panel.most
    return {
        "type": panel.kind,
        "id": number,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": [_target(panel.kind, query, at) for at, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
    }


def _target(kind: Kind, query: Query, at: int) -> dict[str, Any]:
    instant = kind != "timeseries"
    return {
        "refId": chr(ord("A") + at),
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "format": "table" if kind == "table" else "time_series",
        "instant": instant,
        "range": not instant,
        "legendFormat": query.legend or "__auto",
    }


def _options(kind: Kind) -> tuple[dict[str, Any], dict[str, Any]]:
    """A kind's options, and what its fields have of their own."""
    reduced = {"values": False, "calcs": ["lastNotNull"], "fields": ""}
    legend = {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []}
    if kind == "timeseries":
        custom = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 10,
            "showPoints": "never",
            "spanNulls": False,
        }
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}, custom
    if kind == "stat":
        shown = {"graphMode": "none", "colorMode": "value", "justifyMode": "auto", "textMode": "auto"}
        more = {"wideLayout": True, "showPercentChange": False, "percentChangeColorMode": "standard"}
        return {**shown, **more, "reduceOptions": reduced, "orientation": "auto"}, {}
    if kind == "table":
        return {"frameIndex": 0, "showHeader": True, "cellHeight": "sm"}, {"align": "auto", "inspect": False}
    bars = {"displayMode": "basic", "valueMode": "color", "namePlacement": "auto", "showUnfilled": True}
    sizes = {"sizing": "auto", "minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 300}
    hidden = {**legend, "showLegend": False}
    return {**bars, **sizes, "legend": hidden, "reduceOptions": reduced, "orientation": "horizontal"}, {}
