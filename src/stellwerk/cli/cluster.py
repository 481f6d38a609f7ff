"""What the verbs that read a real cluster share: which cluster, its objects, and what the role lacks."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from stellwerk.report.text import msg

if TYPE_CHECKING:
    from stellwerk.adapters.kube_store.client import Client
    from stellwerk.adapters.kube_store.read import Cluster, Denied, Kind
    from stellwerk.engine.diagnosis.live.facts import Lacking
    from stellwerk.report.text import Language

CORE = (("", "Namespace"), ("", "Node"), ("", "Pod"), ("", "LimitRange"), ("node.k8s.io", "RuntimeClass"))
DEVICES = tuple(
    ("resource.k8s.io", kind)
    for kind in ("DeviceClass", "DeviceTaintRule", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice")
)
QUEUES = (
    ("batch", "Job"),
    *(
        ("kueue.x-k8s.io", kind)
        for kind in (
            "AdmissionCheck",
            "ClusterQueue",
            "Cohort",
            "LocalQueue",
            "ResourceFlavor",
            "Topology",
            "Workload",
            "WorkloadPriorityClass",
        )
    ),
)
NODES = tuple(
    (group, kind)
    for group, kind in (
        ("karpenter.sh", "NodeClaim"),
        ("karpenter.sh", "NodePool"),
        ("karpenter.sh", "NodeOverlay"),
    )
)
POOLS = NODES[:2]
# What makes pods, beside Jobs, and what is written about them.
MAKERS = (("apps", "Deployment"), ("apps", "ReplicaSet"), ("apps", "StatefulSet"))
EVENTS = (("", "Event"),)
# What runs in the cluster, and NVIDIA's switches between device plugin and DRA.
RUNNING = (
    ("apps", "DaemonSet"),
    ("apps", "Deployment"),
    ("nvidia.com", "ClusterPolicy"),
    ("nvidia.com", "GPUCluster"),
)
# Kueue's own Configuration, where its manifests put it.
CONFIGURATION = ("", "ConfigMap", "kueue-system", "kueue-manager-config")
# What an earlier plan left there: changes are told against it.
OURS = tuple(
    ("", "ConfigMap", "gpu-operator", name) for name in ("stellwerk-mig-parted", "stellwerk-device-plugin")
)
PLANNED = (
    ("", "Node"),
    ("", "Pod"),
    *(each for each in DEVICES if each[1] != "DeviceTaintRule"),
    *QUEUES,
    *NODES,
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("nvidia.com", "ClusterPolicy"),
    ("nvidia.com", "GPUCluster"),
    CONFIGURATION,
    *OURS,
)
# What of a cluster decides on claims: its objects, without what runs or waits in its queues.
HELD = (
    ("", "Namespace"),
    ("", "Node"),
    ("", "LimitRange"),
    ("node.k8s.io", "RuntimeClass"),
    *DEVICES,
    *(each for each in QUEUES if each[1] not in ("Job", "Workload")),
    ("karpenter.sh", "NodePool"),
)
# What each verb reads, for who is told that the role lacks something.
READ_BY = {
    "check": (*HELD, *RUNNING, CONFIGURATION),
    "admit": (*CORE, *QUEUES, *DEVICES, CONFIGURATION),
    "plan": PLANNED,
    "why": (*CORE, *QUEUES, *DEVICES, *MAKERS, *POOLS, *EVENTS, CONFIGURATION),
}
EVERYTHING = (*CORE, *EVENTS, *DEVICES, *QUEUES, *NODES, *MAKERS, *RUNNING, CONFIGURATION, *OURS)
AGAIN = msg("asked again: {words}")
_OPTIONS = (
    click.option(
        "--kubeconfig",
        is_flag=False,
        flag_value="",
        default=None,
        metavar="[FILE]",
        help="Read a live cluster; without FILE as kubectl finds it.",
    ),
    click.option("--context", metavar="NAME", help="A context of the kubeconfig other than its current one."),
)


def cluster_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--kubeconfig and --context."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def open_cluster(kubeconfig: str, context: str | None, lang: "Language") -> "Client":
    """The API server; what is asked again is told on standard error. Raises InvalidInput."""
    from stellwerk.adapters.kube_store.client import Client
    from stellwerk.adapters.kube_store.kubeconfig import read_access
    from stellwerk.report.text import translator

    client = Client(read_access(kubeconfig, context))
    client.on_retry = lambda words: click.echo(translator(lang)(AGAIN, words=words), err=True)
    return client


def kinds_of(*groups: Sequence[tuple[str, ...]]) -> "list[Kind]":
    """The kinds of these groups, each once, in their order."""
    from stellwerk.adapters.kube_store.read import Kind

    return [Kind(*each) for each in dict.fromkeys(one for group in groups for one in group)]


def read_live(client: "Client", kinds: "Sequence[Kind]", *, as_raw: bool = False) -> "Cluster":
    """The objects of a cluster. Raises Unreachable where the role may not read one of the kinds."""
    from stellwerk.adapters.kube_store.read import read_cluster

    found: Cluster = reading(client, lambda: read_cluster(client, kinds, as_raw=as_raw))
    if found.denied:
        raise lacking(client, found.denied)
    return found


def reading(client: "Client", read: "Callable[[], Any]") -> Any:
    """What `read` gives. Raises Unreachable for a role that may not even see what is served."""
    from stellwerk.adapters.kube_store.client import Forbidden
    from stellwerk.adapters.kube_store.read import Denied
    from stellwerk.engine.diagnosis.live.facts import Lacking

    try:
        return read()
    except Forbidden as error:
        rule = Lacking("", "/api, /apis, /version", "get")
        raise lacking(client, (Denied(rule, str(error)),)) from None


def lacking(client: "Client", denied: "Sequence[Denied | Lacking]") -> Exception:
    """The error that names each rule that the role lacks."""
    from stellwerk.adapters.kube_store.read import Denied
    from stellwerk.api.errors import Unreachable

    rules = [each.rule if isinstance(each, Denied) else each for each in denied]
    missing = ", ".join(map(str, rules))
    printed = {each[3] for each in EVERYTHING if len(each) > 2}
    other = [each for each in rules if each.name and each.name not in printed]
    if len(other) == len(rules):
        return Unreachable(
            "the role of context {context} may not: {missing} ({words})",
            fix="the ClusterRole of --rbac does not have it, as it is named otherwise here; make and bind "
            "one: kubectl -n {namespace} create role stellwerk-kueue --verb=get --resource=configmaps "
            "--resource-name={name}",
            context=client.access.context,
            missing=missing,
            words=getattr(denied[0], "words", "") or "Forbidden",
            namespace=other[0].namespace,
            name=other[0].name,
        )
    return Unreachable(
        "the role of context {context} may not: {missing} ({words})",
        fix="bind the ClusterRole that this prints: stellwerk doctor --kubeconfig --rbac",
        context=client.access.context,
        missing=missing,
        words=getattr(denied[0], "words", "") or "Forbidden",
    )
