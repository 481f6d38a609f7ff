"""Sets of label values, as NodePools and pods require them, and whether two of them have a value in common.

Source: Karpenter v1.14.1 pkg/scheduling/requirement.go and requirements.go, pkg/apis/v1/labels.go.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from stellwerk.engine.decision import Reason

POOL_LABEL = "karpenter.sh/nodepool"
TYPE_LABEL = "node.kubernetes.io/instance-type"
ZONE_LABEL, CAPACITY_LABEL = "topology.kubernetes.io/zone", "karpenter.sh/capacity-type"
ARCH_LABEL, OS_LABEL = "kubernetes.io/arch", "kubernetes.io/os"
# Older names that Karpenter reads as the newer ones.
_RENAMED = {
    "failure-domain.beta.kubernetes.io/zone": ZONE_LABEL,
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/arch": ARCH_LABEL,
    "beta.kubernetes.io/os": OS_LABEL,
    "beta.kubernetes.io/instance-type": TYPE_LABEL,
}
# Labels that a pod may ask for though the NodePool does not name them: the provider's types give them.
_KNOWN = frozenset(
    (
        POOL_LABEL,
        TYPE_LABEL,
        ZONE_LABEL,
        CAPACITY_LABEL,
        ARCH_LABEL,
        OS_LABEL,
        "topology.kubernetes.io/region",
        "node.kubernetes.io/windows-build",
    )
)
# The providers' own, of which each has many.
_PROVIDERS = (
    "karpenter.k8s.aws/",
    "topology.k8s.aws/",
    "eks.amazonaws.com/",
    "karpenter.azure.com/",
    "kubernetes.azure.com/",
    "karpenter.k8s.gcp/",
    "karpenter.kwok.sh/",
)
_MOST_SHOWN = 5


class Requirement(Struct, frozen=True, kw_only=True):
    """The values of a label that are allowed: `values`, or (`others`) all but them, between two numbers.

    `others` with no value is any value; no value and not `others` is: the label must not be there.
    """

    key: str
    values: frozenset[str] = frozenset()
    others: bool = False
    least: int | None = None
    most: int | None = None

    def __str__(self) -> str:
        shown = sorted(self.values)
        words = ", ".join(shown[:_MOST_SHOWN])
        if len(shown) > _MOST_SHOWN:
            words += f" and {len(shown) - _MOST_SHOWN} more"
        if self.others:
            bounds = [f">= {self.least}"] * (self.least is not None) + [f"<= {self.most}"] * (
                self.most is not None
            )
            text = f"not {words}" if shown else "any"
            return " ".join([text, *bounds]) if shown or not bounds else " ".join(bounds)
        return words or "(the label must not be there)"


Requirements = Mapping[str, Requirement]


def requirement(key: str, operator: str, values: Sequence[str] = ()) -> Requirement:
    """One requirement; operators In, NotIn, Exists, DoesNotExist, Gt, Lt, Gte, Lte."""
    key = _RENAMED.get(key, key)
    if operator in ("Gt", "Gte", "Lt", "Lte"):
        number = int(values[0]) if values and _is_number(values[0]) else 0
        if operator[0] == "G":
            return Requirement(key=key, others=True, least=number + (operator == "Gt"))
        return Requirement(key=key, others=True, most=number - (operator == "Lt"))
    named = frozenset(values) if operator in ("In", "NotIn") else frozenset[str]()
    return Requirement(key=key, values=named, others=operator in ("NotIn", "Exists"))


def together(each: Iterable[Requirement]) -> dict[str, Requirement]:
    """All of them at once: those of one label as their intersection."""
    found: dict[str, Requirement] = {}
    for one in each:
        found[one.key] = _both(found[one.key], one) if one.key in found else one
    return found


def allows(one: Requirement, value: str) -> bool:
    """Whether a label may have this value."""
    return (value in one.values) != one.others and _is_within(value, one.least, one.most)


def meets(one: Requirement, other: Requirement) -> bool:
    """Whether there is a value that both allow."""
    least, most = _bounds(one, other)
    if least is not None and most is not None and least > most:
        return False
    if one.others and other.others:
        return True
    listed, rest = (other, one) if one.others else (one, other)
    return any(
        (value in rest.values) != rest.others and _is_within(value, least, most) for value in listed.values
    )


def conflict(has: Requirements, asked: Requirements) -> Reason | None:
    """What keeps nodes of these labels from a pod that asks; None: they agree.

    A label that nodes are not said to have is allowed where the provider's instance types give it.
    """
    for key in sorted(asked):
        if key not in has and not _is_known(key) and not _is_absence(asked[key]):
            return Reason(
                "pool-label", "its nodes do not have the label {key} that the pod asks for", {"key": key}
            )
    return differing(has, asked)


def differing(has: Requirements, asked: Requirements) -> Reason | None:
    """The first label of both whose values have none in common."""
    for key in sorted(set(has) & set(asked)):
        if meets(has[key], asked[key]) or (_is_absence(has[key]) and _is_absence(asked[key])):
            continue
        return Reason(
            "pool-requirement",
            "the pod needs {key}: {asked}; it has {has}",
            {"key": key, "asked": str(asked[key]), "has": str(has[key])},
        )
    return None


def _both(one: Requirement, other: Requirement) -> Requirement:
    least, most = _bounds(one, other)
    if least is not None and most is not None and least > most:
        return Requirement(key=one.key)
    others = one.others and other.others
    if others:
        values = one.values | other.values
    elif one.others:
        values = other.values - one.values
    elif other.others:
        values = one.values - other.values
    else:
        values = one.values & other.values
    within = frozenset(value for value in values if _is_within(value, least, most))
    bounds = (least, most) if others else (None, None)
    return Requirement(key=one.key, values=within, others=others, least=bounds[0], most=bounds[1])


def _bounds(one: Requirement, other: Requirement) -> tuple[int | None, int | None]:
    least = [each for each in (one.least, other.least) if each is not None]
    most = [each for each in (one.most, other.most) if each is not None]
    return max(least, default=None), min(most, default=None)


def _is_within(value: str, least: int | None, most: int | None) -> bool:
    if least is None and most is None:
        return True
    if not _is_number(value):
        return False
    number = int(value)
    return (least is None or number >= least) and (most is None or number <= most)


def _is_number(text: str) -> bool:
    digits = text.removeprefix("-")
    return 0 < len(digits) < 19 and digits.isascii() and digits.isdigit()


def _is_known(key: str) -> bool:
    return key in _KNOWN or key.startswith(_PROVIDERS)


def _is_absence(one: Requirement) -> bool:
    """NotIn and DoesNotExist are met by a node without the label."""
    return bool(one.values) if one.others else not one.values
