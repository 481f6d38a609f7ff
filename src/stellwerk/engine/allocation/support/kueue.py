"""What Kueue does with a claim: refused, counted against quota, or not looked at, by its version.

Source: kubernetes-sigs/kueue pkg/dra/claims.go, pkg/dra/extended_resources.go and
pkg/controller/core/workload_controller.go at the tags that the catalog's versions name.
"""

from collections.abc import Iterator, Mapping

from msgspec import UnsetType

from stellwerk.api.defaults import ALL
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import DeviceClaim, ExactDeviceRequest
from stellwerk.catalog.versions import KUEUE, Component, Fact, facts
from stellwerk.cel.environment import Environment
from stellwerk.engine.allocation.claims.expressions import selector_refusal
from stellwerk.engine.allocation.support.row import (
    ACCEPTS,
    IGNORES,
    REFUSES,
    Cluster,
    Row,
    Seen,
    Wrong,
    row,
    wrong_of,
)
from stellwerk.engine.allocation.support.subject import AskedClaim
from stellwerk.engine.decision import Reason

# The gate of Kueue's DRA support: its name was another one before 0.18.
GATES = ("KueueDRAIntegration", "DynamicResourceAllocation")
# What its compiler declares, whatever the gates of the cluster.
COMPILER = Environment(consumable_capacity=False, list_type_attributes=False, stored=False)


def kueue_rows(claim: AskedClaim, devices: DeviceClaim, cluster: Cluster) -> Iterator[Row]:
    """What Kueue does with a claim of a workload that is in one of its queues."""
    kueue = cluster.kueue
    if kueue is None or not claim.queued:
        return
    known = facts(kueue)
    gate = next(name for name in GATES if name in kueue.gates)
    if not cluster.component_on(kueue, gate):
        yield _off(claim, kueue, gate, known)
        return
    if not claim.template:
        yield _row(
            claim, kueue, REFUSES, Wrong(path="", reason=_NAMED, fix=_TEMPLATE), known["refuses-named-claim"]
        )
        return
    refused = [
        *_refused(claim.path, devices, known),
        *_selectors(claim.path, devices, known),
        *_unmapped(claim.path, devices, known, cluster.mapped),
    ]
    for wrong, fact in refused:
        yield _row(claim, kueue, REFUSES, wrong, fact)
    for wrong, fact in _uncounted(claim.path, devices, known):
        yield _row(claim, kueue, IGNORES, wrong, fact)
    if not refused:
        yield _counted(claim, devices, kueue, cluster)


_NAMED = Reason(
    "named-claim", "a workload that names a ResourceClaim is inadmissible: only templates are counted"
)
_TEMPLATE = Reason("use-template", "make it a ResourceClaimTemplate and name it by resourceClaimTemplateName")


def _off(claim: AskedClaim, kueue: Component, gate: str, known: Mapping[str, Fact]) -> Row:
    rejects = "rejects-when-off" in known
    values = {"gate": gate}
    reason = (
        Reason(
            "kueue-off-refused", "Kueue's gate {gate} is off: a workload with claims is inadmissible", values
        )
        if rejects
        else Reason(
            "kueue-off",
            "Kueue's gate {gate} is off: the workload is admitted, its devices are not counted",
            values,
        )
    )
    fix = Reason("kueue-gate", "set Kueue's feature gate, then check: --gate {gate}=true", values)
    seen = Seen(_versions(kueue), kueue.source(kueue.file))
    wrong = Wrong(path="", reason=reason, fix=fix)
    return row(KUEUE, REFUSES if rejects else IGNORES, claim.object, wrong, seen)


def _refused(path: str, devices: DeviceClaim, known: Mapping[str, Fact]) -> Iterator[tuple[Wrong, Fact]]:
    """Each feature of the claim that this version refuses."""
    for code, at, reason in _features(path, devices):
        if code in known:
            yield Wrong(path=at, reason=reason, fix=_FIXES.get(code)), known[code]


def _features(path: str, devices: DeviceClaim) -> Iterator[tuple[str, str, Reason]]:
    """What a claim uses of all that some version of Kueue refuses: the fact's code, the field, the words."""
    if given(devices.constraints, ()):
        yield (
            "refuses-constraints",
            f"{path}.constraints",
            Reason("no-constraints", "Kueue refuses constraints"),
        )
    if given(devices.config, ()):
        yield "refuses-config", f"{path}.config", Reason("no-config", "Kueue refuses config")
    for i, request in enumerate(given(devices.requests, ())):
        at = f"{path}.requests[{i}]"
        if given(request.first_available, ()):
            reason = Reason(
                "no-first-available", "Kueue refuses firstAvailable: it could not count the devices"
            )
            yield "refuses-first-available", f"{at}.firstAvailable", reason
        if isinstance(request.exactly, UnsetType):
            continue
        yield from _of_exactly(request.exactly, f"{at}.exactly")


def _of_exactly(asked: ExactDeviceRequest, at: str) -> Iterator[tuple[str, str, Reason]]:
    if given(asked.selectors, ()):
        yield "refuses-selectors", f"{at}.selectors", Reason("no-selectors", "Kueue refuses CEL selectors")
    if given(asked.admin_access, False):
        yield "refuses-admin-access", f"{at}.adminAccess", Reason("no-admin", "Kueue refuses adminAccess")
    elif given(asked.allocation_mode, "") == ALL:
        reason = Reason("no-all", "Kueue refuses allocationMode All: it could not count the devices")
        yield "refuses-all", f"{at}.allocationMode", reason


_FIXES: Mapping[str, Reason] = {
    "refuses-first-available": Reason("exactly", "make a template for each alternative, with exactly"),
    "refuses-selectors": Reason(
        "newer-kueue", "upgrade to Kueue {version}: it compiles them", {"version": "0.18"}
    ),
    "refuses-constraints": Reason("newer-kueue-any", "upgrade to Kueue {version}", {"version": "0.18"}),
    "refuses-config": Reason("newer-kueue-any", "upgrade to Kueue {version}", {"version": "0.18"}),
    "refuses-admin-access": Reason(
        "no-queue", "make its pods without a queue: who only looks needs no quota"
    ),
    "refuses-all": Reason("count", "write allocationMode: ExactCount with a count"),
}


def _selectors(path: str, devices: DeviceClaim, known: Mapping[str, Fact]) -> Iterator[tuple[Wrong, Fact]]:
    """Selectors that Kueue's compiler does not know, though the API server does."""
    fact = known.get("compiles-selectors")
    if fact is None:
        return
    for i, request in enumerate(given(devices.requests, ())):
        if isinstance(request.exactly, UnsetType):
            continue
        for j, selector in enumerate(given(request.exactly.selectors, ())):
            if isinstance(selector.cel, UnsetType):
                continue
            at = f"{path}.requests[{i}].exactly.selectors[{j}].cel.expression"
            found = selector_refusal(COMPILER, at, selector.cel.expression)
            if found is not None:
                yield wrong_of(found), fact


def _unmapped(
    path: str, devices: DeviceClaim, known: Mapping[str, Fact], mapped: frozenset[str] | None
) -> Iterator[tuple[Wrong, Fact]]:
    """DeviceClasses that the Configuration, where it was read, does not name; adminAccess needs no quota."""
    for i, request in enumerate(given(devices.requests, ())):
        if mapped is None or isinstance(request.exactly, UnsetType):
            continue
        name = request.exactly.device_class_name
        if name in mapped or given(request.exactly.admin_access, False):
            continue
        values = {"class": name[:80], "known": ", ".join(sorted(mapped)[:5])[:200] or "-"}
        reason = Reason(
            "unmapped-class",
            "resources.deviceClassMappings of Kueue's Configuration does not name DeviceClass {class}: the "
            "workload is inadmissible",
            values,
        )
        fix = Reason(
            "map-device-class",
            "add {class} to deviceClassMappings and restart Kueue, or use one of: {known}; see: kubectl -n "
            "kueue-system get configmap kueue-manager-config -o yaml",
            values,
        )
        at = f"{path}.requests[{i}].exactly.deviceClassName"
        yield Wrong(path=at, reason=reason, fix=fix), known["refuses-unmapped-class"]


def _uncounted(path: str, devices: DeviceClaim, known: Mapping[str, Fact]) -> Iterator[tuple[Wrong, Fact]]:
    """What is admitted without being counted."""
    for code, at, _reason in _features(path, devices):
        fact = known.get(code.replace("refuses-", "uncounted-"))
        if fact is not None:
            yield (
                Wrong(path=at, reason=Reason("uncounted", "admitted, but Kueue counts no device for it")),
                fact,
            )
        if code == "refuses-admin-access" and "admin-access-free" in known:
            reason = Reason("admin-free", "admitted, and counted as no device")
            yield Wrong(path=at, reason=reason), known["admin-access-free"]


def _counted(claim: AskedClaim, devices: DeviceClaim, kueue: Component, cluster: Cluster) -> Row:
    """It is counted, if the Configuration names the classes."""
    classes = sorted(
        {
            request.exactly.device_class_name
            for request in given(devices.requests, ())
            if not isinstance(request.exactly, UnsetType)
        }
    )
    values = {"classes": ", ".join(classes[:6]) or "-"}
    if cluster.mapped is not None:
        reason = Reason("mapped", "counted against quota: deviceClassMappings name {classes}", values)
        return _row(
            claim, kueue, ACCEPTS, Wrong(path="", reason=reason), facts(kueue)["refuses-unmapped-class"]
        )
    reason = Reason(
        "counted",
        "admitted against quota if resources.deviceClassMappings of Kueue's Configuration names {classes}; "
        "else inadmissible",
        values,
    )
    fix = Reason("see-mappings", "see: kubectl -n kueue-system get configmap kueue-manager-config -o yaml")
    return _row(
        claim, kueue, ACCEPTS, Wrong(path="", reason=reason, fix=fix), facts(kueue)["refuses-unmapped-class"]
    )


def _row(claim: AskedClaim, kueue: Component, verdict: str, wrong: Wrong, fact: Fact) -> Row:
    return row(KUEUE, verdict, claim.object, wrong, Seen(_versions(kueue), kueue.source(fact.file)))


def _versions(kueue: Component) -> str:
    return f"Kueue {kueue.version} ({kueue.ref})"
