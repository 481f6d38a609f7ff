"""Two hours of a small cluster as its exporters show it, so that every rule and panel has something to say.

One of each: a busy GPU, an idle one scraped with honorLabels false, one that pods share with repeated values,
one with values per process, MIG instances free, held and full, one used by no pod, one with XIDs.
"""

from collections.abc import Iterator

STEP_S, SPAN_S = 30, 7_200
_BUCKETS = ("1", "2.5", "2560", "5120", "10240", "+Inf")
_GPU = 'gpu="{gpu}",UUID="GPU-{gpu}",modelName="NVIDIA H100 80GB HBM3",{host}="{node}"'


def lines(end_s: int) -> Iterator[str]:
    """Exposition text with times in ms, up to and including `end_s` (seconds since 1970)."""
    for at in range(0, SPAN_S + 1, STEP_S):
        stamp = (end_s - SPAN_S + at) * 1000
        for series, value in _moment(at):
            yield f"{series} {value} {stamp}"


def scrape() -> str:
    """What an exporter shows at the end: the same without times; `up` is the database's own to say."""
    return "".join(f"{series} {value}\n" for series, value in _moment(SPAN_S) if not series.startswith("up{"))


def _moment(at: int) -> Iterator[tuple[str, float]]:
    yield from _whole(at)
    yield from _shared(at)
    yield from _instances()
    yield from _faults(at)
    yield from _queues(at)
    yield from _others()


def _labels(gpu: int, node: str = "n1", host: str = "hostname", more: str = "") -> str:
    return "{" + _GPU.format(gpu=gpu, node=node, host=host) + (f",{more}" if more else "") + "}"


def _memory(labels: str, used: float, free: float) -> Iterator[tuple[str, float]]:
    yield f"DCGM_FI_DEV_FB_USED{labels}", used
    yield f"DCGM_FI_DEV_FB_FREE{labels}", free


def _whole(at: int) -> Iterator[tuple[str, float]]:
    busy = _labels(1, more='namespace="lab",pod="train-0"')
    yield f"DCGM_FI_PROF_GR_ENGINE_ACTIVE{busy}", 0.8 if at % 600 else 0.6
    yield f"DCGM_FI_DEV_POWER_USAGE{busy}", 500 + at % 60
    yield from _memory(busy, 60_000, 20_000)
    own = 'namespace="gpu-operator",pod="nvidia-dcgm-exporter-abcde"'
    idle = _labels(2, host="Hostname", more=f'{own},exported_namespace="web",exported_pod="api-0"')
    yield f"DCGM_FI_DEV_GPU_UTIL{idle}", 1
    yield f"DCGM_FI_DEV_POWER_USAGE{idle}", 90
    yield from _memory(idle, 4_000, 76_000)
    yield f"DCGM_FI_DEV_GPU_UTIL{_labels(6)}", 55
    yield from _memory(_labels(6), 9_000, 71_000)


def _shared(at: int) -> Iterator[tuple[str, float]]:
    for pod, namespace in (("a", "lab"), ("b", "web")):
        repeated = _labels(3, more=f'namespace="{namespace}",pod="{pod}",vgpu="0"')
        yield f"DCGM_FI_PROF_GR_ENGINE_ACTIVE{repeated}", 0.4
        yield from _memory(repeated, 78_000, 2_000)
        yield f"DCGM_FI_DEV_THERMAL_VIOLATION{repeated}", at * 100_000_000
        yield f"DCGM_FI_DEV_POWER_VIOLATION{repeated}", at * 750_000_000
        process = _labels(4, node="n2", more=f'namespace="{namespace}",pod="{pod}-1"')
        yield f"DCGM_FI_DEV_GPU_UTIL{process}", 70 if pod == "a" else 2
        yield f"DCGM_FI_DEV_FB_USED{process}", 30_000 if pod == "a" else 5_000
        yield f"DCGM_FI_DEV_FB_FREE{process}", 45_000


def _instances() -> Iterator[tuple[str, float]]:
    for number, holder, used in ((9, "", 12), (10, 'namespace="lab",pod="slice-0"', 9_900)):
        cut = f'GPU_I_ID="{number}",GPU_I_PROFILE="1g.10gb"'
        labels = _labels(5, node="n2", more=f"{cut},{holder}" if holder else cut)
        yield f"DCGM_FI_PROF_GR_ENGINE_ACTIVE{labels}", 0.5 if holder else 0
        yield f"DCGM_FI_DEV_POWER_USAGE{labels}", 300
        yield from _memory(labels, used, 10_000 - used)


def _faults(at: int) -> Iterator[tuple[str, float]]:
    lately = SPAN_S - 1_800
    yield f"DCGM_FI_DEV_XID_ERRORS{_labels(1)}", 31 if at > lately else 0
    yield f"DCGM_FI_DEV_XID_ERRORS{_labels(6)}", 79
    yield f"DCGM_FI_DEV_XID_ERRORS{_labels(3)}", 0
    for instance, answers in (("10.0.0.1:9400", 1), ("10.0.0.2:9400", 1), ("10.0.0.3:9400", 0)):
        yield f'up{{job="nvidia-dcgm-exporter",instance="{instance}"}}', answers


def _queues(at: int) -> Iterator[tuple[str, float]]:
    queue = 'cluster_queue="gpus",replica_role="leader"'
    yield f'kueue_pending_workloads{{{queue},status="active"}}', 2
    yield f'kueue_pending_workloads{{{queue},status="inadmissible"}}', 3
    yield 'kueue_pending_workloads{cluster_queue="stuck",replica_role="leader",status="active"}', 1
    yield f'kueue_admitted_workloads_total{{{queue},priority_class=""}}', at // STEP_S
    for bucket in _BUCKETS:
        count = at // STEP_S if bucket in ("10240", "+Inf") else 0
        yield f'kueue_admission_wait_time_seconds_bucket{{{queue},priority_class="",le="{bucket}"}}', count
    flavor = f'{queue},cohort="",flavor="h100",resource="nvidia.com/gpu"'
    yield f"kueue_cluster_queue_resource_usage{{{flavor}}}", 3
    yield f"kueue_cluster_queue_nominal_quota{{{flavor}}}", 4
    for team in ("lab", "web"):
        labels = f'team="{team}",cause="held",currency="EUR"'
        yield f"stellwerk_cost_total{{{labels}}}", at * 0.001
        yield f'stellwerk_decisions_total{{team="{team}",decision="started"}}', at // STEP_S


def _others() -> Iterator[tuple[str, float]]:
    for node in ("n1", "n2", "n3"):
        yield f'kube_node_info{{node="{node}"}}', 1
    for node in ("n1", "n2"):
        yield f'stellwerk_node_cost_per_hour{{node="{node}",model="H100",term="rent",currency="EUR"}}', 8.5
    pod = 'namespace="lab",pod="big"'
    yield f"kube_pod_status_unschedulable{{{pod}}}", 1
    yield f'kube_pod_container_resource_requests{{{pod},resource="nvidia_com_gpu",container="main"}}', 1
    for replica in "ab":  # Two scrapers of one Stellwerk: its speed is there twice.
        yield f'stellwerk_shown_speed_ratio{{replica="{replica}"}}', 60
    policy = 'policy="mix",fleet="smallest",currency="EUR"'
    yield f"stellwerk_policy_month_cost{{{policy}}}", 9_000
