"""NVIDIA's side of a claim: does the operator publish devices, would the driver take the configuration.

Source: NVIDIA/gpu-operator deployments/gpu-operator/values.yaml and controllers/; kubernetes-sigs/
dra-driver-nvidia-gpu; the versions are those of the catalog.
"""

from collections.abc import Iterator, Mapping

from msgspec import UnsetType

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import DeviceClaim, DeviceRequest, OpaqueDeviceConfiguration
from stellwerk.catalog.versions import DRIVER, OPERATOR, facts
from stellwerk.engine.allocation.nvidia.opaque import (
    DOMAIN_DRIVER,
    GPU_DRIVER,
    Target,
    check_driver_gates,
    check_opaque,
)
from stellwerk.engine.allocation.nvidia.schema import KUBELET
from stellwerk.engine.allocation.support.row import (
    ACCEPTS,
    DOMAINS,
    GPUS,
    IGNORES,
    PENDS,
    PLUGIN,
    REFUSES,
    Cluster,
    Row,
    Seen,
    Wrong,
    row,
)
from stellwerk.engine.allocation.support.scheduler import count_of
from stellwerk.engine.allocation.support.subject import Asked, AskedClaim, AskedClass
from stellwerk.engine.decision import Reason

# What publishes devices of a kind, beside full GPUs and static MIG: a gate of the driver.
DEVICE_GATES = {"vfio": "PassthroughSupport"}
DEVICE_STATE = "cmd/gpu-kubelet-plugin/device_state.go"
Kinds = Mapping[str, str]


def operator_rows(claim: AskedClaim, devices: DeviceClaim, asked: Asked, cluster: Cluster) -> Iterator[Row]:
    """Whether the operator's mode publishes the devices of the claim; nothing if they are not NVIDIA's."""
    kinds = set(kinds_of(devices, asked).values()) - {""}
    if not kinds:
        return
    known = facts(cluster.operator)
    if kinds & _OF_DOMAINS and not cluster.serves(DOMAINS) and cluster.serves(GPUS):
        yield row(OPERATOR, PENDS, claim.object, _NO_DOMAINS, _operator(cluster, known["device-plugin"].file))
        return
    if kinds - _OF_DOMAINS and not cluster.serves(GPUS) and not cluster.serves(PLUGIN):
        yield row(OPERATOR, PENDS, claim.object, _NO_GPUS, _operator(cluster, known["device-plugin"].file))
        return
    if not all(cluster.serves(DOMAINS if kind in _OF_DOMAINS else GPUS) for kind in kinds):
        wrong = Wrong(
            path="",
            reason=Reason(
                "device-plugin",
                "the operator runs the device plugin: no ResourceSlice has NVIDIA's devices, the claim waits",
            ),
            fix=Reason(
                "gpu-cluster",
                "install it with gpuCluster.deployCR=true and clusterPolicy.deployCR=false, or ask for "
                "nvidia.com/gpu instead; then check: --operator-mode dra",
            ),
        )
        yield row(OPERATOR, PENDS, claim.object, wrong, _operator(cluster, known["device-plugin"].file))
        return
    reason = Reason("publishes", "the DRA driver publishes the devices in ResourceSlices (assumed: mode dra)")
    wrong = Wrong(path="", reason=reason, fix=Reason("see-slices", "see: kubectl get resourceslices"))
    yield row(
        OPERATOR,
        ACCEPTS,
        claim.object,
        wrong,
        _operator(cluster, known.get("dra", known["device-plugin"]).file),
    )


_OF_DOMAINS = frozenset({"channel", "daemon"})
_NO_DOMAINS = Wrong(
    path="",
    reason=Reason(
        "no-domains",
        "the DRA driver runs without its container compute-domains: no ResourceSlice has channels, the claim "
        "waits",
    ),
    fix=Reason(
        "enable-domains",
        "turn on computeDomains of the driver (chart: resources.computeDomains.enabled, GPUCluster: "
        "draDriver.computeDomains.enabled); see: kubectl get daemonsets -A",
    ),
)
_NO_GPUS = Wrong(
    path="",
    reason=Reason(
        "no-gpus",
        "the DRA driver runs without its container gpus: no ResourceSlice has GPUs, the claim waits",
    ),
    fix=Reason(
        "enable-gpus",
        "turn on gpus of the driver (chart: resources.gpus.enabled=true); see: kubectl get daemonsets -A",
    ),
)


def driver_rows(claim: AskedClaim, devices: DeviceClaim, asked: Asked, cluster: Cluster) -> Iterator[Row]:
    """What NVIDIA's driver makes of a claim: gates, and each opaque configuration."""
    kinds = kinds_of(devices, asked)
    own = any(
        not isinstance(each.opaque, UnsetType) and each.opaque.driver in (GPU_DRIVER, DOMAIN_DRIVER)
        for each in given(devices.config, ())
    )
    if not (cluster.serves(GPUS) or cluster.serves(DOMAINS)) or not (own or any(kinds.values())):
        return
    found = [*_gates(claim, cluster), *_unpublished(claim, devices, asked, cluster)]
    for i, config in enumerate(given(devices.config, ())):
        if isinstance(config.opaque, UnsetType):
            continue
        target = _target(given(config.requests, ()), devices, kinds, cluster)
        path = f"{claim.path}.config[{i}].opaque.parameters"
        found += _config(claim.object, config.opaque, target, path, cluster)
    yield from found
    if not any(each.verdict in (REFUSES, PENDS) for each in found):
        reason = Reason("driver-takes", "the driver prepares the devices with this configuration")
        yield row(
            DRIVER, ACCEPTS, claim.object, Wrong(path="", reason=reason), _driver(cluster, DEVICE_STATE)
        )


def class_rows(asked: AskedClass, cluster: Cluster) -> Iterator[Row]:
    """What the driver refuses in the configurations of a DeviceClass."""
    for i, config in enumerate(given(asked.spec.config, ())):
        if isinstance(config.opaque, UnsetType):
            continue
        target = Target(version=cluster.driver.version, gates=cluster.driver_gates())
        path = f"spec.config[{i}].opaque.parameters"
        yield from _config(asked.object, config.opaque, target, path, cluster)


def kinds_of(devices: DeviceClaim, asked: Asked) -> Kinds:
    """The kind of NVIDIA's device by request, and by request/alternative; "" for another driver's."""
    kinds: dict[str, str] = {}
    for request in given(devices.requests, ()):
        if not isinstance(request.exactly, UnsetType):
            kinds[request.name] = asked.kind_of(request.exactly.device_class_name)
        for each in given(request.first_available, ()):
            kinds[f"{request.name}/{each.name}"] = asked.kind_of(each.device_class_name)
    return kinds


def _target(names: tuple[str, ...], devices: DeviceClaim, kinds: Kinds, cluster: Cluster) -> Target:
    """The devices of a configuration: those of its requests, or all of the claim."""
    of = [name for name in kinds if not names or name in names or name.partition("/")[0] in names]
    found = {kinds[name] for name in of}
    return Target(
        device=found.pop() or None if len(found) == 1 else None,
        named=bool(names),
        devices=_count([each for each in given(devices.requests, ()) if _covers(names, each)]),
        version=cluster.driver.version,
        gates=cluster.driver_gates(),
    )


def _covers(names: tuple[str, ...], request: DeviceRequest) -> bool:
    return not names or any(name.partition("/")[0] == request.name for name in names)


def _count(requests: list[DeviceRequest]) -> int | None:
    """The devices of exact requests; None where it is open."""
    total = 0
    for request in requests:
        count = None if isinstance(request.exactly, UnsetType) else count_of(request.exactly)
        if count is None:
            return None
        total += count
    return total


def _config(
    name: str, config: OpaqueDeviceConfiguration, target: Target, path: str, cluster: Cluster
) -> Iterator[Row]:
    for finding in check_opaque(config, target):
        at = f"{path}.{finding.path}" if finding.path else path
        gate = str(finding.reason.values.get("gate", ""))
        fix = _AT_KUBELET if KUBELET in finding.where else _WEBHOOK_ONLY
        if finding.reason.code == "gate-off":
            fix = _driver_gate(gate)
        verdict = REFUSES if KUBELET in finding.where else IGNORES
        wrong = Wrong(path=at, reason=finding.reason, fix=fix)
        yield row(DRIVER, verdict, name, wrong, _driver(cluster, "api/nvidia.com/resource/v1beta1"))


def _driver_gate(gate: str) -> Reason:
    return Reason(
        "driver-gate",
        "set featureGates.{gate}=true of the driver, then check: --gate {gate}=true",
        {"gate": gate},
    )


_AT_KUBELET = Reason(
    "at-preparation",
    "correct it: without the webhook (off by default) the pod hangs in ContainerCreating",
)
_WEBHOOK_ONLY = Reason("webhook-only", "leave the driver's webhook off (its default), or this field out")


def _gates(claim: AskedClaim, cluster: Cluster) -> Iterator[Row]:
    """Gates with which the driver does not start, or that Kubernetes does not go along with."""
    on = cluster.driver_gates()
    for reason in check_driver_gates(on):
        yield row(
            DRIVER,
            REFUSES,
            claim.object,
            Wrong(path="", reason=reason),
            _driver(cluster, cluster.driver.file),
        )
    for gate, needed in (
        ("DynamicMIG", "DRAPartitionableDevices"),
        ("ConsumableShares", "DRAConsumableCapacity"),
    ):
        if gate in on and not cluster.on(needed):
            reason = Reason(
                "driver-needs-kubernetes",
                "the driver's gate {gate} needs the feature gate {needed} of Kubernetes, which is off",
                {"gate": gate, "needed": needed},
            )
            wrong = Wrong(path="", reason=reason, fix=cluster.gate_fix(needed))
            yield row(DRIVER, REFUSES, claim.object, wrong, _driver(cluster, cluster.driver.file))


def _unpublished(claim: AskedClaim, devices: DeviceClaim, asked: Asked, cluster: Cluster) -> Iterator[Row]:
    for name, kind in kinds_of(devices, asked).items():
        gate = DEVICE_GATES.get(kind)
        if gate is None or cluster.component_on(cluster.driver, gate):
            continue
        values = {"request": name, "kind": kind, "gate": gate}
        reason = Reason(
            "not-published",
            "request {request} waits: devices of type {kind} need the driver's gate {gate}",
            values,
        )
        fix = _driver_gate(gate)
        wrong = Wrong(path=f"{claim.path}.requests", reason=reason, fix=fix)
        yield row(DRIVER, PENDS, claim.object, wrong, _driver(cluster, cluster.driver.file))


def _operator(cluster: Cluster, file: str) -> Seen:
    return Seen(
        f"GPU operator {cluster.operator.version} ({cluster.operator.ref})", cluster.operator.source(file)
    )


def _driver(cluster: Cluster, file: str) -> Seen:
    return Seen(
        f"NVIDIA DRA driver {cluster.driver.version} ({cluster.driver.ref})", cluster.driver.source(file)
    )
