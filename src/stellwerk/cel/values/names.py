"""The name of the type of a value, as errors and `type(x)` show it."""

from collections.abc import ItemsView, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from stellwerk.cel.values.amounts import Amount
from stellwerk.cel.values.networks import Prefix
from stellwerk.cel.values.scalars import Duration, Optional, Timestamp, TypeValue, Uint
from stellwerk.cel.values.urls import Url
from stellwerk.cel.values.versions import Version


class DomainMap:
    """Attributes or capacities by domain: a domain that is not there has none, and is no error."""

    __slots__ = ("domains",)

    def __init__(self, domains: dict[str, dict[str, Any]]) -> None:
        self.domains = domains

    def __getitem__(self, domain: Any) -> dict[str, Any]:
        return self.domains.get(domain, _NO_NAMES)

    def __contains__(self, domain: object) -> bool:
        return domain in self.domains

    def __iter__(self) -> Iterator[str]:
        return iter(self.domains)

    def __len__(self) -> int:
        return len(self.domains)

    def items(self) -> ItemsView[str, dict[str, Any]]:
        """The domains that are there, with their names."""
        return self.domains.items()


_NO_NAMES: dict[str, Any] = {}


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
LISTS: frozenset[Any] = frozenset({list})
MAPS: frozenset[Any] = frozenset({dict, DomainMap})


def type_name(value: Any) -> str:
    """The name of the type of `value`."""
    return TYPE_NAMES[value.__class__]
