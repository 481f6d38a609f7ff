"""`why JOB --kubeconfig`: what each layer of a live cluster says of one job or pod."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stellwerk.cli.queueing.decide import Settings, decide_on

if TYPE_CHECKING:
    from stellwerk.adapters.kube_store.client import Client
    from stellwerk.api.groups.batch import Job
    from stellwerk.api.groups.core import Pod
    from stellwerk.api.manifests import Manifest
    from stellwerk.engine.allocation.pods.cluster import Rules
    from stellwerk.engine.allocation.pods.waiting import PodCase
    from stellwerk.engine.explain.explain import Explanation, Told
    from stellwerk.engine.queueing.course.verdict import Verdict

RULES_KIND = "DeviceTaintRule"
NEWEST = "1.37"


def explain_live(client: "Client", name: str, settings: Settings) -> "Explanation":
    """Read the cluster, and explain. Raises InvalidInput for a name that is not there, Unreachable."""
    from stellwerk.adapters.kube_store.discovery import server_version
    from stellwerk.cli.cluster import CONFIGURATION, CORE, DEVICES, QUEUES, kinds_of, read_live
    from stellwerk.engine.explain.explain import explain

    manifests = read_live(client, kinds_of(CORE, QUEUES, DEVICES, (CONFIGURATION,))).manifests
    release = ".".join(server_version(client).split(".")[:2])
    return explain(told_of(manifests, name, (settings, release)))


def told_of(manifests: "Sequence[Manifest]", name: str, under: tuple[Settings, str]) -> "Told":
    """What the layers say of the Job, Workload or Pod of this name, on these objects.

    `under`: the settings of Kueue's cycles, and Kubernetes' minor release.
    """
    from stellwerk.api.groups.batch import Job
    from stellwerk.api.groups.core import Node, Pod
    from stellwerk.api.groups.meta import given
    from stellwerk.engine.explain.explain import Told
    from stellwerk.engine.explain.nodes import nodes_for

    subject = _subject(manifests, name)
    key = _key(subject)
    all_pods = [one.object for one in manifests if isinstance(one.object, Pod)]
    pods = [one for one in all_pods if _is_of(one, subject)]
    verdict = None if isinstance(subject, Pod) else _verdict(manifests, key, under[0])
    suspended = isinstance(subject, Job) and given(subject.spec.suspend, False)
    told = Told(kind=type(subject).__name__, key=key, pods=tuple(pods), verdict=verdict, suspended=suspended)
    case = _case(subject, pods)
    if case is None:
        return told
    nodes = [one.object for one in manifests if isinstance(one.object, Node)]
    found = nodes_for(case.spec, nodes, (one for one in all_pods if _key(one) != "/".join(case.key)))
    devices = None
    if given(case.spec.resource_claims, ()) and found.possible:
        from stellwerk.engine.allocation.pods.world import world_of
        from stellwerk.engine.explain.devices import devices_for

        world = world_of(manifests)
        devices = devices_for(world, case, _rules(manifests, under[1]), found.free or found.busy)
    from msgspec.structs import replace

    return replace(told, nodes=found, devices=devices)


def _key(item: "Job | Pod") -> str:
    from stellwerk.api.groups.meta import given

    return f"{given(item.metadata.namespace, 'default')}/{given(item.metadata.name, '')}"


def _subject(manifests: "Sequence[Manifest]", name: str) -> "Job | Pod":
    """The Job or Pod; a Workload's name stands for its Job. Raises InvalidInput for none and for several."""
    from stellwerk.api.errors import InvalidInput
    from stellwerk.api.groups.batch import Job
    from stellwerk.api.groups.core import Pod
    from stellwerk.catalog.nearest import nearest

    jobs = {_key(one.object): one.object for one in manifests if isinstance(one.object, Job)}
    pods = {_key(one.object): one.object for one in manifests if isinstance(one.object, Pod)}
    named: dict[str, Job | Pod] = {**pods, **jobs}
    named |= {key: jobs[job] for key, job in _workloads(manifests) if job in jobs}
    matching = {key: one for key, one in named.items() if name in (key, key.partition("/")[2])}
    found = list({id(one): one for one in matching.values()}.values())
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidInput(
            "{count} are called {name}",
            fix="write one of: {known}",
            count=len(found),
            name=name[:80],
            known=", ".join(sorted(matching)[:5]),
        )
    raise InvalidInput(
        "the cluster has no Job, Workload or Pod called {name}",
        fix="write one of: {near}",
        name=name[:80],
        near=nearest(name[:80], dict.fromkeys(named, "")) or "(it has none)",
    )


def _workloads(manifests: "Sequence[Manifest]") -> "list[tuple[str, str]]":
    """Each Workload with its Job."""
    from stellwerk.api.groups.kueue_workload import Workload
    from stellwerk.api.groups.meta import given

    return [
        (f"{namespace}/{given(metadata.name, '')}", f"{namespace}/{owner.name}")
        for metadata in (one.object.metadata for one in manifests if isinstance(one.object, Workload))
        for namespace in (given(metadata.namespace, "default"),)
        for owner in given(metadata.owner_references, ())
        if owner.kind == "Job"
    ]


def _is_of(pod: "Pod", subject: "Job | Pod") -> bool:
    from stellwerk.api.groups.core import Pod
    from stellwerk.api.groups.meta import given

    if isinstance(subject, Pod):
        return pod is subject
    if pod.metadata.namespace != subject.metadata.namespace:
        return False
    owners = given(pod.metadata.owner_references, ())
    return any(one.kind == "Job" and one.name == subject.metadata.name for one in owners)


def _verdict(manifests: "Sequence[Manifest]", key: str, settings: Settings) -> "Verdict | None":
    """What Kueue's cycles say of the Job; None: it has no queue."""
    from stellwerk.api.groups.kueue import ClusterQueue
    from stellwerk.engine.queueing.course.verdict import job_key

    if not any(isinstance(one.object, ClusterQueue) for one in manifests) or not _waits(manifests, key):
        return None
    _, found = decide_on(manifests, settings)
    return next((one for one in found if job_key(one) == key), None)


def _waits(manifests: "Sequence[Manifest]", key: str) -> bool:
    return any(job == key for _, job in _workloads(manifests))


def _case(subject: "Job | Pod", pods: "Sequence[Pod]") -> "PodCase | None":
    """The first pod that has no node yet, else one as the Job would make it; None: nothing waits."""
    from stellwerk.api.groups.core import Pod, PodSpec, PodStatus
    from stellwerk.api.groups.meta import ObjectMeta, given
    from stellwerk.engine.allocation.pods.waiting import ENDED, PodCase, pod_case

    living = [one for one in pods if given(given(one.status, PodStatus()).phase, "") not in ENDED]
    for one in living:
        if not given(one.spec.node_name, ""):
            return pod_case(one)
    if living or isinstance(subject, Pod):
        return None
    template = subject.spec.template
    namespace, _, name = _key(subject).partition("/")
    if not isinstance(template.spec, PodSpec) or _is_over(subject):
        return None
    labels = given(given(template.metadata, ObjectMeta()).labels, {})
    return PodCase(key=(namespace, f"{name}-0"), labels=labels, spec=template.spec)


def _is_over(job: "Job") -> bool:
    from stellwerk.engine.queueing.jobs.workload import is_over

    return is_over(job)


def _rules(manifests: "Sequence[Manifest]", release: str) -> "Rules":
    """Gates at their defaults; who can make a DeviceTaintRule has its gate on."""
    from stellwerk.catalog.versions import releases
    from stellwerk.cli.allocation.allocate import rules_of
    from stellwerk.engine.allocation.gates import gates_on

    known = release if release in releases() else NEWEST
    ruled = any(one.kind == RULES_KIND for one in manifests)
    return rules_of(known, gates_on(known, ("DRADeviceTaintRules=true",) if ruled else ()))
