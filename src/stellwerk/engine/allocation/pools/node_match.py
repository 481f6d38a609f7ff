"""Does a node match a NodeSelector: terms are alternatives, an empty term matches nothing.

Source: component-helpers scheduling/corev1/nodeaffinity, apimachinery pkg/labels (v0.37).
"""

import re
from collections.abc import Mapping, Sequence

from stellwerk.api.groups.core import Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from stellwerk.api.groups.meta import given
from stellwerk.engine.allocation.decision import AllocationError

_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_COUNTS = {"Exists": (0, 0), "DoesNotExist": (0, 0), "Gt": (1, 1), "Lt": (1, 1)}
_INT64 = range(-(2**63), 2**63)


def node_matches(node: Node, name: str | None, all_nodes: bool, selector: NodeSelector | None) -> bool:
    """Whether a slice or device with these fields can be used on `node`: the first field that is set decides.

    Raises AllocationError for a selector that cannot be read, even if another of its terms would match.
    """
    if name:
        return given(node.metadata.name, "") == name
    if all_nodes:
        return True
    if selector is None:
        return False
    terms = [term for term in selector.node_selector_terms if _requirements(term)]
    for term in terms:
        _check(term)
    return any(_term_matches(term, node) for term in terms)


def expression_holds(requirement: NodeSelectorRequirement, labels: Mapping[str, str]) -> bool:
    """Whether these labels satisfy one matchExpression; raises AllocationError for one that cannot be read."""
    _check_expression(requirement)
    return _holds(requirement, labels)


def _requirements(term: NodeSelectorTerm) -> tuple[NodeSelectorRequirement, ...]:
    return given(term.match_expressions, ()) + given(term.match_fields, ())


def _check(term: NodeSelectorTerm) -> None:
    for requirement in given(term.match_fields, ()):
        values = given(requirement.values, ())
        if requirement.operator not in ("In", "NotIn") or len(values) != 1:
            raise _unreadable(requirement)
    for requirement in given(term.match_expressions, ()):
        _check_expression(requirement)


def _check_expression(requirement: NodeSelectorRequirement) -> None:
    values = given(requirement.values, ())
    operator = requirement.operator
    fewest, most = (1, len(values)) if operator in ("In", "NotIn") else _COUNTS.get(operator, (1, 0))
    numeric = operator in ("Gt", "Lt")
    fits = (
        fewest <= len(values) <= most and is_label_key(requirement.key) and all(map(is_label_value, values))
    )
    if not fits or (numeric and _integer(values[0]) is None):
        raise _unreadable(requirement)


def _unreadable(requirement: NodeSelectorRequirement) -> AllocationError:
    values = ", ".join(given(requirement.values, ()))[:200]
    return AllocationError(
        f"failed to parse node selector: {requirement.key[:320]} {requirement.operator[:40]} [{values}]"
    )


def is_label_key(key: str) -> bool:
    """Whether `key` is a label's name, with or without a prefix."""
    prefix, slash, name = key.rpartition("/")
    if slash and not (len(prefix) <= 253 and _SUBDOMAIN.fullmatch(prefix)):
        return False
    return len(name) <= 63 and _NAME.fullmatch(name) is not None


def is_label_value(value: str) -> bool:
    """Whether `value` can be a label's value: empty, or at most 63 characters of a name."""
    return not value or (len(value) <= 63 and _NAME.fullmatch(value) is not None)


def _term_matches(term: NodeSelectorTerm, node: Node) -> bool:
    labels = given(node.metadata.labels, {})
    fields = {"metadata.name": given(node.metadata.name, "")}
    return all(_holds(one, labels) for one in given(term.match_expressions, ())) and all(
        (fields.get(one.key, "") == given(one.values, ())[0]) == (one.operator == "In")
        for one in given(term.match_fields, ())
    )


def _holds(requirement: NodeSelectorRequirement, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(requirement.key), given(requirement.values, ())
    match requirement.operator:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return value is not None and _compared(requirement.operator, value, values)


def _compared(operator: str, value: str, values: Sequence[str]) -> bool:
    have, bound = _integer(value), _integer(values[0])
    if have is None or bound is None:
        return False
    return have > bound if operator == "Gt" else have < bound


def _integer(text: str) -> int | None:
    """An int64 in decimal, as Go's ParseInt reads it."""
    if len(text) > 64 or not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if number in _INT64 else None
