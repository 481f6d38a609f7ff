"""The pictures of a replay as SVG: the same bytes for the same replay, no script, no font, no date inside.

Axes: x is time in hours of the period or an amount, y is GPUs, jobs, policies. matplotlib is loaded on the
first picture only, and without pyplot, which would keep global state.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from stellwerk.report.choice import Choice, baseline, choose, is_sized, nodes_of, smallest
from stellwerk.report.figures import gpus_text, money_or_unknown
from stellwerk.report.text import Language, moment, translator
from stellwerk.sim.result import Replay, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by readers with any color vision.
TEAMS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D1F", "#5B5BA5")
PALE = ("#E69F00", "#56B4E9")  # Dark words on these.
REST, IDLE = "#9AA0A6", "#E3E5E8"
HELD, USED, INK, FAINT = "#A9C9E3", "#0B5C94", "#1F2933", "#CBD2D9"
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
WIDTH = 10.0  # Inches; the page scales it.
ROWS_A_COLUMN = 24
NS_PER_H = 3_600_000_000_000


class Picture(Struct, frozen=True):
    """`svg` starts with `<svg`; `caption` says in words what is to be seen."""

    key: str
    title: str
    caption: str
    svg: str


class Sheet(Struct, frozen=True):
    """What every drawing function needs: the replay, the best policy beside whole GPUs, colors, language."""

    replay: Replay
    best: Choice
    before: Choice
    colors: dict[str, str]
    lang: Language


def draw(replay: Replay, lang: Language) -> tuple[Picture, ...]:
    """Use over time, queue, cost per team, slice map, and (sized) fleet sizes."""
    import matplotlib

    sheet = Sheet(replay, choose(replay), baseline(replay), team_colors(replay), lang)
    drawings: list[Callable[[Sheet], Picture]] = [_use, _queue, _costs, _slices]
    if is_sized(replay):
        drawings.insert(0, _sizes)
    with matplotlib.rc_context(style()):
        return tuple(drawing(sheet) for drawing in drawings)


def team_colors(replay: Replay) -> dict[str, str]:
    """A color for each team: the largest by GPU-hours held first, those beyond the palette share one."""
    held: dict[str, Decimal] = {}
    for team in (team for outcome in replay.outcomes for team in outcome.worst.teams):
        held[team.team] = max(held.get(team.team, Decimal(0)), team.held)
    ranked = sorted(held, key=lambda name: (-held[name], name))
    return {name: TEAMS[place] if place < len(TEAMS) else REST for place, name in enumerate(ranked)}


def style() -> Any:
    """matplotlib's settings for every picture."""
    return {
        "svg.fonttype": "none",
        "text.parse_math": False,  # A policy may be called $x$.
        "svg.hashsalt": "stellwerk",
        "font.family": "DejaVu Sans",
        "font.size": 9.5,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": FAINT,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.axisbelow": True,
        "grid.color": "#EBEEF1",
        "xtick.color": "#52606D",
        "ytick.color": "#52606D",
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "legend.frameon": False,
        "hatch.color": "#FFFFFF",
        "hatch.linewidth": 0.8,
        "path.simplify": True,
    }


def figure_of(height: float, rows: int = 1) -> "tuple[Figure, list[Axes]]":
    """A figure of `height` inches with its axes, one below the other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(rows, 1, sharex=True, sharey=True, squeeze=False)
    return figure, [row[0] for row in axes]


def svg_of(figure: "Figure", key: str) -> str:
    """The figure as an `<svg>` element whose ids cannot meet those of another picture on the page."""
    out = StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{key}-', text)
    text = text.replace("url(#", f"url(#{key}-").replace('href="#', f'href="#{key}-')
    return re.sub(r'<svg([^>]*?) width="[^"]*" height="[^"]*"', r'<svg role="img"\1', text, count=1)


def _use(sheet: Sheet) -> Picture:
    _ = translator(sheet.lang)
    shown = [sheet.before] if sheet.best == sheet.before else [sheet.before, sheet.best]
    figure, axes = figure_of(1.0 + 1.75 * len(shown), len(shown))
    for axis, choice in zip(axes, shown, strict=True):
        edges, series = _series(sheet, choice.run)
        axis.stairs(series["held"], edges, fill=True, color=HELD, label=_("held by jobs"))
        axis.stairs(series["used"], edges, fill=True, color=USED, label=_("really used"))
        axis.axhline(choice.gpus, color=INK, linewidth=1, linestyle=(0, (4, 3)), label=_("paid"))
        axis.set_title(f"{choice.policy}: {gpus_text(choice.gpus, sheet.lang)}")
        axis.set_ylabel("GPUs")
        axis.grid(axis="y")
    axes[0].set_ylim(0, max(choice.gpus for choice in shown) * 1.08)
    _time_axis(sheet, axes[-1])
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3)
    title = _("GPU use over time")
    caption = _(
        "What is paid, what jobs hold, and what they really use: "
        "whole GPUs above, the recommended policy below."
    )
    return Picture("use", title, caption, svg_of(figure, "use"))


def _series(sheet: Sheet, run: Run) -> tuple[list[float], dict[str, list[float]]]:
    """Edges in hours and values between them: one edge more than values."""
    samples = run.samples
    edges = [sample.start_ns / NS_PER_H for sample in samples] + [sheet.replay.period_ns / NS_PER_H]
    values = {
        "held": [sample.held_milli / 1000 for sample in samples],
        "used": [sample.used_milli / 1000 for sample in samples],
        "waiting": [sample.waiting_milli / 1000 for sample in samples],
    }
    return edges, values


def _time_axis(sheet: Sheet, axis: "Axes") -> None:
    """Ticks at round hours or at midnight of about eight days."""
    from babel.dates import format_date

    hours = sheet.replay.period_ns // NS_PER_H
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=sheet.replay.start_ns // 1_000_000_000)
    step = next((s for s in (1, 2, 3, 6, 24, 48, 72, 96, 120, 168) if hours <= 9 * s), 24 * 30)
    ticks = list(range(0, hours + 1, step))
    if step < 24:
        labels = [(start + timedelta(hours=tick)).strftime("%H:%M") for tick in ticks]
    else:
        pattern = "EEE d. MMM" if sheet.lang == "de" else "EEE d MMM"
        labels = [format_date(start + timedelta(hours=tick), pattern, sheet.lang) for tick in ticks]
    axis.set_xticks(ticks, labels)
    axis.set_xlim(0, sheet.replay.period_ns / NS_PER_H)


def _queue(sheet: Sheet) -> Picture:
    _ = translator(sheet.lang)
    figure, (axis,) = figure_of(2.9)
    for place, outcome in enumerate(sheet.replay.outcomes):
        edges, series = _series(sheet, outcome.worst)
        chosen = outcome.policy == sheet.best.policy
        axis.step(
            edges,
            [*series["waiting"], series["waiting"][-1]] if series["waiting"] else [0.0] * len(edges),
            where="post",
            color=(INK if place == 0 else TEAMS[(place - 1) % len(TEAMS)]),
            linestyle=LINES[place % len(LINES)],
            linewidth=2.2 if chosen else 1.3,
            label=outcome.policy,
            zorder=3 if chosen else 2,
        )
    axis.set_ylim(bottom=0)
    axis.set_ylabel(_("jobs waiting"))
    axis.grid(axis="y")
    _time_axis(sheet, axis)
    figure.legend(loc="outside upper right", ncols=6)
    title = _("Queue over time")
    caption = _(
        "How many jobs wait, on the declared fleet of {gpus} GPUs, by policy.", gpus=sheet.before.gpus
    )
    return Picture("queue", title, caption, svg_of(figure, "queue"))


def _costs(sheet: Sheet) -> Picture:
    """Stacked bars: cost by team and idle, or GPU-hours where no price is known."""
    _ = translator(sheet.lang)
    choices = _rows(sheet)
    priced = all(choice.run.cost.period is not None for choice in choices)
    figure, (axis,) = figure_of(1.1 + 0.42 * len(choices))
    names = [name for name, color in sheet.colors.items() if color != REST]
    rest = [name for name, color in sheet.colors.items() if color == REST]
    groups = [(name, [name], sheet.colors[name]) for name in names]
    groups += [(_("other teams"), rest, REST)] if rest else []
    left = [0.0] * len(choices)
    for label, members, color in groups:
        widths = [_part(choice.run, members, priced) for choice in choices]
        axis.barh(range(len(choices)), widths, left=left, color=color, height=0.62, label=label)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    idle = [_idle(choice.run, priced) for choice in choices]
    axis.barh(range(len(choices)), idle, left=left, color=IDLE, height=0.62, label=_("idle"), hatch="////")
    ends = [a + b for a, b in zip(left, idle, strict=True)]
    for place, (choice, end) in enumerate(zip(choices, ends, strict=True)):
        total = money_or_unknown(choice.run.cost.period, sheet.replay.fleet.currency, sheet.lang)
        axis.annotate(
            total if priced else f"{end:.0f} h", (end, place), (5, 0), va="center", textcoords="offset points"
        )
    axis.set_yticks(range(len(choices)), [_name(sheet, choice) for choice in choices])
    axis.invert_yaxis()
    axis.set_xlim(0, max(ends, default=1) * 1.16 or 1)
    axis.set_xticks([])
    axis.spines[["bottom", "left"]].set_visible(False)
    figure.legend(loc="outside upper right", ncols=6)
    title = _("Cost per team") if priced else _("GPU-hours per team (price unknown)")
    caption = _(
        "Each team pays for the GPU-hours it held; what nobody held is idle. "
        "The parts add up to the whole period."
    )
    return Picture("teams", title, caption, svg_of(figure, "teams"))


def _rows(sheet: Sheet) -> list[Choice]:
    """Whole GPUs as declared, then every policy on its smallest fleet, or (not sized) each as declared."""
    policies = sheet.replay.outcomes[1:]
    if is_sized(sheet.replay):
        sized = [found for outcome in sheet.replay.outcomes if (found := smallest(outcome))]
        # Whole GPUs that cannot do with less stand there once.
        return [
            sheet.before,
            *(c for c in sized if (c.policy, c.gpus) != (sheet.before.policy, sheet.before.gpus)),
        ]
    fleet = sheet.before
    rows = (
        Choice(policy=o.policy, nodes=fleet.nodes, gpus=fleet.gpus, runs=o.runs, sized=False)
        for o in policies
    )
    return [fleet, *rows]


def _name(sheet: Sheet, choice: Choice) -> str:
    return f"{choice.policy} ({gpus_text(choice.gpus, sheet.lang)})"


def _part(run: Run, members: Sequence[str], priced: bool) -> float:
    chosen = [team for team in run.teams if team.team in members]
    return float(sum((team.cost or Decimal(0)) if priced else team.held for team in chosen))


def _idle(run: Run, priced: bool) -> float:
    return float(
        (run.idle_cost or Decimal(0)) if priced else max(Decimal(0), run.gpu_hours.paid - run.gpu_hours.held)
    )


def _slices(sheet: Sheet) -> Picture:
    """One bar a GPU, in columns of at most 24; a slice has its team's color, a label where there is room."""
    from matplotlib.collections import PolyCollection

    _ = translator(sheet.lang)
    busiest = sheet.best.run.busiest
    nodes = nodes_of(sheet.replay, sheet.best)
    gpus = [(node.name, index) for node in nodes for index in range(node.gpus)]
    place = {gpu: (index // ROWS_A_COLUMN, index % ROWS_A_COLUMN) for index, gpu in enumerate(gpus)}
    columns = max((column for column, _row in place.values()), default=0) + 1
    figure, (axis,) = figure_of(0.7 + 0.4 * min(len(gpus), ROWS_A_COLUMN))
    axis.add_collection(PolyCollection([_box(at, 0, 1000) for at in place.values()], facecolors="#F1F3F5"))
    held = [part for part in busiest.slices if (part.node, part.gpu) in place]
    boxes = [_box(place[part.node, part.gpu], part.start_milli, part.size_milli) for part in held]
    colors = [sheet.colors.get(part.team, REST) for part in held]
    axis.add_collection(PolyCollection(boxes, facecolors=colors, edgecolors="white", linewidths=1.2))
    for part in held:
        label = part.label or _method(sheet, part.method)
        if part.size_milli * 90 >= len(label) * 1000 * columns:
            column, row = place[part.node, part.gpu]
            x = column * 1.25 + (part.start_milli + part.size_milli / 2) / 1000
            ink = INK if sheet.colors.get(part.team) in PALE else "white"
            axis.text(x, row, label, ha="center", va="center", color=ink, fontsize=8.5, fontweight="bold")
    for (node, index), (column, row) in place.items():
        name = node if sum(gpu[0] == node for gpu in gpus) == 1 else f"{node} / {index}"
        axis.text(column * 1.25 - 0.012, row, name, ha="right", va="center", fontsize=8.5)
    axis.set_xlim(-0.14, columns * 1.25 - 0.22)
    axis.set_ylim(min(len(gpus), ROWS_A_COLUMN) - 0.5, -0.5)
    axis.set_axis_off()
    _team_legend(sheet, figure, {part.team for part in held})
    when = moment(sheet.replay.start_ns + busiest.at_ns, sheet.lang)
    caption = _(
        "Who holds which part of each GPU with {policy} at the busiest moment, {when}.",
        policy=sheet.best.policy,
        when=when,
    )
    return Picture("slices", _("Slice map of the fleet"), caption, svg_of(figure, "slices"))


def _box(place: tuple[int, int], start_milli: int, size_milli: int) -> list[tuple[float, float]]:
    x, y = place[0] * 1.25 + start_milli / 1000, place[1]
    right = x + size_milli / 1000
    return [(x, y - 0.38), (right, y - 0.38), (right, y + 0.38), (x, y + 0.38)]


def _method(sheet: Sheet, method: str) -> str:
    _ = translator(sheet.lang)
    return _("whole GPU") if method == "whole" else {"mps": "MPS", "mig": "MIG"}.get(method, method)


def _team_legend(sheet: Sheet, figure: "Figure", teams: set[str]) -> None:
    from matplotlib.patches import Patch

    _ = translator(sheet.lang)
    named = [
        Patch(color=color, label=name)
        for name, color in sheet.colors.items()
        if name in teams and color != REST
    ]
    if any(sheet.colors.get(name, REST) == REST for name in teams):
        named.append(Patch(color=REST, label=_("other teams")))
    figure.legend(
        handles=[*named, Patch(color="#F1F3F5", label=_("free"))], loc="outside upper right", ncols=9
    )


def _sizes(sheet: Sheet) -> Picture:
    """One bar a policy: GPUs of its smallest fleet, with what a month of it costs."""
    _ = translator(sheet.lang)
    found = {outcome.policy: smallest(outcome) for outcome in sheet.replay.outcomes}
    figure, (axis,) = figure_of(0.9 + 0.42 * (len(found) + 1))
    names = [_("declared"), *found]
    gpus = [sheet.before.gpus, *(choice.gpus if choice else 0 for choice in found.values())]
    colors = [FAINT, *(USED if name == sheet.best.policy else HELD for name in found)]
    axis.barh(range(len(names)), gpus, color=colors, height=0.62)
    for place, choice in enumerate((sheet.before, *found.values())):
        text = _("none") if choice is None else _size_label(sheet, choice)
        axis.annotate(text, (gpus[place], place), (6, 0), va="center", textcoords="offset points")
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xlim(0, max(gpus) * 1.3)
    axis.set_xticks([])
    axis.spines[["bottom", "left"]].set_visible(False)
    caption = _(
        "GPUs of the smallest fleet whose p95 wait is not above that of whole GPUs on the declared fleet."
    )
    return Picture("sizes", _("Smallest fleet by policy"), caption, svg_of(figure, "sizes"))


def _size_label(sheet: Sheet, choice: Choice) -> str:
    _ = translator(sheet.lang)
    cost = money_or_unknown(choice.month, sheet.replay.fleet.currency, sheet.lang, 0)
    if choice.month is None:
        return gpus_text(choice.gpus, sheet.lang)
    return _("{gpus}, {money} a month", gpus=gpus_text(choice.gpus, sheet.lang), money=cost)
