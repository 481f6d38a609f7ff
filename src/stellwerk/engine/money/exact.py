"""Exact arithmetic for money: fractions inside, one half-even rounding at the end, no decimal context at all.

The decimal context of a thread is somebody else's state: nothing here reads or sets it.
"""

from decimal import Decimal
from fractions import Fraction

RATE_DECIMALS = (
    10  # Decimals of a converted amount and of an hourly cost: 1e-10 EUR/h is below a cent a century.
)
LIMIT = 10**15  # No price, rate or count of ours comes near; it keeps hostile exponents out of the integers.


def is_amount(value: Decimal) -> bool:
    """Whether `value` can be a price: finite, not negative, below 1e15, at most 20 decimals."""
    if not value.is_finite() or value.is_signed():
        return False
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -20 and (not value or value.adjusted() < 15)


def fraction(value: Decimal) -> Fraction:
    """The exact value; asserts that it is one that `is_amount` lets through."""
    assert is_amount(value), f"{value} was let through unchecked"
    return Fraction(value)


def rounded(value: Fraction, decimals: int) -> Decimal:
    """`value` to so many decimals, half to even; a zero of more than six is plain, not "0E-10"."""
    number = round(value * 10**decimals)
    return Decimal(f"{number}E-{decimals}") if number or decimals <= 6 else Decimal(0)


def plain(value: Decimal) -> str:
    """The number as a person writes it: no exponent, no zeros at the end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
