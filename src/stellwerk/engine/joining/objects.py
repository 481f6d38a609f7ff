"""What kube-state-metrics says of a pod: owner, labels, GPUs asked for, start and end."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from stellwerk.engine.joining.identity import CONTAINER_LABELS, NAMESPACE_LABELS, POD_LABELS, first
from stellwerk.engine.joining.series import Series

PREFIX = "kube_"
_NOBODY = ("", "<none>")
_GPU_RESOURCES = ("nvidia_com_gpu", "nvidia_com_mig_")
# An owner's own owner: metric -> (its kind, the label with its name).
_PARENTS = {"kube_replicaset_owner": ("ReplicaSet", "replicaset"), "kube_job_owner": ("Job", "job_name")}


class PodObject(Struct):
    """One pod's facts; None and "" are unknown. Times are milliseconds."""

    owner_kind: str = ""
    owner: str = ""
    node: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    requests: dict[tuple[str, str], int] = field(default_factory=dict)
    started_ms: int | None = None
    ended_ms: int | None = None

    @property
    def gpus(self) -> int | None:
        """GPUs, slices and replicas asked for, over all containers."""
        return sum(self.requests.values()) if self.requests else None


def pod_objects(series: Iterable[Series]) -> dict[str, PodObject]:
    """Facts by "namespace/pod"; a ReplicaSet's Deployment and a Job's CronJob are the owners."""
    pods: dict[str, PodObject] = {}
    parents: dict[tuple[str, str, str], tuple[str, str]] = {}
    for each in series:
        namespace = first(each.labels, NAMESPACE_LABELS) or "default"
        if each.metric in _PARENTS:
            kind, label = _PARENTS[each.metric]
            owner = _owner(each.labels, "owner_kind", "owner_name")
            if owner:
                parents[namespace, kind, first(each.labels, (f"exported_{label}", label))] = owner
        elif pod := first(each.labels, POD_LABELS):
            _read(pods.setdefault(f"{namespace}/{pod}", PodObject()), each)
    for name, found in pods.items():
        above = parents.get((name.partition("/")[0], found.owner_kind, found.owner))
        if above:
            found.owner_kind, found.owner = above
    return pods


def _read(pod: PodObject, series: Series) -> None:
    labels, value = series.labels, _last(series.values_milli)
    match series.metric:
        case "kube_pod_owner":
            pod.owner_kind, pod.owner = _owner(labels, "owner_kind", "owner_name") or (
                pod.owner_kind,
                pod.owner,
            )
        case "kube_pod_info":
            pod.node = first(labels, ("exported_node", "node")) or pod.node
            if not pod.owner:
                created = _owner(labels, "created_by_kind", "created_by_name")
                pod.owner_kind, pod.owner = created or (pod.owner_kind, pod.owner)
        case "kube_pod_labels":
            found = {key.removeprefix("label_"): labels[key] for key in labels if key.startswith("label_")}
            pod.labels.update(found)
        case "kube_pod_container_resource_requests":
            resource = labels.get("resource", "")
            if resource.startswith(_GPU_RESOURCES) and value is not None:
                pod.requests[first(labels, CONTAINER_LABELS), resource] = value // 1000
        case "kube_pod_start_time":
            pod.started_ms = _moment(value, pod.started_ms)
        case "kube_pod_completion_time":
            pod.ended_ms = _moment(value, pod.ended_ms)


def _moment(value: int | None, before: int | None) -> int | None:
    """Seconds since 1970 in thousandths are milliseconds; 0 is no time."""
    return value if value else before


def _owner(labels: Mapping[str, str], kind: str, name: str) -> tuple[str, str] | None:
    found = labels.get(kind, ""), labels.get(name, "")
    return None if found[0] in _NOBODY or found[1] in _NOBODY else found


def _last(values: Sequence[int]) -> int | None:
    return values[-1] if values else None
