"""The objects of a cluster that decide on devices, taken from manifests as the API server would hold them."""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import UNSET, Struct, structs

from stellwerk.api.defaults import defaulted_claim, defaulted_template
from stellwerk.api.errors import InvalidInput
from stellwerk.api.generated_names import with_names
from stellwerk.api.groups.core import Node
from stellwerk.api.groups.meta import ObjectMeta, given
from stellwerk.api.groups.resource import (
    DeviceClass,
    DeviceTaintRule,
    ResourceClaim,
    ResourceClaimTemplate,
    ResourceSlice,
)
from stellwerk.api.manifests import Manifest
from stellwerk.engine.allocation.pods.claims import key_of
from stellwerk.engine.allocation.pods.waiting import Key, PodCase, left_out, waiting_in
from stellwerk.engine.allocation.pools.offered import PoolID
from stellwerk.engine.decision import Reason


class World(Struct, frozen=True, kw_only=True):
    """All in the order of the manifests, nodes that only slices name behind the others. `left_out`: notes."""

    nodes: tuple[Node, ...]
    slices: tuple[ResourceSlice, ...]
    classes: tuple[DeviceClass, ...]
    rules: tuple[DeviceTaintRule, ...]
    claims: Mapping[Key, ResourceClaim]
    templates: Mapping[Key, ResourceClaimTemplate]
    waiting: tuple[PodCase | Key, ...]
    left_out: tuple[Reason, ...] = ()


def world_of(manifests: Sequence[Manifest], *, combined_slices: bool = False) -> World:
    """The world of valid manifests; raises InvalidInput for a StatefulSet that cannot be read.

    `combined_slices`: a slice may hold both counters and devices, as in Kubernetes 1.34; else it is refused.
    """
    manifests = with_names(manifests)
    slices = tuple(one.object for one in manifests if isinstance(one.object, ResourceSlice))
    if combined_slices:
        slices = _split(slices)
    else:
        _refuse_combined(manifests)
    claims = [one.object for one in manifests if isinstance(one.object, ResourceClaim)]
    templates = [one.object for one in manifests if isinstance(one.object, ResourceClaimTemplate)]
    return World(
        nodes=_nodes([one.object for one in manifests if isinstance(one.object, Node)], slices),
        slices=slices,
        classes=tuple(one.object for one in manifests if isinstance(one.object, DeviceClass)),
        rules=tuple(one.object for one in manifests if isinstance(one.object, DeviceTaintRule)),
        claims={key_of(one): _named(defaulted_claim(one)) for one in claims},
        templates={
            (given(one.metadata.namespace, "default"), given(one.metadata.name, "")): defaulted_template(one)
            for one in templates
        },
        waiting=tuple(waiting_in(manifests)),
        left_out=tuple(left_out(manifests)),
    )


def _named(claim: ResourceClaim) -> ResourceClaim:
    """With its namespace, as the API server stores it."""
    namespace, name = key_of(claim)
    return structs.replace(claim, metadata=structs.replace(claim.metadata, name=name, namespace=namespace))


def _nodes(nodes: Sequence[Node], slices: Sequence[ResourceSlice]) -> tuple[Node, ...]:
    named = dict.fromkeys(given(one.metadata.name, "") for one in nodes)
    missing = dict.fromkeys(
        name for one in slices if (name := given(one.spec.node_name, "")) and name not in named
    )
    return (
        *nodes,
        *(Node(api_version="v1", kind="Node", metadata=ObjectMeta(name=name)) for name in missing),
    )


def _is_combined(slice_: ResourceSlice) -> bool:
    return bool(given(slice_.spec.devices, ()) and given(slice_.spec.shared_counters, ()))


def _refuse_combined(manifests: Sequence[Manifest]) -> None:
    for manifest in manifests:
        if isinstance(manifest.object, ResourceSlice) and _is_combined(manifest.object):
            raise InvalidInput(
                "the slice has both devices and sharedCounters, which Kubernetes 1.34 was the last to take",
                fix="move sharedCounters to a slice of its own in the pool, or use --kubernetes 1.34",
                **manifest.at("spec.sharedCounters"),
            )


def _split(slices: Sequence[ResourceSlice]) -> tuple[ResourceSlice, ...]:
    """A slice with both becomes two, as the driver publishes them since 1.35; pools count them."""
    more: Counter[tuple[PoolID, int]] = Counter(_pool(one) for one in slices if _is_combined(one))
    found: list[ResourceSlice] = []
    for slice_ in slices:
        spec = slice_.spec
        count = spec.pool.resource_slice_count + more[_pool(slice_)]
        spec = structs.replace(spec, pool=structs.replace(spec.pool, resource_slice_count=count))
        if not _is_combined(slice_):
            found.append(structs.replace(slice_, spec=spec))
            continue
        name = given(slice_.metadata.name, "")
        counters = structs.replace(slice_.metadata, name=f"{name}-counters")
        found.append(structs.replace(slice_, metadata=counters, spec=structs.replace(spec, devices=UNSET)))
        found.append(structs.replace(slice_, spec=structs.replace(spec, shared_counters=UNSET)))
    return tuple(found)


def _pool(slice_: ResourceSlice) -> tuple[PoolID, int]:
    spec = slice_.spec
    return (spec.driver, spec.pool.name), spec.pool.generation
