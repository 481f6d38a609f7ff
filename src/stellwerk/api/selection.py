"""How core/v1 selects nodes: terms of a NodeSelector, and taints that tolerations let pass.

Source: component-helpers scheduling/corev1 and its nodeaffinity, apimachinery pkg/labels (v0.37).
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from stellwerk.api.groups.core import NodeSelectorRequirement, NodeSelectorTerm, Taint, Toleration
from stellwerk.api.groups.meta import LabelSelector, LabelSelectorRequirement, given

_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_CANONICAL_INTEGER = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
_COUNTS = {"Exists": (0, 0), "DoesNotExist": (0, 0), "Gt": (1, 1), "Lt": (1, 1)}
_INT64 = range(-(2**63), 2**63)
_KEEPS_AWAY = ("NoSchedule", "NoExecute")


def readable_terms(terms: Iterable[NodeSelectorTerm]) -> tuple[NodeSelectorTerm, ...]:
    """The terms that say something; an empty one matches nothing.

    Raises ValueError for one that cannot be read, even if another term would match.
    """
    telling = tuple(
        term for term in terms if given(term.match_expressions, ()) or given(term.match_fields, ())
    )
    for term in telling:
        _check(term)
    return telling


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


def _unreadable(requirement: NodeSelectorRequirement) -> ValueError:
    values = ", ".join(given(requirement.values, ()))[:200]
    return ValueError(
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


def term_matches(term: NodeSelectorTerm, name: str, labels: Mapping[str, str]) -> bool:
    """Whether a node of this name with these labels meets all requirements of a term that can be read."""
    fields = {"metadata.name": name}
    return all(_holds(one, labels) for one in given(term.match_expressions, ())) and all(
        (fields.get(one.key, "") == given(one.values, ())[0]) == (one.operator == "In")
        for one in given(term.match_fields, ())
    )


def _holds(requirement: NodeSelectorRequirement, labels: Mapping[str, str]) -> bool:
    found = _by_presence(requirement, labels)
    if found is not None:
        return found
    value = labels.get(requirement.key)
    return value is not None and _compared(requirement.operator, value, given(requirement.values, ()))


def _by_presence(
    requirement: NodeSelectorRequirement | LabelSelectorRequirement, labels: Mapping[str, str]
) -> bool | None:
    """Whether it holds by what is there; None for an operator that is not about that."""
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
    return None


def _compared(operator: str, value: str, values: Sequence[str]) -> bool:
    have, bound = _integer(value), _integer(values[0])
    if have is None or bound is None:
        return False
    return have > bound if operator == "Gt" else have < bound


def _integer(text: str, form: re.Pattern[str] = _INTEGER) -> int | None:
    """An int64 in decimal, as Go's ParseInt reads it."""
    if len(text) > 64 or not form.fullmatch(text):
        return None
    number = int(text)
    return number if number in _INT64 else None


def untolerated(taints: Iterable[Taint], tolerations: Sequence[Toleration]) -> Taint | None:
    """The first taint that keeps pods away (NoSchedule, NoExecute) and that no toleration lets pass."""
    for taint in taints:
        if taint.effect in _KEEPS_AWAY and not any(tolerates(one, taint) for one in tolerations):
            return taint
    return None


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether effect, key and value fit; an empty effect or key fits all, Exists fits every value.

    Lt and Gt compare the taint's number with the toleration's (KEP-5471).
    """
    effect, key = given(toleration.effect, ""), given(toleration.key, "")
    if (effect and effect != taint.effect) or (key and key != taint.key):
        return False
    value, bound = given(taint.value, ""), given(toleration.value, "")
    match given(toleration.operator, ""):
        case "" | "Equal":
            return value == bound
        case "Exists":
            return True
        case "Lt" | "Gt" as operator:
            have, limit = _integer(value, _CANONICAL_INTEGER), _integer(bound, _CANONICAL_INTEGER)
            if have is None or limit is None:
                return False
            return have < limit if operator == "Lt" else have > limit
    return False


def taint_text(taint: Taint) -> str:
    """key=value:effect, as kubectl writes it; without a value, key:effect."""
    value = given(taint.value, "")
    return f"{taint.key}={value}:{taint.effect}" if value else f"{taint.key}:{taint.effect}"


def selects(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector selects what has these labels; an empty one selects all, none at all nothing.

    Raises ValueError for an operator that there is not. (Source: apimachinery, LabelSelectorAsSelector.)
    """
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in given(selector.match_labels, {}).items()):
        return False
    return all(_label_holds(each, labels) for each in given(selector.match_expressions, ()))


def _label_holds(requirement: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    found = _by_presence(requirement, labels)
    if found is None:
        raise ValueError(f"{requirement.operator!r} is not an operator of a label selector")
    return found
