"""Usage profile of a workload: what all pods of one owner used, and how far that can be trusted.

Compute and DRAM bandwidth are thousandths of a whole GPU, also where a MIG instance was measured; memory is
bytes of one GPU. Percentiles are nearest rank. What was not measured is None.
"""

from msgspec import Struct

from stellwerk.engine.usage import GR_ENGINE, SM_ACTIVE, UTIL

# How a reader sees which counter the compute figure rests on. UTIL and GR_ENGINE say only that something ran.
COMPUTE_METRICS = {"SM": SM_ACTIVE, "GR_ENGINE": GR_ENGINE, "UTIL": UTIL}
COARSE = frozenset({"GR_ENGINE", "UTIL"})
ACTIVE_MILLI = 50  # Below 5 % a GPU counts as idle: contexts, monitoring, display.
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
LEAST_COVERAGE_MILLI = 800  # Samples there, of those expected: below this a series is no evidence.


class Quantiles(Struct, frozen=True, kw_only=True):
    """Of one metric over all samples of all pods."""

    samples: int
    mean: int
    p50: int
    p95: int
    p99: int
    most: int


class Pattern(Struct, frozen=True, kw_only=True):
    """How compute goes over time. `hours`: mean by hour of day (UTC), None where nothing was measured.

    `duty_milli`: share of samples that are active; `bursts`: how often it became active; `idle_ms`: the
    longest idle stretch of a pod; `memory_grows`: each quarter took more memory than the one before.
    `sustained_..`: the highest mean of half an hour, which p95 does not see when it comes once a day.
    """

    hours: tuple[int | None, ...] = ()
    duty_milli: int = 0
    bursts: int = 0
    idle_ms: int = 0
    memory_grows: bool = False
    sustained_compute: int = 0
    sustained_bandwidth: int = 0


class Profile(Struct, frozen=True, kw_only=True):
    """What is known of a workload. `gpus` of one pod, `pods` seen, `at_once` most at a time.

    `measured_ms`: how long at least one pod ran; `coverage_milli`: samples there of those expected;
    `instance`: the MIG profile it was measured on; `full_instance`: its p95 compute fills that.
    `bandwidth`: DRAM active; `nvlink`: whether traffic was seen, None where it was not measured.
    `mixed`: its pods ran on GPUs of different models, or cut in different ways.
    """

    name: str
    team: str = ""
    namespace: str = ""
    owner_kind: str = ""
    kind_label: str = "unknown"
    pods: int = 1
    at_once: int = 1
    gpus: int = 1
    gpus_idle: int = 0
    model: str = ""
    instance: str = ""
    full_instance: bool = False
    compute_metric: str = ""
    compute: Quantiles | None = None
    memory: Quantiles | None = None
    bandwidth: Quantiles | None = None
    tensor: Quantiles | None = None
    nvlink: bool | None = None
    pattern: Pattern = Pattern()
    interval_ms: int = 0
    measured_ms: int = 0
    coverage_milli: int = 1000
    attributed: bool = True
    shared_with: tuple[str, ...] = ()
    latency_ms: int | None = None
    isolated: bool = False
    whole: bool = False
    mixed: bool = False


def quantiles(values: list[int]) -> Quantiles | None:
    """Nearest-rank percentiles of a list that is sorted in place; None of none."""
    if not values:
        return None
    values.sort()
    count = len(values)
    p50, p95, p99 = (values[-(-percent * count // 100) - 1] for percent in (50, 95, 99))
    return Quantiles(samples=count, mean=sum(values) // count, p50=p50, p95=p95, p99=p99, most=values[-1])
