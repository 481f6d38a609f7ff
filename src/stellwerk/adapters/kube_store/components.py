"""What runs in a live cluster, and what the role lacks to read it: get and list only, never a review.

Everything is read once, a few lists at a time; what one may not read is told, and the rest goes on.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import yaml
from msgspec import Struct

from stellwerk.adapters.kube_store.client import Client, Forbidden, NotFound
from stellwerk.adapters.kube_store.discovery import Resource, Served, discover, server_version
from stellwerk.adapters.kube_store.listing import list_all
from stellwerk.adapters.kube_store.read import AT_ONCE, Kind, where
from stellwerk.catalog.versions import gates, minor_of, releases
from stellwerk.engine.diagnosis.live import recognize
from stellwerk.engine.diagnosis.live.facts import (
    BuyerFacts,
    Gates,
    Lacking,
    LiveFacts,
    NvidiaFacts,
    QueueFacts,
    ServerFacts,
)
from stellwerk.engine.provisioning.market import NODE_CLASSES

# What is read to recognize what runs, beside what decisions need.
WORKLOADS = (("apps", "Deployment"), ("apps", "DaemonSet"))
SWITCHES = (("nvidia.com", "ClusterPolicy"), ("nvidia.com", "GPUCluster"))
COMPONENTS = (*WORKLOADS, *SWITCHES)
_WHOLE = (("", "Node"), ("resource.k8s.io", "ResourceSlice"), ("resource.k8s.io", "DeviceClass"), *COMPONENTS)
_CONTROL_PLANE = "tier=control-plane"
_CONFIGURATION = "controller_manager_config.yaml"
_METRICS = "/metrics"


class _Read(Struct):
    """Objects by (group, kind), and the rules that were missing."""

    objects: dict[tuple[str, str], list[dict[str, Any]]]
    lacking: set[Lacking]
    tried: int = 0


def read_components(client: Client, kinds: Sequence[Kind]) -> LiveFacts:
    """What runs, and which of `kinds` the role may read. Raises Unreachable, Forbidden (of discovery)."""
    began = time.monotonic()
    version = server_version(client)
    answer_ms = int((time.monotonic() - began) * 1000)
    served = discover(client)
    read = _read(client, served, kinds)
    workloads = [each for kind in WORKLOADS for each in read.objects.get(kind, [])]
    nodes = read.objects.get(("", "Node"), [])
    return LiveFacts(
        server=_server(client, served, read, (version, answer_ms)),
        queue=_queue(client, served, workloads, read),
        buyer=_buyer(served, workloads),
        nvidia=_nvidia(workloads, read),
        lacking=tuple(sorted(read.lacking)),
        kinds=read.tried,
        node_count=len(nodes),
        nodes=tuple(recognize.gpu_nodes(nodes)),
        slices=recognize.slices_by_driver(read.objects.get(("resource.k8s.io", "ResourceSlice"), [])),
        device_classes=frozenset(
            each["metadata"]["name"] for each in read.objects.get(("resource.k8s.io", "DeviceClass"), [])
        ),
    )


def _read(client: Client, served: Served, kinds: Sequence[Kind]) -> _Read:
    """Whole lists of what is looked at, one object of what is only to be readable."""
    whole = [(key, resource) for key in _WHOLE if (resource := served.find(*key)) is not None]
    wanted = dict.fromkeys((kind.group, kind.kind) for kind in kinds if not kind.name)
    tried = [
        (key, resource) for key in wanted if key not in _WHOLE and (resource := served.find(*key)) is not None
    ]
    asks: list[tuple[tuple[str, str], Resource, Callable[[Resource], list[dict[str, Any]]]]] = [
        *((key, resource, lambda one: list_all(client, one).items) for key, resource in whole),
        *((key, resource, lambda one: _try(client, one)) for key, resource in tried),
    ]
    read = _Read({}, set(), len(asks))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda ask: _allowed(ask[1], lambda: ask[2](ask[1])), asks))
    for (key, _, _), answer in zip(asks, answers, strict=True):
        if isinstance(answer, Lacking):
            read.lacking.add(answer)
        else:
            read.objects[key] = answer
    return read


def _try(client: Client, resource: Resource) -> list[dict[str, Any]]:
    client.get(resource.path(), {"limit": 1})
    return []


def _allowed(
    resource: Resource, ask: Callable[[], list[dict[str, Any]]], verb: str = "list"
) -> list[dict[str, Any]] | Lacking:
    try:
        return ask()
    except Forbidden:
        return Lacking(resource.group, resource.plural, verb, *where(resource))
    except NotFound:
        return []  # Its definition was deleted since it was discovered.


def _server(client: Client, served: Served, read: _Read, told: tuple[str, int]) -> ServerFacts:
    version, answer_ms = told
    release = minor_of(version)
    defaults = {name: gate.default for name, gate in gates(release).items()} if release in releases() else {}
    server, scheduler, by = _gates_of(client, served)
    groups: dict[str, dict[str, None]] = {}
    for each in (one for found in served.kinds.values() for one in found):
        groups.setdefault(each.group, {})[each.version] = None
    return ServerFacts(
        url=client.access.server,
        context=client.access.context,
        version=version,
        answer_ms=answer_ms,
        groups={group: tuple(versions) for group, versions in sorted(groups.items())},
        gates=None if server is None else recognize.changed_gates(server, defaults),
        scheduler_gates=None if scheduler is None else recognize.changed_gates(scheduler, defaults),
        gates_by=by,
    )


def _gates_of(client: Client, served: Served) -> tuple[Gates | None, Gates | None, str]:
    """The gates of API server and scheduler: their static pods (kubeadm) show them, else its metrics."""
    pods = served.find("", "Pod")
    if pods is not None:
        found = _allowed(pods, lambda: list_all(client, pods, "kube-system", _CONTROL_PLANE).items)
        if isinstance(found, list):
            server, scheduler = (
                recognize.static_gates(found, name) for name in ("kube-apiserver", "kube-scheduler")
            )
            if server is not None:
                return server, scheduler, "static pods"
    try:
        # A server that is busy with it is not worth waiting for; a role without it is no mistake.
        told = recognize.gates_in_metrics(client.get(_METRICS, accept="text/plain"))
    except (Forbidden, NotFound):
        return None, None, ""
    return (told, None, _METRICS) if told else (None, None, "")


def _queue(client: Client, served: Served, workloads: Sequence[Any], read: _Read) -> QueueFacts:
    installed = recognize.kueue_in(workloads)
    is_served = served.find("kueue.x-k8s.io", "ClusterQueue") is not None
    if installed is None and not is_served:
        return QueueFacts()
    configuration = _configuration(client, recognize.kueue_configuration_at(workloads), read)
    if installed is not None and not installed.gates:  # Kueue takes one of the two, and no start with both.
        installed = msgspec.structs.replace(installed, gates=_switched(configuration))
    if configuration is None:
        return QueueFacts(installed=installed, served=is_served)
    return QueueFacts(
        installed=installed,
        served=is_served,
        configured=True,
        classes=frozenset(_mapped(configuration)),
        configuration=configuration,
    )


def _switched(configuration: dict[str, Any] | None) -> Gates | None:
    """The gates of Kueue's Configuration; None where it cannot be read."""
    if configuration is None:
        return None
    told = configuration.get("featureGates")
    return {str(name): on for name, on in (told or {}).items() if isinstance(on, bool)}


def _configuration(client: Client, at: tuple[str, str], read: _Read) -> dict[str, Any] | None:
    """Kueue's Configuration in its ConfigMap; None where there is none that can be read."""
    resource = Resource("", "ConfigMap", "v1", "configmaps", namespaced=True)

    def ask() -> list[dict[str, Any]]:
        return [msgspec.json.decode(client.get(resource.path(*at)))]

    found = _allowed(resource, ask, "get")
    if isinstance(found, Lacking):
        read.lacking.add(msgspec.structs.replace(found, namespace=at[0], name=at[1]))
        return None
    try:
        text = found[0]["data"][_CONFIGURATION] if found else ""
        told = yaml.safe_load(text)
    except (KeyError, TypeError, yaml.YAMLError):
        return None
    return told if isinstance(told, dict) else None


def _mapped(configuration: dict[str, Any]) -> Iterable[str]:
    mappings = (configuration.get("resources") or {}).get("deviceClassMappings") or ()
    return (str(name) for each in mappings for name in each.get("deviceClassNames") or ())


def _buyer(served: Served, workloads: Iterable[Any]) -> BuyerFacts:
    installed = recognize.karpenter_in(workloads)
    is_served = served.find("karpenter.sh", "NodePool") is not None
    return BuyerFacts(
        installed=installed,
        served=is_served,
        providers=tuple(name for kind, name in NODE_CLASSES.items() if served.find(*kind) is not None),
        ignores_claims=None if installed is None else recognize.ignores_claims(installed),
    )


def _nvidia(workloads: Sequence[Any], read: _Read) -> NvidiaFacts:
    policies, clusters = (read.objects.get(key, []) for key in SWITCHES)
    plugin = (policies[0].get("spec") or {}).get("devicePlugin") or {} if policies else {}
    return NvidiaFacts(
        operator=recognize.operator_in(workloads),
        cluster_policy=plugin.get("enabled") is not False if policies else None,
        gpu_cluster=str(clusters[0]["metadata"]["name"]) if clusters else None,
        device_plugin=recognize.device_plugin_in(workloads),
        driver=recognize.driver_in(workloads),
        exporter=recognize.exporter_in(workloads),
    )
