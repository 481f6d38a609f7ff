"""Exact Kubernetes quantities ("500m", "22Gi", "1e3"), held as integer billionths.

Rules: apimachinery pkg/api/resource/quantity.go. A value finer than a billionth is rounded away from zero, a
binary one beyond 2^63-1 is capped. One thing is stricter: a digit is required (Kubernetes reads "Ki" as 0).
"""

import re
from functools import lru_cache

NANO = 1_000_000_000
MILLI = 1_000_000
INT64_MAX = 2**63 - 1
MAX_LENGTH = 64
MAX_EXPONENT = 64
_PATTERN = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:([numkMGTPE]?|[KMGTPE]i)|[eE]([+-]?[0-9]{1,18}))")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX = {exponent: suffix for suffix, exponent in _BINARY.items()} | {0: ""}


class Quantity:
    """An immutable amount: `nanos` billionths, and the form (decimal, binary, exponent) it is written in.

    Equal amounts are equal, whatever their form. No Struct, since on the wire it is a text or a number.
    """

    __slots__ = ("form", "nanos")

    def __init__(self, nanos: int, form: str = "decimal") -> None:
        self.nanos, self.form = nanos, form

    def value(self) -> int:
        """Whole units, rounded away from zero, within int64."""
        return _whole(self.nanos, NANO)

    def milli_value(self) -> int:
        """Thousandths, rounded away from zero, within int64."""
        return _whole(self.nanos, MILLI)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nanos == other.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __str__(self) -> str:
        """The canonical text: no fraction, the largest suffix that loses nothing."""
        return _canonical(self.nanos, self.form)

    def __repr__(self) -> str:
        return f"Quantity({str(self)!r})"


@lru_cache(maxsize=8192)
def parse_quantity(text: str) -> Quantity:
    """The quantity that `text` names.

    Raises ValueError with one of two codes as its text: "malformed", or "too large" (more than 64 characters,
    or an exponent above 64): the caller, who knows file and field, says so in words.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError("too large")
    match = _PATTERN.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise ValueError("malformed")
    sign, whole, fraction, suffix, exponent = match.groups(default="")
    number, places = int(whole + fraction), len(fraction)
    form = "binary" if suffix in _BINARY else "exponent" if exponent else "decimal"
    if form == "binary":
        nanos = min(_round_up(number << _BINARY[suffix], 9 - places), INT64_MAX * NANO)
    else:
        nanos = _round_up(number, 9 - places + _power(suffix, exponent))
    return Quantity(-nanos if sign == "-" else nanos, form)


def _power(suffix: str, exponent: str) -> int:
    power = int(exponent) if exponent else _DECIMAL[suffix]
    if power > MAX_EXPONENT:
        raise ValueError("too large")
    return max(power, -2 * MAX_LENGTH)  # Anything smaller rounds up to one billionth just the same.


def _round_up(number: int, power: int) -> int:
    scale: int = 10 ** abs(power)
    return number * scale if power >= 0 else -(-number // scale)


def _whole(nanos: int, unit: int) -> int:
    number = min(-(-abs(nanos) // unit), INT64_MAX)
    return number if nanos >= 0 else -number


def _canonical(nanos: int, form: str) -> str:
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    if nanos == 0:
        return "0"
    if form == "binary" and nanos >= 1024 * NANO and nanos % NANO == 0:
        number, power = _reduced(nanos // NANO, 1024, 6)
        return f"{sign}{number}{_BINARY_SUFFIX[power * 10]}"
    if form == "exponent":
        number, power = _reduced(nanos, 1000, 40)
        return f"{sign}{number}e{power * 3 - 9}" if power != 3 else f"{sign}{number}"
    number, power = _reduced(nanos, 1000, 9)
    return f"{sign}{number}{_DECIMAL_SUFFIX[power * 3 - 9]}"


def _reduced(number: int, radix: int, most: int) -> tuple[int, int]:
    power = 0
    while power < most and number % radix == 0:
        number, power = number // radix, power + 1
    return number, power
