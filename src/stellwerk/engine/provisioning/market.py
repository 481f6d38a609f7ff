"""What a provider sells, as far as it is known: labels that a node of a type has, and its room.

Of the KWOK provider every type is known; of a cloud those of its types that have GPUs, by the catalog.
"""

from collections.abc import Mapping, Sequence
from functools import cache

from msgspec import Struct

from stellwerk.catalog.kwok_types import (
    CAPACITY_TYPES,
    KEPT_CPU_MILLI,
    KEPT_MEMORY_MIB,
    STORAGE_GIB,
    ZONES,
    KwokType,
    kwok_types,
)
from stellwerk.catalog.node_types import NodeType, node_types
from stellwerk.engine.provisioning.requirement import (
    ARCH_LABEL,
    CAPACITY_LABEL,
    OS_LABEL,
    TYPE_LABEL,
    ZONE_LABEL,
    Requirement,
    Requirements,
)

# API group and kind of the NodeClass by the provider that reads it; EKS Auto Mode has Karpenter outside.
KWOK, _EKS = "kwok", "eks-auto-mode"
NODE_CLASSES = {
    ("karpenter.k8s.aws", "EC2NodeClass"): "aws",
    ("karpenter.azure.com", "AKSNodeClass"): "azure",
    ("karpenter.k8s.gcp", "GCENodeClass"): "gcp",
    ("karpenter.kwok.sh", "KWOKNodeClass"): KWOK,
    ("eks.amazonaws.com", "NodeClass"): _EKS,
}
_ONE, _MILLI = 10**9, 10**6
_GIB, _MIB = 2**30 * _ONE, 2**20 * _ONE
_KWOK_LABEL = "karpenter.kwok.sh/instance-"
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "arm64": "arm64", "aarch64": "arm64"}
Nanos = Mapping[str, int]


class Sold(Struct, frozen=True, kw_only=True):
    """One instance type; `capacity` and what of it pods may have (`room`), in thousand-millionths."""

    name: str
    labels: Requirements
    capacity: Nanos
    room: Nanos


class Market(Struct, frozen=True, kw_only=True):
    """`types` by name; `whole`: the provider sells nothing else."""

    provider: str
    types: Mapping[str, Sold]
    whole: bool = False

    def has_room(self, one: Sold, asked: Nanos) -> bool:
        """Whether a pod fits on an empty node of the type; what is not known of it does not count."""
        return all(
            amount <= one.room.get(resource, amount) and self.gives(one, resource)
            for resource, amount in asked.items()
        )

    def gives(self, one: Sold, resource: str) -> bool:
        """Whether a node of the type has any of the resource; of what is not known it has."""
        return resource in one.room or ("/" not in resource and not self.whole)


@cache
def market_of(group: str, kind: str) -> Market:
    """The market of the provider that reads this kind of NodeClass; of another nothing is known."""
    provider = NODE_CLASSES.get((group, kind), f"{kind}.{group}")
    if provider == KWOK:
        return Market(provider=provider, types={one.name: _of_kwok(one) for one in kwok_types()}, whole=True)
    cloud = "aws" if provider == _EKS else provider
    rows = [row for row in node_types() if row.provider == cloud]
    return Market(provider=provider, types={row.name: _of_cloud(row) for row in rows})


def _of_kwok(one: KwokType) -> Sold:
    values = {
        TYPE_LABEL: (one.name,),
        ARCH_LABEL: (one.arch,),
        OS_LABEL: (one.os,),
        ZONE_LABEL: ZONES,
        CAPACITY_LABEL: CAPACITY_TYPES,
        f"{_KWOK_LABEL}size": (str(one.cpu),),
        f"{_KWOK_LABEL}family": (one.family,),
        f"{_KWOK_LABEL}cpu": (str(one.cpu),),
    }
    capacity = {
        "cpu": one.cpu * _ONE,
        "memory": one.memory_gib * _GIB,
        "pods": one.pods * _ONE,
        "ephemeral-storage": STORAGE_GIB * _GIB,
    }
    room = {
        **capacity,
        "cpu": capacity["cpu"] - KEPT_CPU_MILLI * _MILLI,
        "memory": capacity["memory"] - KEPT_MEMORY_MIB * _MIB,
    }
    return Sold(name=one.name, labels=_labels(values), capacity=capacity, room=room)


def _of_cloud(row: NodeType) -> Sold:
    """What is not in the catalog (pods, storage, what the node keeps) does not count against the type."""
    capacity = {"nvidia.com/gpu": int(row.gpu_count) * _ONE}
    if row.vcpu is not None:
        capacity["cpu"] = row.vcpu * _ONE
    if row.memory_gib is not None:
        capacity["memory"] = int(row.memory_gib * _GIB)
    arch = _ARCHITECTURES.get(row.arch)
    values = {TYPE_LABEL: (row.name,), **({ARCH_LABEL: (arch,)} if arch else {})}
    return Sold(name=row.name, labels=_labels(values), capacity=capacity, room=capacity)


def _labels(values: Mapping[str, Sequence[str]]) -> dict[str, Requirement]:
    return {key: Requirement(key=key, values=frozenset(each)) for key, each in values.items()}
