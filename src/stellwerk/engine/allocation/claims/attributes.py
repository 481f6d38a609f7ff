"""A device's attributes as constraints compare them.

Source: lookupAttribute and attributeAsSet in structured/internal/experimental (Kubernetes 1.37).
"""

from collections.abc import Callable
from typing import Any

from msgspec import UNSET, Struct

from stellwerk.api.groups.resource import DeviceAttribute
from stellwerk.cel.errors import CelError, CompileError
from stellwerk.engine.allocation.pools.offered import Column, Offered, OfferedDevice

MISSING = "missing"  # The device does not have the attribute.
UNKNOWN = "unknown"  # It has it, without a value of a known type.
Value = tuple[str, Any]  # The type's name, and a scalar or, with list-type attributes, a frozenset.
_LISTS = (("int", "ints"), ("bool", "bools"), ("string", "strings"), ("version", "versions"))
_SCALARS = (("string", "string"), ("int", "int_"), ("bool", "bool_"), ("version", "version"))


class Failed(Struct, frozen=True):
    """A derived attribute that could not be worked out: what CEL says, and whether it could be compiled."""

    text: str
    compiled: bool


def attribute_column(offered: Offered, name: str, lists: bool) -> Column:
    """Each device's value of the attribute: Value, MISSING or UNKNOWN."""
    convert = as_set if lists else as_scalar

    def fill(device: OfferedDevice) -> Value | str:
        attribute = _static(device, name)
        return MISSING if attribute is None else convert(attribute)

    return offered.column(("attribute", name, lists), fill)


def derived_column(
    offered: Offered, expression: str, lists: bool, evaluate: Callable[[OfferedDevice], DeviceAttribute]
) -> Column:
    """Each device's value of a derived attribute, or Failed."""
    convert = as_set if lists else as_scalar

    def fill(device: OfferedDevice) -> Value | str | Failed:
        try:
            return convert(evaluate(device))
        except CelError as error:
            return Failed(error.text, not isinstance(error, CompileError))

    return offered.column(("derived", expression, lists), fill)


def _static(device: OfferedDevice, name: str) -> DeviceAttribute | None:
    """By its full name, or without the domain if that is the driver's."""
    attributes = device.device.attributes
    if attributes is UNSET:
        return None
    domain, slash, rest = name.partition("/")
    if name in attributes or not slash:
        return attributes.get(name)
    return attributes.get(rest) if domain == device.id.driver else None


def as_scalar(attribute: DeviceAttribute) -> Value | str:
    """The scalar; UNKNOWN for a list, which only counts with DRAListTypeAttributes."""
    for kind, field in _SCALARS:
        value = getattr(attribute, field)
        if value is not UNSET:
            return kind, value
    return UNKNOWN


def as_set(attribute: DeviceAttribute) -> Value | str:
    """The values as a set, a scalar as a set of one; UNKNOWN without any value."""
    for kind, field in _LISTS:
        values = getattr(attribute, field)
        if values is not UNSET and values:
            return kind, frozenset(values)
    scalar = as_scalar(attribute)
    return scalar if isinstance(scalar, str) else (scalar[0], frozenset((scalar[1],)))
