"""Pods of the openb trace (a production GPU cluster, in this package), or of a file with the same columns.

Columns: name, num_gpu, gpu_milli, pod_phase, creation_time, deletion_time, scheduled_time (seconds from the
trace's start); `qos` is optional, others are not read. A pod's milli-GPU is its share of a GPU's compute and
memory together (FGD, USENIX ATC'23). Which part of the trace is taken is said in the demand's notes.
"""

from collections.abc import Iterator, Sequence
from importlib.resources import files

from msgspec import Struct, structs

from stellwerk.adapters.files import MIB, expand
from stellwerk.adapters.rows import Cell, Table, place, read_table, whole_number
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.demand import NS_PER_S, Demand, Job, LeftOut, demand_of

POD_COLUMNS = (
    "name",
    "num_gpu",
    "gpu_milli",
    "pod_phase",
    "creation_time",
    "deletion_time",
    "scheduled_time",
)
OPENB_PODS = "openb_pod_list_default.csv.xz"
OPENB_DAYS = 14
GPU_MEMORY_BYTES = 81_920 * MIB  # The 80 GB class, as NVML reports an A100-SXM4-80GB.
_DAY_S = 86_400
_TIME_LIMIT_S = 100 * 366 * _DAY_S

NOT_IN_WINDOW = "pods ended before the last days that are replayed"
CPU_ONLY = "pods ask for no GPU"
NEVER_SCHEDULED = "pods were never scheduled, so the trace does not know how long they would run"
NO_WORK = "pods were deleted as soon as they were scheduled"

WINDOW = (
    "Only the last {days} days of the trace are replayed; pods that ran into them start at their beginning."
)
NO_CALENDAR = "The trace has no calendar: the first day is shown as 1970-01-01."
NO_TEAM = "The trace names no teams: a pod's quality of service class stands in for its team."
NO_MODEL = "The trace's own GPUs ({models}) are replaced by the fleet's; run times are kept as they were."
SHARE = "A milli-GPU is taken as the share of both the compute and the memory of a GPU of {gib} GiB."
WHOLE = "What pods with whole GPUs use of them is not in the trace, so they are never shared."
FAILED = (
    "{count} failed pods are replayed, since they held their GPUs; the trace does not say why they failed."
)
OBSERVED_WAIT = (
    "Pods arrive at their creation; how long they waited in the trace's own cluster is not replayed."
)


class Pod(Struct, frozen=True):
    """A row of the trace: times in seconds, `scheduled_s` None where it never was."""

    name: str
    gpus: int
    milli: int
    qos: str
    phase: str
    created_s: int
    deleted_s: int
    scheduled_s: int | None


class NodeRow(Struct, frozen=True):
    """A node of the trace's cluster."""

    name: str
    gpus: int
    model: str


class Window(Struct, frozen=True, kw_only=True):
    """Which part of a trace: its last `days` (None: all of it); and the memory of 1000 milli-GPU."""

    days: int | None = OPENB_DAYS
    gpu_memory_bytes: int = GPU_MEMORY_BYTES


def openb_demand(days: int = OPENB_DAYS, gpu_memory_bytes: int = GPU_MEMORY_BYTES) -> Demand:
    """The last `days` days of the openb trace in this package: 14 days are 2,852 jobs."""
    pods = openb_pods()
    models = sorted({node.model for node in openb_nodes()})
    demand = window_demand("openb", pods, Window(days=days, gpu_memory_bytes=gpu_memory_bytes))
    note = NO_MODEL.format(models=", ".join(models))
    return structs.replace(demand, notes=(*demand.notes, note))


def pods_demand(content: bytes, source: str, window: Window) -> Demand:
    """The demand in a user's file with openb's columns; a pod that ends before it starts is refused."""
    demand = window_demand(source, _pods(read_table(content, source)), window)
    if not demand.jobs:
        raise InvalidInput(
            "{name} has no pod that held a GPU in the time asked for",
            fix="look at num_gpu and scheduled_time, or ask for more days",
            source=source,
            name=source,
        )
    return demand


def openb_pods() -> list[Pod]:
    """All 8,152 pods of the openb trace, in the file's order."""
    return _pods(read_table(openb_bytes(OPENB_PODS), OPENB_PODS))


def openb_nodes(name: str = "openb_node_list_gpu_node.csv.xz") -> list[NodeRow]:
    """The 1,213 nodes with GPUs (or, with the all_node list, all 1,523) of the openb trace."""
    table = read_table(openb_bytes(name), name)
    at = table.places(("sn", "gpu", "model"))
    return [
        NodeRow(fields[at[0]], whole_number(Cell(name, row, "gpu", fields[at[1]]), 0, 16), fields[at[2]])
        for row, fields in table.rows
    ]


def openb_bytes(name: str) -> bytes:
    """A CSV file of the trace, unpacked: the same bytes on each machine."""
    return expand(openb_raw(name), name)


def openb_raw(name: str = OPENB_PODS) -> bytes:
    """A file of the trace as it lies in the package (.csv.xz): what a receipt hashes."""
    return files("stellwerk.adapters").joinpath("data").joinpath(name).read_bytes()


def window_demand(name: str, pods: Sequence[Pod], window: Window) -> Demand:
    """The GPU pods that ran within the window, as jobs of whole GPUs or of shares; see the module's text."""
    end_s = max((pod.deleted_s for pod in pods), default=0)
    days = -(-end_s // _DAY_S) if window.days is None else window.days
    # Without a window the period begins with the trace, and ends with its last day.
    start_s = 0 if window.days is None else max(0, end_s - days * _DAY_S)
    inside = [pod for pod in pods if pod.deleted_s > start_s]
    on_gpu = [pod for pod in inside if pod.gpus]
    ran = [pod for pod in on_gpu if pod.scheduled_s is not None]
    jobs = [_job(pod, start_s, window.gpu_memory_bytes) for pod in ran if _work_s(pod, start_s) > 0]
    counts = (
        (len(pods) - len(inside), NOT_IN_WINDOW),
        (len(inside) - len(on_gpu), CPU_ONLY),
        (len(on_gpu) - len(ran), NEVER_SCHEDULED),
        (len(ran) - len(jobs), NO_WORK),
    )
    failed = sum(pod.phase == "Failed" for pod in ran if _work_s(pod, start_s) > 0)
    return structs.replace(
        demand_of(name, 0, max(1, days) * _DAY_S * NS_PER_S, jobs),
        left_out=tuple(LeftOut(count, text) for count, text in counts if count),
        notes=tuple(_notes(window, failed)),
    )


def _job(pod: Pod, start_s: int, gpu_memory_bytes: int) -> Job:
    """A pod as a job: what it holds of each GPU is all that the trace knows of its use."""
    share = pod.milli if pod.milli < 1000 else None
    return Job(
        name=pod.name,
        team=pod.qos or "unknown",
        arrival_ns=max(0, pod.created_s - start_s) * NS_PER_S,
        duration_ns=_work_s(pod, start_s) * NS_PER_S,
        gpus=pod.gpus,
        memory_bytes=None if share is None else gpu_memory_bytes * share // 1000,
        compute_milli=share,
        used_milli=share,
        observed_share_milli=pod.milli,
        whole=share is None,
    )


def _work_s(pod: Pod, start_s: int) -> int:
    """How long the pod held its GPUs within the window, in seconds."""
    return 0 if pod.scheduled_s is None else pod.deleted_s - max(pod.scheduled_s, start_s)


def _notes(window: Window, failed: int) -> Iterator[str]:
    if window.days is not None:
        yield WINDOW.format(days=window.days)
    yield NO_CALENDAR
    yield NO_TEAM
    yield SHARE.format(gib=window.gpu_memory_bytes // (1024 * MIB))
    yield WHOLE
    if failed:
        yield FAILED.format(count=failed)
    yield OBSERVED_WAIT


def _pods(table: Table) -> list[Pod]:
    """Every row as a pod, checked: unique names, whole numbers, times in order."""
    at = table.places(POD_COLUMNS)
    qos_at = table.header.index("qos") if "qos" in table.header else None
    pods: dict[str, Pod] = {}
    for row, fields in table.rows:
        cells = [
            Cell(table.source, row, column, fields[i]) for column, i in zip(POD_COLUMNS, at, strict=True)
        ]
        pod = _pod(cells, "" if qos_at is None else fields[qos_at].strip())
        if pod.name in pods or not pod.name:
            raise InvalidInput(
                'row {row}, column {column}: the name "{value}" is empty or stands there twice',
                fix="give each pod a name of its own",
                **place(cells[0]),
            )
        pods[pod.name] = pod
    return list(pods.values())


def _pod(cells: list[Cell], qos: str) -> Pod:
    name, gpus, milli, phase, created, deleted, scheduled = cells
    held = whole_number(gpus, 0, 16)
    pod = Pod(
        name=name.text.strip(),
        gpus=held,
        milli=whole_number(milli, 1 if held else 0, 1000),
        qos=qos,
        phase=phase.text.strip(),
        created_s=whole_number(created, 0, _TIME_LIMIT_S),
        deleted_s=whole_number(deleted, 0, _TIME_LIMIT_S),
        scheduled_s=None if not scheduled.text.strip() else whole_number(scheduled, 0, _TIME_LIMIT_S),
    )
    if pod.deleted_s < max(pod.created_s, pod.scheduled_s or 0):
        raise InvalidInput(
            "row {row}, column {column}: the pod is deleted at {value}, before it was created or scheduled",
            fix="correct the three times in row {row} of {name}",
            **place(deleted),
        )
    return pod
