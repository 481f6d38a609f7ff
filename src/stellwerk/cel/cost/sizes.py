"""Ranges of sizes and costs within unsigned 64 bits: what would exceed them stays at the largest number."""

import math

from msgspec import Struct

UNBOUNDED = 2**64 - 1
TEXT_FACTOR = 0.1  # Per character of a text that is looked at once.
REGEX_FACTOR = 0.25  # Per character of a pattern: an expression of one has about four.
LIST_COST, MAP_COST, MESSAGE_COST = 10, 30, 40


class Range(Struct, frozen=True):
    """From the smallest to the largest size or cost."""

    low: int
    high: int

    def plus(self, other: "Range") -> "Range":
        """The sum."""
        return Range(min(self.low + other.low, UNBOUNDED), min(self.high + other.high, UNBOUNDED))

    def times(self, other: "Range") -> "Range":
        """The product."""
        return Range(min(self.low * other.low, UNBOUNDED), min(self.high * other.high, UNBOUNDED))

    def scaled(self, factor: float) -> "Range":
        """The product with a cost per unit, rounded up."""
        return Range(scaled(self.low, factor), scaled(self.high, factor))

    def union(self, other: "Range") -> "Range":
        """The smallest range that holds both."""
        return Range(min(self.low, other.low), max(self.high, other.high))


def scaled(size: int, factor: float) -> int:
    """size times factor, rounded up as 64-bit floats do."""
    product = math.ceil(float(size) * factor)
    return UNBOUNDED if product >= 2**64 else product


def fixed(value: int) -> Range:
    """A range of one number."""
    return Range(value, value)


NOTHING, ONE, UNKNOWN = fixed(0), fixed(1), Range(0, UNBOUNDED)
EMPTY = Range(UNBOUNDED, 0)  # Of no sizes yet: any union with it is the other.
