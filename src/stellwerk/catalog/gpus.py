"""GPU models: what a datasheet and NVML say about each; ids as the catalog spells them (`H100-PCIE-80GB`)."""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache

import msgspec
from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.data import read
from stellwerk.catalog.nearest import nearest

MIB = 1024 * 1024


class GpuModel(Struct, frozen=True, kw_only=True):
    """One model. TFLOPS are dense with FP32 accumulate; NVLink is GB/s in both directions; None: not found.

    `datasheet` is the source, `confidence` how far it was checked, `date` when the facts were collected.
    """

    id: str
    gfd_product_labels: tuple[str, ...]
    architecture: str
    compute_capability: str
    form_factor: str
    memory_gb: int
    memory_mib_nvml: int | None = None
    memory_type: str
    memory_bandwidth_gb_s: int | None = None
    sm_count: int
    fp16_tensor_dense_tflops: Decimal | None = None
    bf16_tensor_dense_tflops: Decimal | None = None
    fp8_tensor_dense_tflops: Decimal | None = None
    fp32_tflops: Decimal | None = None
    tdp_w: int | None = None
    nvlink_gb_s_total: Decimal
    nvlink_kind: str
    mig_supported: bool
    mig_max_instances: int
    mps_max_clients: Mapping[str, int]
    time_slicing: bool
    vgpu_supported: bool
    vgpu_licence_needed_for_vgpu: bool
    vgpu_licence_product: str | None = None
    bare_metal_sharing_licence_needed: bool
    pci_device_ids: tuple[str, ...]
    datasheet: str
    confidence: str
    notes: str = ""
    date: str = ""

    @property
    def memory_bytes(self) -> int:
        """What NVML reports where known (an H100 80GB: 81559 MiB, below 80 GiB), else decimal gigabytes."""
        return self.memory_gb * 10**9 if self.memory_mib_nvml is None else self.memory_mib_nvml * MIB

    @property
    def mps_max_replicas(self) -> int:
        """NVIDIA's device plugin caps MPS replicas at 48, and at 16 below compute capability 7.5.

        Source: NVIDIA/k8s-device-plugin@1b826acc, cmd/mps-control-daemon/mps/device.go. The MPS server itself
        allows more (`mps_max_clients`).
        """
        major, minor = self.compute_capability.split(".")
        return 16 if (int(major), int(minor)) < (7, 5) else 48


class _File(Struct, frozen=True):
    generated: str
    gpus: tuple[GpuModel, ...]


@cache
def gpu_models() -> tuple[GpuModel, ...]:
    """All models, in the catalog's order."""
    file = msgspec.json.decode(read("gpus.json"), type=_File)
    return tuple(msgspec.structs.replace(gpu, date=file.generated) for gpu in file.gpus)


@cache
def _by_name() -> Mapping[str, GpuModel]:
    labels = {label: gpu for gpu in gpu_models() for label in gpu.gfd_product_labels}
    return labels | {gpu.id: gpu for gpu in gpu_models()}


def gpu_model(name: str) -> GpuModel:
    """The model of a catalog id, or of GPU feature discovery's label `nvidia.com/gpu.product`.

    The label's endings `-SHARED` (time-slicing, MPS) and `-MIG-<profile>` (strategy single) are ignored.
    Raises InvalidInput with the nearest ids.
    """
    found = _by_name().get(name) or _by_name().get(name.removesuffix("-SHARED").partition("-MIG-")[0])
    if found is None:
        raise InvalidInput(
            "GPU model {name} is not in the catalog",
            fix="use one of: {near}; all: stellwerk catalog gpus",
            name=name,
            near=nearest(name, (gpu.id for gpu in gpu_models())),
        )
    return found


def gpu_memory_bytes(name: str) -> int:
    """`memory_bytes` of the model of that name: NVML's MiB if known, else the product's decimal gigabytes."""
    return gpu_model(name).memory_bytes
