"""The functions that Kubernetes adds: quantities, versions, networks, URLs and named formats."""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import date
from typing import Any

from stellwerk.api.quantity import NANO
from stellwerk.cel.errors import EvaluationError
from stellwerk.cel.values.amounts import Amount, parse_amount
from stellwerk.cel.values.names import NamedFormat
from stellwerk.cel.values.networks import (
    Prefix,
    is_global_unicast,
    is_link_local_multicast,
    is_link_local_unicast,
    parse_address,
    parse_prefix,
)
from stellwerk.cel.values.scalars import NONE, Optional
from stellwerk.cel.values.urls import parse_url
from stellwerk.cel.values.versions import Version, normalized, parse_version

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.I)
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME = re.compile(r"[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})")


def _reading(parse: Callable[[str], Any], prefix: str = "") -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise EvaluationError(f"{prefix}{error}") from None

    return read


def _accepting(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def accepts(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return accepts


def _semver(text: str, normalize: bool) -> Version:
    return parse_version(normalized(text) if normalize else text)


def _is_semver(text: str, normalize: bool) -> bool:
    return _accepting(lambda each: _semver(each, normalize))(text)


def _as_integer(amount: Amount) -> int:
    if not amount.whole:
        raise EvaluationError("cannot convert value to integer")
    return amount.nanos // NANO


def _added(sign: int) -> Callable[[Amount, int], Amount]:
    return lambda amount, number: amount.plus(Amount(number * NANO, True), sign)


def _compared(one: Any, other: Any) -> int:
    return bool(one > other) - bool(one < other)


def _contains_prefix(outer: Prefix, inner: Prefix) -> bool:
    return outer.bits <= inner.bits and outer.contains(inner.address)


def _label(text: str, prefix: bool) -> bool:
    text = _unmasked(text) if prefix else text
    return len(text) <= 63 and _LABEL.fullmatch(text) is not None


def _label_1035(text: str, prefix: bool) -> bool:
    text = _unmasked(text) if prefix else text
    return len(text) <= 63 and _LABEL_1035.fullmatch(text) is not None


def _subdomain(text: str, prefix: bool) -> bool:
    text = _unmasked(text) if prefix else text
    return len(text) <= 253 and _is_subdomain(text)


def _is_subdomain(text: str) -> bool:
    return all(_LABEL.fullmatch(each) for each in text.split("."))


def _unmasked(text: str) -> str:
    """A prefix of a name may end with a dash."""
    return text[:-2] + "a" if len(text) > 1 and text.endswith("-") else text


def _qualified_name(text: str) -> bool:
    prefix, slash, name = text.rpartition("/")
    if slash and not (0 < len(prefix) <= 253 and "/" not in prefix and _is_subdomain(prefix)):
        return False
    return 0 < len(name) <= 63 and _VALUE.fullmatch(name) is not None


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(text)


def _is_date(text: str) -> bool:
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    try:
        date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return False
    return True


def _is_datetime(text: str) -> bool:
    match = _TIME.fullmatch(text[10:])
    return (
        match is not None
        and _is_date(text[:10])
        and int(match[1]) < 24
        and int(match[2]) < 60
        and int(match[3]) < 60
    )


_FORMATS: dict[str, tuple[str, int, Callable[[str], bool]]] = {
    "dns1123Label": ("DNS1123Label", 30, lambda text: _label(text, prefix=False)),
    "dns1123Subdomain": ("DNS1123Subdomain", 60, lambda text: _subdomain(text, prefix=False)),
    "dns1035Label": ("DNS1035Label", 30, lambda text: _label_1035(text, prefix=False)),
    "qualifiedName": ("QualifiedName", 60, _qualified_name),
    "dns1123LabelPrefix": ("DNS1123LabelPrefix", 30, lambda text: _label(text, prefix=True)),
    "dns1123SubdomainPrefix": ("DNS1123SubdomainPrefix", 60, lambda text: _subdomain(text, prefix=True)),
    "dns1035LabelPrefix": ("DNS1035LabelPrefix", 30, lambda text: _label_1035(text, prefix=True)),
    "labelValue": ("LabelValue", 40, lambda text: len(text) <= 63 and _VALUE.fullmatch(text) is not None),
    "uri": ("URI", 1103, _accepting(parse_url)),
    "uuid": ("uuid", 105, lambda text: _UUID.fullmatch(text) is not None),
    "byte": ("byte", 84, _is_base64),
    "date": ("date", 97, _is_date),
    "datetime": ("datetime", 97, _is_datetime),
}
FORMATS = {name: NamedFormat(shown, size) for name, (shown, size, _) in _FORMATS.items()}
_CHECKS = {shown: accepts for shown, _, accepts in _FORMATS.values()}


def _validate(named: NamedFormat, text: str) -> Optional:
    if _CHECKS[named.name](text):
        return NONE
    return Optional([f"does not match the format {named.name}"], True)


def _named(name: str) -> Optional:
    return Optional(FORMATS[name], True) if name in FORMATS else NONE


def _constant(value: NamedFormat) -> Callable[[], NamedFormat]:
    return lambda: value


_CIDR = "network address parse error during conversion from string: "
_prefix_of, _address_of = _reading(parse_prefix, _CIDR), _reading(parse_address)

KUBERNETES_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "string_to_quantity": _reading(parse_amount),
    "is_quantity_string": _accepting(parse_amount),
    "quantity_sign": lambda amount: _compared(amount.nanos, 0),
    "quantity_is_greater_than": lambda one, other: one.nanos > other.nanos,
    "quantity_is_less_than": lambda one, other: one.nanos < other.nanos,
    "quantity_compare_to": lambda one, other: _compared(one.nanos, other.nanos),
    "quantity_get_float": lambda amount: amount.nanos / NANO,
    "quantity_get_int": _as_integer,
    "quantity_is_integer": lambda amount: amount.whole,
    "quantity_add": lambda one, other: one.plus(other),
    "quantity_add_int": _added(1),
    "quantity_sub": lambda one, other: one.plus(other, -1),
    "quantity_sub_int": _added(-1),
    "string_to_semver": _reading(parse_version),
    "string_bool_to_semver": lambda text, normalize: _reading(lambda each: _semver(each, normalize))(text),
    "is_semver_string": _accepting(parse_version),
    "is_semver_string_bool": _is_semver,
    "semver_is_greater_than": lambda one, other: one.key > other.key,
    "semver_is_less_than": lambda one, other: one.key < other.key,
    "semver_compare_to": lambda one, other: _compared(one.key, other.key),
    "semver_major": lambda version: version.numbers[0],
    "semver_minor": lambda version: version.numbers[1],
    "semver_patch": lambda version: version.numbers[2],
    "string_to_ip": _address_of,
    "is_ip": _accepting(parse_address),
    "ip_is_canonical": lambda text: str(_address_of(text)) == text,
    "ip_family": lambda address: address.version,
    "ip_is_unspecified": lambda address: address.is_unspecified,
    "ip_is_loopback": lambda address: address.is_loopback,
    "ip_is_link_local_multicast": is_link_local_multicast,
    "ip_is_link_local_unicast": is_link_local_unicast,
    "ip_is_global_unicast": is_global_unicast,
    "string_to_cidr": _prefix_of,
    "is_cidr": _accepting(parse_prefix),
    "cidr_contains_ip_string": lambda prefix, text: prefix.contains(_address_of(text)),
    "cidr_contains_ip_ip": lambda prefix, address: prefix.contains(address),
    "cidr_contains_cidr_string": lambda prefix, text: _contains_prefix(prefix, _prefix_of(text)),
    "cidr_contains_cidr": _contains_prefix,
    "cidr_ip": lambda prefix: prefix.address,
    "cidr_prefix_length": lambda prefix: prefix.bits,
    "cidr_masked": lambda prefix: prefix.masked(),
    "string_to_url": _reading(parse_url, "URL parse error during conversion from string: "),
    "is_url_string": _accepting(parse_url),
    "url_get_scheme": lambda url: url.scheme,
    "url_get_host": lambda url: url.host,
    "url_get_hostname": lambda url: url.hostname(),
    "url_get_port": lambda url: url.port(),
    "url_get_escaped_path": lambda url: url.path,
    "url_get_query": lambda url: url.values(),
    "format-named": _named,
    "format-validate": _validate,
    **{f"format.{name}": _constant(named) for name, named in FORMATS.items()},
}
