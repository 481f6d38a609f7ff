"""Requests that are not written: from RuntimeClass, LimitRange and limits; and requests that must not be.

Source: kueue pkg/workload/resources.go (AdjustResources, ValidateResources, ValidateLimitRange),
pkg/util/limitrange.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, UnsetType
from msgspec.structs import replace

from stellwerk.api.groups.core import (
    Container,
    LimitRange,
    LimitRangeItem,
    LimitRangeSpec,
    PodSpec,
    ResourceRequirements,
)
from stellwerk.api.groups.kueue_workload import PodSet, Workload
from stellwerk.api.groups.meta import ResourceList, given
from stellwerk.api.groups.node import Overhead, RuntimeClass
from stellwerk.api.quantity import Quantity
from stellwerk.engine.decision import Reason
from stellwerk.engine.queueing.amounts import request_amount
from stellwerk.engine.queueing.requests.pod import with_limits_as_requests
from stellwerk.engine.topology.assignment.fleet.pod import pod_requests

_NOTHING: Mapping[str, Quantity] = {}
_NO_RESOURCES = ResourceRequirements()


class Bounds(Struct, frozen=True, kw_only=True):
    """All LimitRanges of a namespace for one type: lowest `max`, highest `min`, first defaults."""

    max: Mapping[str, Quantity] = _NOTHING
    min: Mapping[str, Quantity] = _NOTHING
    default: Mapping[str, Quantity] = _NOTHING
    default_request: Mapping[str, Quantity] = _NOTHING


def bounds_of(ranges: Iterable[LimitRange]) -> dict[str, Bounds]:
    """By type (Container, Pod), what the LimitRanges of one namespace say together."""
    found: dict[str, Bounds] = {}
    for one in ranges:
        for item in given(given(one.spec, LimitRangeSpec()).limits, ()):
            found[item.type] = _together(found.get(item.type, Bounds()), item)
    return found


def overheads_of(classes: Iterable[RuntimeClass]) -> dict[str, ResourceList]:
    """By RuntimeClass, what each pod of it costs besides its containers; classes without overhead are not."""
    found = {
        given(one.metadata.name, ""): given(given(one.overhead, Overhead()).pod_fixed, {}) for one in classes
    }
    return {name: overhead for name, overhead in found.items() if overhead}


def adjusted(
    workload: Workload, bounds: Mapping[str, Bounds], overheads: Mapping[str, ResourceList]
) -> Workload:
    """The Workload with the requests that its pods will have.

    `overheads`: of a pod, by the name of its RuntimeClass.
    """
    pod_sets = tuple(_adjusted(one, bounds, overheads) for one in given(workload.spec.pod_sets, ()))
    return replace(workload, spec=replace(workload.spec, pod_sets=pod_sets)) if pod_sets else workload


def excesses(pod_sets: Sequence[PodSet]) -> Iterator[Reason]:
    """Where requests are larger than the limits beside them."""
    for place, spec in _specs(pod_sets):
        for path, resources in (
            *_containers(place, spec),
            (f"{place}.resources", given(spec.resources, _NO_RESOURCES)),
        ):
            above = _above(given(resources.requests, _NOTHING), given(resources.limits, _NOTHING))
            if above:
                yield Reason(
                    "RequestsExceedLimits",
                    "{path}: more of {resources} is requested than its limit",
                    {"path": path, "resources": above},
                )


def out_of_bounds(pod_sets: Sequence[PodSet], bounds: Mapping[str, Bounds]) -> Iterator[Reason]:
    """Where a container or a pod is outside of the namespace's LimitRanges."""
    container, pod = bounds.get("Container"), bounds.get("Pod")
    for place, spec in _specs(pod_sets):
        for path, resources in _containers(place, spec) if container is not None else ():
            requests, limits = given(resources.requests, _NOTHING), given(resources.limits, _NOTHING)
            most = _merged(requests, limits, keep_larger=True)
            yield from _outside(path, most, _merged(requests, limits, keep_larger=False), container)
        if pod is not None:
            total = pod_requests(spec)
            yield from _outside(place, total, total, pod)


def _outside(path: str, most: ResourceList, least: ResourceList, bounds: Bounds | None) -> Iterator[Reason]:
    above = _above(most, bounds.max if bounds else _NOTHING)
    if above:
        yield Reason(
            "AboveLimitRange",
            "{path}: {resources} is above the maximum of the LimitRange",
            {"path": path, "resources": above},
        )
    below = _above(bounds.min if bounds else _NOTHING, least)
    if below:
        yield Reason(
            "BelowLimitRange",
            "{path}: {resources} is below the minimum of the LimitRange",
            {"path": path, "resources": below},
        )


def _above(amounts: ResourceList, most: ResourceList) -> str:
    """The resources of which there is more than allowed, by name; what has no bound is free."""
    return ", ".join(
        name
        for name, quantity in sorted(amounts.items())
        if name in most and request_amount(name, quantity) > request_amount(name, most[name])
    )


def _specs(pod_sets: Sequence[PodSet]) -> Iterator[tuple[str, PodSpec]]:
    for index, pod_set in enumerate(pod_sets):
        spec = pod_set.template.spec
        if not isinstance(spec, UnsetType):
            yield f"spec.podSets[{index}].template.spec", spec


def _containers(place: str, spec: PodSpec) -> list[tuple[str, ResourceRequirements]]:
    fields = (("initContainers", given(spec.init_containers, ())), ("containers", spec.containers))
    return [
        (f"{place}.{field}[{index}]", given(container.resources, _NO_RESOURCES))
        for field, containers in fields
        for index, container in enumerate(containers)
    ]


def _together(known: Bounds, item: LimitRangeItem) -> Bounds:
    return Bounds(
        max=_merged(known.max, given(item.max, _NOTHING), keep_larger=False),
        min=_merged(known.min, given(item.min, _NOTHING), keep_larger=True),
        default={**given(item.default, _NOTHING), **known.default},
        default_request={**given(item.default_request, _NOTHING), **known.default_request},
    )


def _merged(one: ResourceList, other: ResourceList, *, keep_larger: bool) -> dict[str, Quantity]:
    merged = dict(one)
    for name, quantity in other.items():
        have = merged.get(name)
        if have is None or (quantity.nanos > have.nanos) == keep_larger:
            merged[name] = quantity
    return merged


def _adjusted(pod_set: PodSet, bounds: Mapping[str, Bounds], overheads: Mapping[str, ResourceList]) -> PodSet:
    spec = pod_set.template.spec
    if isinstance(spec, UnsetType):
        return pod_set
    overhead = overheads.get(given(spec.runtime_class_name, ""))
    if overhead and not given(spec.overhead, _NOTHING):
        spec = replace(spec, overhead=overhead)
    spec = with_limits_as_requests(_with_defaults(spec, bounds))
    return replace(pod_set, template=replace(pod_set.template, spec=spec))


def _with_defaults(spec: PodSpec, bounds: Mapping[str, Bounds]) -> PodSpec:
    container, pod = bounds.get("Container"), bounds.get("Pod")
    if container is not None:
        spec = replace(spec, containers=tuple(_container(one, container) for one in spec.containers))
        if given(spec.init_containers, ()):
            starting = tuple(_container(one, container) for one in given(spec.init_containers, ()))
            spec = replace(spec, init_containers=starting)
    at_pod_level = given(spec.resources, None)
    if pod is not None and at_pod_level is not None:
        spec = replace(spec, resources=_defaulted(at_pod_level, pod))
    return spec


def _container(container: Container, bounds: Bounds) -> Container:
    return replace(container, resources=_defaulted(given(container.resources, _NO_RESOURCES), bounds))


def _defaulted(resources: ResourceRequirements, bounds: Bounds) -> ResourceRequirements:
    changes: dict[str, ResourceList] = {}
    if bounds.default:
        changes["limits"] = {**bounds.default, **given(resources.limits, _NOTHING)}
    if bounds.default_request:
        changes["requests"] = {**bounds.default_request, **given(resources.requests, _NOTHING)}
    return replace(resources, **changes)
