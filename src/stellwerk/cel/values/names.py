"""The name of the type of a value, as errors and `type(x)` show it."""

from ipaddress import IPv4Address, IPv6Address
from typing import Any

from stellwerk.cel.values.amounts import Amount
from stellwerk.cel.values.networks import Prefix
from stellwerk.cel.values.scalars import Duration, Optional, Timestamp, TypeValue, Uint
from stellwerk.cel.values.urls import Url
from stellwerk.cel.values.versions import Version


class DomainMap(dict[str, dict[str, Any]]):
    """Attributes or capacities by domain: a domain that is not there has none, and is no error."""

    __slots__ = ()

    def __missing__(self, key: str) -> dict[str, Any]:
        return {}


class NamedFormat:
    """One of `format.NAME()`: what it is called in expressions and how long its pattern counts as."""

    __slots__ = ("name", "pattern_size")

    def __init__(self, name: str, pattern_size: int) -> None:
        self.name, self.pattern_size = name, pattern_size


TYPE_NAMES: dict[type, str] = {
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    type(None): "null_type",
    list: "list",
    dict: "map",
    DomainMap: "map",
    Timestamp: "google.protobuf.Timestamp",
    Duration: "google.protobuf.Duration",
    TypeValue: "type",
    Optional: "optional_type",
    Amount: "kubernetes.Quantity",
    Version: "kubernetes.Semver",
    Url: "kubernetes.URL",
    NamedFormat: "kubernetes.NamedFormat",
    IPv4Address: "net.IP",
    IPv6Address: "net.IP",
    Prefix: "net.CIDR",
}
NUMBERS = frozenset({int, Uint, float})
LISTS, MAPS = frozenset({list}), frozenset({dict, DomainMap})


def type_name(value: Any) -> str:
    """The name of the type of `value`."""
    return TYPE_NAMES[value.__class__]
