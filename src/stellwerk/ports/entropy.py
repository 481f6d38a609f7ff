"""The Entropy port: chance as an argument, the same draws from the same seed on every Python.

Only whole numbers are drawn, and only by `getrandbits` of the Mersenne Twister with rejection: its bits are
specified, whereas `randrange`, `shuffle` and `choice` may change between versions of Python.
"""

import hashlib
import random
from collections.abc import Sequence
from typing import Protocol, TypeVar

Choice = TypeVar("Choice")


class Entropy(Protocol):
    """Uniform draws in whole numbers; streams that do not disturb one another."""

    def below(self, n: int) -> int:
        """A whole number in 0..n-1, each equally likely; n >= 1."""
        ...

    def between(self, low: int, high: int) -> int:
        """A whole number in low..high, both ends included."""
        ...

    def chance(self, numerator: int, denominator: int) -> bool:
        """True in `numerator` of `denominator` cases."""
        ...

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """One of the choices, each equally likely."""
        ...

    def fork(self, name: str) -> "Entropy":
        """A stream of its own for `name`: the same one however many draws were taken before."""
        ...


class SeededEntropy:
    """Entropy from a seed: equal seeds draw equally, on Python 3.11 to 3.13."""

    def __init__(self, seed: int) -> None:
        """`seed` is any whole number; its sign counts."""
        self._key = str(seed)
        self._bits = random.Random(_digest(self._key)).getrandbits

    def below(self, n: int) -> int:
        """A whole number in 0..n-1, each equally likely; n >= 1."""
        assert n >= 1, "there is nothing to draw from"
        width = (n - 1).bit_length()
        # Rejection keeps every value equally likely; at most every second draw is thrown away on average.
        while (drawn := self._bits(width)) >= n:
            pass
        return drawn

    def between(self, low: int, high: int) -> int:
        """A whole number in low..high, both ends included."""
        return low + self.below(high - low + 1)

    def chance(self, numerator: int, denominator: int) -> bool:
        """True in `numerator` of `denominator` cases."""
        return self.below(denominator) < numerator

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """One of the choices, each equally likely."""
        return choices[self.below(len(choices))]

    def fork(self, name: str) -> "SeededEntropy":
        """A stream of its own for `name`: the same one however many draws were taken before."""
        forked = SeededEntropy(0)
        forked._key = f"{self._key}/{name}"
        forked._bits = random.Random(_digest(forked._key)).getrandbits
        return forked


def _digest(key: str) -> int:
    """A whole number from text: Python's own `hash` of text differs from process to process."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], "big")
