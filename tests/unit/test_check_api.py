"""The API server and the scheduler: each rule with a claim that passes and one that does not."""

from typing import Any

import pytest

from stellwerk.api.checks.devices.names import is_extended_resource, label_key_refusal, qualified_refusal
from stellwerk.api.checks.devices.rules import MAX_EXPRESSION
from stellwerk.api.errors import InvalidInput
from stellwerk.api.manifests import encode, load_manifests
from stellwerk.api.validation import validate
from stellwerk.catalog.versions import gates, releases
from stellwerk.engine.allocation.support.row import API_SERVER, SCHEDULER
from tests.unit.support_sample import claim, cluster, device_class, exactly, pod, rows, template, verdicts

SELECTOR = {"cel": {"expression": "device.driver == 'gpu.nvidia.com'"}}
OPAQUE = {"driver": "dra.net", "parameters": {}}
ALTERNATIVE = {"name": "x", "deviceClassName": "gpu.nvidia.com"}


def api(*objects: dict[str, Any], **changed: Any) -> list[tuple[str, str, str]]:
    return verdicts(rows(*objects, of=cluster(**changed)), API_SERVER)


def tolerated(**toleration: Any) -> dict[str, Any]:
    return template(exactly(tolerations=[toleration]))


def derived(name: str, used: bool = True, expression: str = "1") -> dict[str, Any]:
    request = exactly(derivedAttributes=[{"name": name, "expression": expression}])
    return template(request, **({"constraints": [{"matchAttribute": name}]} if used else {}))


ACCEPTED: list[dict[str, Any]] = [
    template(),
    claim(exactly()),
    template(*[exactly() for _ in range(32)]),
    template({"firstAvailable": [{**ALTERNATIVE, "name": f"x{i}"} for i in range(8)]}),
    template(exactly(count=0)),
    template(exactly(allocationMode="All")),
    template(exactly(allocationMode="ExactCount", count=2)),
    template(exactly(selectors=[SELECTOR] * 32)),
    tolerated(key="example.com/x", operator="Equal", value="y", effect="NoSchedule"),
    tolerated(operator="Exists", effect="None"),
    tolerated(),
    template(exactly(), constraints=[{"requests": ["a"], "matchAttribute": "gpu.nvidia.com/parentUUID"}]),
    template(exactly(), constraints=[{"distinctAttribute": "gpu.nvidia.com/uuid"}]),
    template(exactly(), constraints=[{"matchAttribute": "a/b/c"}]),  # Kubernetes takes it.
    template(
        {"firstAvailable": [ALTERNATIVE]}, constraints=[{"requests": ["a/x"], "matchAttribute": "d.e/f"}]
    ),
    template(exactly(), config=[{"opaque": OPAQUE}]),
    template(
        exactly(), config=[{"requests": ["a"], "opaque": {"driver": "Dra.Net", "parameters": {"a": 1}}}]
    ),
]

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (template(*[exactly() for _ in range(33)]), "too-many", "requests"),
    (template({"name": "A", **exactly()}), "no-label", "requests[0].name"),
    (template({"name": "a" * 64, **exactly()}), "no-label", "requests[0].name"),
    (template({"name": "x", **exactly()}, {"name": "x", **exactly()}), "twice", "requests[1]"),
    (template({}), "one-of", "requests[0]"),
    (template({**exactly(), "firstAvailable": [ALTERNATIVE]}), "one-of", "requests[0]"),
    (template({"firstAvailable": []}), "one-of", "requests[0]"),
    (
        template({"firstAvailable": [{**ALTERNATIVE, "name": f"x{i}"} for i in range(9)]}),
        "too-many",
        "requests[0].firstAvailable",
    ),
    (template({"firstAvailable": [ALTERNATIVE] * 2}), "twice", "requests[0].firstAvailable[1]"),
    (
        template({"firstAvailable": [{**ALTERNATIVE, "count": -1}]}),
        "count",
        "requests[0].firstAvailable[0].count",
    ),
    (template(exactly("GPU")), "no-subdomain", "requests[0].exactly.deviceClassName"),
    (template(exactly("")), "no-subdomain", "requests[0].exactly.deviceClassName"),
    (template(exactly(count=-1)), "count", "requests[0].exactly.count"),
    (template(exactly(allocationMode="All", count=1)), "count-with-all", "requests[0].exactly.count"),
    (template(exactly(allocationMode="Most")), "no-mode", "requests[0].exactly.allocationMode"),
    (template(exactly(selectors=[SELECTOR] * 33)), "too-many", "requests[0].exactly.selectors"),
    (template(exactly(selectors=[{}])), "no-cel", "requests[0].exactly.selectors[0].cel"),
    (
        template(exactly(selectors=[{"cel": {"expression": "x" * (MAX_EXPRESSION + 1)}}])),
        "expression-too-long",
        "requests[0].exactly.selectors[0].cel.expression",
    ),
    (
        tolerated(operator="Exists", value="x"),
        "value-with-exists",
        "requests[0].exactly.tolerations[0].value",
    ),
    (tolerated(operator="In"), "no-operator", "requests[0].exactly.tolerations[0].operator"),
    (tolerated(effect="PreferNoSchedule"), "no-effect", "requests[0].exactly.tolerations[0].effect"),
    (tolerated(key="a b"), "no-label-key", "requests[0].exactly.tolerations[0].key"),
    (tolerated(value="a b"), "no-label-value", "requests[0].exactly.tolerations[0].value"),
    (
        template(exactly(), constraints=[{"matchAttribute": "uuid"}]),
        "no-domain-part",
        "constraints[0].matchAttribute",
    ),
    (
        template(exactly(), constraints=[{"matchAttribute": "gpu.nvidia.com/a-b"}]),
        "no-qualified-name",
        "constraints[0].matchAttribute",
    ),
    (
        template(exactly(), constraints=[{"distinctAttribute": "gpu.nvidia.com/" + "a" * 33}]),
        "no-qualified-name",
        "constraints[0].distinctAttribute",
    ),
    (template(exactly(), constraints=[{}]), "no-attribute", "constraints[0]"),
    (
        template(exactly(), constraints=[{"matchAttribute": ""}]),
        "no-domain-part",
        "constraints[0].matchAttribute",
    ),
    (
        template(exactly(), constraints=[{"requests": ["b"], "matchAttribute": "d.e/f"}]),
        "no-request",
        "constraints[0].requests[0]",
    ),
    (
        template(exactly(), constraints=[{"requests": ["a/x"], "matchAttribute": "d.e/f"}]),
        "no-request",
        "constraints[0].requests[0]",
    ),
    (
        template(exactly(), constraints=[{"requests": ["a", "a"], "matchAttribute": "d.e/f"}]),
        "twice",
        "constraints[0].requests[1]",
    ),
    (template(exactly(), constraints=[{"matchAttribute": "d.e/f"}] * 33), "too-many", "constraints"),
    (template(exactly(), config=[{"opaque": OPAQUE}] * 33), "too-many", "config"),
    (
        template(exactly(), config=[{"requests": ["z"], "opaque": OPAQUE}]),
        "no-request",
        "config[0].requests[0]",
    ),
    (template(exactly(), config=[{}]), "no-opaque", "config[0].opaque"),
    (
        template(exactly(), config=[{"opaque": {"driver": "a b", "parameters": {}}}]),
        "no-driver-name",
        "config[0].opaque.driver",
    ),
    (
        template(exactly(), config=[{"opaque": {"driver": "dra.net", "parameters": []}}]),
        "parameters",
        "config[0].opaque.parameters",
    ),
    (
        template(exactly(), config=[{"opaque": {"driver": "dra.net", "parameters": {"a": "x" * 11000}}}]),
        "parameters-too-long",
        "config[0].opaque.parameters",
    ),
    (template(exactly(tolerationz=[])), "unknown-field", "requests[0].exactly.tolerationz"),
]


@pytest.mark.parametrize("accepted", ACCEPTED)
def test_the_api_server_takes_it(accepted: dict[str, Any]) -> None:
    assert [verdict for verdict, _, _ in api(accepted)] == ["accepts"]


@pytest.mark.parametrize(("refused", "code", "field"), REFUSED)
def test_the_api_server_refuses_it(refused: dict[str, Any], code: str, field: str) -> None:
    assert api(refused) == [("refuses", code, field)]


@pytest.mark.parametrize(("refused", "code", "field"), [row for row in REFUSED if row[1] != "unknown-field"])
def test_a_verb_that_only_reads_claims_says_the_same(refused: dict[str, Any], code: str, field: str) -> None:
    [said] = [each for each in rows(refused) if each.layer == API_SERVER and each.verdict == "refuses"]
    with pytest.raises(InvalidInput) as caught:
        validate(load_manifests(encode([refused]), "x.json"))
    assert (said.reason.code, caught.value.path.rpartition("spec.devices.")[2]) == (code, field)
    assert said.fix is not None and str(said.reason) == str(caught.value)
    assert str(said.fix) == caught.value.fix.format(**caught.value.values)


@pytest.mark.parametrize("accepted", ACCEPTED)
def test_a_verb_that_only_reads_claims_takes_it(accepted: dict[str, Any]) -> None:
    validate(load_manifests(encode([accepted]), "x.json"))


def test_the_effect_none_is_known_since_1_35() -> None:
    none = tolerated(operator="Exists", effect="None")
    assert [verdict for verdict, _, _ in api(none, kubernetes="1.34", DRADeviceTaints=True)] == ["refuses"]
    assert [verdict for verdict, _, _ in api(none, kubernetes="1.35", DRADeviceTaints=True)] == ["accepts"]


@pytest.mark.parametrize(
    ("object_", "gate", "field"),
    [
        (tolerated(operator="Exists"), "DRADeviceTaints", "requests[0].exactly.tolerations"),
        (
            template(exactly(capacity={"requests": {"memory": "1Gi"}})),
            "DRAConsumableCapacity",
            "requests[0].exactly.capacity",
        ),
        (derived("d.e/f"), "DRADerivedAttributes", "requests[0].exactly.derivedAttributes"),
    ],
)
def test_a_field_whose_gate_is_off_is_dropped(object_: dict[str, Any], gate: str, field: str) -> None:
    """In every release: its default decides, and the other value turns it round."""
    for release in releases():
        state = gates(release).get(gate)
        on = state is not None and state.default
        dropped = ("ignores", "dropped", field)
        assert (dropped in api(object_, kubernetes=release)) == (not on), release
        if state is not None and not state.locked:
            assert (dropped in api(object_, kubernetes=release, **{gate: not on})) == on, release


def test_what_is_left_without_a_dropped_field_may_be_refused() -> None:
    first = template({"firstAvailable": [ALTERNATIVE]})
    assert api(first, kubernetes="1.35", DRAPrioritizedList=False) == [
        ("ignores", "dropped", "requests[0].firstAvailable"),
        ("refuses", "one-of", "requests[0]"),
    ]
    distinct = template(exactly(), constraints=[{"distinctAttribute": "d.e/f"}])
    assert api(distinct, kubernetes="1.35") == [
        ("ignores", "dropped", "constraints[0].distinctAttribute"),
        ("refuses", "no-attribute", "constraints[0].matchAttribute"),
    ]


def test_a_gate_that_the_release_lacks_is_had_in_the_one_that_brought_it() -> None:
    [dropped] = [
        each
        for each in rows(derived("d.e/f"), of=cluster("1.35"))
        if each.verdict == "ignores" and each.field
    ]
    assert dropped.fix is not None and dropped.fix.values["release"] == "1.37"


def test_a_derived_attribute_is_named_by_a_constraint() -> None:
    on = {"DRADerivedAttributes": True}
    assert [verdict for verdict, _, _ in api(derived("d.e/f"), **on)] == ["accepts"]
    assert [code for _, code, _ in api(derived("d.e/f", used=False), **on)] == ["unused"]
    other = derived("d.e/f", used=False)
    other["spec"]["spec"]["devices"]["requests"].append({"name": "z", **exactly()})
    for target, codes in (("z", ["unused"]), ("a", ["valid"])):
        other["spec"]["spec"]["devices"]["constraints"] = [{"requests": [target], "matchAttribute": "d.e/f"}]
        assert [code.partition("-")[0] for _, code, _ in api(other, **on)] == codes
    assert [code for _, code, _ in api(derived("f"), **on)] == ["no-domain-part", "no-domain-part"]
    assert [code for _, code, _ in api(derived("d.e/f", expression="x" * 10241), **on)] == [
        "expression-too-long"
    ]


def test_admin_access_is_for_namespaces_that_are_labeled() -> None:
    asked = template(exactly(adminAccess=True))
    assert [code for _, code, _ in api(asked)] == ["no-admin-namespace"]
    label = {"resource.kubernetes.io/admin-access": "true"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default", "labels": label}}
    assert [verdict for verdict, _, _ in api(asked, namespace)] == ["accepts"]
    assert [verdict for verdict, _, _ in api(template(exactly(adminAccess=False)))] == ["accepts"]


def test_a_class_is_held_to_the_same_rules() -> None:
    assert [verdict for verdict, _, _ in api(device_class(extendedResourceName="example.com/gpu"))] == [
        "accepts"
    ]
    assert [code for _, code, _ in api(device_class(extendedResourceName="cpu"))] == ["no-extended-resource"]
    assert [code for _, code, _ in api(device_class(selectors=[{}]))] == ["no-cel"]
    assert [code for _, code, _ in api(device_class(config=[{}]))] == ["no-opaque"]
    old = api(device_class(extendedResourceName="example.com/gpu"), kubernetes="1.35")
    assert ("ignores", "class-dropped", "spec.extendedResourceName") in old


def test_a_pod_names_its_claims() -> None:
    named = [{"name": "a", "resourceClaimTemplateName": "t"}]
    assert [verdict for verdict, _, _ in api(pod(named, claims=[{"name": "a"}]))] == ["accepts"]
    assert [code for _, code, _ in api(pod(named, claims=[{"name": "b"}]))] == ["no-pod-claim"]
    assert [code for _, code, _ in api(pod([{"name": "a"}]))] == ["one-of"]
    assert [code for _, code, _ in api(pod([{**named[0], "resourceClaimName": "c"}]))] == ["one-of"]
    assert [code for _, code, _ in api(pod(named * 2))] == ["twice"]
    assert [code for _, code, _ in api(pod([{"name": "a", "resourceClaimName": "C"}]))] == ["no-subdomain"]


def test_a_claim_gets_at_most_32_devices() -> None:
    def pending(*requests: dict[str, Any]) -> list[str]:
        return [verdict for verdict, _, _ in verdicts(rows(template(*requests)), SCHEDULER)]

    assert pending(exactly(count=32)) == ["accepts"]
    assert pending(exactly(count=33)) == ["pends"]
    assert pending(exactly(count=20), exactly(count=20)) == ["pends"]
    assert pending(exactly(count=2**62), exactly(count=2**62)) == ["pends"]
    assert pending(exactly(allocationMode="All"), exactly(count=32)) == ["accepts"]
    alternatives = [{**ALTERNATIVE, "count": 40}, {**ALTERNATIVE, "name": "y", "count": 1}]
    assert pending({"firstAvailable": alternatives}) == ["accepts"]
    assert pending({"firstAvailable": alternatives[:1]}) == ["pends"]


def test_names_of_attributes_labels_and_resources() -> None:
    def refused(name: str, full: bool = True) -> bool:
        return bool(list(qualified_refusal("", name, full)))

    def refused_key(key: str) -> bool:
        return bool(list(label_key_refusal("", key)))

    assert not refused("GPU.nvidia.com/_a9") and refused("memory") and not refused("memory", full=False)
    for full in (True, False):
        bad = ("", "/", "a/", "/a", "a..b/c", "a/9", "a" * 64 + "/b", "a" * 33)
        assert all(refused(name, full) for name in bad)
    assert not refused_key("a/b") and not refused_key("B_c.d")
    assert refused_key("/b") and refused_key("a/") and refused_key("-") and refused_key("")
    assert is_extended_resource("nvidia.com/gpu") and is_extended_resource("nvidia.com/mig-1g.10gb")
    for name in (
        "cpu",
        "kubernetes.io/x",
        "x.kubernetes.io/y",
        "requests.nvidia.com/gpu",
        "a b/c",
        "nvidia.com/",
    ):
        assert not is_extended_resource(name), name


def test_selectors_are_compiled_with_the_gates_of_the_cluster() -> None:
    shared = template(exactly(selectors=[{"cel": {"expression": "device.allowMultipleAllocations"}}]))
    assert [verdict for verdict, _, _ in api(shared)] == ["accepts"]
    assert [code for _, code, _ in api(shared, DRAConsumableCapacity=False)] == ["does-not-compile"]
    broken = template(exactly(selectors=[{"cel": {"expression": "device."}}]))
    assert [code for _, code, _ in api(broken)] == ["does-not-compile"]


def test_derived_attributes_are_compiled_and_cost_together_what_one_selector_may() -> None:
    on = {"DRADerivedAttributes": True}
    for expression, code in (
        ("device.", "does-not-compile"),
        ("{'a': 1}", "does-not-compile"),
        ("", "no-expression"),
    ):
        assert [found for _, found, _ in api(derived("d.e/f", expression=expression), **on)] == [code]
    ten = list(range(10))
    costly = f"{ten}.all(a, {ten}.all(b, {ten}.all(c, {ten}.all(d, a == b))))"  # 75,551 units.
    for count, code in ((13, "valid"), (14, "derived-too-costly")):
        many = template(
            exactly(derivedAttributes=[{"name": f"d.e/f{i}", "expression": costly} for i in range(count)]),
            constraints=[{"matchAttribute": f"d.e/f{i}"} for i in range(count)],
        )
        assert [found for _, found, _ in api(many, **on)] == [code]
