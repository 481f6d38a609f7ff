"""Constraints of a claim, as they stand while devices are added and taken back.

Source: constraint.go in structured/internal/experimental (Kubernetes 1.37), KEP-4381, KEP-5491 (list-type
attributes: a match needs one common value, distinct needs none).
"""

from typing import Any, Protocol

from stellwerk.engine.allocation.claims.attributes import UNKNOWN


class Constraint(Protocol):
    """Takes the values of the devices that it concerns (never MISSING), the last one back first."""

    def add(self, value: Any) -> bool:
        """Whether the value is possible beside those added; if so it is added."""
        ...

    def remove(self) -> None:
        """Take back the value that was added last."""
        ...


class Match:
    """All devices have the same value. Any first value will do, even one of an unknown type."""

    def __init__(self) -> None:
        self._values: list[Any] = []

    def add(self, value: Any) -> bool:
        """Whether it is the first or the same one."""
        values = self._values
        if values and (value is UNKNOWN or value != values[0]):
            return False
        values.append(value)
        return True

    def remove(self) -> None:
        """Take back the value that was added last."""
        self._values.pop()


class MatchSets:
    """All devices have a value in common."""

    def __init__(self) -> None:
        self._common: list[Any] = []

    def add(self, value: Any) -> bool:
        """Whether it shares a value with what is common so far."""
        if value is UNKNOWN:
            return False
        common = self._common
        if not common or value == common[-1]:
            common.append(value)
            return True
        kind, known = common[-1]
        left = known & value[1] if kind == value[0] else None
        if not left:
            return False
        common.append((kind, left))
        return True

    def remove(self) -> None:
        """Take back the value that was added last."""
        self._common.pop()


class Distinct:
    """No two devices have the same value; what is of different types differs."""

    def __init__(self) -> None:
        self._values: list[Any] = []

    def add(self, value: Any) -> bool:
        """Whether no device has it yet."""
        if self._values and (value is UNKNOWN or value in self._values):
            return False
        self._values.append(value)
        return True

    def remove(self) -> None:
        """Take back the value that was added last."""
        self._values.pop()


class DistinctSets:
    """No two devices have a value in common."""

    def __init__(self) -> None:
        self._values: list[Any] = []

    def add(self, value: Any) -> bool:
        """Whether it shares no value with any device."""
        if value is UNKNOWN or any(one[0] == value[0] and one[1] & value[1] for one in self._values):
            return False
        self._values.append(value)
        return True

    def remove(self) -> None:
        """Take back the value that was added last."""
        self._values.pop()


def constraint(distinct: bool, lists: bool) -> Constraint:
    """A constraint that no device has been added to."""
    if distinct:
        return DistinctSets() if lists else Distinct()
    return MatchSets() if lists else Match()
