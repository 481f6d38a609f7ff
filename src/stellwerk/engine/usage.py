"""Measured use: what DCGM exporter and kube-state-metrics said, joined to pods; for advice and bill.

Times are milliseconds since 1970 (Prometheus' own unit), values thousandths of the metric's unit (`GPU_UTIL`
8.5 % is 8500, `FB_USED` 22,000 MiB is 22,000,000, `PROF_SM_ACTIVE` 0.31 is 310): int64 arrays of one length.
What was not measured is absent, never 0.
"""

from array import array
from collections.abc import Mapping

from msgspec import Struct

from stellwerk.engine.decision import Reason

UTIL, FB_USED, POWER = "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_POWER_USAGE"
GR_ENGINE, SM_ACTIVE = "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_PROF_SM_ACTIVE"
DRAM_ACTIVE, TENSOR = "DCGM_FI_PROF_DRAM_ACTIVE", "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"
NVLINK = "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL"
STALE_MS = 300_000  # Prometheus takes a series without a sample for 5 minutes as gone.


class Samples(Struct, frozen=True):
    """One series: strictly ascending times (ms), and a value (milli-units) for each."""

    times_ms: "array[int]"
    values_milli: "array[int]"


class DeviceUse(Struct, frozen=True, kw_only=True):
    """A GPU, or a GPU instance of one (`profile`, `instance` set). `key` is its name within the usage.

    `model` is the catalog's id where the exporter's modelName is known to it, else that modelName.
    `series` are the device's own values by metric, each counted once however many pods repeated it.
    """

    key: str
    node: str
    uuid: str
    index: str
    model: str
    profile: str = ""
    instance: str = ""
    series: Mapping[str, Samples] = {}


class PodUse(Struct, frozen=True, kw_only=True):
    """A pod while it held devices: from its first sample to one interval after its last.

    `series` are values that are this pod's alone: per-process ones, or the device's while no other pod had
    it. `shared_with` are pods ("namespace/pod") that had one of its devices at the same time; `attributed` is
    False where a shared device's value could not be split, so that `series` lacks it. `start_told` and
    `end_told`: kube-state-metrics said when; else it is a guess from samples. `resources`: those asked for.
    """

    namespace: str
    pod: str
    container: str = ""
    owner_kind: str = ""
    owner: str = ""
    team: str = ""
    kind: str = "unknown"  # stellwerk.dev/workload-kind, where a label said it.
    devices: tuple[str, ...] = ()
    start_ms: int
    end_ms: int
    start_told: bool = False
    end_told: bool = False
    gpus_requested: int | None = None
    resources: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    claim: str = ""
    series: Mapping[str, Samples] = {}
    shared_with: tuple[str, ...] = ()
    attributed: bool = True

    @property
    def name(self) -> str:
        """namespace/pod."""
        return f"{self.namespace}/{self.pod}"


class Hole(Struct, frozen=True):
    """No device of `node` ("" for all) was scraped in [start_ms, end_ms)."""

    node: str
    start_ms: int
    end_ms: int


class NodeLife(Struct, frozen=True):
    """One life of a node's object: [start_ms, end_ms), the end one interval after its last sample.

    `begun`: that it began then is known; else it was there when its series began. `gone`: it ended, since the
    metrics went on without it; else it was there when they ended.
    """

    start_ms: int
    end_ms: int
    begun: bool
    gone: bool


class NodeObject(Struct, frozen=True):
    """What kube-state-metrics showed of a node: its lives in order, and when it was cordoned (ms)."""

    lives: tuple[NodeLife, ...]
    cordoned: tuple[tuple[int, int], ...] = ()


class Cluster(Struct, frozen=True):
    """What kube-state-metrics and Kueue showed beside pods: nodes by name, and when workloads waited (ms)."""

    nodes: Mapping[str, NodeObject] = {}
    pending: tuple[tuple[int, int], ...] = ()


class Usage(Struct, frozen=True, kw_only=True):
    """All that was measured in [start_ms, end_ms), and the scrape interval; devices by key, pods by name.

    `warnings` name what a figure built on this must not hide: gaps, restarts, clock jumps, pods shorter than
    a scrape, fields that are missing.
    """

    start_ms: int
    end_ms: int
    interval_ms: int
    devices: tuple[DeviceUse, ...]
    pods: tuple[PodUse, ...]
    holes: tuple[Hole, ...] = ()
    cluster: Cluster = Cluster()
    warnings: tuple[Reason, ...] = ()
