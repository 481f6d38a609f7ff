"""The Cloud port: who brings nodes, and its in-memory form, where a node comes after a fixed delay."""

from typing import Protocol


class Cloud(Protocol):
    """What the loop needs of a cloud, or of the person who repairs a server."""

    def replace(self, node: int, now: int) -> int:
        """Order a node in place of a lost one; returns when it will be ready (ns)."""

    def repair(self, gpu: int, now: int) -> int:
        """Have a GPU repaired that could not be cut; returns when it is in order (ns)."""


class MemoryCloud:
    """Every node comes `delay_ns` after it was asked for; `ordered` counts them."""

    def __init__(self, delay_ns: int) -> None:
        self._delay_ns = delay_ns
        self.ordered = 0

    def replace(self, node: int, now: int) -> int:
        """Ready after the delay."""
        self.ordered += 1
        return now + self._delay_ns

    def repair(self, gpu: int, now: int) -> int:
        """In order after the same delay."""
        return now + self._delay_ns
