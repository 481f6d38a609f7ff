"""Every layer's answer on files and a live cluster: its rules first, then what the cluster has."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from stellwerk.api.manifests import Manifest
from stellwerk.catalog.versions import KARPENTER
from stellwerk.engine.allocation.support.check import check_support
from stellwerk.engine.allocation.support.row import (
    ACCEPTS,
    IGNORES,
    LAYERS,
    PENDS,
    REFUSES,
    WAITS,
    Cluster,
    Row,
)
from stellwerk.engine.allocation.support.subject import Asked, AskedPod, asked_of
from stellwerk.engine.diagnosis.claims.named import named_rows
from stellwerk.engine.diagnosis.claims.queue import queue_rows
from stellwerk.engine.diagnosis.claims.there import There, both_of, key_of
from stellwerk.engine.diagnosis.claims.trial import Trial, claim_rows, pod_rows, trial_of

_BAD = (REFUSES, PENDS)


def check_there(manifests: Sequence[Manifest], there: There, cluster: Cluster) -> tuple[Row, ...]:
    """What each layer of the live cluster does with what the files ask for.

    The queue is asked about what nothing refuses, and nodes and devices about what the queue admits. Raises
    InvalidInput for a pod template that cannot be read.
    """
    asked = asked_of(manifests, there.manifests, there.managed)
    both = both_of(manifests, there)
    rows = [*check_support(asked, cluster), *named_rows(asked, both, cluster)]
    if not _something_left(rows):
        return _in_order(rows)
    trial = trial_of(both, cluster)
    tried = list(_tried(asked, trial, _bad(rows)))
    if not _bad(tried):
        rows = [_existing_node(each) for each in rows]
    return _in_order([*rows, *tried])


def _bad(rows: Sequence[Row]) -> frozenset[str]:
    """The objects that a layer does not let through; Karpenter's "no" matters only where no node is there."""
    return frozenset(each.object for each in rows if each.verdict in _BAD and each.layer != KARPENTER)


def _something_left(rows: Sequence[Row]) -> bool:
    """Whether anything is left to be tried."""
    objects = {each.object for each in rows}
    return bool(objects - _bad(rows))


def _tried(asked: Asked, trial: Trial, bad: frozenset[str]) -> Iterator[Row]:
    pods = {(pod.object, pod.namespace): pod for pod in asked.pods}
    for each in trial.both.written:
        kind, namespace, name = key_of(each)
        pod = pods.get((f"{kind} {name}", namespace))
        if pod is None or pod.object in bad or _uses(pod, asked, bad):
            continue
        queued = list(queue_rows(each, pod.object, trial.both, trial.cluster))
        yield from queued
        if not _bad(queued):
            yield from pod_rows(each, pod, trial)
    for claim in asked.claims:
        used = any(pod.uses(claim) for pod in asked.pods)
        if not used and claim.object not in bad:
            yield from claim_rows(claim, trial)


def _uses(pod: AskedPod, asked: Asked, bad: frozenset[str]) -> bool:
    """Whether a claim of the pod is refused."""
    return any(claim.object in bad and pod.uses(claim) for claim in asked.claims)


def _existing_node(each: Row) -> Row:
    """Nodes that are there have the devices: that Karpenter would refuse the claim does not matter."""
    return replace(each, verdict=IGNORES) if each.layer == KARPENTER and each.verdict in _BAD else each


def _in_order(rows: Sequence[Row]) -> tuple[Row, ...]:
    """By object as they first come, then by layer; a layer that says no does not say yes beside it."""
    noes = {(each.object, each.layer) for each in rows if each.verdict in (*_BAD, WAITS)}
    rows = [one for one in rows if one.verdict != ACCEPTS or (one.object, one.layer) not in noes]
    place: dict[str, int] = {}
    for each in rows:
        place.setdefault(each.object, len(place))
    return tuple(sorted(rows, key=lambda each: (place[each.object], LAYERS.index(each.layer))))
