"""A plan for NVIDIA's DRA driver: device classes, claims with GpuConfig, and the feature gates for them.

A pod that has a GPU or a GPU instance to itself gets its own claim (ResourceClaimTemplate); pods that share a
GPU refer to one ResourceClaim. Which gates exclude one another: dra.json of the catalog.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.gpus import gpu_model
from stellwerk.engine.partition.inventory import DRA, Gpu, PartitionPlan, Tenant, namespace_of, request_name
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING, WHOLE
from stellwerk.report.partition.claims import (
    DRIVER,
    GPU_CLASS,
    MIG_CLASS,
    RESOURCE_API,
    TIME_SLICING_SHARING,
    commented,
    gpu_devices,
    joined,
    mebibytes,
    mig_devices,
    mps_sharing,
    object_name,
    resource_claim,
)
from stellwerk.report.partition.nodes import CLUSTER_ONLY, by_node
from stellwerk.report.partition.yaml_text import yaml_text

CLASSES, CLAIMS = "dra-device-classes.yaml", "dra-claims.yaml"
CLUSTER, VALUES = "dra-gpu-cluster.yaml", "dra-helm-values.yaml"
SHOWN = 8


class _Wanted(Struct, frozen=True, order=True):
    """What equal pods of a request ask for: an instance (`profile`), or `count` whole GPUs of `model`."""

    request: str
    profile: str
    count: int
    model: str


def dra_files(plan: PartitionPlan) -> list[tuple[str, str]]:
    """(file name, YAML): device classes, claims, the GPUCluster's feature gates, and the same as Helm values.

    Raises InvalidInput for a plan that was made for the device plugin.
    """
    if plan.executor != DRA:
        raise InvalidInput(
            "the plan is for {executor}, whose pods ask for extended resources and not for claims",
            fix="plan for it: stellwerk partition --executor dra",
            path="spec.executor",
            executor=plan.executor,
        )
    gates = _gates(plan)
    driver = {"draDriver": {"featureGates": gates}}
    cluster = {
        "apiVersion": "nvidia.com/v1alpha1",
        "kind": "GPUCluster",
        "metadata": {"name": "gpu-cluster"},
        "spec": driver,
    }
    return [
        (CLASSES, joined(_class_head(), [yaml_text(each) for each in _classes(plan)])),
        (CLAIMS, joined(_claim_head(plan), [*_templates(plan), *_shared(plan)])),
        (CLUSTER, commented([*_cluster_head(), *_static(plan)], cluster)),
        (VALUES, commented([*_values_head(), *_static(plan)], {"featureGates": gates})),
    ]


def _gates(plan: PartitionPlan) -> dict[str, bool]:
    """The driver's alpha gates that the plan needs; MPS and dynamic MIG exclude one another."""
    methods = {gpu.method for gpu in plan.gpus}
    return {
        "DynamicMIG": MIG in methods and MPS not in methods,
        "MPSSupport": MPS in methods,
        "TimeSlicingSettings": TIME_SLICING in methods,
    }


def _static(plan: PartitionPlan) -> list[str]:
    """Where MIG must be static, since the gate of MPS excludes dynamic MIG in the whole driver."""
    methods = {node: {gpu.method for gpu in gpus} for node, gpus in by_node(plan).items()}
    if not {MIG, MPS} <= {method for found in methods.values() for method in found}:
        return []
    both = [node for node, found in methods.items() if {MIG, MPS} <= found]
    lines = [
        "",
        "The plan has MIG and MPS. DynamicMIG excludes MPSSupport in one driver, so MIG is static here:",
        "cut the GPUs before, with: stellwerk export mig-parted",
    ]
    return [*lines, *([f"Both on one node: {_some(both)}."] if both else [])]


def _classes(plan: PartitionPlan) -> list[dict[str, Any]]:
    """As NVIDIA's chart installs them, those that the claims name."""
    methods = {gpu.method for gpu in plan.gpus if gpu.busy}
    wanted = [(GPU_CLASS, "gpu", bool(methods - {MIG})), (MIG_CLASS, "mig", MIG in methods)]
    return [
        {
            "apiVersion": RESOURCE_API,
            "kind": "DeviceClass",
            "metadata": {"name": name},
            "spec": {
                "selectors": [
                    {
                        "cel": {
                            "expression": f"device.driver == '{DRIVER}' && "
                            f"device.attributes['{DRIVER}'].type == '{kind}'"
                        }
                    }
                ]
            },
        }
        for name, kind, used in wanted
        if used
    ]


def _templates(plan: PartitionPlan) -> list[str]:
    """A template for each request and each thing that its pods get, by name."""
    mixed = len({gpu.model for gpu in plan.gpus}) > 1
    places: dict[_Wanted, list[str]] = {}
    for pod, profile, gpus in _alone(plan):
        model = gpus[0].model if mixed else ""
        where = f"{pod} on {gpus[0].node} GPU {', '.join(str(gpu.index) for gpu in gpus)}"
        places.setdefault(_Wanted(request_name(pod), profile, len(gpus), model), []).append(where)
    return [_template(wanted, found) for wanted, found in sorted(places.items())]


def _alone(plan: PartitionPlan) -> Iterator[tuple[str, str, list[Gpu]]]:
    """(pod, profile, its GPUs) of each pod that has an instance, or whole GPUs of a node, to itself."""
    for gpus in by_node(plan).values():
        yield from (
            (each.tenant, each.profile, [gpu]) for gpu in gpus for each in gpu.instances if each.tenant
        )
        whole: dict[str, list[Gpu]] = {}
        for pod, gpu in ((each.name, on) for on in gpus if on.method == WHOLE for each in on.tenants):
            whole.setdefault(pod, []).append(gpu)
        yield from ((pod, "", found) for pod, found in whole.items())


def _metadata(request: str, *suffixes: str) -> dict[str, str]:
    """`lab/chat` is in the namespace lab, as all of Stellwerk names workloads; `chat` says no namespace."""
    namespace = namespace_of(request)
    own = request.partition("/")[2] if namespace else request
    metadata = {"name": "-".join(filter(None, (object_name(own), *suffixes)))}
    return metadata | ({"namespace": namespace} if namespace else {})


def template_metadata(request: str, profile: str, count: int = 1, model: str = "") -> dict[str, str]:
    """Name and namespace of the template of a request's claims; `model`: one of several in the plan."""
    cut = profile.replace("-", "-no-").replace("+", "-").replace(".", "-")  # `-me`: without media.
    suffix = cut or ("gpu" if count == 1 else f"{count}-gpus")
    return _metadata(request, suffix, model.lower())


def _template(wanted: _Wanted, places: Sequence[str]) -> str:
    metadata = template_metadata(wanted.request, wanted.profile, wanted.count, wanted.model)
    selectors = _selectors(wanted.model)
    if wanted.profile:
        devices = mig_devices(wanted.profile, selectors)
    else:
        devices = gpu_devices(None, selectors, wanted.count)
    comments = [
        f"{wanted.request}: {_some(places)}.",
        f"Pod: spec.resourceClaims: [{{name: gpu, resourceClaimTemplateName: {metadata['name']}}}].",
    ]
    return commented(comments, resource_claim(metadata, devices, template=True))


def _selectors(model: str) -> tuple[str, ...]:
    """Only devices of this catalog model, by product name; "": any, since the plan has one model only."""
    if not model:
        return ()
    labels = ", ".join(f"'{label}'" for label in gpu_model(model).gfd_product_labels)
    return (f"device.attributes['{DRIVER}'].productName.replace(' ', '-') in [{labels}]",)


def _shared(plan: PartitionPlan) -> list[str]:
    """A claim for each GPU that several pods share."""
    mixed = len({gpu.model for gpu in plan.gpus}) > 1
    found: list[str] = []
    for gpus in by_node(plan).values():
        for gpu in gpus:
            if gpu.method not in (MPS, TIME_SLICING) or not gpu.tenants:
                continue
            name = f"{object_name(gpu.node)}-gpu-{gpu.index}"
            namespaces = sorted({namespace_of(tenant.name) for tenant in gpu.tenants})
            metadata = {"name": name}
            if len(namespaces) == 1 and namespaces[0]:
                metadata["namespace"] = namespaces[0]
            devices = gpu_devices(_sharing(gpu), _selectors(gpu.model if mixed else ""))
            pods = _some([tenant.name for tenant in gpu.tenants])
            comments = [
                f"{gpu.node} GPU {gpu.index}, {gpu.method}: {pods}.",
                f"Pods: spec.nodeSelector: {{kubernetes.io/hostname: {gpu.node}}},",
                f"spec.resourceClaims: [{{name: gpu, resourceClaimName: {name}}}].",
                *_own_limits(gpu),
                *_apart(namespaces),
            ]
            found.append(commented(comments, resource_claim(metadata, devices, template=False)))
    return found


def _apart(namespaces: Sequence[str]) -> list[str]:
    """Pods refer to claims of their own namespace only (Kubernetes, PodResourceClaim)."""
    names = _some([each or "unknown" for each in namespaces])
    if len(namespaces) < 2:
        return []
    return [
        f"NOT POSSIBLE AS IT IS: its pods are of several namespaces ({names}),",
        "and a pod can use claims of its own namespace only. Put them into one, or use the device plugin.",
    ]


def _sharing(gpu: Gpu) -> dict[str, Any]:
    return TIME_SLICING_SHARING if gpu.method == TIME_SLICING else mps_sharing(*_defaults(gpu))


def _defaults(gpu: Gpu) -> tuple[int, int]:
    """The claim's limits hold for each client: those of the largest; 0, no limit, where a tenant has none."""
    memory = [tenant.memory_bytes for tenant in gpu.tenants]
    compute = [tenant.compute_milli for tenant in gpu.tenants]
    return max(memory) if all(memory) else 0, max(compute) if all(compute) else 0


def _own_limits(gpu: Gpu) -> list[str]:
    """Tenants below the claim's limits lower their own by CUDA's environment variables."""
    if gpu.method != MPS:
        return []
    return [
        f"{tenant.name}: env {env}" for tenant in gpu.tenants if (env := _environment(tenant, _defaults(gpu)))
    ]


def _environment(tenant: Tenant, defaults: tuple[int, int]) -> str:
    memory, compute = defaults
    found: list[str] = []
    if tenant.compute_milli and tenant.compute_milli != compute:
        found.append(f'CUDA_MPS_ACTIVE_THREAD_PERCENTAGE: "{-(-tenant.compute_milli // 10)}"')
    if tenant.memory_bytes and tenant.memory_bytes != memory:
        limit = mebibytes(tenant.memory_bytes).removesuffix("i")
        found.append(f'CUDA_MPS_PINNED_DEVICE_MEM_LIMIT: "0={limit}"')
    return ", ".join(found)


def _some(names: Sequence[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _class_head() -> list[str]:
    return [
        CLUSTER_ONLY,
        "DeviceClasses that the claims name.",
        "The driver's chart and GPUCluster install them: apply this only where they are missing.",
        f"Apply: kubectl apply -f {CLASSES}",
        f"Undo: kubectl delete -f {CLASSES}",
    ]


def _claim_head(plan: PartitionPlan) -> list[str]:
    return [
        CLUSTER_ONLY,
        "Claims of the plan's pods: what each gets; which device it is, the scheduler chooses.",
        f"Apply: kubectl apply -f {CLAIMS} (with -n NAMESPACE where a claim says no namespace)",
        f"Undo: kubectl delete -f {CLAIMS}; pods that use a claim keep it until they end.",
        "In the container: resources.claims: [{name: gpu}].",
        *([] if any(gpu.busy for gpu in plan.gpus) else ["Nobody is on a GPU: there is nothing to apply."]),
    ]


def _cluster_head() -> list[str]:
    return [
        CLUSTER_ONLY,
        "Feature gates (alpha) of NVIDIA's DRA driver that the plan needs.",
        f"Apply: kubectl patch gpucluster gpu-cluster --type merge --patch-file {CLUSTER}",
        "Undo: the same with false for each gate.",
    ]


def _values_head() -> list[str]:
    return [
        CLUSTER_ONLY,
        "The same gates where the driver is installed by its own Helm chart, and no GPUCluster is there.",
        f"Apply: helm upgrade RELEASE CHART --reuse-values -f {VALUES}",
        "Undo: helm rollback RELEASE",
    ]
