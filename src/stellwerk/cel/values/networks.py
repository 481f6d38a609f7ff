"""IP addresses and networks, with the rules of Go's net/netip that Kubernetes adds to (ip.go, cidr.go)."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address, NetmaskValueError, ip_address, ip_network

_BITS = re.compile(r"0|[1-9][0-9]{0,2}")
Address = IPv4Address | IPv6Address


class Prefix:
    """A network as it was written: the address keeps its host bits."""

    __slots__ = ("address", "bits")

    def __init__(self, address: Address, bits: int) -> None:
        self.address, self.bits = address, bits

    def masked(self) -> "Prefix":
        """The same network without host bits."""
        return Prefix(ip_network((self.address, self.bits), strict=False).network_address, self.bits)

    def contains(self, address: Address) -> bool:
        """Whether `address` is within."""
        same = self.address.version == address.version
        return same and address in ip_network((self.address, self.bits), strict=False)


def parse_address(text: str) -> Address:
    """The address of `text`; raises ValueError with Kubernetes' message."""
    if "%" in text and ":" in text:
        _parsed(text.split("%", 1)[0], text)
        raise ValueError(f'IP address "{text}" with zone value is not allowed')
    return _unmapped(_parsed(text, text), text)


def parse_prefix(text: str) -> Prefix:
    """The network of `text`; raises ValueError with Kubernetes' message."""
    name = f'network address parse error during conversion from string: netip.ParsePrefix("{text}")'
    head, slash, tail = text.rpartition("/")
    if not slash:
        raise ValueError(f"{name}: no '/'")
    try:
        address = ip_address(head)
    except ValueError:
        raise ValueError(f"{name}: unable to parse IP") from None
    if not _BITS.fullmatch(tail):
        raise ValueError(f'{name}: bad bits after slash: "{tail}"')
    if int(tail) > address.max_prefixlen:
        raise ValueError(f"{name}: prefix length out of range")
    return Prefix(_unmapped(address, text), int(tail))


def is_link_local_multicast(address: Address) -> bool:
    """224.0.0.0/24, and the multicast addresses of IPv6 with the scope of a link."""
    if isinstance(address, IPv4Address):
        return int(address) >> 8 == 0xE00000
    return int(address) >> 112 & 0xFF0F == 0xFF02


def is_link_local_unicast(address: Address) -> bool:
    """169.254.0.0/16 and fe80::/10."""
    if isinstance(address, IPv4Address):
        return int(address) >> 16 == 0xA9FE
    return int(address) >> 118 == 0xFE80 >> 6


def is_global_unicast(address: Address) -> bool:
    """Whether it names one host beyond its link; private addresses do."""
    special = (
        address.is_unspecified or address.is_loopback or address.is_multicast or int(address) == 2**32 - 1
    )
    return not special and not is_link_local_unicast(address)


def _parsed(text: str, shown: str) -> Address:
    try:
        return ip_address(text)
    except (ValueError, AddressValueError, NetmaskValueError):
        message = f'IP Address "{shown}" parse error during conversion from string: ParseAddr("{shown}")'
        raise ValueError(f"{message}: {_reason(text)}") from None


def _reason(text: str) -> str:
    parts = text.split(".")
    if ":" not in text and all(part.isdigit() for part in parts):
        if len(parts) < 4:
            return "IPv4 address too short"
        if len(parts) > 4:
            return "IPv4 address too long"
        if any(int(part) > 255 for part in parts):
            return "IPv4 field has value >255"
        return "IPv4 field has octet with leading zero"
    return "unable to parse IP"


def _unmapped(address: Address, text: str) -> Address:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        raise ValueError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return address
