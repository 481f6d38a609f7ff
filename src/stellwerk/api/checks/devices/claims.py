"""Claims, classes, taint rules: sizes, references, constraints, configuration, status.

Source: k8s.io/kubernetes pkg/apis/resource/validation/validation.go and the declarative rules of
pkg/apis/resource/v1/zz_generated.validations.go, read at 1.34.4, 1.35.4, 1.36.3 and 1.37.2.
"""

from collections.abc import Collection, Iterator, Sequence
from operator import attrgetter

from msgspec import UNSET, Struct, UnsetType

from stellwerk.api.checks.devices.names import (
    driver_refusal,
    extended_resource_refusal,
    label_key_refusal,
    qualified_refusal,
)
from stellwerk.api.checks.devices.requests import Known, request_refusals, selector_refusals
from stellwerk.api.checks.devices.rules import EFFECTS, NEWEST, Rules
from stellwerk.api.checks.names import label_value_refusal, name_refusal
from stellwerk.api.checks.refusal import Refusal, in_list, in_set, missing, other_word, quoted, too_many
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    DeviceClaim,
    DeviceClaimConfiguration,
    DeviceClassSpec,
    DeviceConfiguration,
    DeviceConstraint,
    DeviceRequest,
    DeviceTaint,
    ResourceClaimStatus,
)
from stellwerk.api.manifests import encode
from stellwerk.api.mismatch import shown

MAX_REQUESTS = MAX_CONSTRAINTS = MAX_CONFIGS = MAX_RESULTS = 32
MAX_USERS = 256
MAX_PARAMETERS = 10 * 1024


def claim_refusals(path: str, claim: DeviceClaim, rules: Rules = NEWEST) -> Iterator[Refusal]:
    """What an API server with these rules refuses in a claim's or template's devices (`path`)."""
    requests, constraints = given(claim.requests, ()), given(claim.constraints, ())
    names = _names(requests)
    known = Known(rules, _used(constraints))

    def request(at: str, each: DeviceRequest) -> Iterator[Refusal]:
        yield from request_refusals(at, each, known)

    def constraint(at: str, each: DeviceConstraint) -> Iterator[Refusal]:
        yield from _references(f"{at}.requests", given(each.requests, ()), names)
        yield from _attribute(at, each, rules)

    def config(at: str, each: DeviceClaimConfiguration) -> Iterator[Refusal]:
        yield from _references(f"{at}.requests", given(each.requests, ()), names)
        yield from _config(at, each)

    yield from in_set(f"{path}.requests", requests, MAX_REQUESTS, request, attrgetter("name"))
    yield from in_list(f"{path}.constraints", constraints, MAX_CONSTRAINTS, constraint)
    yield from in_list(f"{path}.config", given(claim.config, ()), MAX_CONFIGS, config)


def class_refusals(path: str, spec: DeviceClassSpec, rules: Rules = NEWEST) -> Iterator[Refusal]:
    """What it refuses in a DeviceClass (`path`: spec)."""
    yield from selector_refusals(f"{path}.selectors", given(spec.selectors, ()), rules)
    yield from in_list(f"{path}.config", given(spec.config, ()), MAX_CONFIGS, _config)
    if name := given(spec.extended_resource_name, ""):
        yield from extended_resource_refusal(f"{path}.extendedResourceName", name)


def taint_refusals(path: str, taint: DeviceTaint) -> Iterator[Refusal]:
    """What it refuses in a taint of a device."""
    yield from label_key_refusal(f"{path}.key", taint.key)
    yield from label_value_refusal(f"{path}.value", given(taint.value, ""))
    yield from other_word("no-effect", f"{path}.effect", taint.effect, EFFECTS)


def status_refusals(path: str, status: ResourceClaimStatus) -> Iterator[Refusal]:
    """What it refuses in a claim's status: sizes, and users of what is not allocated."""
    yield from too_many(f"{path}.reservedFor", status.reserved_for, MAX_USERS)
    if given(status.reserved_for, ()) and status.allocation is UNSET:
        yield Refusal(
            code="not-allocated",
            path=f"{path}.reservedFor",
            problem="a claim that is not allocated is reserved for nobody",
            fix="remove reservedFor, or add the allocation",
        )
    if status.allocation is not UNSET and status.allocation.devices is not UNSET:
        results = status.allocation.devices.results
        yield from too_many(f"{path}.allocation.devices.results", results, MAX_RESULTS)


class _Names(Struct, frozen=True):
    """What constraints and configuration may call requests and alternatives; and these as a text."""

    names: Collection[str]
    text: str


def _names(requests: Sequence[DeviceRequest]) -> _Names:
    """Of two requests with one name the later counts; a name with a slash in it can't be referred to."""
    by_name = {one.name: given(one.first_available, ()) for one in requests if "/" not in one.name}
    listed = {f"{name}/{each.name}" for name, these in by_name.items() for each in these}
    names = by_name.keys() | {each for each in listed if each.count("/") == 1}
    return _Names(names, shown(", ".join(sorted(names))) or "-")


def _used(constraints: Sequence[DeviceConstraint]) -> frozenset[tuple[str, str]]:
    """(request, request/alternative or "" for all; attribute) that constraints compare."""
    return frozenset(
        (target, given(each.match_attribute, given(each.distinct_attribute, "")))
        for each in constraints
        for target in given(each.requests, ()) or ("",)
    )


def _attribute(path: str, constraint: DeviceConstraint, rules: Rules) -> Iterator[Refusal]:
    match, distinct = constraint.match_attribute, constraint.distinct_attribute
    if not isinstance(match, UnsetType):  # With both, Kubernetes looks at matchAttribute only.
        yield from qualified_refusal(f"{path}.matchAttribute", match)
    elif not isinstance(distinct, UnsetType):
        yield from qualified_refusal(f"{path}.distinctAttribute", distinct)
    else:
        yield Refusal(
            code="no-attribute",
            path=path if rules.distinct else f"{path}.matchAttribute",
            problem="a constraint needs matchAttribute or distinctAttribute",
            fix="add one of the two",
        )


def _references(path: str, asked: Sequence[str], known: _Names) -> Iterator[Refusal]:
    def check(at: str, name: str) -> Iterator[Refusal]:
        parts = name.split("/")
        bad = [each for part in parts for each in name_refusal(at, part, label=True)]
        if bad and len(parts) <= 2:
            yield bad[0]
        elif name not in known.names:
            yield Refusal(
                code="no-request",
                path=at,
                problem="{name} is not a request of this claim",
                fix="use one of: {known}",
                values={"name": quoted(name), "known": known.text},
            )

    yield from in_set(path, asked, MAX_REQUESTS, check, str)


def _config(path: str, config: DeviceConfiguration | DeviceClaimConfiguration) -> Iterator[Refusal]:
    if isinstance(config.opaque, UnsetType):
        yield missing("no-opaque", f"{path}.opaque", "opaque")
        return
    yield from driver_refusal(f"{path}.opaque.driver", config.opaque.driver)
    at, parameters = f"{path}.opaque.parameters", config.opaque.parameters
    if len(encode(parameters)) > MAX_PARAMETERS:
        yield Refusal(
            code="parameters-too-long",
            path=at,
            problem="the parameters are longer than {limit} bytes",
            fix="shorten them",
            values={"limit": MAX_PARAMETERS},
        )
    elif not isinstance(parameters, dict):
        yield Refusal(
            code="parameters",
            path=at,
            problem="the parameters are not an object",
            fix="write an object as the driver documents it",
        )
