"""Operators that do not need all of their arguments: an error does not matter where another one decides."""

from collections.abc import Callable
from typing import Any

from stellwerk.cel.errors import EvaluationError
from stellwerk.cel.values.scalars import Optional

Frame = list[Any]
Evaluate = Callable[[Frame], Any]


def _deciding(decisive: bool) -> Callable[[list[Evaluate]], Evaluate]:
    """&& with False, || with True."""
    other = not decisive

    def make(terms: list[Evaluate]) -> Evaluate:
        def evaluate(frame: Frame) -> bool:
            failed: EvaluationError | None = None
            for term in terms:
                try:
                    value = term(frame)
                except EvaluationError as error:
                    failed = failed or error
                    continue
                if value is decisive:
                    return bool(value)
                if value is not other:
                    failed = failed or EvaluationError("no such overload")
            if failed is not None:
                raise failed
            return other

        return evaluate

    return make


def _not_strictly_false(args: list[Evaluate]) -> Evaluate:
    (argument,) = args

    def evaluate(frame: Frame) -> bool:
        try:
            return argument(frame) is not False
        except EvaluationError:
            return True

    return evaluate


def conditional(args: list[Evaluate]) -> Evaluate:
    """condition ? chosen : other"""
    condition, chosen, other = args

    def evaluate(frame: Frame) -> Any:
        value = condition(frame)
        if value is True:
            return chosen(frame)
        if value is False:
            return other(frame)
        raise EvaluationError("no such overload")

    return evaluate


def or_value(optional: Evaluate, other: Evaluate, keep: bool) -> Evaluate:
    """optional.orValue(other), or optional.or(other) when `keep`: `other` only where there is no value."""

    def evaluate(frame: Frame) -> Any:
        value = optional(frame)
        if value.__class__ is not Optional:
            raise EvaluationError("no such overload")
        if not value.present:
            return other(frame)
        return value if keep else value.value

    return evaluate


LOGIC: dict[str, Callable[[list[Evaluate]], Evaluate]] = {
    "_&&_": _deciding(False),
    "_||_": _deciding(True),
    "@not_strictly_false": _not_strictly_false,
}
