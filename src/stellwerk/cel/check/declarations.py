"""What is declared: functions, names of types, and the fields of `device`."""

from functools import cache
from importlib import resources

import msgspec
from msgspec import Struct

from stellwerk.cel.check.kinds import (
    ANY,
    BOOL,
    BYTES,
    DEVICE,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Type,
    list_of,
    map_of,
    optional_of,
    parse_type,
    type_of,
)
from stellwerk.cel.environment import Environment


class Overload(Struct, frozen=True):
    """One signature of a function; the receiver of a member is its first argument."""

    id: str
    member: bool
    args: tuple[Type, ...]
    result: Type
    params: frozenset[str]


class _File(Struct, frozen=True):
    source: str
    date: str
    functions: dict[str, list[tuple[str, bool, list[str], str]]]


QUANTITY = Type("struct", "kubernetes.Quantity")
TYPES: dict[str, Type] = {
    each.name: each
    for each in (
        BOOL,
        INT,
        UINT,
        DOUBLE,
        STRING,
        BYTES,
        NULL,
        DURATION,
        TIMESTAMP,
        list_of(DYN),
        map_of(DYN, DYN),
    )
} | {
    "type": type_of(DYN),
    "optional_type": optional_of(DYN),
    "net.IP": Type("opaque", "net.IP"),
    "net.CIDR": Type("opaque", "net.CIDR"),
}


@cache
def functions() -> dict[str, tuple[Overload, ...]]:
    """The signatures of all functions that are declared for stored expressions, in order of declaration."""
    data = resources.files(__package__).joinpath("functions.json").read_bytes()
    return {
        name: tuple(_overload(*each) for each in overloads)
        for name, overloads in msgspec.json.decode(data, type=_File).functions.items()
    }


def overloads_of(name: str, environment: Environment) -> tuple[Overload, ...] | None:
    """The signatures of a function, or None where it is not declared."""
    if name == "includes" and not environment.has_lists():
        return None
    return functions().get(name)


def attribute_type(environment: Environment) -> Type:
    """What an attribute is before it is known: an Any, or, since it may be a list, dynamic."""
    return DYN if environment.has_lists() else ANY


def device_field(name: str, environment: Environment) -> Type | None:
    """The type of device.NAME, or None where there is no such field."""
    if name == "driver":
        return STRING
    if name == "attributes":
        return map_of(STRING, map_of(STRING, attribute_type(environment)))
    if name == "capacity":
        return map_of(STRING, map_of(STRING, QUANTITY))
    return BOOL if name == "allowMultipleAllocations" and environment.has_multiple_allocations() else None


def variable(name: str) -> Type | None:
    """The type of a declared name: `device`, or a type."""
    if name == "device":
        return DEVICE
    return type_of(TYPES[name]) if name in TYPES else None


def _overload(identity: str, member: bool, args: list[str], result: str) -> Overload:
    kinds, returned = tuple(map(parse_type, args)), parse_type(result)
    names = {name for each in (*kinds, returned) for name in _params(each)}
    return Overload(identity, member, kinds, returned, frozenset(names))


def _params(kind: Type) -> list[str]:
    return [kind.name] if kind.kind == "param" else [name for each in kind.params for name in _params(each)]
