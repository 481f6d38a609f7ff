"""The instance types of Karpenter's KWOK provider, which pretends to be a cloud: 144, made by a rule.

Source: sigs.k8s.io/karpenter v1.14.1 kwok/tools/gen_instance_types.go and kwok/cloudprovider/helpers.go (what
a node keeps for itself); an INSTANCE_TYPES_FILE_PATH of the provider has others.
"""

from functools import cache
from itertools import product

from msgspec import Struct

ZONES = ("test-zone-a", "test-zone-b", "test-zone-c", "test-zone-d")
CAPACITY_TYPES = ("on-demand", "spot")
STORAGE_GIB = 20
KEPT_CPU_MILLI, KEPT_MEMORY_MIB = 100, 10
_SIZES = (1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256)
_FAMILIES = {"c": 2, "s": 4, "m": 8}  # GiB of memory a CPU.
_MOST_PODS = 1024


class KwokType(Struct, frozen=True, kw_only=True):
    """One type; in every zone, on demand and as spot."""

    name: str
    family: str
    cpu: int
    memory_gib: int
    pods: int
    arch: str
    os: str


@cache
def kwok_types() -> tuple[KwokType, ...]:
    """All of them, smaller ones first."""
    return tuple(
        KwokType(
            name=f"{family}-{cpu}x-{arch}-{system}",
            family=family,
            cpu=cpu,
            memory_gib=cpu * _FAMILIES[family],
            pods=min(cpu * 16, _MOST_PODS),
            arch=arch,
            os=system,
        )
        for cpu, family, system, arch in product(_SIZES, _FAMILIES, ("linux", "windows"), ("amd64", "arm64"))
    )
