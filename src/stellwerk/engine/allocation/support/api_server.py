"""Would the API server take this claim or class: sizes, names, references, modes, tolerations.

Source: k8s.io/kubernetes pkg/apis/resource/validation/validation.go and the declarative rules of
pkg/apis/resource/v1/zz_generated.validations.go, read at 1.34.4, 1.35.4, 1.36.3 and 1.37.2: what differs is
the toleration effect None, which 1.34 does not know, and derived attributes.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct, UnsetType
from msgspec.structs import replace

from stellwerk.api.groups.core import Container, PodSpec
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    DeviceClaim,
    DeviceClaimConfiguration,
    DeviceClassSpec,
    DeviceConfiguration,
    DeviceConstraint,
    DeviceDerivedAttribute,
    DeviceRequest,
    DeviceSelector,
    DeviceSubRequest,
    DeviceToleration,
)
from stellwerk.api.manifests import encode
from stellwerk.api.mismatch import shown
from stellwerk.engine.allocation.support import names
from stellwerk.engine.allocation.support.dropped import Asking
from stellwerk.engine.allocation.support.row import Cluster, Wrong
from stellwerk.engine.allocation.support.selectors import length_reason, selector_reason
from stellwerk.engine.decision import Reason

MAX_REQUESTS = MAX_CONSTRAINTS = MAX_CONFIGS = MAX_SELECTORS = MAX_DERIVED = 32
MAX_ALTERNATIVES = 8
MAX_PARAMETERS = 10 * 1024
EXACT_COUNT, ALL = "ExactCount", "All"
EFFECTS = ("NoSchedule", "NoExecute", "None")
T = TypeVar("T")
Check = Callable[[T, str], Iterator[Wrong]]


class _Known(Struct, frozen=True):
    """What parts of a claim refer to: alternatives by request, (request or "", attribute) of constraints.

    `distinct`: constraints may name a distinctAttribute.
    """

    requests: Mapping[str, tuple[str, ...]]
    attributes: frozenset[tuple[str, str]]
    distinct: bool


def check_claim(claim: DeviceClaim, cluster: Cluster, path: str) -> Iterator[Wrong]:
    """What the API server refuses in a claim without the dropped fields; `path` is spec.devices."""
    requests, constraints = given(claim.requests, ()), given(claim.constraints, ())
    known = _Known(
        {each.name: tuple(sub.name for sub in given(each.first_available, ())) for each in requests},
        frozenset(
            (target, given(each.match_attribute, given(each.distinct_attribute, "")))
            for each in constraints
            for target in given(each.requests, ()) or ("",)
        ),
        cluster.on("DRAConsumableCapacity"),
    )
    yield from _all(
        requests, f"{path}.requests", MAX_REQUESTS, lambda each, at: _request(each, at, cluster, known)
    )
    yield from _twice([each.name for each in requests], f"{path}.requests", MAX_REQUESTS)
    yield from _all(
        constraints, f"{path}.constraints", MAX_CONSTRAINTS, lambda each, at: _constraint(each, at, known)
    )
    yield from _all(
        given(claim.config, ()),
        f"{path}.config",
        MAX_CONFIGS,
        lambda each, at: _claim_config(each, at, known),
    )


def within_limits(claim: DeviceClaim) -> DeviceClaim:
    """The claim with no list longer than is allowed: layers behind the API server take bounded time."""
    requests = tuple(_bounded(each) for each in given(claim.requests, ())[:MAX_REQUESTS])
    return replace(
        claim,
        requests=requests,
        constraints=given(claim.constraints, ())[:MAX_CONSTRAINTS],
        config=given(claim.config, ())[:MAX_CONFIGS],
    )


def _bounded(request: DeviceRequest) -> DeviceRequest:
    exactly = request.exactly
    if not isinstance(exactly, UnsetType):
        exactly = replace(exactly, selectors=given(exactly.selectors, ())[:MAX_SELECTORS])
    return replace(
        request, exactly=exactly, first_available=given(request.first_available, ())[:MAX_ALTERNATIVES]
    )


def check_class(spec: DeviceClassSpec, cluster: Cluster, path: str = "spec") -> Iterator[Wrong]:
    """What the API server refuses in a DeviceClass."""
    yield from _selectors(given(spec.selectors, ()), f"{path}.selectors", cluster)
    yield from _all(given(spec.config, ()), f"{path}.config", MAX_CONFIGS, _config)
    name = given(spec.extended_resource_name, "")
    if name and not names.is_extended_resource(name):
        reason = Reason(
            "no-extended-resource", "{name} is no name of an extended resource", {"name": shown(name)}
        )
        yield Wrong(path=f"{path}.extendedResourceName", reason=reason)


def check_pod(spec: PodSpec, path: str) -> Iterator[Wrong]:
    """What the API server refuses in a pod's use of claims.

    Source: pkg/apis/core/validation/validation.go, validatePodResourceClaims and what it calls.
    """
    claims = given(spec.resource_claims, ())
    yield from _twice([each.name for each in claims], f"{path}.resourceClaims", len(claims))
    for i, claim in enumerate(claims):
        at = f"{path}.resourceClaims[{i}]"
        yield from _named(f"{at}.name", names.label_reason(claim.name))
        claim_name, template = (
            given(claim.resource_claim_name, ""),
            given(claim.resource_claim_template_name, ""),
        )
        if bool(claim_name) == bool(template):
            reason = Reason(
                "one-name", "exactly one of resourceClaimName and resourceClaimTemplateName is needed"
            )
            yield Wrong(path=at, reason=reason)
        else:
            yield from _named(at, names.subdomain_reason(claim_name or template))
    known = {each.name for each in claims}
    for field, containers in (
        ("initContainers", given(spec.init_containers, ())),
        ("containers", spec.containers),
    ):
        for i, container in enumerate(containers):
            yield from _container(container, f"{path}.{field}[{i}].resources.claims", known)


def _container(container: Container, path: str, known: Collection[str]) -> Iterator[Wrong]:
    if isinstance(container.resources, UnsetType):
        return
    for i, claim in enumerate(given(container.resources.claims, ())):
        if claim.name not in known:
            values = {"name": shown(claim.name) or '""', "known": ", ".join(sorted(known)[:8]) or "-"}
            reason = Reason(
                "no-pod-claim", "the pod has no claim {name} under resourceClaims, only: {known}", values
            )
            yield Wrong(path=f"{path}[{i}].name", reason=reason)


def _all(items: Sequence[T], path: str, most: int, check: Check[T]) -> Iterator[Wrong]:
    """Each item checked; too many are refused before any is looked at."""
    if len(items) > most:
        values = {"count": len(items), "limit": most}
        yield Wrong(path=path, reason=Reason("too-many", "{count} entries, the limit is {limit}", values))
        return
    for i, item in enumerate(items):
        yield from check(item, f"{path}[{i}]")


def _twice(keys: Sequence[str], path: str, most: int) -> Iterator[Wrong]:
    """Keys that were there before, if there are not too many of them anyway."""
    seen: set[str] = set()
    for i, key in enumerate(keys if len(keys) <= most else ()):
        if key in seen:
            reason = Reason("twice", "{name} is there twice", {"name": shown(key) or '""'})
            yield Wrong(path=f"{path}[{i}]", reason=reason)
        seen.add(key)


def _named(path: str, reason: Reason | None) -> Iterator[Wrong]:
    if reason is not None:
        yield Wrong(path=path, reason=reason)


def _request(request: DeviceRequest, path: str, cluster: Cluster, known: _Known) -> Iterator[Wrong]:
    yield from _named(f"{path}.name", names.label_reason(request.name))
    alternatives = given(request.first_available, ())
    exactly = not isinstance(request.exactly, UnsetType)
    if exactly == bool(alternatives):
        text = Reason("one-of", "a request has exactly one of exactly and firstAvailable")
        yield Wrong(path=path, reason=text)
    elif not isinstance(request.exactly, UnsetType):
        yield from _asking(request.exactly, f"{path}.exactly", cluster)
        yield from _derived(request.exactly, f"{path}.exactly", request.name, known)
    else:
        yield from _all(
            alternatives,
            f"{path}.firstAvailable",
            MAX_ALTERNATIVES,
            lambda each, at: _alternative(each, at, cluster, (request.name, known)),
        )
        yield from _twice([each.name for each in alternatives], f"{path}.firstAvailable", MAX_ALTERNATIVES)


def _alternative(
    each: DeviceSubRequest, path: str, cluster: Cluster, within: tuple[str, _Known]
) -> Iterator[Wrong]:
    request, known = within
    yield from _named(f"{path}.name", names.label_reason(each.name))
    yield from _asking(each, path, cluster)
    yield from _derived(each, path, f"{request}/{each.name}", known)


def _asking(asked: Asking, path: str, cluster: Cluster) -> Iterator[Wrong]:
    yield from _named(f"{path}.deviceClassName", names.subdomain_reason(asked.device_class_name))
    yield from _selectors(given(asked.selectors, ()), f"{path}.selectors", cluster)
    yield from _mode(asked, path)
    for i, toleration in enumerate(given(asked.tolerations, ())):
        yield from _toleration(toleration, f"{path}.tolerations[{i}]", cluster)


def _derived(asked: Asking, path: str, name: str, known: _Known) -> Iterator[Wrong]:
    """Derived attributes of a request, or of an alternative (request/alternative)."""

    def check(each: DeviceDerivedAttribute, at: str) -> Iterator[Wrong]:
        yield from _named(f"{at}.name", names.attribute_reason(each.name))
        yield from _named(f"{at}.expression", length_reason(each.expression))
        targets = {"", name, name.partition("/")[0]}
        if not any((target, each.name) in known.attributes for target in targets):
            reason = Reason(
                "unused", "no constraint uses the derived attribute {name}", {"name": shown(each.name)}
            )
            yield Wrong(path=f"{at}.name", reason=reason)

    derived = given(asked.derived_attributes, ())
    yield from _all(derived, f"{path}.derivedAttributes", MAX_DERIVED, check)
    yield from _twice([each.name for each in derived], f"{path}.derivedAttributes", MAX_DERIVED)


def _selectors(selectors: Sequence[DeviceSelector], path: str, cluster: Cluster) -> Iterator[Wrong]:
    consumable, lists = cluster.on("DRAConsumableCapacity"), cluster.on("DRAListTypeAttributes")

    def check(selector: DeviceSelector, at: str) -> Iterator[Wrong]:
        if isinstance(selector.cel, UnsetType):
            yield Wrong(path=f"{at}.cel", reason=Reason("no-cel", "a selector needs cel"))
            return
        yield from _named(f"{at}.cel.expression", selector_reason(selector.cel.expression, consumable, lists))

    yield from _all(selectors, path, MAX_SELECTORS, check)


def _mode(asked: Asking, path: str) -> Iterator[Wrong]:
    mode, count = given(asked.allocation_mode, "") or EXACT_COUNT, given(asked.count, 0)
    if mode not in (EXACT_COUNT, ALL):
        reason = Reason("no-mode", "allocationMode {mode} is not ExactCount or All", {"mode": shown(mode)})
        yield Wrong(path=f"{path}.allocationMode", reason=reason)
    elif mode == ALL and count != 0:
        yield Wrong(
            path=f"{path}.count", reason=Reason("count-with-all", "allocationMode All takes no count")
        )
    elif mode == EXACT_COUNT and count < 0:  # 0 is defaulted to 1.
        reason = Reason("count", "count {count} is not greater than 0", {"count": count})
        yield Wrong(path=f"{path}.count", reason=reason)


def _toleration(each: DeviceToleration, path: str, cluster: Cluster) -> Iterator[Wrong]:
    if key := given(each.key, ""):
        yield from _named(f"{path}.key", names.label_key_reason(key))
    operator, value = given(each.operator, "") or "Equal", given(each.value, "")
    if operator == "Exists" and value:
        reason = Reason("value-with-exists", "operator Exists takes no value")
        yield Wrong(path=f"{path}.value", reason=reason)
    elif operator == "Equal":
        yield from _named(f"{path}.value", names.label_value_reason(value))
    elif operator != "Exists":
        reason = Reason(
            "no-operator", "the operator {name} is not Exists or Equal", {"name": shown(operator)}
        )
        yield Wrong(path=f"{path}.operator", reason=reason)
    effects = EFFECTS[:2] if cluster.kubernetes == "1.34" else EFFECTS
    effect = given(each.effect, "")
    if effect and effect not in effects:
        values = {"effect": shown(effect), "known": ", ".join(effects)}
        reason = Reason("no-effect", "the effect {effect} is not one of {known}", values)
        yield Wrong(path=f"{path}.effect", reason=reason)


def _constraint(constraint: DeviceConstraint, path: str, known: _Known) -> Iterator[Wrong]:
    yield from _references(given(constraint.requests, ()), f"{path}.requests", known.requests)
    match, distinct = constraint.match_attribute, constraint.distinct_attribute
    if not isinstance(match, UnsetType):  # With both, Kubernetes looks at matchAttribute only.
        yield from _named(f"{path}.matchAttribute", names.attribute_reason(match))
    elif not isinstance(distinct, UnsetType):
        yield from _named(f"{path}.distinctAttribute", names.attribute_reason(distinct))
    else:
        reason = Reason("no-attribute", "a constraint needs matchAttribute or distinctAttribute")
        yield Wrong(path=path if known.distinct else f"{path}.matchAttribute", reason=reason)


def _claim_config(config: DeviceClaimConfiguration, path: str, known: _Known) -> Iterator[Wrong]:
    yield from _references(given(config.requests, ()), f"{path}.requests", known.requests)
    yield from _config(config, path)


def _references(asked: Sequence[str], path: str, known: Mapping[str, Collection[str]]) -> Iterator[Wrong]:
    def check(name: str, at: str) -> Iterator[Wrong]:
        request, _, alternative = name.partition("/")
        parts = name.split("/")
        if len(parts) <= 2 and (bad := next(filter(None, map(names.label_reason, parts)), None)):
            yield Wrong(path=at, reason=bad)
            return
        if request in known and (not alternative or alternative in known[request]) and name[-1:] != "/":
            return
        values = {"name": shown(name) or '""', "known": ", ".join(sorted(known)[:8])}
        reason = Reason("no-request", "there is no request {name} in the claim, only: {known}", values)
        yield Wrong(path=at, reason=reason)

    yield from _all(asked, path, MAX_REQUESTS, check)
    yield from _twice(asked, path, MAX_REQUESTS)


def _config(config: DeviceConfiguration | DeviceClaimConfiguration, path: str) -> Iterator[Wrong]:
    if isinstance(config.opaque, UnsetType):
        yield Wrong(path=f"{path}.opaque", reason=Reason("no-opaque", "a configuration needs opaque"))
        return
    yield from _named(f"{path}.opaque.driver", names.driver_reason(config.opaque.driver))
    parameters = config.opaque.parameters
    at = f"{path}.opaque.parameters"
    if len(encode(parameters)) > MAX_PARAMETERS:
        reason = Reason("parameters-too-long", "the parameters are longer than {limit} bytes",
                        {"limit": MAX_PARAMETERS})  # fmt: skip
        yield Wrong(path=at, reason=reason)
    elif not isinstance(parameters, dict):
        yield Wrong(path=at, reason=Reason("parameters", "the parameters are no JSON object"))
