"""What Karpenter would do for a pod of a live cluster, and what it and the makers of pods wrote of it."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stellwerk.adapters.kube_store.events import Event
    from stellwerk.api.groups.karpenter import NodeClaim
    from stellwerk.api.manifests import Manifest
    from stellwerk.cli.queueing.subject import Subject
    from stellwerk.engine.allocation.pods.waiting import PodCase
    from stellwerk.engine.explain.creation import Unmade
    from stellwerk.engine.explain.purchase import PurchaseAnswer, Said
    from stellwerk.engine.provisioning.provision import Buyer

KARPENTER = "karpenter"
_CLAIM = re.compile(r"nodeclaim/([\w.-]+)")
# A NodeClaim's conditions in the order in which they come true, and what it is then.
_STATES = ("Launched", "Registered", "Initialized")


def purchase_for(
    case: "PodCase", manifests: "Sequence[Manifest]", events: "Sequence[Event]"
) -> "PurchaseAnswer":
    """What each NodePool does for the pod; `events` are the pod's."""
    from stellwerk.api.groups.karpenter import NodeClaim
    from stellwerk.engine.explain.purchase import PurchaseAnswer, heard
    from stellwerk.engine.provisioning.provision import provision, unasked

    claims = [one.object for one in manifests if isinstance(one.object, NodeClaim)]
    answer = PurchaseAnswer(
        pools=provision(case.spec, buyer_of(manifests)),
        said=_said(events, claims),
        unasked=unasked(case.spec),
    )
    return heard(answer)


def buyer_of(manifests: "Sequence[Manifest]") -> "Buyer":
    """Karpenter as its objects and its Deployment show it."""
    from stellwerk.api.groups.core import Node
    from stellwerk.api.groups.karpenter import NodeClaim, NodePool
    from stellwerk.api.groups.meta import given
    from stellwerk.api.groups.resource import ResourceSlice
    from stellwerk.engine.diagnosis.live.recognize import ignores_claims, karpenter_in
    from stellwerk.engine.provisioning.provision import Buyer

    installed = karpenter_in(one.raw for one in manifests if one.kind == "Deployment")
    slices = [one.object for one in manifests if isinstance(one.object, ResourceSlice)]
    return Buyer(
        pools=tuple(one.object for one in manifests if isinstance(one.object, NodePool)),
        nodes=[one.object for one in manifests if isinstance(one.object, Node)],
        claims=[one.object for one in manifests if isinstance(one.object, NodeClaim)],
        ignores_claims=None if installed is None else ignores_claims(installed),
        allocates=installed is None or _allocates(installed.version),
        shared_devices=any(not given(one.spec.node_name, "") for one in slices),
    )


def _allocates(version: str) -> bool:
    """Whether this version looks for devices; one that was not read counts as the newest."""
    from stellwerk.catalog.versions import KARPENTER as COMPONENT
    from stellwerk.catalog.versions import components, facts, minor_of

    rows = [row for row in components(COMPONENT) if row.version == minor_of(version)]
    return not rows or "allocator" in facts(rows[0])


def _said(events: "Sequence[Event]", claims: "Sequence[NodeClaim]") -> "Said | None":
    """Karpenter's last word on a pod."""
    from stellwerk.api.groups.meta import given
    from stellwerk.engine.explain.purchase import FAILED, NOMINATED, Said

    mine = [each for each in events if each.component == KARPENTER and each.reason in (NOMINATED, FAILED)]
    if not mine:
        return None
    last = mine[-1]
    named = _CLAIM.search(last.message)
    name = named[1] if named else ""
    claim = next((one for one in claims if given(one.metadata.name, "") == name), None)
    state = "" if claim is None else _state(claim)
    return Said(reason=last.reason, message=last.message, claim=name, state=state)


def _state(claim: "NodeClaim") -> str:
    from stellwerk.api.groups.karpenter import NodeClaimStatus
    from stellwerk.api.groups.meta import given

    conditions = given(given(claim.status, NodeClaimStatus()).conditions, ())
    true = {one.type for one in conditions if one.status == "True"}
    reached = [state.lower() for state in _STATES if state in true]
    return reached[-1] if reached else "created"


def unmade_of(subject: "Subject", events: "Sequence[Event]") -> "Unmade | None":
    """That pods are missing, and why they are not made; `events` are the subject's. None: none is missing."""
    from stellwerk.engine.explain.creation import FAILED_CREATE, Unmade

    there, wanted = len(subject.living), subject.wanted
    if there >= wanted:
        return None
    said = [each.message for each in events if each.reason == FAILED_CREATE]
    words = _failure(subject) or (said[-1] if said else "")
    return Unmade(wanted=wanted, there=there, words=words) if words else None


def _failure(subject: "Subject") -> str:
    """The condition ReplicaFailure, of the Deployment's ReplicaSets or of a ReplicaSet itself."""
    conditions: list[Any] = [
        each for one in subject.sets for each in (one.get("status") or {}).get("conditions") or ()
    ]
    failing = [each for each in conditions if each["type"] == "ReplicaFailure" and each["status"] == "True"]
    return str(failing[-1].get("message", "")) if failing else ""
