"""Loops: what all, exists, map and the other macros become."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple

from stellwerk.cel.errors import EvaluationError
from stellwerk.cel.values.equality import from_key
from stellwerk.cel.values.names import LISTS, MAPS, type_name

Frame = list[Any]
Evaluate = Callable[[Frame], Any]
_GO_NAMES = {
    "bool": "types.Bool",
    "int": "types.Int",
    "uint": "types.Uint",
    "double": "types.Double",
    "string": "types.String",
    "bytes": "types.Bytes",
    "null_type": "types.Null",
    "google.protobuf.Timestamp": "types.Timestamp",
    "google.protobuf.Duration": "types.Duration",
    "optional_type": "*types.Optional",
    "type": "*types.Type",
    "net.IP": "cel.IP",
    "net.CIDR": "cel.CIDR",
    "kubernetes.NamedFormat": "cel.Format",
}


class Fold(Struct, frozen=True):
    """The parts of a loop; accumulator and variables are places in the frame.

    The loop ends when the accumulator is `stops_at`: all or exists is decided.
    """

    over: Evaluate
    initial: Evaluate
    accumulator: int
    variables: tuple[int, ...]
    stops_at: bool | None
    step: Evaluate
    result: Evaluate


def fold(parts: Fold) -> Evaluate:
    """Evaluates the loop. An error is kept as the accumulator's value: a later element may make up for it."""
    over, initial, accumulator, variables, stops_at, step, result = astuple(parts)
    first, second = variables[0], variables[-1]

    def evaluate(frame: Frame) -> Any:
        values = over(frame)
        frame[accumulator] = _attempt(initial, frame)
        for key, value in _pairs(values, len(variables) == 2):
            if stops_at is not None and frame[accumulator] is stops_at:
                break
            frame[first], frame[second] = key, value
            try:
                frame[accumulator] = step(frame)
            except EvaluationError as error:
                frame[accumulator] = error
        return result(frame)

    return evaluate


def _attempt(evaluate: Evaluate, frame: Frame) -> Any:
    try:
        return evaluate(frame)
    except EvaluationError as error:
        return error


def _pairs(values: Any, two: bool) -> Any:
    """What the two variables take; one variable takes the second of each pair."""
    if values.__class__ in LISTS:
        return enumerate(values)
    if values.__class__ in MAPS:
        if two:
            return [(from_key(key), value) for key, value in values.items()]
        return [(None, from_key(key)) for key in values]
    name = type_name(values)
    shown = _GO_NAMES.get(name, name.replace("kubernetes.", "cel."))
    raise EvaluationError(f"got '{shown}', expected iterable type")
