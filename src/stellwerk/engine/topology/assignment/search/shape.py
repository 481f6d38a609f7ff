"""Which nodes the pods of a request may have, as one value that equal requests share.

Source: Kueue pkg/podset/podset.go, pkg/cache/scheduler/tas_flavor_snapshot.go (ff69552e).
"""

from collections.abc import Mapping

from msgspec import Struct

from stellwerk.api.groups.core import Affinity, NodeAffinity, PodSpec, Toleration
from stellwerk.api.groups.kueue_workload import PodSet, PodSetUpdate
from stellwerk.api.groups.meta import ObjectMeta, given
from stellwerk.api.selection import is_label_key, is_label_value, readable_terms
from stellwerk.engine.decision import Reason
from stellwerk.engine.topology.assignment.decision import Gates, PodSetRequest
from stellwerk.engine.topology.assignment.fleet.node_match import PodShape, telling_preferences
from stellwerk.engine.topology.assignment.fleet.snapshot import FlavorSnapshot

_NOTHING = PodSpec(containers=())


class Pods(Struct, frozen=True):
    """The pods of a PodSet with what AdmissionChecks add to them."""

    selector: Mapping[str, str]
    tolerations: tuple[Toleration, ...]
    affinity: NodeAffinity


def pods_of(request: PodSetRequest) -> Pods | Reason:
    """The pods of the template with the updates, or the Reason why an update contradicts them."""
    template = request.pod_set.template
    meta, spec = given(template.metadata, ObjectMeta()), given(template.spec, _NOTHING)
    fields = {
        "annotations": dict(given(meta.annotations, {})),
        "labels": dict(given(meta.labels, {})),
        "nodeSelector": dict(given(spec.node_selector, {})),
    }
    tolerations = list(given(spec.tolerations, ()))
    for update in request.updates:
        clash = _clash(fields, update)
        if clash is not None:
            return _contradiction(request.pod_set, clash)
        tolerations += [one for one in given(update.tolerations, ()) if one not in tolerations]
    affinity = given(given(spec.affinity, Affinity()).node_affinity, NodeAffinity())
    return Pods(fields["nodeSelector"], tuple(tolerations), affinity)


class _Clash(Struct, frozen=True):
    field: str
    key: str
    first: str
    second: str


def _clash(fields: Mapping[str, dict[str, str]], update: PodSetUpdate) -> _Clash | None:
    """Adds to the fields what the update says; a key with two values is a clash."""
    changes = {
        "annotations": given(update.annotations, {}),
        "labels": given(update.labels, {}),
        "nodeSelector": given(update.node_selector, {}),
    }
    for name, values in changes.items():
        for key, value in values.items():
            if fields[name].setdefault(key, value) != value:
                return _Clash(name, key, fields[name][key], value)
    return None


def _contradiction(pod_set: PodSet, clash: _Clash) -> Reason:
    return Reason(
        "update-conflict",
        "invalid podSetUpdate for PodSet {podset}, error: invalid admission check PodSetUpdate: "
        "conflict for {field}: conflict for key={key}, value1={first}, value2={second}",
        {
            "podset": given(pod_set.name, "main"),
            "field": clash.field,
            "key": clash.key,
            "first": clash.first,
            "second": clash.second,
        },
    )


def shape_of(snapshot: FlavorSnapshot, request: PodSetRequest, pods: Pods, gates: Gates) -> PodShape | Reason:
    """The shape of these pods in the snapshot's flavor, or the Reason why a selector cannot be read."""
    required = given(pods.affinity.required_during_scheduling_ignored_during_execution, None)
    preferred = given(pods.affinity.preferred_during_scheduling_ignored_during_execution, ())
    selector, tolerations = pods.selector, pods.tolerations + snapshot.tolerations
    if gates.scheduler_library:  # The plugins see the template alone.
        spec = given(request.pod_set.template.spec, _NOTHING)
        selector, tolerations = given(spec.node_selector, {}), given(spec.tolerations, ())
    if snapshot.tree.by_hostname and not all(
        is_label_key(k) and is_label_value(v) for k, v in selector.items()
    ):
        shown = ", ".join(f"{key}={value}" for key, value in selector.items())[:200]
        return Reason("node-selector", "invalid node selectors: {selector}", {"selector": shown})
    try:
        return PodShape(
            tolerations=tolerations,
            selector=tuple(sorted(selector.items())),
            required=None if required is None else readable_terms(required.node_selector_terms),
            preferred=telling_preferences(preferred) if gates.respect_node_affinity_preferred else (),
            by_plugins=gates.scheduler_library,
        )
    except ValueError as error:
        return Reason("node-affinity", "invalid affinity node selectors: {problem}", {"problem": str(error)})
