"""Whether nodes and devices of the cluster can have what a file asks for: now, later, or never."""

from collections.abc import Iterator, Sequence

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from stellwerk.api.groups.batch import Job
from stellwerk.api.groups.core import (
    Container,
    Node,
    PodResourceClaim,
    PodSpec,
    ResourceRequirements,
    Toleration,
)
from stellwerk.api.groups.meta import given
from stellwerk.api.manifests import Manifest
from stellwerk.catalog.versions import KARPENTER
from stellwerk.engine.allocation.pods.extended import extended_of, is_extended
from stellwerk.engine.allocation.pods.places import NodesRefused
from stellwerk.engine.allocation.pods.turn import allocate_pods
from stellwerk.engine.allocation.pods.waiting import PodCase, waiting_in
from stellwerk.engine.allocation.pods.world import World, world_of
from stellwerk.engine.allocation.support.karpenter import FLAG
from stellwerk.engine.allocation.support.row import (
    PENDS,
    SCHEDULER,
    WAITS,
    Cluster,
    Row,
    Seen,
    Wrong,
    row,
)
from stellwerk.engine.allocation.support.subject import AskedClaim, AskedPod
from stellwerk.engine.decision import Reason
from stellwerk.engine.diagnosis.claims.buying import POOL_LABEL, pool_for
from stellwerk.engine.diagnosis.claims.there import Both
from stellwerk.engine.explain.devices import devices_for
from stellwerk.engine.explain.nodes import NodesAnswer, nodes_for

NVIDIA_GPU = "nvidia.com/gpu"
FIT = "pkg/scheduler/framework/plugins"
DEVICES = f"{FIT}/dynamicresources/dynamicresources.go"
_MOST_PODS = 64  # Of one object that are tried together.


class Trial(Struct, frozen=True, kw_only=True):
    """Files and cluster as the scheduler sees them."""

    both: Both
    world: World
    cluster: Cluster

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes of the cluster."""
        return tuple(one.object for one in self.both.all_ if isinstance(one.object, Node))


class _Ask(Struct, frozen=True):
    """One pod, on whose behalf: the object's name and the field that its answer is about."""

    object: str
    path: str
    case: PodCase


def trial_of(both: Both, cluster: Cluster) -> Trial:
    """The world of files and cluster. Raises InvalidInput for what the verbs on files refuse too."""
    return Trial(both=both, world=world_of(both.all_), cluster=cluster)


def pod_rows(manifest: Manifest, pod: AskedPod, trial: Trial) -> Iterator[Row]:
    """Whether the pods of an object get nodes and devices; nothing for a DaemonSet."""
    cases = [one for one in waiting_in([_started(manifest)]) if isinstance(one, PodCase)]
    if not cases:
        return
    claims = given(pod.spec.resource_claims, ())
    ask = _Ask(pod.object, f"{pod.path}.resourceClaims" if claims else pod.path, cases[0])
    found = list(_rows(ask, trial))
    yield from found
    if not found and len(cases) > 1 and cases[0].asks:
        yield from _together(ask, cases[:_MOST_PODS], trial, isinstance(manifest.object, Job))


def claim_rows(claim: AskedClaim, trial: Trial) -> Iterator[Row]:
    """Whether a claim that nothing in the files uses would get devices, of a pod that runs anywhere."""
    named = {"resource_claim_template_name" if claim.template else "resource_claim_name": claim.name}
    spec = PodSpec(
        containers=(Container(name="main"),),
        resource_claims=(PodResourceClaim(name="claim", **named),),
        tolerations=(Toleration(operator="Exists"),),
    )
    case = PodCase(key=(claim.namespace, f"for-{claim.name}"), labels={}, spec=spec)
    yield from _rows(_Ask(claim.object, claim.path, case), trial)


def _started(manifest: Manifest) -> Manifest:
    """A Job that waits in a queue is suspended: asked about is what it does after that."""
    job = manifest.object
    return manifest if not isinstance(job, Job) else _unsuspended(manifest, job)


def _unsuspended(manifest: Manifest, job: Job) -> Manifest:
    spec = replace(job.spec, suspend=UNSET)
    return replace(manifest, object=replace(job, spec=spec, status=UNSET))


def _rows(ask: _Ask, trial: Trial) -> Iterator[Row]:
    spec = ask.case.spec
    found = nodes_for(_without_extended(spec), trial.nodes, ())
    if not found.possible:
        yield _no_node(ask, found, trial)
        return
    if not ask.case.asks:
        return
    answer = devices_for(trial.world, ask.case, trial.both.there.rules, found.possible)
    if answer.now or (not answer.ever and _is_bought(ask, answer.refused, trial)):
        return
    yield _device_row(ask, (PENDS, WAITS)[answer.ever], answer.refused, trial)


def _no_node(ask: _Ask, found: NodesAnswer, trial: Trial) -> Row:
    """No node that is there can have the pod: Karpenter would have to buy one, or it waits for ever."""
    claims = bool(given(ask.case.spec.resource_claims, ()))
    pool = pool_for(ask.case.spec, trial.both.all_) if trial.cluster.karpenter is not None else ""
    if pool and claims:
        return _not_bought(ask, pool, trial.cluster)
    values: dict[str, str | int] = {"nodes": found.total}
    reason = found.refusals[0][0] if found.refusals else Reason("no-nodes", "the cluster has no node")
    fix = Reason(
        "see-nodes", "none of {nodes} nodes can have the pod; see: kubectl get nodes --show-labels", values
    )
    wrong = Wrong(path=ask.path, reason=reason, fix=fix)
    return row(SCHEDULER, PENDS, ask.object, wrong, _seen(trial.cluster, FIT))


def _not_bought(ask: _Ask, pool: str, cluster: Cluster) -> Row:
    assert cluster.karpenter is not None
    values: dict[str, str | int] = {"pool": pool, "flag": FLAG, "label": f"{POOL_LABEL}: {pool}"}
    if cluster.karpenter_dra:
        text = (
            "no node that is there can have the pod, and Karpenter buys none of NodePool {pool}: its "
            "instance types announce no devices"
        )
    else:
        text = (
            "no node that is there can have the pod, and Karpenter buys none of NodePool {pool} for a pod "
            "with claims: {flag} is true"
        )
    fix = Reason(
        "not-of-pool",
        "ask for nodes that are there: without {label} in nodeSelector; see: kubectl get nodes --show-labels",
        values,
    )
    wrong = Wrong(path=ask.path, reason=Reason("no-node-bought", text, values), fix=fix)
    karpenter = cluster.karpenter
    seen = Seen(
        f"Karpenter {karpenter.version} ({karpenter.ref})",
        karpenter.source("pkg/controllers/provisioning/provisioner.go"),
    )
    return row(KARPENTER, PENDS, ask.object, wrong, seen)


def _is_bought(ask: _Ask, refused: Sequence[NodesRefused], trial: Trial) -> bool:
    """Whether Karpenter buys a node for what the device plugin would serve there."""
    spec = ask.case.spec
    if trial.cluster.karpenter is None or not trial.both.there.buys_gpus:
        return False
    asked = {name for one in spec.containers for name in extended_of(one)}
    lacks = any(reason.code == "extended-resource" for each in refused for reason in each.reasons)
    plain = not given(spec.resource_claims, ()) and asked <= {NVIDIA_GPU}
    return plain and lacks and bool(pool_for(spec, trial.both.all_))


def _device_row(ask: _Ask, verdict: str, refused: Sequence[NodesRefused], trial: Trial) -> Row:
    most = max(refused, key=lambda each: each.nodes, default=NodesRefused("", 0, ()))
    reason = most.reasons[0] if most.reasons else Reason("no-devices", "no node has the devices")
    values: dict[str, str | int] = {"nodes": most.nodes}
    fix = (
        Reason(
            "in-use-now",
            "it waits until others give devices back; who has them: kubectl get resourceclaims -A",
        )
        if verdict == WAITS
        else Reason(
            "see-devices", "so say {nodes} nodes; what they have: kubectl get resourceslices -o yaml", values
        )
    )
    wrong = Wrong(path=ask.path, reason=reason, fix=fix)
    return row(SCHEDULER, verdict, ask.object, wrong, _seen(trial.cluster, DEVICES))


def _together(ask: _Ask, cases: Sequence[PodCase], trial: Trial, ends: bool) -> Iterator[Row]:
    """Whether all pods of an object have devices at once; those of a Job give theirs back when they end."""
    outcome = allocate_pods(replace(trial.world, waiting=tuple(cases)), trial.both.there.rules)
    first = next((one for one in outcome.answers if not one.allocated), None)
    if first is None:
        return
    served = sum(one.allocated for one in outcome.answers)
    values: dict[str, str | int] = {"served": served, "pods": len(cases)}
    reason = Reason("not-all-pods", "devices are there for {served} of {pods} pods at once", values)
    fix = Reason("fewer-pods", "ask for {served} pods, or for fewer devices each", values)
    wrong = Wrong(path=ask.path, reason=reason, fix=fix)
    yield row(SCHEDULER, WAITS if ends else PENDS, ask.object, wrong, _seen(trial.cluster, DEVICES))


def _seen(cluster: Cluster, file: str) -> Seen:
    return Seen(cluster.versions(), cluster.source(file))


def _without_extended(spec: PodSpec) -> PodSpec:
    """Extended resources are looked at with the devices: they may be served by a DeviceClass."""
    return replace(
        spec,
        containers=tuple(_plain(each) for each in spec.containers),
        init_containers=tuple(_plain(each) for each in given(spec.init_containers, ())),
    )


def _plain(container: Container) -> Container:
    if isinstance(container.resources, UnsetType):
        return container
    resources = container.resources
    kept = ResourceRequirements(
        limits={name: each for name, each in given(resources.limits, {}).items() if not is_extended(name)},
        requests={
            name: each for name, each in given(resources.requests, {}).items() if not is_extended(name)
        },
    )
    return replace(container, resources=kept)
