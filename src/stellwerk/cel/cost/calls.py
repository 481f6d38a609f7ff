"""What a call costs at most: Kubernetes' figures first, then CEL's own.

Figures: apiserver pkg/cel/library/cost.go and ext/lists.go, ext/sets.go, checker/cost.go of cel-go v0.29.2.
"""

from collections.abc import Callable
from typing import NamedTuple

from stellwerk.cel.check.kinds import Type
from stellwerk.cel.cost.device_sizes import LIST_VALUES, device_size, is_attribute
from stellwerk.cel.cost.sizes import (
    LIST_COST,
    ONE,
    REGEX_FACTOR,
    TEXT_FACTOR,
    UNBOUNDED,
    UNKNOWN,
    Range,
    fixed,
    scaled,
)
from stellwerk.cel.syntax.tree import Const, Node


class Argument(NamedTuple):
    """An argument: its node where it has one, type, path and computed size."""

    node: Node | None
    kind: Type
    path: tuple[str, ...]
    size: Range | None

    def known_size(self) -> Range:
        """What is computed, or else declared, or else anything."""
        return self.size or device_size(self.path) or UNKNOWN

    def computed_size(self) -> Range:
        """What is computed, or else anything."""
        return self.size or UNKNOWN

    def element(self) -> "Argument | None":
        """An element of a list (of the keys, for a map): what its size is, is only declared."""
        if not self.kind.params:
            return None
        return Argument(None, self.kind.params[0], (*self.path, "@items") if self.path else (), None)

    def literal(self, default: int) -> int:
        """The value of an int literal, at least 0, or `default` for anything else."""
        if isinstance(self.node, Const) and type(self.node.value) is int:
            return max(0, self.node.value)
        return default


class Estimate(NamedTuple):
    """The cost of a call, and the size of its result where that is known."""

    cost: Range
    size: Range | None


Arguments = list[Argument]
_Rule = Callable[[str, Argument | None, Arguments], Estimate | None]
NOMINAL = frozenset(
    "masked prefixLength family isUnspecified isLoopback isLinkLocalMulticast isLinkLocalUnicast isGlobalUnicast "
    "format.named sign asInteger isInteger asApproximateFloat isGreaterThan isLessThan compareTo add sub major minor "
    "patch getScheme getHostname getHost getPort getEscapedPath getQuery".split()
)
_OWN_EQUALITY = ("kubernetes.Quantity", "kubernetes.Semver", "net.IP", "net.CIDR")


def kubernetes_estimate(
    function: str, overload: str, target: Argument | None, args: Arguments
) -> Estimate | None:
    """The cost by the rules of Kubernetes and of the list extensions, or None where they have none."""
    extension = _extension(overload, target, args)
    if extension is not None:
        return extension
    if function in NOMINAL:
        return Estimate(ONE, None)
    rule = _RULES.get(function)
    return rule(overload, target, args) if rule else None


def builtin_estimate(overload: str, target: Argument | None, args: Arguments) -> Estimate:
    """The cost by CEL's own rules; 1 for all that takes constant time."""
    rule = _BUILTIN.get(overload)
    return (rule(overload, target, args) if rule else None) or Estimate(ONE, None)


def _search(overload: str, target: Argument | None, _args: Arguments) -> Estimate | None:
    """indexOf, sum, includes and the like look at each element, strings at each character."""
    if target is None:
        return None
    element = target.element()
    if element is None:
        size = target.known_size()
        if (
            overload == "list_includes_dyn_dyn"
        ):  # An attribute that is a list has fewer elements than a text characters.
            size = Range(size.low, LIST_VALUES) if is_attribute(target.path) else size
            return Estimate(size, None)
        return Estimate(size.scaled(TEXT_FACTOR), None)
    each = ONE
    if element.kind.kind in ("string", "bytes"):
        each = each.plus(element.known_size().scaled(TEXT_FACTOR))
    return Estimate(target.known_size().times(each), None)


def _parse(_overload: str, _target: Argument | None, args: Arguments) -> Estimate | None:
    return Estimate(args[0].known_size().scaled(TEXT_FACTOR), None) if args else None


def _url(_overload: str, _target: Argument | None, args: Arguments) -> Estimate | None:
    size = args[0].known_size()
    return Estimate(size.scaled(TEXT_FACTOR), size)


def _ip(overload: str, target: Argument | None, args: Arguments) -> Estimate | None:
    return Estimate(ONE, None) if overload == "cidr_ip" else _parse(overload, target, args)


def _canonical(_overload: str, _target: Argument | None, args: Arguments) -> Estimate | None:
    return Estimate(args[0].known_size().scaled(2 * TEXT_FACTOR), None)


def _same_size(_overload: str, target: Argument | None, _args: Arguments) -> Estimate | None:
    if target is None:
        return None
    size = target.known_size()
    return Estimate(size.scaled(TEXT_FACTOR), size)


def _replace(_overload: str, target: Argument | None, args: Arguments) -> Estimate | None:
    if target is None:
        return None
    size, old, new = target.known_size(), args[0].known_size(), args[1].known_size()
    most, kept_most = _replaced(size.high, old.low, new.high <= old.low)
    least, kept_least = _replaced(size.low, old.high, old.high <= new.low)
    result = Range(least, most).times(new).plus(Range(kept_least, kept_most))
    return Estimate(size.scaled(2 * TEXT_FACTOR), result)


def _replaced(size: int, old: int, not_longer: bool) -> tuple[int, int]:
    """How often something of size `old` is replaced, and how much of the text stays besides."""
    if old == 0:
        return min(size + 1, UNBOUNDED), size
    return (0, size) if not_longer else (scaled(size, 1 / old), 0)


def _split(_overload: str, target: Argument | None, args: Arguments) -> Estimate | None:
    if target is None:
        return None
    size = target.known_size()
    most = size.high
    if len(args) > 1 and isinstance(args[1].node, Const) and type(args[1].node.value) is int:
        most = args[1].node.value % 2**64
    return Estimate(size.scaled(2 * TEXT_FACTOR), Range(0, most))


def _join(_overload: str, target: Argument | None, args: Arguments) -> Estimate | None:
    if target is None:
        return None
    count, element = target.known_size(), target.element()
    size = count.times(element.known_size()) if element else fixed(0)
    if args:
        between = Range(max(count.low - 1, 0), max(count.high - 1, 0))
        size = size.plus(args[0].known_size().times(between))
    return Estimate(size.scaled(TEXT_FACTOR), size)


def _find(_overload: str, target: Argument | None, args: Arguments) -> Estimate | None:
    if target is None or not args:
        return None
    size = target.known_size()
    text = size.plus(ONE).scaled(TEXT_FACTOR)
    return Estimate(text.times(args[0].known_size().scaled(REGEX_FACTOR)), Range(0, size.high))


def _contains_network(overload: str, _target: Argument | None, args: Arguments) -> Estimate | None:
    size = Range(4, 16)
    cost = size.plus(size).scaled(TEXT_FACTOR)
    if overload.startswith("cidr_contains_cidr"):
        cost = cost.plus(size.scaled(TEXT_FACTOR)).plus(ONE)
    if overload.endswith("_string"):
        cost = cost.plus(args[0].known_size().scaled(TEXT_FACTOR))
    return Estimate(cost, None)


def _validate(_overload: str, _target: Argument | None, args: Arguments) -> Estimate | None:
    return Estimate(args[0].known_size().scaled(TEXT_FACTOR).scaled(128 * REGEX_FACTOR), None)


def _equals(_overload: str, _target: Argument | None, args: Arguments) -> Estimate | None:
    """Types of Kubernetes are compared in constant time, except for names and addresses."""
    if args[0].kind != args[1].kind:
        return None
    name = args[0].kind.name
    if name in _OWN_EQUALITY:
        return Estimate(ONE, None)
    if name == "kubernetes.NamedFormat":
        return Estimate(Range(1, 64).scaled(TEXT_FACTOR), None)
    if name == "kubernetes.URL":
        high = args[1].size.high if args[1].size else 1
        return Estimate(Range(1, high).scaled(TEXT_FACTOR), None)
    return None


def _allocated(factor: float, size: Range) -> Estimate:
    return Estimate(size.scaled(factor).plus(ONE).plus(fixed(LIST_COST)), size)


def _extension(overload: str, target: Argument | None, args: Arguments) -> Estimate | None:
    """ext/lists.go and ext/sets.go: functions that make a list pay for it."""
    if overload.startswith("list_sets_"):
        size = args[0].known_size().times(args[1].known_size())
        return Estimate(size.scaled(2.0 if "equivalent" in overload else 1.0).plus(ONE), None)
    if overload == "lists_range":
        return _allocated(1, fixed(args[0].literal(UNBOUNDED)))
    if target is None:
        return None
    size = target.known_size()
    if overload == "list_slice":
        return _allocated(1, fixed((args[1].literal(size.high) - args[0].literal(0)) % 2**64))
    if overload == "list_reverse":
        return _allocated(1, size)
    if overload in ("list_flatten", "list_flatten_int"):
        return _allocated(float(args[0].literal(UNBOUNDED)) if args else 1, size)
    if overload == "list_distinct":
        return _allocated(2.0, size.times(size))
    if overload.endswith(("_sort", "_sortByAssociatedKeys")):
        size = args[0].known_size() if args else size
        factor = 2.0 + TEXT_FACTOR if overload.startswith(("list_string_", "list_bytes_")) else 2.0
        return _allocated(factor, size.times(size))
    return None


def _scan_target(_overload: str, target: Argument | None, _args: Arguments) -> Estimate | None:
    return Estimate(target.computed_size().scaled(TEXT_FACTOR), None) if target else None


def _scan_first(overload: str, _target: Argument | None, args: Arguments) -> Estimate | None:
    if len(args) != 1:
        return None
    size = args[0].computed_size()
    result = {
        "string_to_bytes": Range(size.low, size.high * 4 % 2**64),
        "bytes_to_string": Range(size.low // 4, size.high),
        "strings_quote": Range((size.low + 2) % 2**64, (size.high * 2 + 2) % 2**64),
    }.get(overload)
    return Estimate(size.scaled(TEXT_FACTOR), result)


def _in_list(_overload: str, _target: Argument | None, args: Arguments) -> Estimate | None:
    return Estimate(args[1].computed_size().scaled(1), None)


def _matches(_overload: str, target: Argument | None, args: Arguments) -> Estimate | None:
    subject, pattern = args if target is None else (target, args[0])
    text = subject.computed_size().plus(ONE).scaled(TEXT_FACTOR)
    return Estimate(text.times(pattern.computed_size().scaled(REGEX_FACTOR)), None)


def _contains(_overload: str, target: Argument | None, args: Arguments) -> Estimate | None:
    if target is None or len(args) != 1:
        return None
    part = args[0].computed_size().scaled(TEXT_FACTOR)
    return Estimate(target.computed_size().scaled(TEXT_FACTOR).times(part), None)


def _compare(_overload: str, _target: Argument | None, args: Arguments) -> Estimate | None:
    most = min(args[0].computed_size().high, args[1].computed_size().high)
    return Estimate(Range(1 if most > 0 else 0, most).scaled(TEXT_FACTOR), None)


_RULES: dict[str, _Rule] = {
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf", "includes"), _search),
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim"), _same_size),
    **dict.fromkeys(("cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"), _parse),
    **dict.fromkeys(("find", "findAll"), _find),
    **dict.fromkeys(("containsIP", "containsCIDR"), _contains_network),
    "url": _url,
    "ip": _ip,
    "ip.isCanonical": _canonical,
    "replace": _replace,
    "split": _split,
    "join": _join,
    "validate": _validate,
    "_==_": _equals,
}
_BUILTIN: dict[str, _Rule] = {
    **dict.fromkeys(("string_to_bytes", "bytes_to_string", "strings_quote"), _scan_first),
    **dict.fromkeys(("starts_with_string", "ends_with_string"), _scan_first),
    **{
        f"{name}_{kind}": _compare
        for name in ("less", "greater", "less_equals", "greater_equals")
        for kind in ("string", "bytes")
    },
    "string_format": _scan_target,
    "in_list": _in_list,
    "matches": _matches,
    "matches_string": _matches,
    "contains_string": _contains,
    "equals": _compare,
    "not_equals": _compare,
}
