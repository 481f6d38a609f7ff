"""Shapes that several kinds of Kueue share, and the rules on labels, selectors and tolerations.

Source: kueue config/components/crd/bases at ff69552e (v1beta2); kueue pkg/webhooks, and
k8s.io/apimachinery pkg/apis/meta/v1/validation/validation.go for labels and selectors.
"""

from collections.abc import Iterator, Mapping, Sequence

from stellwerk.api.checks.devices.names import label_key_refusal
from stellwerk.api.checks.names import is_word, label_value_refusal
from stellwerk.api.checks.refusal import Refusal, other_word
from stellwerk.api.checks.schema import (
    ANY_TEXT,
    LABEL_KEY,
    Amount,
    Fields,
    Flag,
    Items,
    Moment,
    Name,
    Table,
    Text,
    Whole,
)
from stellwerk.api.groups.core import Toleration
from stellwerk.api.groups.meta import LabelSelector, LabelSelectorRequirement, given
from stellwerk.api.mismatch import shown

SUBDOMAIN, LABEL = Name(), Name(label=True)
STOP_POLICIES = ("None", "Hold", "HoldAndDrain")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
MESSAGE = Text(most=32768)
COUNT, NUMBER = Whole(least=0), Whole()
TEXT, FLAG, MOMENT, AMOUNT = ANY_TEXT, Flag(), Moment(), Amount()
FAIR_SHARING = Fields(of={"weight": AMOUNT})
CONDITION = Fields(
    of={
        "type": Text(most=316, form=LABEL_KEY),
        "status": Text(words=("True", "False", "Unknown")),
        "observedGeneration": COUNT,
        "lastTransitionTime": MOMENT,
        "reason": Text(least=1, most=1024, form=r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"),
        "message": MESSAGE,
    },
    required=("lastTransitionTime", "message", "reason", "status", "type"),
)
CONDITIONS = Items(of=CONDITION, most=16, key=("type",))
TOLERATIONS = Items(
    of=Fields(of={"key": TEXT, "operator": TEXT, "value": TEXT, "effect": TEXT, "tolerationSeconds": NUMBER}),
    most=8,
)
FLAVORS_USE = Items(
    of=Fields(
        of={
            "name": SUBDOMAIN,
            "resources": Items(
                of=Fields(of={"name": TEXT, "total": AMOUNT, "borrowed": AMOUNT}, required=("name",)),
                most=64,
                key=("name",),
            ),
        },
        required=("name", "resources"),
    ),
    most=64,
    key=("name",),
)
LABELS = Table(of=TEXT)
_WITH_VALUES, _WITHOUT = ("In", "NotIn"), ("Exists", "DoesNotExist")


def toleration_refusals(path: str, tolerations: Sequence[Toleration]) -> Iterator[Refusal]:
    """What Kueue's CRDs ask of tolerations: how key, operator, value and effect go together."""
    for i, one in enumerate(tolerations):
        place, operator = f"{path}[{i}]", given(one.operator, "Equal")
        effect = given(one.effect, "")
        yield from other_word("no-choice", f"{place}.operator", operator, ("Equal", "Exists"))
        if isinstance(one.effect, str):
            yield from other_word("no-choice", f"{place}.effect", effect, EFFECTS)
        if not isinstance(one.key, str) and operator != "Exists":
            yield Refusal(
                code="no-key",
                path=f"{place}.operator",
                problem="a toleration without key needs the operator Exists",
                fix="write operator: Exists, or add key",
            )
        if operator == "Exists" and isinstance(one.value, str):
            yield Refusal(
                code="value-of-exists",
                path=f"{place}.value",
                problem="a toleration with the operator Exists has no value",
                fix="remove value, or write operator: Equal",
            )
        if isinstance(one.toleration_seconds, int) and effect != "NoExecute":
            yield Refusal(
                code="seconds-without-effect",
                path=f"{place}.tolerationSeconds",
                problem="tolerationSeconds needs the effect NoExecute",
                fix="write effect: NoExecute, or remove tolerationSeconds",
            )


def toleration_key_refusals(path: str, tolerations: Sequence[Toleration]) -> Iterator[Refusal]:
    """What Kueue's webhooks ask of them: keys that could be a label's."""
    for i, one in enumerate(tolerations):
        if key := given(one.key, ""):
            yield from label_key_refusal(f"{path}[{i}].key", key)


def label_refusals(path: str, labels: Mapping[str, str]) -> Iterator[Refusal]:
    """Labels of which a key or a value is none; the field is the whole mapping, as in Kueue's answer."""
    for key, value in labels.items():
        yield from label_key_refusal(path, key)
        if value and not is_word(value):
            yield Refusal(
                code="no-label-value",
                path=path,
                problem="the label value {value} is not valid",
                fix="use at most 63 letters, digits, '-', '_' and '.', a letter or digit at both ends",
                values={"value": shown(value)},
            )


def selector_refusals(path: str, selector: LabelSelector) -> Iterator[Refusal]:
    """Keys, values and operators, and that values are there exactly where the operator needs them."""
    yield from label_refusals(f"{path}.matchLabels", given(selector.match_labels, {}))
    for i, one in enumerate(given(selector.match_expressions, ())):
        yield from _requirement_refusals(f"{path}.matchExpressions[{i}]", one)


def _requirement_refusals(path: str, one: LabelSelectorRequirement) -> Iterator[Refusal]:
    values = given(one.values, ())
    yield from other_word("no-choice", f"{path}.operator", one.operator, (*_WITH_VALUES, *_WITHOUT))
    if one.operator in _WITH_VALUES and not values:
        yield Refusal(
            code="no-values",
            path=f"{path}.values",
            problem="the operator {operator} needs values",
            fix="add values, or write operator: Exists",
            values={"operator": one.operator},
        )
    if one.operator in _WITHOUT and values:
        yield Refusal(
            code="values-too-many",
            path=f"{path}.values",
            problem="the operator {operator} takes no values",
            fix="remove values, or write operator: In",
            values={"operator": one.operator},
        )
    yield from label_key_refusal(f"{path}.key", one.key)
    for i, value in enumerate(values):
        yield from label_value_refusal(f"{path}.values[{i}]", value)
