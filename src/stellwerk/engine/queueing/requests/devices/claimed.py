"""`claimed_devices`: what the devices of a pending Workload count as, or why it is inadmissible.

Source: kueue pkg/controller/core/workload_controller.go (handleDRA), pkg/dra/extended_resources.go
(NeedsDRAReconcile).
"""

from collections.abc import Mapping

import msgspec
from msgspec import UnsetType

from stellwerk.api.groups.core import PodSpec
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import given
from stellwerk.api.quantity import Quantity
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.requests.devices.claims import Added, Rules, claims_of, counted, pod_claims
from stellwerk.engine.queueing.requests.devices.cluster import Devices
from stellwerk.engine.queueing.requests.devices.extended import Replaced, is_backed, replaced
from stellwerk.engine.queueing.requests.devices.problem import Problems, Refused, refused
from stellwerk.engine.queueing.requests.devices.sources import CAPACITY, COUNTER, charged
from stellwerk.engine.queueing.requests.total import ClaimedDevices, pod_set_name
from stellwerk.engine.topology.assignment.fleet.pod import summed

OFF = Refused("Workload uses DRA resources but the KueueDRAIntegration feature gate is not enabled")
NAMED_CLAIM = Refused("KueueDRAIntegration feature does not support use of resource claims")
Claimed = Mapping[str, ClaimedDevices]


def needs_devices(workload: Workload, devices: Devices, gates: FeatureGates) -> bool:
    """Whether its devices are looked at at all; `workload` as it is written."""
    if not gates.kueue_dra_integration:
        return gates.kueue_dra_reject_workloads_when_dra_disabled and _has_claims(workload)
    if _has_claims(workload):
        return True
    return gates.kueue_dra_integration_extended_resource and is_backed(workload, devices)


def claimed_devices(workload: Workload, devices: Devices, rules: Rules) -> Claimed | Refused:
    """By PodSet, of a Workload with `needs_devices` whose requests are adjusted; or why not."""
    gates = rules.gates
    if not gates.kueue_dra_integration:
        return OFF
    if _has_claims(workload, by_name=True):
        return NAMED_CLAIM
    added = counted(workload, devices, rules)
    if isinstance(added, Problems):
        return refused(added)
    instead = Replaced({}, {})
    if gates.kueue_dra_integration_extended_resource:
        found = replaced(workload, devices, rules)
        if isinstance(found, Problems):
            return refused(found)
        instead = found
    parts = [added, instead.added]
    claims = list(claims_of(workload, devices))
    if gates.kueue_dra_integration_partitionable_devices:
        counters = charged(claims, devices, lambda name: rules.classes.counters.get(name, ()), COUNTER)
        if isinstance(counters, Problems):
            return refused(counters)
        parts.append(counters)
    if gates.kueue_dra_integration_consumable_capacity:
        shares = charged(claims, devices, lambda name: rules.classes.capacities.get(name, ()), CAPACITY)
        if isinstance(shares, Problems):
            return refused(shares)
        parts.append(shares)
    return _together(parts, instead.resources)


def question_of(workload: Workload) -> bytes:
    """What the answer depends on: Workloads with equal ones claim the same."""
    pods = [
        (
            pod_set_name(one),
            pod_claims(one.template.spec),
            [] if isinstance(one.template.spec, UnsetType) else _resources(one.template.spec),
        )
        for one in given(workload.spec.pod_sets, ())
    ]
    question = (given(workload.metadata.namespace, ""), pods)
    return msgspec.json.encode(question, enc_hook=str, order="deterministic")


def _resources(spec: PodSpec) -> list[object]:
    return [
        [given(one.resources, None) for one in containers]
        for containers in (given(spec.init_containers, ()), spec.containers)
    ]


def _together(parts: list[Added], instead: Mapping[str, frozenset[str]]) -> Claimed:
    total: dict[str, Mapping[str, Quantity]] = {}
    for part in parts:
        for name, quota in part.items():
            total[name] = summed(total.get(name, {}), quota)
    names = dict.fromkeys([*total, *instead])
    return {name: ClaimedDevices(total.get(name, {}), instead.get(name, frozenset())) for name in names}


def _has_claims(workload: Workload, by_name: bool = False) -> bool:
    """Whether a pod claims devices; `by_name`: by the name of a ResourceClaim."""
    return any(
        given(one.resource_claim_name, None) is not None
        or (not by_name and given(one.resource_claim_template_name, None) is not None)
        for pod_set in given(workload.spec.pod_sets, ())
        for one in pod_claims(pod_set.template.spec)
    )
