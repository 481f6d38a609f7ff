"""`why NAME --kubeconfig`: what each layer of a live cluster says of one job or pod."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from stellwerk.cli.queueing.decide import Settings, decide_on

if TYPE_CHECKING:
    from stellwerk.adapters.kube_store.client import Client
    from stellwerk.adapters.kube_store.events import Event
    from stellwerk.adapters.kube_store.read import Cluster
    from stellwerk.api.manifests import Manifest
    from stellwerk.cli.queueing.subject import Subject
    from stellwerk.engine.allocation.pods.cluster import Rules
    from stellwerk.engine.allocation.pods.waiting import PodCase
    from stellwerk.engine.explain.explain import Explanation, Told
    from stellwerk.engine.queueing.course.verdict import Verdict

RULES_KIND = "DeviceTaintRule"
NEWEST = "1.37"
# Of no use to Kueue's cycles and to the allocator, who would make pods of them.
_BESIDE = ("apps/", "karpenter.sh/")


class Looked(Struct, frozen=True, kw_only=True):
    """A cluster that was read: its objects, whether NodePools are served, Kubernetes' minor release.

    `events` are those of the subject and of its pod that waits.
    """

    manifests: "Sequence[Manifest]"
    buys: bool
    release: str
    events: "dict[str, list[Event]]"

    @property
    def decided_on(self) -> "list[Manifest]":
        """The objects that queue and devices are decided on."""
        return [one for one in self.manifests if not one.api_version.startswith(_BESIDE)]


def explain_live(client: "Client", name: str, settings: Settings) -> "Explanation":
    """Read the cluster, and explain. Raises InvalidInput for a name that is not there, Unreachable."""
    from stellwerk.adapters.kube_store.discovery import server_version
    from stellwerk.adapters.kube_store.events import events_about
    from stellwerk.cli.queueing.subject import subject_of
    from stellwerk.engine.explain.explain import explain

    found = _read(client)
    subject = subject_of(found.manifests, name)
    about = {(subject.kind, subject.name)}
    if subject.waiting is not None:
        about.add(("Pod", str(subject.waiting.metadata.name)))
    looked = Looked(
        manifests=found.manifests,
        buys=all(each.kind != "NodePool" for each in found.absent),
        release=".".join(server_version(client).split(".")[:2]),
        events={
            f"{kind}/{each}": events_about(client, kind, subject.namespace, each) for kind, each in about
        },
    )
    return explain(told_of(subject, looked, settings))


def _read(client: "Client") -> "Cluster":
    """All kinds that are needed. Raises Unreachable with every rule that the role lacks, also for events."""
    from stellwerk.adapters.kube_store.client import Forbidden
    from stellwerk.adapters.kube_store.events import events_about
    from stellwerk.adapters.kube_store.read import Denied, read_cluster
    from stellwerk.cli.cluster import EVENTS, READ_BY, kinds_of, lacking, reading
    from stellwerk.engine.diagnosis.live.facts import EVERYWHERE, Lacking

    kinds = kinds_of([kind for kind in READ_BY["why"] if kind not in EVENTS])
    found: Cluster = reading(client, lambda: read_cluster(client, kinds))
    denied = list(found.denied)
    try:
        events_about(client, "Pod", "default", "-")
    except Forbidden as error:
        denied.append(Denied(Lacking("", "events", "list", EVERYWHERE), str(error)))
    if denied:
        raise lacking(client, sorted(denied))
    return structs.replace(found, manifests=_configured(client, found.manifests))


def _configured(client: "Client", manifests: "list[Manifest]") -> "list[Manifest]":
    """With Kueue's Configuration as its Deployment mounts it: another ConfigMap under the usual name."""
    from stellwerk.cli.cluster import kinds_of, read_live
    from stellwerk.engine.diagnosis.live.recognize import KUEUE_CONFIGURATION, kueue_configuration_at

    at = kueue_configuration_at([one.raw for one in manifests if one.kind == "Deployment"])
    if at == KUEUE_CONFIGURATION:
        return manifests
    named = {"namespace": KUEUE_CONFIGURATION[0], "name": KUEUE_CONFIGURATION[1]}
    return [
        *(one for one in manifests if one.kind != "ConfigMap"),
        *(
            structs.replace(one, raw={**one.raw, "metadata": {**one.raw["metadata"], **named}})
            for one in read_live(client, kinds_of([("", "ConfigMap", *at)])).manifests
        ),
    ]


def told_of(subject: "Subject", looked: Looked, settings: Settings) -> "Told":
    """What the layers say of the subject; `settings` are those of Kueue's cycles."""
    from msgspec.structs import replace

    from stellwerk.api.groups.batch import Job
    from stellwerk.api.groups.core import Pod
    from stellwerk.api.groups.meta import given
    from stellwerk.cli.queueing.bought import unmade_of
    from stellwerk.cli.queueing.subject import case_of
    from stellwerk.engine.explain.explain import Told

    verdict, queued = _verdict(subject, looked, settings)
    item, waiting = subject.object, subject.waiting
    told = Told(
        kind=subject.kind,
        key=subject.key,
        pods=subject.pods,
        verdict=verdict,
        suspended=isinstance(item, Job) and given(item.spec.suspend, False),
        idle=not isinstance(item, Job | Pod) and subject.wanted == 0,
        unmade=unmade_of(subject, looked.events.get(f"{subject.kind}/{subject.name}", ())),
        gates=() if waiting is None else tuple(one.name for one in given(waiting.spec.scheduling_gates, ())),
        queued=queued,
    )
    case = case_of(subject)
    return told if case is None else replace(told, **_placed(subject, case, looked))


def _placed(subject: "Subject", case: "PodCase", looked: Looked) -> "dict[str, object]":
    """Nodes, devices and the purchase of a node, for one pod."""
    from stellwerk.api.groups.core import Node, Pod
    from stellwerk.api.groups.meta import given
    from stellwerk.cli.queueing.bought import purchase_for
    from stellwerk.cli.queueing.subject import owner_kinds
    from stellwerk.engine.explain.nodes import nodes_for

    pods = [one.object for one in looked.manifests if isinstance(one.object, Pod)]
    nodes = [one.object for one in looked.manifests if isinstance(one.object, Node)]
    others = (one for one in pods if (one.metadata.namespace, one.metadata.name) != case.key)
    found = nodes_for(case.spec, nodes, others)
    devices = None
    if given(case.spec.resource_claims, ()) and found.possible:
        from stellwerk.engine.allocation.pods.world import world_of
        from stellwerk.engine.explain.devices import devices_for

        on = looked.decided_on
        devices = devices_for(world_of(on), case, _rules(on, looked.release), found.free or found.busy)
    purchase = None
    placeable = found.free and (devices is None or devices.now)
    of_daemon = subject.waiting is not None and "DaemonSet" in owner_kinds(subject.waiting.metadata)
    if looked.buys and not placeable and not of_daemon:
        purchase = purchase_for(case, looked.manifests, looked.events.get(f"Pod/{case.key[1]}", ()))
    return {"nodes": found, "devices": devices, "purchase": purchase}


def _verdict(subject: "Subject", looked: Looked, settings: Settings) -> "tuple[Verdict | None, bool]":
    """What Kueue's cycles say of the Workload of subject or pod that waits, and whether there is one."""
    from stellwerk.api.groups.kueue import ClusterQueue
    from stellwerk.cli.queueing.subject import workload_owners

    owners = {(subject.kind, subject.name)}
    if subject.waiting is not None:
        owners.add(("Pod", str(subject.waiting.metadata.name)))
    places = {
        f"{namespace}/{name}"
        for (_, namespace, name), owner in workload_owners(looked.manifests)
        if owner[1] == subject.namespace and (owner[0], owner[2]) in owners
    }
    if not places or not any(isinstance(one.object, ClusterQueue) for one in looked.manifests):
        return None, bool(places)
    _, found = decide_on(looked.decided_on, settings)
    return next((one for one in found if one.key in places), None), True


def _rules(manifests: "Sequence[Manifest]", release: str) -> "Rules":
    """Gates at their defaults; who can make a DeviceTaintRule has its gate on."""
    from stellwerk.catalog.versions import releases
    from stellwerk.cli.allocation.allocate import rules_of
    from stellwerk.engine.allocation.gates import gates_on

    known = release if release in releases() else NEWEST
    ruled = any(one.kind == RULES_KIND for one in manifests)
    return rules_of(known, gates_on(known, ("DRADeviceTaintRules=true",) if ruled else ()))
