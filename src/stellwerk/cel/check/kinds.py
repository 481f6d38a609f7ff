"""Types of the language, and their two spellings."""

import re

from msgspec import Struct

_FORMATTED = {
    "google.protobuf.Any": "any",
    "google.protobuf.Duration": "duration",
    "google.protobuf.Timestamp": "timestamp",
    "null_type": "null",
    "error": "!error!",
}


class Type(Struct, frozen=True):
    """`kind` is the name of a built-in type, or struct, opaque or param for the one that `name` names."""

    kind: str
    name: str
    params: tuple["Type", ...] = ()

    def __str__(self) -> str:
        """As messages about the result of an expression show it."""
        if self.kind == "param":
            return f"<{self.name}>"
        return f"{self.name}({', '.join(map(str, self.params))})" if self.params else self.name


def formatted(kind: Type) -> str:
    """As errors of the checker show it."""
    if kind.kind == "param":
        return kind.name
    name = _FORMATTED.get(kind.name, kind.name)
    return f"{name}({', '.join(map(formatted, kind.params))})" if kind.params else name


BOOL, INT, UINT, DOUBLE, STRING, BYTES, DYN = (
    Type(name, name) for name in ("bool", "int", "uint", "double", "string", "bytes", "dyn")
)
NULL = Type("null", "null_type")
ANY = Type("any", "google.protobuf.Any")
ERROR = Type("error", "error")
DURATION = Type("duration", "google.protobuf.Duration")
TIMESTAMP = Type("timestamp", "google.protobuf.Timestamp")
DEVICE = Type("struct", "kubernetes.DRADevice")
_NAMED = {
    each.name: each for each in (BOOL, INT, UINT, DOUBLE, STRING, BYTES, DYN, NULL, ANY, DURATION, TIMESTAMP)
}
_OPAQUE = ("optional_type", "net.IP", "net.CIDR")
_TOKEN = re.compile(r"<(\w+)>|([\w.]+)|([(),])|\s+")


def list_of(element: Type) -> Type:
    """list(element)"""
    return Type("list", "list", (element,))


def map_of(key: Type, value: Type) -> Type:
    """map(key, value)"""
    return Type("map", "map", (key, value))


def optional_of(value: Type) -> Type:
    """optional_type(value)"""
    return Type("opaque", "optional_type", (value,))


def type_of(value: Type) -> Type:
    """The type of the type `value`."""
    return Type("type", "type", (value,))


def param(name: str) -> Type:
    """A type that is not known yet."""
    return Type("param", name)


def is_dyn(kind: Type) -> bool:
    """Whether anything fits."""
    return kind.kind in ("dyn", "any")


def is_optional(kind: Type) -> bool:
    """Whether it is optional_type(...)."""
    return kind.kind == "opaque" and kind.name == "optional_type"


def parse_type(text: str) -> Type:
    """The type that functions.json writes as `text`, e.g. "map(<K>, list(string))"."""
    tokens = [match.groups() for match in _TOKEN.finditer(text) if any(match.groups())]
    found, rest = _parse(tokens)
    assert not rest, text
    return found


_Tokens = list[tuple[str | None, ...]]


def _parse(tokens: _Tokens) -> tuple[Type, _Tokens]:
    (variable, name, _), rest = tokens[0], tokens[1:]
    if variable:
        return param(variable), rest
    assert name is not None
    params = []
    if rest and rest[0][2] == "(":
        while rest and rest[0][2] != ")":
            each, rest = _parse(rest[1:])
            params.append(each)
        rest = rest[1:]
    if name in _NAMED:
        return _NAMED[name], rest
    kind = name if name in ("list", "map", "type") else "opaque" if name in _OPAQUE else "struct"
    return Type(kind, name, tuple(params)), rest
