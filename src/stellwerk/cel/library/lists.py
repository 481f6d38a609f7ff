"""Functions of lists, sets, optionals and sizes."""

import functools
from collections.abc import Callable
from typing import Any

from stellwerk.cel.errors import CostExceeded, EvaluationError
from stellwerk.cel.library.operators import MAX_LIST, add
from stellwerk.cel.values.equality import as_key, compared, contains, equal
from stellwerk.cel.values.names import LISTS, MAPS, type_name
from stellwerk.cel.values.scalars import NONE, Duration, Optional, Uint

MAX_INCLUDES = 48  # ResourceSliceMaxAttributeValuesPerDevice.
_KINDS = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
_ZEROS: dict[str, Any] = {"int": 0, "uint": Uint(0), "double": 0.0, "duration": Duration(0)}


def size(value: Any) -> int:
    """size(value)"""
    if value.__class__ in (str, bytes, list) or value.__class__ in MAPS:
        return len(value)
    raise EvaluationError("no such overload: size")


def includes(target: Any, value: Any) -> bool:
    """target.includes(value): one of a list, or the value itself.

    The limit is that of an attribute's list. Release v0.37.2 dropped it; the recorded cases, of a commit two months
    older, have it, and no valid attribute exceeds it.
    """
    if target.__class__ in LISTS and len(target) > MAX_INCLUDES:
        raise EvaluationError(
            f"'includes' function cannot be applied to lists longer than {MAX_INCLUDES} values"
        )
    return contains(target if target.__class__ in LISTS else [target], value)


def _is_sorted(values: list[Any]) -> bool:
    return all(compared(one, other, "isSorted") <= 0 for one, other in zip(values, values[1:], strict=False))


def _extreme(name: str, sign: int) -> Callable[[list[Any]], Any]:
    def find(values: list[Any]) -> Any:
        if not values:
            raise EvaluationError(f"{name} called on empty list")
        best = values[0]
        for each in values[1:]:
            if compared(best, each, name) == -sign:
                best = each
        return best

    return find


def _sum(kind: str) -> Callable[[list[Any]], Any]:
    return lambda values: functools.reduce(add, values, _ZEROS[kind])


def _index_of(values: list[Any], wanted: Any) -> int:
    return next((at for at, each in enumerate(values) if _same(each, wanted)), -1)


def _last_index_of(values: list[Any], wanted: Any) -> int:
    return next((at for at in range(len(values) - 1, -1, -1) if _same(values[at], wanted)), -1)


def _same(one: Any, other: Any) -> bool:
    try:
        return equal(one, other)
    except EvaluationError:
        return False


def _slice(values: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise EvaluationError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        message = "start index must be less than or equal to end index"
        raise EvaluationError(f"cannot slice({start}, {end}), {message}")
    if len(values) < end:
        raise EvaluationError(f"cannot slice({start}, {end}), list is length {len(values)}")
    return values[start:end]


def _flatten(values: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise EvaluationError("level must be non-negative")
    flat: list[Any] = []
    for each in values:
        if each.__class__ in LISTS and depth > 0:
            flat.extend(_flatten(each, depth - 1))
        else:
            flat.append(each)
        if len(flat) > MAX_LIST:
            raise CostExceeded
    return flat


def _sorted_by(values: list[Any], keys: list[Any]) -> list[Any]:
    if len(values) != len(keys):
        message = "expected a list of the same size as the associated keys list, but got"
        raise EvaluationError(
            f"@sortByAssociatedKeys() {message} {len(values)} and {len(keys)} elements respectively"
        )
    for each in keys:
        if type_name(each) != type_name(keys[0]):
            raise EvaluationError("list elements must have the same type")
    if keys and keys[0].__class__ in (list, dict, Optional):
        raise EvaluationError("list elements must be comparable")
    order = sorted(
        range(len(keys)), key=functools.cmp_to_key(lambda a, b: compared(keys[a], keys[b], "sort"))
    )
    return [values[at] for at in order]


def _range(count: int) -> list[int]:
    if count < 0:
        raise EvaluationError(f"lists.range: size must be non-negative, got {count}")
    if count > MAX_LIST:
        raise EvaluationError(f"lists.range: size {count} exceeds maximum allowed ({MAX_LIST})")
    return list(range(count))


def _distinct(values: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for each in values:
        if not any(_same(each, other) for other in kept):
            kept.append(each)
    return kept


def _all_within(values: list[Any], wanted: list[Any]) -> bool:
    return all(contains(values, each) for each in wanted)


def _value(optional: Optional) -> Any:
    if not optional.present:
        raise EvaluationError("optional.none() dereference")
    return optional.value


def _non_zero(value: Any) -> Optional:
    empty = value is None or (
        value.__class__ in (bool, int, Uint, float, str, bytes, list, dict) and not value
    )
    return NONE if empty or value == Duration(0) else Optional(value, True)


def _unwrap(optionals: list[Any]) -> list[Any]:
    return [each.value for each in optionals if each.present]


def insert_all(target: dict[Any, Any], entries: dict[Any, Any]) -> dict[Any, Any]:
    """What transformMapEntry adds to a map; a key that is there already is an error."""
    merged = dict(target)
    for key, value in entries.items():
        insert(merged, key, value)
    return merged


def insert(target: dict[Any, Any], key: Any, value: Any) -> None:
    """Add one key, in its form of a dict's key, to a map that is still being made."""
    if key in target:
        raise EvaluationError(f"insert failed: key {getattr(key, 'value', key)} already exists")
    target[key] = value


def _insert(target: dict[Any, Any], key: Any, value: Any) -> dict[Any, Any]:
    return insert_all(target, {as_key(key): value})


LIST_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "list_includes_dyn_dyn": includes,
    **{f"list_{kind}_is_sorted_bool": _is_sorted for kind in _KINDS},
    **{f"list_{kind}_max_{kind}": _extreme("max", 1) for kind in _KINDS},
    **{f"list_{kind}_min_{kind}": _extreme("min", -1) for kind in _KINDS},
    **{f"list_{kind}_sum_{kind}": _sum(kind) for kind in _ZEROS},
    "list_a_index_of_int": _index_of,
    "list_a_last_index_of_int": _last_index_of,
    "list_slice": _slice,
    "list_flatten": _flatten,
    "list_flatten_int": _flatten,
    "lists_range": _range,
    "list_reverse": lambda values: values[::-1],
    "list_distinct": _distinct,
    "list_sets_contains_list": _all_within,
    "list_sets_equivalent_list": lambda one, other: _all_within(one, other) and _all_within(other, one),
    "list_sets_intersects_list": lambda one, other: any(contains(other, each) for each in one),
    "optional_none": lambda: NONE,
    "optional_of": lambda value: Optional(value, True),
    "optional_ofNonZeroValue": _non_zero,
    "optional_value": _value,
    "optional_hasValue": lambda optional: optional.present,
    "optional_unwrap": _unwrap,
    "optional_unwrapOpt": _unwrap,
    "list_first": lambda values: Optional(values[0], True) if values else NONE,
    "list_last": lambda values: Optional(values[-1], True) if values else NONE,
    "@mapInsert_map_key_value": _insert,
    "@mapInsert_map_map": insert_all,
}
for _name in (
    "int",
    "uint",
    "double",
    "bool",
    "google.protobuf.Duration",
    "google.protobuf.Timestamp",
    "string",
    "bytes",
):
    LIST_FUNCTIONS[f"list_{_name}_sort"] = lambda values: _sorted_by(values, values)
    LIST_FUNCTIONS[f"list_{_name}_sortByAssociatedKeys"] = _sorted_by
