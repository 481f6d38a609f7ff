"""Quantities within expressions: an exact amount, and whether Kubernetes can give it as an integer."""

import re
from functools import lru_cache

from stellwerk.api.quantity import NANO, Quantity, parse_quantity
from stellwerk.cel.values.scalars import INT_MAX, INT_MIN

_FORM = re.compile(r"[+-]?[0-9]*\.?[0-9]*([eEinumkKMGTP]*)([-+]?[0-9]*)")
_FRACTION = re.compile(r"\.|[num]$|[eE]-")
MALFORMED = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
WRONG_SUFFIX = "unable to parse quantity's suffix"


class Amount:
    """Billionths. `whole` is false for an integer that was written with a fraction ("1000m", "1.0") too:

    Kubernetes keeps the scale it was written with, and converts only scales of at least one.
    """

    __slots__ = ("nanos", "whole")

    def __init__(self, nanos: int, whole: bool) -> None:
        self.nanos = nanos
        self.whole = whole and nanos % NANO == 0 and INT_MIN <= nanos // NANO <= INT_MAX

    def plus(self, other: "Amount", sign: int = 1) -> "Amount":
        """The sum, or the difference with `sign` -1."""
        return Amount(self.nanos + sign * other.nanos, self.whole and other.whole)


def amount_of(quantity: Quantity) -> Amount:
    """A quantity of an object of the API, which is in canonical form."""
    return Amount(quantity.nanos, True)


@lru_cache(maxsize=4096)
def parse_amount(text: str) -> Amount:
    """What `quantity(text)` is; raises ValueError with Kubernetes' message."""
    try:
        return Amount(parse_quantity(text).nanos, _FRACTION.search(text) is None)
    except ValueError:
        fits = _FORM.fullmatch(text)
        raise ValueError(WRONG_SUFFIX if fits and text else MALFORMED) from None
