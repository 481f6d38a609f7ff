"""How many devices of which class the ResourceClaimTemplates of a Workload ask for, as resources.

Source: kueue pkg/dra/claims.go (GetResourceRequestsForResourceClaimTemplates, countDevicesPerClass,
validateCELSelectorsAgainstDevices).
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct, UnsetType
from msgspec.structs import replace

from stellwerk.api.defaults import ALL, EXACT_COUNT
from stellwerk.api.groups.core import PodResourceClaim
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    DeviceClaim,
    DeviceRequest,
    ExactDeviceRequest,
    ResourceClaimSpec,
)
from stellwerk.api.quantity import NANO, Quantity
from stellwerk.engine.queueing.amounts import UNLIMITED, in_order
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.requests.devices.cluster import Devices, Offered
from stellwerk.engine.queueing.requests.devices.mapping import DeviceClasses
from stellwerk.engine.queueing.requests.devices.problem import (
    NOT_FOUND,
    Problem,
    Problems,
    internal,
    invalid,
)
from stellwerk.engine.queueing.requests.devices.selectors import compiled, of_class, taken
from stellwerk.engine.queueing.requests.total import pod_set_name
from stellwerk.engine.topology.assignment.fleet.pod import summed

Added = dict[str, dict[str, Quantity]]  # By PodSet: quota to add, of one pod.


class Claim(Struct, frozen=True, kw_only=True):
    """An entry of a PodSet's resourceClaims that names a template; `spec` None: there is no such template."""

    pod_set: str
    template: str
    path: str
    spec: ResourceClaimSpec | None

    @property
    def requests(self) -> tuple[DeviceRequest, ...]:
        """What it asks for."""
        devices = DeviceClaim() if self.spec is None else given(self.spec.devices, DeviceClaim())
        return given(devices.requests, ())


class Rules(Struct, frozen=True):
    """The mappings and the gates."""

    classes: DeviceClasses
    gates: FeatureGates

    def counted_otherwise(self, name: str) -> bool:
        """Whether a class is counted by counters or capacities, not by devices."""
        partitionable = self.gates.kueue_dra_integration_partitionable_devices
        consumable = self.gates.kueue_dra_integration_consumable_capacity
        return (partitionable and name in self.classes.counters) or (
            consumable and name in self.classes.capacities
        )


def claims_of(workload: Workload, devices: Devices) -> Iterator[Claim]:
    """Those that name a template, in order."""
    namespace = given(workload.metadata.namespace, "")
    for i, pod_set in enumerate(given(workload.spec.pod_sets, ())):
        for j, one in enumerate(pod_claims(pod_set.template.spec)):
            template = given(one.resource_claim_template_name, None)
            if template is not None:
                yield Claim(
                    pod_set=pod_set_name(pod_set),
                    template=template,
                    path=f"spec.podSets[{i}].template.spec.resourceClaims[{j}]",
                    spec=devices.templates.get(f"{namespace}/{template}"),
                )


def pod_claims(spec: object) -> tuple[PodResourceClaim, ...]:
    """The resourceClaims of a pod."""
    return () if isinstance(spec, UnsetType) else given(getattr(spec, "resource_claims", ()), ())


def counted(workload: Workload, devices: Devices, rules: Rules) -> Added | Problems:
    """By PodSet, what one pod's devices count as; or what is wrong with the first claim that is."""
    added: Added = {}
    for claim in claims_of(workload, devices):
        found = _of_claim(claim, devices, rules)
        if isinstance(found, Problems):
            return found
        if found:
            added[claim.pod_set] = summed(added.get(claim.pod_set, {}), found)
    return added


def _of_claim(claim: Claim, devices: Devices, rules: Rules) -> dict[str, Quantity] | Problems:
    if claim.spec is None:
        why = f'resourceclaimtemplates.resource.k8s.io "{claim.template}" not found'
        what = (
            f"failed to get claim spec for ResourceClaimTemplate {claim.template} in podset {claim.pod_set}"
        )
        return Problems((internal(claim.path, f"{what}: {why}"),))
    counts = _by_class(claim)
    if isinstance(counts, Problem):
        return Problems((_named(claim, replace(counts, path=f"{claim.path}.{counts.path}")),))
    lacking = tuple(_named(claim, one) for one in _lacking(claim, devices, rules.classes))
    if lacking:
        return Problems(lacking)
    found: dict[str, Quantity] = {}
    for name, count in in_order(counts).items():
        resource = rules.classes.resources.get(name)
        if resource is None:
            what = f"DeviceClass {name} is not mapped in DRA configuration for podset {claim.pod_set}"
            at = f"{claim.path}.resourceClaimTemplateName"
            return Problems((Problem(kind=NOT_FOUND, path=at, detail="", value=f'"{what}"'),))
        if not rules.counted_otherwise(name):
            found = summed(found, {resource: Quantity(count * NANO)})
    return found


def _named(claim: Claim, problem: Problem) -> Problem:
    return replace(problem, detail=f"ResourceClaimTemplate {claim.template}: {problem.detail}")


def _by_class(claim: Claim) -> dict[str, int] | Problem:
    """Devices by class; adminAccess counts nothing. Paths are within the claim."""
    counts: dict[str, int] = {}
    for i, request in enumerate(claim.requests):
        path = f"devices.requests[{i}]"
        if given(request.first_available, None) is not None:
            return invalid(path, "FirstAvailable device selection is not supported")
        if isinstance(request.exactly, UnsetType):
            return invalid(path, "Exactly must be set if FirstAvailable is nil")
        found = _uncountable(request.exactly, f"{path}.exactly")
        if found is not None:
            return found
        name = request.exactly.device_class_name
        if name and not given(request.exactly.admin_access, False):
            counts[name] = min(UNLIMITED, counts.get(name, 0) + given(request.exactly.count, 0))
    return counts


def _uncountable(asked: ExactDeviceRequest, path: str) -> Problem | None:
    at = f"{path}.selectors"
    selectors = compiled(given(asked.selectors, ()), at)
    if isinstance(selectors, Problems):
        return invalid(at, str(selectors))
    mode = given(asked.allocation_mode, "")
    if given(asked.admin_access, False) or mode == EXACT_COUNT:
        return None
    detail = (
        "AllocationMode 'All' is not supported" if mode == ALL else f"unsupported allocation mode: {mode}"
    )
    return invalid(f"{path}.allocationMode", detail, mode)


def _lacking(claim: Claim, devices: Devices, classes: DeviceClasses) -> Iterator[Problem]:
    """Requests with selectors of which there are fewer devices than they ask for, each device once."""
    asked = [
        (i, one.exactly)
        for i, one in enumerate(claim.requests)
        if not isinstance(one.exactly, UnsetType)
        and any(given(each.cel, None) is not None for each in given(one.exactly.selectors, ()))
    ]
    offered = _offered([one for _, one in asked], devices, classes)
    before: set[int] = set()
    for i, one in asked:
        path = f"{claim.path}.devices.requests[{i}]"
        its_class = of_class(one.device_class_name, devices, path)
        if isinstance(its_class, Problem):
            yield its_class
            continue
        count, at = given(one.count, 0), f"{path}.exactly.selectors"
        own = compiled(given(one.selectors, ()), at)
        assert not isinstance(own, Problems), "they were compiled when devices were counted"
        found = taken(offered, (*its_class, *own), before, count)
        if isinstance(found, str):
            yield invalid(at, f"CEL evaluation failed for DeviceClass {one.device_class_name}: {found}")
        elif found < count:
            yield internal(
                at,
                f"insufficient matching devices for CEL selector in DeviceClass {one.device_class_name}: "
                f"{found} device(s) match in the cluster but {count} requested",
            )


def _offered(
    asked: Sequence[ExactDeviceRequest], devices: Devices, classes: DeviceClasses
) -> Sequence[Offered]:
    """Where to look: all devices; only those of the drivers, if all classes are counted by sources."""
    names = [one.device_class_name for one in asked]
    if all(name in classes.counters or name in classes.capacities for name in names):
        drivers = dict.fromkeys(
            source.driver
            for name in names
            for source in (*classes.counters.get(name, ()), *classes.capacities.get(name, ()))
        )
        return [one for driver in drivers for each in devices.of_driver(driver) for one in each.devices]
    return [one for each in devices.slices for one in each.devices]
