"""A Replay for programs: JSON and YAML, English, camelCase, exact figures as decimal strings."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stellwerk.sim.result import Replay


def to_plain(value: object) -> Any:
    """Structs as mappings with camelCase keys, Decimals as strings, tuples as lists."""
    return _camel(msgspec.to_builtins(value))


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {_camel_key(str(key)): _camel(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_camel(item) for item in value]
    return value


def _camel_key(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(part.capitalize() for part in rest)


def to_json(replay: Replay) -> bytes:
    """Indented JSON with a line end, fields in the order of the types."""
    return msgspec.json.format(msgspec.json.encode(to_plain(replay)), indent=2) + b"\n"


def to_yaml(replay: Replay) -> str:
    """The same as YAML; decimal strings stay quoted, so that no reader turns them into floats."""
    return _dumped([to_plain(replay)])


def objects_yaml(objects: Sequence[Mapping[str, Any]]) -> str:
    """Kubernetes objects as YAML documents, as a file for kubectl holds them."""
    return _dumped(objects)


def objects_json(objects: Sequence[Mapping[str, Any]]) -> str:
    """Kubernetes objects as a List."""
    found = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n"


def _dumped(documents: Sequence[Mapping[str, Any]]) -> str:
    import yaml

    # libyaml's emitter where the wheel brings it: a month of samples would take seconds in pure Python.
    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump_all(documents, Dumper=dumper, sort_keys=False, allow_unicode=True, width=110))
