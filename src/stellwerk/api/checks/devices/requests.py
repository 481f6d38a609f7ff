"""Requests of a claim and what a class has too: selectors, modes, tolerations, derived attributes.

Source: k8s.io/kubernetes pkg/apis/resource/validation/validation.go and the declarative rules of
pkg/apis/resource/v1/zz_generated.validations.go, read at 1.34.4, 1.35.4, 1.36.3 and 1.37.2. None of them
limits how many tolerations a request has, though types.go says 16.
"""

from collections.abc import Collection, Iterator, Sequence

from msgspec import Struct, UnsetType

from stellwerk.api.checks.devices.names import label_key_refusal, qualified_refusal
from stellwerk.api.checks.devices.rules import Rules
from stellwerk.api.checks.names import label_value_refusal, name_refusal
from stellwerk.api.checks.refusal import Refusal, in_list, in_set, missing, one_of, other_word, there
from stellwerk.api.defaults import ALL, EQUAL, EXACT_COUNT
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    DeviceDerivedAttribute,
    DeviceRequest,
    DeviceSelector,
    DeviceSubRequest,
    DeviceToleration,
    ExactDeviceRequest,
)
from stellwerk.api.mismatch import shown

MAX_SELECTORS = MAX_DERIVED = 32
MAX_ALTERNATIVES = 8
EXISTS = "Exists"
Asking = ExactDeviceRequest | DeviceSubRequest


class Known(Struct, frozen=True):
    """The rules of the server, and what constraints use: (request or "", attribute)."""

    rules: Rules
    attributes: Collection[tuple[str, str]]


def request_refusals(path: str, request: DeviceRequest, known: Known) -> Iterator[Refusal]:
    """One request: its name, and exactly or firstAvailable."""
    yield from name_refusal(f"{path}.name", request.name, label=True)
    alternatives = given(request.first_available, ())

    def check(at: str, each: DeviceSubRequest) -> Iterator[Refusal]:
        yield from name_refusal(f"{at}.name", each.name, label=True)
        yield from _asking(at, each, f"{request.name}/{each.name}", known)

    if isinstance(request.exactly, UnsetType) != bool(alternatives):
        yield one_of(path, "exactly, firstAvailable")
    elif not isinstance(request.exactly, UnsetType):
        yield from _asking(f"{path}.exactly", request.exactly, request.name, known)
    else:
        yield from in_set(
            f"{path}.firstAvailable", alternatives, MAX_ALTERNATIVES, check, lambda each: each.name
        )


def selector_refusals(path: str, selectors: Sequence[DeviceSelector], rules: Rules) -> Iterator[Refusal]:
    """Selectors of a request or a class."""

    def check(at: str, selector: DeviceSelector) -> Iterator[Refusal]:
        if isinstance(selector.cel, UnsetType):
            yield missing("no-cel", f"{at}.cel", "cel")
        else:
            yield from there(rules.selector(f"{at}.cel.expression", selector.cel.expression))

    yield from in_list(path, selectors, MAX_SELECTORS, check)


def _asking(path: str, asked: Asking, name: str, known: Known) -> Iterator[Refusal]:
    """A request, or an alternative (`name`: request/alternative)."""
    yield from name_refusal(f"{path}.deviceClassName", asked.device_class_name)
    yield from selector_refusals(f"{path}.selectors", given(asked.selectors, ()), known.rules)
    yield from _derived(f"{path}.derivedAttributes", asked, name, known)
    yield from _mode(path, asked)
    for i, toleration in enumerate(given(asked.tolerations, ())):
        yield from _toleration(f"{path}.tolerations[{i}]", toleration, known.rules)


def _derived(path: str, asked: Asking, name: str, known: Known) -> Iterator[Refusal]:
    targets = {"", name, name.partition("/")[0]}

    def check(at: str, each: DeviceDerivedAttribute) -> Iterator[Refusal]:
        yield from qualified_refusal(f"{at}.name", each.name)
        if not any((target, each.name) in known.attributes for target in targets):
            yield Refusal(
                code="unused",
                path=f"{at}.name",
                problem="no constraint uses the derived attribute {name}",
                fix="name it in a constraint of this request, or remove it",
                values={"name": shown(each.name)},
            )
        yield from there(known.rules.derived(f"{at}.expression", each.expression))

    yield from in_set(path, given(asked.derived_attributes, ()), MAX_DERIVED, check, lambda each: each.name)


def _mode(path: str, asked: Asking) -> Iterator[Refusal]:
    mode, count = given(asked.allocation_mode, "") or EXACT_COUNT, given(asked.count, 0)
    yield from other_word("no-mode", f"{path}.allocationMode", mode, (EXACT_COUNT, ALL))
    if (mode == ALL and count != 0) or (mode == EXACT_COUNT and count < 0):  # 0 is defaulted to 1.
        yield Refusal(
            code="count-with-all" if mode == ALL else "count",
            path=f"{path}.count",
            problem="the count {count} does not go with allocationMode {mode}",
            fix="write a count of 1 or more for ExactCount, none for All",
            values={"count": count, "mode": mode},
        )


def _toleration(path: str, toleration: DeviceToleration, rules: Rules) -> Iterator[Refusal]:
    if key := given(toleration.key, ""):
        yield from label_key_refusal(f"{path}.key", key)
    operator, value = given(toleration.operator, "") or EQUAL, given(toleration.value, "")
    yield from other_word("no-operator", f"{path}.operator", operator, (EQUAL, EXISTS))
    if operator == EQUAL:
        yield from label_value_refusal(f"{path}.value", value)
    elif operator == EXISTS and value:
        yield Refusal(
            code="value-with-exists",
            path=f"{path}.value",
            problem="a toleration with operator Exists has no value",
            fix="remove the value, or write operator: Equal",
        )
    if effect := given(toleration.effect, ""):
        yield from other_word("no-effect", f"{path}.effect", effect, rules.effects)
