"""The fleet of a plan as one SVG: a bar for each GPU, an instance or tenant as wide as its memory."""

from collections.abc import Iterator, Sequence
from typing import Any

from stellwerk.engine.partition.facts import gpu_facts, mig_table
from stellwerk.engine.partition.inventory import Gpu
from stellwerk.engine.partition.policy import MIG, WHOLE
from stellwerk.report.pictures import FAINT, IDLE, INK, ROWS_A_COLUMN, TEAMS, figure_of, style, svg_of
from stellwerk.report.text import Language, translator

COLORS = {WHOLE: TEAMS[0], MIG: TEAMS[2], "mps": TEAMS[1], "time-slicing": TEAMS[3]}
MOST_GPUS = 240


def partition_svg(gpus: Sequence[Gpu], lang: Language) -> str:
    """The GPUs in use, at most `MOST_GPUS`, as an SVG; the same bytes for the same plan."""
    import matplotlib
    from matplotlib.patches import Patch

    _ = translator(lang)
    shown = [gpu for gpu in gpus if gpu.busy or gpu.instances][:MOST_GPUS]
    columns = max(1, -(-len(shown) // ROWS_A_COLUMN))
    with matplotlib.rc_context(style()):
        figure, (axis,) = figure_of(0.9 + 0.4 * min(len(shown), ROWS_A_COLUMN))
        for position, gpu in enumerate(shown):
            column, row = divmod(position, ROWS_A_COLUMN)
            axis.barh(row, 1, left=column * 1.3, height=0.76, color="#F1F3F5", edgecolor=FAINT, linewidth=0.6)
            axis.text(
                column * 1.3 - 0.012, row, f"{gpu.node}/{gpu.index}", ha="right", va="center", fontsize=7.5
            )
            for left, part, label, color in parts(gpu):
                _draw(axis, column * 1.3 + left, row, (part, label, color, columns))
        axis.set_xlim(-0.16, columns * 1.3 - 0.2)
        axis.set_ylim(max(1, min(len(shown), ROWS_A_COLUMN)) - 0.5, -0.5)
        axis.set_axis_off()
        used = [method for method in COLORS if any(gpu.method == method for gpu in shown)]
        handles = [Patch(color=COLORS[method], label=method) for method in used]
        handles.append(Patch(color=IDLE, label=_("idle instance")))
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
        return svg_of(figure, "partition")


def parts(gpu: Gpu) -> Iterator[tuple[float, float, str, str]]:
    """(where it begins, how wide, label, color), as parts of the GPU's memory."""
    table = mig_table(gpu.model)
    if gpu.method == MIG and table is not None:
        for instance in gpu.instances:
            profile = table.profile(instance.profile)
            size = 0 if profile is None else profile.size
            color = COLORS[MIG] if instance.tenant else IDLE
            yield instance.start / table.memory_slices, size / table.memory_slices, instance.profile, color
        return
    memory, left = gpu_facts(gpu.model).memory_bytes, 0.0
    for tenant in gpu.tenants:
        part = 1.0 if gpu.method == WHOLE else max(0.02, tenant.memory_bytes / memory)
        yield left, part, tenant.name, COLORS.get(gpu.method, IDLE)
        left += part


def _draw(axis: Any, left: float, row: int, box: tuple[float, str, str, int]) -> None:
    width, label, color, columns = box
    axis.barh(row, width, left=left, height=0.76, color=color, edgecolor="white", linewidth=1.2)
    if width * 90 >= len(label) * columns:
        ink = "white" if color not in (IDLE, TEAMS[1]) else INK
        axis.text(left + width / 2, row, label, ha="center", va="center", fontsize=7.5, color=ink)
