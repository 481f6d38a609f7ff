"""From the GPUs of a node to its ResourceSlices and Node, as NVIDIA's DRA driver and device plugin have them.

Static MIG: one device for each instance that exists; a GPU in MIG mode is no device itself, any other GPU is
one of type gpu (kubernetes-sigs/dra-driver-nvidia-gpu@22407113, GetDevice). Attributes that the catalog does
not know (productName, brand, driver versions, PCI addresses) are left out.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from stellwerk.api.quantity import NANO, Quantity
from stellwerk.catalog.gpus import MIB, GpuModel, gpu_model
from stellwerk.catalog.mig import MigProfile, mig_model
from stellwerk.engine.partition.geometry import Instance
from stellwerk.engine.partition.policy import MPS, TIME_SLICING
from stellwerk.engine.placement.cuts import Layout
from stellwerk.engine.snapshot import NodeNetwork
from stellwerk.engine.topology.link import pcie_root
from stellwerk.sim.published.fabric import CLIQUE, root_attribute

Object = dict[str, Any]
DRIVER = "gpu.nvidia.com"
MOST_DEVICES = 128  # Of one ResourceSlice: k8s.io/api resource/v1.


class PublishedGpu(Struct, frozen=True):
    """A GPU by its index on the node: model, layout, and how its tenants share it ("": nobody is on it)."""

    index: int
    model: str
    layout: Layout
    method: str = ""
    tenants: int = 0
    replicas: int = 1


class PublishedNode(Struct, frozen=True):
    """A node that is there, with its GPUs in order, and its network where the fleet describes it."""

    name: str
    gpus: tuple[PublishedGpu, ...]
    network: NodeNetwork | UnsetType = UNSET

    @property
    def placed(self) -> list[tuple[PublishedGpu, Object]]:
        """Each GPU with the attributes of its place: the PCIe root that it hangs on."""
        if isinstance(self.network, UnsetType):
            return [(gpu, {}) for gpu in self.gpus]
        roots, gpus = self.network.pcie_roots, len(self.gpus)
        return [(gpu, root_attribute(pcie_root(gpus, roots, gpu.index))) for gpu in self.gpus]


def resource_slices(node: PublishedNode, generation: int) -> list[Object]:
    """The node's pool in one or more ResourceSlices; one without devices where nothing can be had."""
    devices = [device for gpu, place in node.placed for device in _devices(node.name, gpu, place)]
    parts = [devices[at : at + MOST_DEVICES] for at in range(0, len(devices), MOST_DEVICES)] or [[]]
    pool = {"name": node.name, "generation": generation, "resourceSliceCount": len(parts)}
    return [
        {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceSlice",
            "metadata": {"name": f"{node.name}-{DRIVER}-{number}"},
            "spec": {"driver": DRIVER, "pool": dict(pool), "nodeName": node.name, "devices": part},
        }
        for number, part in enumerate(parts)
    ]


def node_object(node: PublishedNode) -> Object:
    """The Node with its extended resources: what the device plugin counts GPU by GPU."""
    counts = {name: str(count) for name, count in sorted(extended_resources(node).items())}
    labels = {"nvidia.com/gpu.count": str(len(node.gpus))}
    if node.gpus:
        model = gpu_model(node.gpus[0].model)
        labels["nvidia.com/gpu.product"] = (*model.gfd_product_labels, model.id)[0]
    if not isinstance(node.network, UnsetType) and node.network.clique:
        labels[CLIQUE] = node.network.clique
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": labels},
        "status": {"capacity": counts, "allocatable": dict(counts)},
    }


def extended_resources(node: PublishedNode) -> Counter[str]:
    """`nvidia.com/gpu` (also 0), `nvidia.com/gpu.shared`, `nvidia.com/mig-<profile>` -> how many.

    As with migStrategy mixed and renameByDefault. A time-sliced GPU counts its replicas. Shares of MPS are of
    unequal size here, which the device plugin has no replicas for: the tenants are counted.
    """
    found = Counter({"nvidia.com/gpu": 0})
    for gpu in node.gpus:
        if gpu.layout.mig:
            found.update(f"nvidia.com/mig-{_dotted(one.profile.name)}" for one in gpu.layout.instances)
        elif gpu.method == TIME_SLICING:
            found["nvidia.com/gpu.shared"] += gpu.replicas
        elif gpu.method == MPS:
            found["nvidia.com/gpu.shared"] += gpu.tenants
        else:
            found["nvidia.com/gpu"] += 1
    return found


def device_name(index: int, instance: Instance | None, profile_id: int | None = None) -> str:
    """The DRA driver's name of a GPU, or of an instance on it: gpu-0, gpu-0-mig-1g10gb-19-6."""
    if instance is None:
        return f"gpu-{index}"
    profile = instance.profile.name.replace(".", "").replace("+", "-").replace(",", "-")
    return f"gpu-{index}-mig-{profile}-{'x' if profile_id is None else profile_id}-{instance.start}"


def _devices(node: str, gpu: PublishedGpu, place: Object) -> Iterator[Object]:
    model = gpu_model(gpu.model)
    if not gpu.layout.mig:
        yield {
            "name": device_name(gpu.index, None),
            "attributes": {
                **_attributes(model),
                **place,
                "type": {"string": "gpu"},
                "uuid": {"string": _uuid("GPU", node, gpu.index)},
            },
            "capacity": {"memory": _amount(model.memory_bytes)},
        }
        return
    for instance in gpu.layout.instances:
        profile = _profile(gpu.model, instance)
        yield {
            "name": device_name(gpu.index, instance, profile.gi_profile_id),
            "attributes": {
                **_attributes(model),
                **place,
                "parentUUID": {"string": _uuid("GPU", node, gpu.index)},
                "profile": {"string": instance.profile.name},
                "type": {"string": "mig"},
                "uuid": {"string": _uuid("MIG", node, gpu.index, instance.profile.name, instance.start)},
            },
            "capacity": _capacity(profile, instance),
        }


def _attributes(model: GpuModel) -> Object:
    return {
        "architecture": {"string": model.architecture},
        "cudaComputeCapability": {"version": f"{model.compute_capability}.0"},
    }


def _capacity(profile: MigProfile, instance: Instance) -> Object:
    known = {
        "copyEngines": profile.copy_engines,
        "decoders": profile.nvdec,
        "encoders": profile.nvenc,
        "jpegEngines": profile.jpeg,
        "multiprocessors": profile.sm_count,
        "ofaEngines": profile.ofa,
    }
    found = {name: {"value": str(count)} for name, count in known.items() if count is not None}
    if profile.memory_mib is not None:
        found["memory"] = _amount(profile.memory_mib * MIB)
    slices = range(instance.start, instance.start + instance.profile.size)
    found |= {f"memorySlice{number}": {"value": "1"} for number in slices}
    return dict(sorted(found.items()))


def _profile(model: str, instance: Instance) -> MigProfile:
    group = mig_model(model)
    assert group is not None, f"{model} has an instance, so it has MIG"
    return next(profile for profile in group.profiles if profile.name == instance.profile.name)


def _amount(number: int) -> Object:
    return {"value": str(Quantity(number * NANO, "binary"))}


def _dotted(profile: str) -> str:
    return profile.replace("+", ".")


def _uuid(prefix: str, *identity: str | int) -> str:
    """A simulated device's own id: the same in every run, and no other device's."""
    digits = hashlib.sha256("/".join(map(str, identity)).encode()).hexdigest()
    return f"{prefix}-{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"
