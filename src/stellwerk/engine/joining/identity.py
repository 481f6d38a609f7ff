"""Which device and which pod a series is of, by the labels of DCGM exporter in all its spellings.

A scrape with `honorLabels: false` renames the exporter's labels to `exported_...`, and `pod` is then the
exporter's own pod: it holds no GPU. Scrapes of both kinds may fill one database, so each series is read by
its own labels; one without `exported_pod` is of a free GPU where its `pod` is of a DaemonSet that others show
to be the exporter's.
"""

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.gpus import gpu_model

NODE_LABELS = ("Hostname", "hostname", "exported_hostname", "node", "kubernetes_node", "instance")
POD_LABELS = ("exported_pod", "pod", "pod_name")
NAMESPACE_LABELS = ("exported_namespace", "namespace", "pod_namespace")
CONTAINER_LABELS = ("exported_container", "container", "container_name")
CLUSTER_LABELS = ("cluster", "k8s_cluster", "cluster_name")
EXPORTER = "dcgm-exporter"
LIFE = "\n"  # Between a pod's name and its uid: no name holds it.


class DeviceLabels(Struct, frozen=True):
    """What one series says of its device; `node_rank` is the place of its label in NODE_LABELS."""

    key: str
    uuid: str
    index: str
    model: str
    profile: str
    instance: str
    node: str
    node_rank: int


def device_labels(labels: Mapping[str, str]) -> DeviceLabels | None:
    """The device of a series; None where neither UUID, gpu nor device names it."""
    uuid = first(labels, ("UUID", "uuid", "gpu_uuid"))
    index = first(labels, ("gpu", "minor_number")) or labels.get("device", "").removeprefix("nvidia")
    if not uuid and not index:
        return None
    rank, node = _node(labels)
    profile = first(labels, ("GPU_I_PROFILE", "dra_mig_profile"))
    instance = first(labels, ("GPU_I_ID", "dra_mig_device_uuid"))
    key = uuid or f"{node or 'node'}/gpu{index}"
    if profile or instance:
        key = f"{key}/{profile or 'mig'}/{instance}"
    model = first(labels, ("modelName", "model_name"))
    return DeviceLabels(key, uuid, index, model, profile, instance, node, rank)


def clusters_of(labels: Iterable[Mapping[str, str]]) -> set[str]:
    """The clusters that series are of, where a label tells several apart; else none."""
    found: dict[str, set[str]] = {name: set() for name in CLUSTER_LABELS}
    for each in labels:
        for name, values in found.items():
            if value := each.get(name):
                values.add(value)
    return next((values for values in found.values() if len(values) > 1), set())


def exporters_of(labels: Iterable[Mapping[str, str]]) -> frozenset[tuple[str, str]]:
    """Namespace and DaemonSet of exporters, as scrapes with `honorLabels: false` show them."""
    renamed = (each for each in labels if each.get("exported_pod") and each.get("pod"))
    return frozenset(_daemon_set(each) for each in renamed)


def pod_name(labels: Mapping[str, str], exporters: Collection[tuple[str, str]]) -> str:
    """namespace/pod of the pod that holds the device, "" for none; `exporters`: those of all series."""
    pod, namespace = first(labels, POD_LABELS), first(labels, NAMESPACE_LABELS)
    if not pod or EXPORTER in pod or (not labels.get("exported_pod") and _daemon_set(labels) in exporters):
        return ""
    return f"{namespace or 'default'}/{pod}"


def catalog_model(name: str) -> tuple[str, bool]:
    """The catalog's id of an exporter's modelName ("NVIDIA A100-SXM4-80GB"), and whether it is known."""
    label = name.partition(" MIG ")[0].strip().replace(" ", "-")
    try:
        return gpu_model(label).id, True
    except InvalidInput:
        return name, False


def first(labels: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The first of these labels that is not empty."""
    for name in names:
        if found := labels.get(name):
            return found
    return ""


def _daemon_set(labels: Mapping[str, str]) -> tuple[str, str]:
    """Of the scraped pod, whose name is that of its DaemonSet and five letters."""
    pod = labels.get("pod", "")
    return labels.get("namespace", ""), pod.rpartition("-")[0] or pod


def _node(labels: Mapping[str, str]) -> tuple[int, str]:
    for rank, name in enumerate(NODE_LABELS):
        if found := labels.get(name):
            return rank, found.rpartition(":")[0] or found if name == "instance" else found
    return len(NODE_LABELS), ""
