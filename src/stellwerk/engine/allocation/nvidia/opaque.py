"""Would NVIDIA's driver take this opaque configuration: decoded, defaulted and validated as it does.

Source: kubernetes-sigs/dra-driver-nvidia-gpu at 95932046: api/nvidia.com/resource/v1beta1 (Normalize and
Validate), cmd/webhook/main.go, cmd/gpu-kubelet-plugin/device_state.go and sharing.go,
cmd/compute-domain-kubelet-plugin/device_state.go. Two things are checked at preparation only, not by the
webhook: that a strategy has no block of the other one, and the limits of pinned memory.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from stellwerk.api.groups.resource import OpaqueDeviceConfiguration
from stellwerk.api.mismatch import shown
from stellwerk.api.quantity import NANO
from stellwerk.api.yaml_events import key_path
from stellwerk.catalog.dra import dra_facts
from stellwerk.engine.allocation.nvidia.schema import (
    CHANNEL,
    DAEMON,
    GPU,
    KUBELET,
    MIG,
    VFIO,
    WEBHOOK,
    Finding,
    decode_strictly,
    integer,
    quantity_nanos,
)
from stellwerk.engine.decision import Reason

GPU_DRIVER, DOMAIN_DRIVER = "gpu.nvidia.com", "compute-domain.nvidia.com"
TIME_SLICING, MPS = "TimeSlicing", "MPS"
GATES = {TIME_SLICING: "TimeSlicingSettings", MPS: "MPSSupport"}
INTERVALS = ("Default", "Short", "Medium", "Long")
POLICIES = ("LegacyOnly", "PreferIommuFD")
DEVICES = {GPU: "gpu", MIG: "mig", VFIO: "vfio", CHANNEL: "channel", DAEMON: "daemon"}
DRIVERS = {kind: GPU_DRIVER if kind in (GPU, MIG, VFIO) else DOMAIN_DRIVER for kind in DEVICES}
_MEBIBYTE = 2**20
_INDEX = re.compile(r"[+-]?[0-9]{1,18}")
_ONLY_KUBELET, _ONLY_WEBHOOK = (KUBELET,), (WEBHOOK,)


class Target(Struct, frozen=True, kw_only=True):
    """What a configuration is for, as far as it is known before allocation.

    `device`: gpu, mig, vfio, channel, daemon, or None; `named`: its requests are named, so that a device of
    another type is an error and not passed over; `devices`: how many it covers, None if that is open;
    `uuids`: theirs. `version` is the driver's major.minor, `gates` its feature gates that are on.
    """

    device: str | None = None
    named: bool = False
    devices: int | None = None
    uuids: tuple[str, ...] = ()
    version: str = "0.5"
    gates: frozenset[str] = frozenset()


def check_opaque(config: OpaqueDeviceConfiguration, target: Target) -> tuple[Finding, ...]:
    """What NVIDIA's driver refuses in a configuration; () if nothing, or if it is for another driver."""
    if config.driver not in (GPU_DRIVER, DOMAIN_DRIVER):
        return ()
    wrong = tuple(decode_strictly(config.parameters, target.version))
    if config.driver == DOMAIN_DRIVER:  # The webhook looks at gpu.nvidia.com only.
        return tuple(
            Finding(path=each.path, reason=each.reason, where=_ONLY_KUBELET)
            for each in wrong or _validate(config.driver, config.parameters, target)
        )
    return wrong or tuple(_validate(config.driver, config.parameters, target))


def _validate(driver: str, parameters: Mapping[str, Any], target: Target) -> Iterator[Finding]:
    kind = parameters["kind"]
    yield from _other_device(driver, kind, target)
    if kind in (GPU, MIG) and parameters.get("sharing") is not None:
        yield from _sharing(kind, parameters["sharing"], target)
    elif kind == VFIO:
        reason = Reason("not-in-webhook", "the webhook knows no VfioDeviceConfig: it refuses every one")
        yield Finding(path="kind", reason=reason, where=_ONLY_WEBHOOK)
        yield from _iommu(parameters.get("iommu") or {})
    elif kind in (CHANNEL, DAEMON) and not parameters.get("domainID"):
        yield Finding(path="domainID", reason=Reason("no-domain", "domainID is missing or empty"))


def _other_device(driver: str, kind: str, target: Target) -> Iterator[Finding]:
    if DRIVERS[kind] != driver:
        # A configuration without requests is passed over by the GPU plugin, but not by the other one.
        if target.named or driver == DOMAIN_DRIVER:
            values = {"kind": kind, "driver": DRIVERS[kind], "found": driver}
            yield Finding(
                path="kind",
                reason=Reason(
                    "other-driver", "{kind} is a configuration of {driver}, not of {found}", values
                ),
                where=_ONLY_KUBELET,
            )
    elif target.named and target.device not in (None, DEVICES[kind]):
        values = {"kind": kind, "device": target.device or "", "wanted": DEVICES[kind]}
        yield Finding(
            path="kind",
            reason=Reason(
                "other-device",
                "{kind} is for devices of type {wanted}; its request gets devices of type {device}",
                values,
            ),
            where=_ONLY_KUBELET,
        )


def _sharing(kind: str, sharing: Mapping[str, Any], target: Target) -> Iterator[Finding]:
    strategy = sharing.get("strategy")
    if strategy not in GATES:
        values = {"strategy": shown(strategy if strategy is not None else "")}
        reason = Reason("unknown-strategy", "the strategy {strategy} is not TimeSlicing or MPS", values)
        yield Finding(path="sharing.strategy", reason=reason)
        return
    gate = GATES[strategy]
    if gate not in target.gates:
        reason = Reason(
            "gate-off", "strategy {strategy} needs the driver's feature gate {gate}",
            {"strategy": strategy, "gate": gate},
        )  # fmt: skip
        yield Finding(path="sharing.strategy", reason=reason)
        return
    if strategy == TIME_SLICING:
        yield from _time_slicing(kind, sharing)
    else:
        yield from _mps(sharing, target)


def _time_slicing(kind: str, sharing: Mapping[str, Any]) -> Iterator[Finding]:
    """Of a MIG device neither block is looked at: its time slice cannot be set."""
    if kind == MIG:
        return
    block = sharing.get("timeSlicingConfig")
    interval = block.get("interval") if block is not None else "Default"
    if interval is None:
        yield Finding(
            path="sharing.timeSlicingConfig.interval",
            reason=Reason(
                "no-interval",
                "timeSlicingConfig is there without interval: the driver takes no default here and fails",
            ),
        )
    elif interval not in INTERVALS:
        values = {"interval": shown(interval), "known": ", ".join(INTERVALS)}
        reason = Reason("unknown-interval", "the interval {interval} is not one of {known}", values)
        yield Finding(path="sharing.timeSlicingConfig.interval", reason=reason)
    if sharing.get("mpsConfig") is not None:
        yield _other_block("mpsConfig", TIME_SLICING)


def _mps(sharing: Mapping[str, Any], target: Target) -> Iterator[Finding]:
    for gate in ("ConsumableShares", "DynamicMIG"):
        if gate in target.gates:
            reason = Reason(
                "gate-conflict",
                "MPS does not go together with the driver's feature gate {gate}",
                {"gate": gate},
            )
            yield Finding(path="sharing.strategy", reason=reason, where=_ONLY_KUBELET)
    if sharing.get("timeSlicingConfig") is not None:
        yield _other_block("timeSlicingConfig", MPS)
    block = sharing.get("mpsConfig") or {}
    percentage = block.get("defaultActiveThreadPercentage")
    if percentage is not None and not 0 <= (integer(percentage) or 0) <= 100:
        reason = Reason(
            "percentage",
            "defaultActiveThreadPercentage {value} is not from 0 to 100",
            {"value": str(percentage)},
        )
        yield Finding(path="sharing.mpsConfig.defaultActiveThreadPercentage", reason=reason)
    yield from _limits(block, target)


def _other_block(block: str, strategy: str) -> Finding:
    values = {"block": block, "strategy": strategy}
    reason = Reason("other-block", "{block} does not go with the strategy {strategy}", values)
    return Finding(path=f"sharing.{block}", reason=reason, where=_ONLY_KUBELET)


def _limits(block: Mapping[str, Any], target: Target) -> Iterator[Finding]:
    """Pinned memory in whole MiB, at least one; keys are the devices' uuids or their index in the claim."""
    path = "sharing.mpsConfig.defaultPinnedDeviceMemoryLimit"
    yield from _limit(path, block.get("defaultPinnedDeviceMemoryLimit"))
    each = "sharing.mpsConfig.defaultPerDevicePinnedMemoryLimit"
    for key, value in (block.get("defaultPerDevicePinnedMemoryLimit") or {}).items():
        at = key_path(each, str(key))
        yield from _limit(at, value if value is not None else 0)
        reason = _wrong_key(str(key), target)
        if reason is not None:
            yield Finding(path=at, reason=reason, where=_ONLY_KUBELET)


def _limit(path: str, value: Any) -> Iterator[Finding]:
    if value is None:
        return
    units = -(-(quantity_nanos(value) or 0) // NANO)
    if units < _MEBIBYTE:
        reason = Reason("limit-too-low", "the limit {value} is below 1Mi", {"value": shown(value)})
        yield Finding(path=path, reason=reason, where=_ONLY_KUBELET)


def _wrong_key(key: str, target: Target) -> Reason | None:
    count = len(target.uuids) or target.devices
    if key in target.uuids:
        return None
    if not _INDEX.fullmatch(key):
        if not target.uuids and key.startswith(("GPU-", "MIG-")):
            return None  # Whether it is one of the claim's devices is known after allocation.
        return Reason(
            "no-device",
            "{key} is neither the uuid of a device of the claim nor an index",
            {"key": shown(key)},
        )
    if int(key) < 0 or (count is not None and int(key) >= count):
        return Reason("no-index", "the claim has no device with the index {key}", {"key": key})
    return None


def _iommu(iommu: Mapping[str, Any]) -> Iterator[Finding]:
    policy = iommu.get("backendPolicy") or "LegacyOnly"
    if policy not in POLICIES:
        values = {"policy": shown(policy), "known": ", ".join(POLICIES)}
        reason = Reason("unknown-policy", "the backendPolicy {policy} is not one of {known}", values)
        yield Finding(path="iommu.backendPolicy", reason=reason, where=_ONLY_KUBELET)


def check_driver_gates(gates: frozenset[str]) -> tuple[Reason, ...]:
    """Why the driver does not start with these feature gates; the pairs are the catalog's (dra.json).

    Source: pkg/featuregates/featuregates.go, ValidateFeatureGates.
    """
    found: list[Reason] = []
    for line in dra_facts().feature_gate_conflicts:
        one, _, other = line.partition(" x ")
        needs, _, needed = line.partition(" requires ")
        if one in gates and other in gates:
            found.append(
                Reason(
                    "gates-exclude",
                    "the driver's feature gates {one} and {other} exclude each other",
                    {"one": one, "other": other},
                )
            )
        elif needed and needs in gates and needed not in gates:
            found.append(
                Reason(
                    "gate-needs",
                    "the driver's feature gate {one} needs {other}",
                    {"one": needs, "other": needed},
                )
            )
    return tuple(found)
