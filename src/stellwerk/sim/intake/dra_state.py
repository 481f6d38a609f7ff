"""Today's partitions of a cluster with NVIDIA's DRA driver, from its ResourceSlices and ResourceClaims.

A GPU is a pool's device `gpu-<minor>`, a GPU instance `gpu-<minor>-mig-<profile>-<giProfileId>-<start>`: with
a `uuid` it is there (static MIG), without one it is possible, and there once a claim has it (dynamic MIG).
Who is on a device: status.allocation and status.reservedFor of the claims. Source: dra.json of the catalog.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct, UnsetType, field

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    Device,
    DeviceRequestAllocationResult,
    ResourceClaim,
    ResourceSlice,
)
from stellwerk.api.manifests import Manifest
from stellwerk.api.mismatch import shown
from stellwerk.api.quantity import parse_quantity
from stellwerk.catalog.gpus import gpu_model
from stellwerk.engine.partition.inventory import Gpu, GpuInstance, Tenant
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING, WHOLE

DRIVER = "gpu.nvidia.com"
STRATEGIES = {"MPS": MPS, "TimeSlicing": TIME_SLICING}
_MIG = re.compile(r"gpu-([0-9]{1,4})-mig-.+-([0-9]{1,4})-([0-9]{1,4})", re.ASCII)
_GPU = re.compile(r"gpu-([0-9]{1,4})", re.ASCII)
Key = tuple[str, str]  # Pool and device.


class _Use(Struct):
    """Who has a device, and what their claim says of sharing."""

    pods: list[str] = field(default_factory=list)
    sharing: dict[str, Any] = field(default_factory=dict)


class _Found(Struct):
    """A GPU while its devices are gathered, with the object and the field that named it first."""

    manifest: Manifest
    path: str
    node: str
    index: int
    model: str
    whole: _Use | None = None
    instances: list[GpuInstance] = field(default_factory=list)


def gpus_of_slices(manifests: Sequence[Manifest]) -> list[tuple[Gpu, Manifest, str]]:
    """Each GPU by node and index, with the object and the field to name in an error.

    Raises InvalidInput for an incomplete pool, an unknown model, or a claim on a device that is not there.
    """
    uses = _uses(manifests)
    found: dict[tuple[str, int], _Found] = {}
    seen: set[Key] = set()
    for manifest, slice_ in _newest(manifests):
        for i, device in enumerate(given(slice_.spec.devices, ())):
            seen.add((slice_.spec.pool.name, device.name))
            use = uses.get((slice_.spec.pool.name, device.name))
            _take(found, (manifest, f"spec.devices[{i}]"), (slice_, device), use[0] if use else None)
    for key, (_, manifest, path) in uses.items():
        if key not in seen:
            raise InvalidInput(
                "the claim has the device {device} of pool {pool}, which no ResourceSlice has",
                fix="give all of them: kubectl get resourceslices,resourceclaims -A -o yaml",
                **manifest.at(path),
                device=shown(key[1]),
                pool=shown(key[0]),
            )
    return [(_gpu(each), each.manifest, each.path) for _, each in sorted(found.items())]


def _newest(manifests: Sequence[Manifest]) -> Iterator[tuple[Manifest, ResourceSlice]]:
    """The driver's slices of each pool's newest generation; the pool must be complete."""
    pools: dict[str, list[tuple[Manifest, ResourceSlice]]] = {}
    for manifest in manifests:
        if isinstance(manifest.object, ResourceSlice) and manifest.object.spec.driver == DRIVER:
            pools.setdefault(manifest.object.spec.pool.name, []).append((manifest, manifest.object))
    for name, slices in pools.items():
        newest = max(each.spec.pool.generation for _, each in slices)
        kept = [(manifest, each) for manifest, each in slices if each.spec.pool.generation == newest]
        wanted = kept[0][1].spec.pool.resource_slice_count
        if len(kept) != wanted:
            raise InvalidInput(
                "the pool {pool} has {wanted} ResourceSlices, and {count} are here",
                fix="give all of them: kubectl get resourceslices,resourceclaims -A -o yaml",
                **kept[0][0].at("spec.pool.resourceSliceCount"),
                pool=shown(name),
                wanted=wanted,
                count=len(kept),
            )
        yield from kept


def _uses(manifests: Sequence[Manifest]) -> dict[Key, tuple[_Use, Manifest, str]]:
    """Who has which device; a claim that is allocated and reserved by nobody counts by its own name."""
    uses: dict[Key, tuple[_Use, Manifest, str]] = {}
    for manifest in manifests:
        claim = manifest.object
        if not isinstance(claim, ResourceClaim) or isinstance(claim.status, UnsetType):
            continue
        for i, result in enumerate(_results(claim)):
            if result.driver != DRIVER or given(result.admin_access, False):
                continue
            path = f"status.allocation.devices.results[{i}]"
            use, _, _ = uses.setdefault((result.pool, result.device), (_Use(), manifest, path))
            use.pods += [name for name in _users(claim) if name not in use.pods]
            use.sharing = use.sharing or _sharing(claim, result.request)
    return uses


def _results(claim: ResourceClaim) -> tuple[DeviceRequestAllocationResult, ...]:
    if isinstance(claim.status, UnsetType) or isinstance(claim.status.allocation, UnsetType):
        return ()
    devices = claim.status.allocation.devices
    return () if isinstance(devices, UnsetType) else given(devices.results, ())


def _users(claim: ResourceClaim) -> list[str]:
    namespace = given(claim.metadata.namespace, "default")
    assert not isinstance(claim.status, UnsetType), "only claims with a status are asked"
    users = sorted(each.name for each in given(claim.status.reserved_for, ()))
    return [f"{namespace}/{name}" for name in users or [given(claim.metadata.name, "")]]


def _sharing(claim: ResourceClaim, request: str) -> dict[str, Any]:
    """The driver's sharing block for a request, the last one that fits (the claim's own comes last)."""
    found: dict[str, Any] = {}
    allocation = claim.status.allocation if not isinstance(claim.status, UnsetType) else claim.status
    devices = allocation.devices if not isinstance(allocation, UnsetType) else allocation
    configs = given(devices.config, ()) if not isinstance(devices, UnsetType) else ()
    for config in configs:
        names = given(config.requests, ())
        if isinstance(config.opaque, UnsetType) or config.opaque.driver != DRIVER:
            continue
        if names and request not in names and request.partition("/")[0] not in names:
            continue
        parameters = config.opaque.parameters
        sharing = parameters.get("sharing") if isinstance(parameters, dict) else None
        found = sharing if isinstance(sharing, dict) else found
    return found


def _take(
    found: dict[tuple[str, int], _Found],
    at: tuple[Manifest, str],
    named: tuple[ResourceSlice, Device],
    use: _Use | None,
) -> None:
    """Add a device to its GPU; other kinds of device (VFIO) are passed over."""
    slice_, device = named
    kind = _attribute(device, "type")
    match = {"gpu": _GPU, "mig": _MIG}[kind].fullmatch(device.name) if kind in ("gpu", "mig") else None
    if kind not in ("gpu", "mig"):
        return
    manifest, path = at
    if match is None:
        raise InvalidInput(
            "{name} is not a device name of NVIDIA's DRA driver",
            fix="give the ResourceSlices as the driver wrote them",
            **manifest.at(f"{path}.name"),
            name=shown(device.name) or '""',
        )
    node = given(slice_.spec.node_name, "") or given(device.node_name, "") or slice_.spec.pool.name
    key = node, int(match[1])
    if key not in found:
        found[key] = _Found(manifest, path, *key, _model(manifest, path, device))
    if kind == "gpu":
        found[key].whole = use
    elif use or _attribute(device, "uuid"):
        tenant = ", ".join(use.pods) if use else ""
        found[key].instances.append(
            GpuInstance(profile=_attribute(device, "profile"), start=int(match[3]), tenant=tenant)
        )


def _attribute(device: Device, name: str) -> str:
    """A text attribute; without a domain it is the driver's own."""
    attributes = given(device.attributes, {})
    value = attributes.get(name) or attributes.get(f"{DRIVER}/{name}")
    return "" if value is None else given(value.string, "")


def _model(manifest: Manifest, path: str, device: Device) -> str:
    """GPU feature discovery's label is the product's name with "-" for spaces: the catalog knows labels."""
    try:
        return gpu_model(_attribute(device, "productName").replace(" ", "-")).id
    except InvalidInput as error:
        place = manifest.at(f"{path}.attributes.productName")
        error.source, error.document, error.path = place["source"], place["document"], place["path"]
        raise


def _gpu(found: _Found) -> Gpu:
    gpu = Gpu(node=found.node, index=found.index, model=found.model)
    if found.whole is not None:
        method, tenants = _tenants(found.whole)
        return Gpu(node=gpu.node, index=gpu.index, model=gpu.model, method=method, tenants=tenants)
    if not found.instances:
        return gpu
    instances = tuple(sorted(found.instances, key=lambda each: (each.start, each.profile)))
    return Gpu(node=gpu.node, index=gpu.index, model=gpu.model, method=MIG, instances=instances)


def _tenants(use: _Use) -> tuple[str, tuple[Tenant, ...]]:
    """Pods that share a claim without a word on how take turns: that is time-slicing."""
    default = WHOLE if len(use.pods) == 1 else TIME_SLICING
    method = STRATEGIES.get(str(use.sharing.get("strategy")), default)
    if method == TIME_SLICING and len(use.pods) == 1:
        method = WHOLE  # The driver's default for a GPU that one pod has alone.
    memory, compute = _limits(use.sharing) if method == MPS else (0, 0)
    tenants = (Tenant(name=pod, memory_bytes=memory, compute_milli=compute) for pod in sorted(use.pods))
    return method, tuple(tenants)


def _limits(sharing: dict[str, Any]) -> tuple[int, int]:
    """Memory in bytes and compute in milli-GPU that MPS gives each client; 0: no limit."""
    config = sharing.get("mpsConfig")
    config = config if isinstance(config, dict) else {}
    percent, memory = (
        config.get("defaultActiveThreadPercentage"),
        config.get("defaultPinnedDeviceMemoryLimit"),
    )
    try:
        limit = parse_quantity(str(memory)).value() if memory is not None else 0
    except ValueError:
        limit = 0
    return max(0, limit), percent * 10 if isinstance(percent, int) and 0 <= percent <= 100 else 0
