"""The fields of NVIDIA's opaque configuration, and strict decoding by them.

Source: kubernetes-sigs/dra-driver-nvidia-gpu at v0.4.1 and 95932046 (0.5), api/nvidia.com/resource/v1beta1:
api.go, gpuconfig.go, migconfig.go, vfiodeviceconfig.go, computedomainconfig.go, sharing.go, iommu.go.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct

from stellwerk.api.mismatch import shown
from stellwerk.api.quantity import parse_quantity
from stellwerk.api.yaml_events import key_path
from stellwerk.engine.decision import Reason

API_VERSION = "resource.nvidia.com/v1beta1"
GPU, MIG, VFIO = "GpuConfig", "MigDeviceConfig", "VfioDeviceConfig"
CHANNEL, DAEMON = "ComputeDomainChannelConfig", "ComputeDomainDaemonConfig"
TEXT, INTEGER, BOOLEAN, QUANTITY, QUANTITIES = "text", "integer", "boolean", "quantity", "quantities"
WEBHOOK, KUBELET = "webhook", "kubelet"
EVERYWHERE = (WEBHOOK, KUBELET)
# In the driver since this version; the others are older than any version that was read.
SINCE = {"multiUser": "0.5"}
_MPS = {
    "defaultActiveThreadPercentage": INTEGER,
    "defaultPinnedDeviceMemoryLimit": QUANTITY,
    "defaultPerDevicePinnedMemoryLimit": QUANTITIES,
    "multiUser": BOOLEAN,
}
Fields = Mapping[str, Any]
FIELDS: Mapping[str, Fields] = {
    GPU: {"sharing": {"strategy": TEXT, "timeSlicingConfig": {"interval": TEXT}, "mpsConfig": _MPS}},
    MIG: {"sharing": {"strategy": TEXT, "mpsConfig": _MPS}},
    VFIO: {"iommu": {"backendPolicy": TEXT, "enableAPIDevice": BOOLEAN}},
    CHANNEL: {"domainID": TEXT, "allocationMode": TEXT},
    DAEMON: {"domainID": TEXT},
}


class Finding(Struct, frozen=True, kw_only=True):
    """What the driver refuses: the field below `parameters` ("": all of them), why, and who sees it.

    `where`: the webhook (when the object is created, if it is deployed), the kubelet plugin (when the pod's
    devices are prepared: the pod stays in ContainerCreating), or both.
    """

    path: str
    reason: Reason
    where: tuple[str, ...] = EVERYWHERE


def decode_strictly(parameters: Any, version: str) -> Iterator[Finding]:
    """What strict decoding refuses, for a version (major.minor) of the driver; nothing: it is well-formed."""
    if not isinstance(parameters, dict):
        yield Finding(path="", reason=Reason("not-an-object", "the parameters are not an object"))
        return
    kind = parameters.get("kind")
    if parameters.get("apiVersion") != API_VERSION or not isinstance(kind, str) or kind not in FIELDS:
        reason = Reason(
            "unknown-kind",
            "{kind} of {version} is no configuration of the driver; of {wanted} it reads {known}",
            {
                "version": shown(str(parameters.get("apiVersion"))),
                "kind": shown(str(kind)),
                "wanted": API_VERSION,
                "known": ", ".join(FIELDS),
            },
        )
        yield Finding(path="kind", reason=reason)
        return
    rest = {key: value for key, value in parameters.items() if key not in ("apiVersion", "kind")}
    yield from _decode(rest, _fields(FIELDS[kind], version), "")


def _fields(fields: Fields, version: str) -> Fields:
    """The fields that a version has."""
    return {
        name: _fields(kind, version) if isinstance(kind, dict) else kind
        for name, kind in fields.items()
        if _order(SINCE.get(name, "0.0")) <= _order(version)
    }


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _decode(value: Mapping[Any, Any], fields: Fields, path: str) -> Iterator[Finding]:
    for key, child in value.items():
        at = key_path(path, str(key)) if path else str(key)
        kind = fields.get(key)
        if kind is None:
            yield Finding(
                path=at,
                reason=Reason("unknown-field", "the driver knows no field {field}", {"field": shown(at)}),
            )
        elif child is None:
            continue  # Go's null leaves a field as it is.
        elif isinstance(kind, dict):
            yield from _decode(child, kind, at) if isinstance(child, dict) else _wrong(at, "object", child)
        elif kind == QUANTITIES and isinstance(child, dict):
            for name, amount in child.items():
                yield from _scalar(key_path(at, str(name)), QUANTITY, 0 if amount is None else amount)
        else:
            yield from _scalar(at, kind, child)


def _scalar(path: str, kind: str, value: Any) -> Iterator[Finding]:
    if not _is(kind, value):
        yield from _wrong(path, kind, value)


def _is(kind: str, value: Any) -> bool:
    match kind:
        case "text":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return integer(value) is not None
        case "quantity":
            return quantity_nanos(value) is not None
        case _:
            return False


def _wrong(path: str, kind: str, value: Any) -> Iterator[Finding]:
    values = {"field": shown(path), "value": shown(value), "kind": kind}
    yield Finding(path=path, reason=Reason("wrong-type", "{field} is {value}, not of type {kind}", values))


def integer(value: Any) -> int | None:
    """A number of JSON as Go's int, or None: 50.0 is 50 once a client has read it."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not -(2**63) <= value < 2**63:
        return None
    return int(value) if value == int(value) else None


def quantity_nanos(value: Any) -> int | None:
    """Billionths of a quantity that is written as text or number, or None."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        return parse_quantity(str(value).strip()).nanos
    except ValueError:
        return None
