"""Kueue's amounts: thousandths for cpu, whole units otherwise, within int64; its top means unlimited.

Source: kueue pkg/resources (amount.go, requests.go, resource_formatter.go, slice_requests.go), pkg/util/math.
"""

from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct

from stellwerk.api.quantity import MILLI, NANO, Quantity, parse_quantity

CPU, PODS = "cpu", "pods"
UNLIMITED = 2**63 - 1
LOWEST = -(2**63)
_MOST_CORES = UNLIMITED // 1000
_BINARY = frozenset({"memory", "ephemeral-storage"})


class FlavorResource(Struct, frozen=True, cache_hash=True):
    """What quota is given for: a resource in a flavor."""

    flavor: str
    resource: str


Usage = Mapping[FlavorResource, int]


def quota_amount(resource: str, quantity: Quantity) -> int:
    """A quota or a limit; what int64 cannot hold is unlimited."""
    if resource == CPU:
        return UNLIMITED if quantity.nanos >= _MOST_CORES * NANO else quantity.milli_value()
    return UNLIMITED if quantity.nanos >= UNLIMITED * NANO else quantity.value()


def request_amount(resource: str, quantity: Quantity) -> int:
    """A request, held within int64."""
    unit = MILLI if resource == CPU else NANO
    number = -(-abs(quantity.nanos) // unit)
    return min(number, UNLIMITED) if quantity.nanos >= 0 else max(-number, LOWEST)


def within(number: int) -> int:
    """The number, held within int64."""
    return LOWEST if number < LOWEST else min(number, UNLIMITED)


def add(a: int, b: int) -> int:
    """a + b; unlimited stays unlimited."""
    if a == UNLIMITED or b == UNLIMITED:
        return UNLIMITED
    total = a + b
    return total if LOWEST <= total <= UNLIMITED else within(total)


def subtract(a: int, b: int) -> int:
    """a - b; unlimited less a number is unlimited, less itself 0; a number less unlimited is the lowest."""
    if a == UNLIMITED:
        return 0 if b == UNLIMITED else UNLIMITED
    if b == UNLIMITED:
        return LOWEST
    left = a - b
    return left if LOWEST <= left <= UNLIMITED else within(left)


def quantity_of(resource: str, amount: int) -> Quantity:
    """The amount as Kueue writes it: bytes with binary suffixes where nothing is lost, the rest decimal."""
    if resource == CPU:
        return Quantity(amount * MILLI)
    if resource in _BINARY or resource.startswith("hugepages-"):
        # Kueue reads its own binary text again, which makes a number without suffix decimal ("2000" -> "2k").
        return parse_quantity(str(Quantity(amount * NANO, "binary")))
    return Quantity(amount * NANO)


@lru_cache(maxsize=8192)
def amount_text(resource: str, amount: int) -> str:
    """The amount in Kueue's messages."""
    return "<unlimited>" if amount == UNLIMITED else str(quantity_of(resource, amount))


@lru_cache(maxsize=4096)
def resource_order(resource: str) -> tuple[int, str]:
    """The key of the order in which Kueue looks at resources: 64-bit FNV-1a of the name, then the name."""
    number = 0xCBF29CE484222325
    for byte in resource.encode():
        number = (number ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return number, resource


def in_order(requests: Mapping[str, int]) -> dict[str, int]:
    """The same requests, in Kueue's order of resources."""
    if len(requests) < 2:
        return dict(requests)
    return {resource: requests[resource] for resource in sorted(requests, key=resource_order)}
