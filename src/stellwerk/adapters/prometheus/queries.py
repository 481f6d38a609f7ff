"""What is asked of the database: the metrics that figures rest on, and the expressions for them.

A range vector selector, as an instant query, gives raw samples with their own times, in Prometheus and in
VictoriaMetrics alike: https://prometheus.io/docs/prometheus/latest/querying/api/#range-vectors. A query_range
would give values on a grid of its own, also up to 5 minutes after a series ended.

All of a GPU is read raw. Of pods only those with GPUs are read, and what does not change of them once a day;
their phases raw, but only while they wait. So nothing that a figure rests on is thinned.
"""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from stellwerk.engine.joining.cluster import CREATED, KUEUE_PENDING, REQUESTS, UNSCHEDULABLE
from stellwerk.engine.joining.gaps import ENERGY
from stellwerk.engine.usage import DRAM_ACTIVE, FB_USED, GR_ENGINE, NVLINK, POWER, SM_ACTIVE, TENSOR, UTIL

FORM = 2  # Of what is asked and how it is kept: another number never meets an old folder.
DEVICE_METRICS = (UTIL, GR_ENGINE, SM_ACTIVE, FB_USED, POWER, ENERGY, DRAM_ACTIVE, TENSOR, NVLINK)
NODE_METRICS = (CREATED, UNSCHEDULABLE)
POD_FACTS = (
    "kube_pod_owner",
    "kube_pod_info",
    "kube_pod_labels",
    REQUESTS,
    "kube_pod_start_time",
    "kube_pod_completion_time",
    "kube_pod_status_scheduled_time",
)
PARENTS = {"ReplicaSet": ("kube_replicaset_owner", "replicaset"), "Job": ("kube_job_owner", "job_name")}
PENDING, POD_UNSCHEDULABLE = 'kube_pod_status_phase{phase="Pending"', "kube_pod_status_unschedulable{"
SCHEDULED, INFO = 'kube_pod_status_scheduled{condition="true"', "kube_pod_info{"
GPU_REQUESTS = f'{REQUESTS}{{resource=~"nvidia_com_.+"}}'
MARGIN_MS = 600_000  # Around a day in which a pod waited: what it did before and after is known, too.
# VictoriaMetrics refuses a query of more than 16 KiB (-search.maxQueryLen), and `waited` has each name twice.
_BATCH_NAMES, _BATCH_BYTES = 200, 6_000
_SPECIAL = frozenset(r"\.+*?()|[]{}^$")


class Stretch(Struct, frozen=True):
    """[start_ms, end_ms)."""

    start_ms: int
    end_ms: int

    @property
    def at_ms(self) -> int:
        """When an instant query is asked that looks back over this time: its last millisecond."""
        return self.end_ms - 1

    @property
    def length(self) -> str:
        """Its length as PromQL has it."""
        return f"{self.end_ms - self.start_ms}ms"

    def parts(self, count: int) -> "Iterator[Stretch]":
        """Itself in `count` parts of whole seconds."""
        step = -(-(self.end_ms - self.start_ms) // count // 1000) * 1000
        for start in range(self.start_ms, self.end_ms, max(step, 1000)):
            yield Stretch(start, min(start + step, self.end_ms))


def metrics_selector(names: Sequence[str]) -> str:
    """All series of these metrics."""
    return f'{{__name__=~"{"|".join(names)}"}}'


def raw(selector: str, stretch: Stretch) -> str:
    """The raw samples of a selector in the stretch that ends where the query is asked."""
    return f"{selector}[{stretch.length}]"


def last(selector: str, stretch: Stretch) -> str:
    """The last value of each series."""
    return f"last_over_time({selector}[{stretch.length}])"


def sample_count(names: Sequence[str], stretch: Stretch) -> str:
    """How many samples there are: one metric a term, since the sum forgets a metric's name."""
    terms = (f"(sum(count_over_time({name}[{stretch.length}])) or vector(0))" for name in names)
    return " + ".join(terms)


def waited(label: str, names: Sequence[str], stretch: Stretch) -> str:
    """Which of these pods were Pending, or unschedulable, at any time."""
    chosen = f'{label}=~"{alternatives(names)}"'
    terms = (
        f"max by (namespace, pod, exported_namespace, exported_pod) "
        f"(max_over_time({selector}[{stretch.length}])) > 0"
        for selector in (f"{PENDING},{chosen}}}", f"{POD_UNSCHEDULABLE}{chosen}}}")
    )
    return " or ".join(terms)


def waiting_selectors(label: str, names: Sequence[str]) -> Iterator[str]:
    """What shows since when and until when pods waited."""
    chosen = f'{label}=~"{alternatives(names)}"'
    for start in (PENDING, POD_UNSCHEDULABLE, SCHEDULED, INFO):
        yield f"{start}{'' if start.endswith('{') else ','}{chosen}}}"


def facts_selector(label: str, names: Sequence[str]) -> str:
    """What does not change of these pods."""
    return f'{{__name__=~"{"|".join(POD_FACTS)}",{label}=~"{alternatives(names)}"}}'


def parents_selector(metric: str, label: str, names: Sequence[str]) -> str:
    """Who owns these ReplicaSets or Jobs."""
    return f'{metric}{{{label}=~"{alternatives(names)}"}}'


def alternatives(names: Iterable[str]) -> str:
    """A regular expression (RE2) of exactly these names, as it stands in PromQL's double quotes."""
    escaped = ("".join(f"\\{c}" if c in _SPECIAL else c for c in name) for name in names)
    return "|".join(escaped).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def batches(names: Iterable[str]) -> Iterator[list[str]]:
    """The names, sorted, in lists of which a query takes one."""
    batch: list[str] = []
    size = 0
    for name in sorted(set(names)):
        length = len(alternatives([name]).encode()) + 1
        if batch and (len(batch) >= _BATCH_NAMES or size + length > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(name)
        size += length
    if batch:
        yield batch


def kueue_selector() -> str:
    """How many workloads wait, by ClusterQueue."""
    return KUEUE_PENDING
