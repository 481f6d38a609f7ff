"""A device as expressions see it."""

from typing import Any

from msgspec import UNSET

from stellwerk.api.groups.resource import Device, DeviceAttribute
from stellwerk.cel.values.amounts import amount_of
from stellwerk.cel.values.names import DomainMap
from stellwerk.cel.values.versions import parse_version


class CelDevice:
    """The fields of the variable `device`; `error` is why no expression can be evaluated on it, if so."""

    __slots__ = ("error", "fields")

    def __init__(self, fields: dict[str, Any], error: str | None = None) -> None:
        self.fields, self.error = fields, error


def cel_device(driver: str, device: Device) -> CelDevice:
    """What expressions see of `device`, once for all of them.

    Names without a domain get the driver's. A version that is none, or an attribute without a value, is an
    error of every evaluation (DeviceMatches in compile.go of k8s.io/dynamic-resource-allocation).
    """
    attributes: dict[str, dict[str, Any]] = {}
    capacity: dict[str, dict[str, Any]] = {}
    error: str | None = None
    for name, attribute in (device.attributes or {}).items():
        domain, _, identifier = name.partition("/") if "/" in name else (driver, "", name)
        try:
            attributes.setdefault(domain, {})[identifier] = _value(attribute)
        except ValueError as reason:
            error = error or f"attribute {name}: {reason}"
    for name, amount in (device.capacity or {}).items():
        domain, _, identifier = name.partition("/") if "/" in name else (driver, "", name)
        capacity.setdefault(domain, {})[identifier] = amount_of(amount.value)
    fields = {
        "driver": driver,
        "allowMultipleAllocations": device.allow_multiple_allocations is True,
        "attributes": DomainMap(attributes),
        "capacity": DomainMap(capacity),
    }
    return CelDevice(fields, error)


def _value(attribute: DeviceAttribute) -> Any:
    for values in (attribute.ints, attribute.bools, attribute.strings):
        if values is not UNSET:
            return list(values)
    if attribute.versions is not UNSET:
        return [_version(each) for each in attribute.versions]
    for value in (attribute.int_, attribute.bool_, attribute.string):
        if value is not UNSET:
            return value
    if attribute.version is not UNSET:
        return _version(attribute.version)
    raise ValueError("unsupported attribute value")


def _version(text: str) -> Any:
    try:
        return parse_version(text)
    except ValueError as reason:
        raise ValueError(f"parse semantic version: {reason}") from None
