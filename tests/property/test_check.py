"""Whatever is done to a claim, `check` answers it or says that it is bad input; its answers are whole."""

import random
from pathlib import Path
from typing import Any

import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.api.manifests import encode, load_manifests
from stellwerk.api.validation import validate
from stellwerk.catalog.versions import releases
from stellwerk.engine.allocation.support.check import check_support, is_refused
from stellwerk.engine.allocation.support.row import DEVICE_PLUGIN, DRA, LAYERS, Cluster
from stellwerk.engine.allocation.support.subject import asked_of
from stellwerk.report.allocation.support import render_support, support_text
from tests.property.test_manifests import swapped
from tests.unit.support_sample import cluster, device_class, exactly, pod, template

VALID = Path(__file__).parents[1] / "unit" / "api_cases" / "valid"
EXAMPLES = sorted(path for path in VALID.glob("d*.yaml") if path.name != "demand.yaml")
MUTATIONS = 150
VERDICTS = ("accepts", "ignores", "pends", "refuses")


TEXTS = (
    "",
    "x",
    "A",
    "a/b",
    "a/b/c",
    "x" * 70,
    "-",
    "All",
    "Exists",
    "None",
    "device.",
    "é\u0000",
    "GPU-1",
    "MPS",
    "1Ki",
)
COUNTS = (-1, 0, 1, 33, 2**62)


def other_leaf(value: Any, chance: random.Random) -> Any:
    """A copy of `value`: one leaf has another value of its type, a list is long, or a field is gone."""
    if isinstance(value, dict) and value:
        key = chance.choice(sorted(value))
        if chance.random() < 0.05:
            return {name: child for name, child in value.items() if name != key}
        return {**value, key: other_leaf(value[key], chance)}
    if isinstance(value, list) and value:
        if chance.random() < 0.1:
            return value * 40
        at = chance.randrange(len(value))
        return [*value[:at], other_leaf(value[at], chance), *value[at + 1 :]]
    if isinstance(value, bool):
        return not value
    return chance.choice(COUNTS) if isinstance(value, int) else chance.choice(TEXTS)


def changed(items: list[Any], chance: random.Random) -> list[Any]:
    """One object has a value of any type somewhere (one time in four), or one of its own type in its spec."""
    at = chance.randrange(len(items))
    if chance.random() < 0.25:
        new = swapped(items[at], chance)
    else:
        spec = items[at].get("spec") if isinstance(items[at], dict) else None
        new = {**items[at], "spec": other_leaf(spec, chance)} if spec else items[at]
    return [*items[:at], new, *items[at + 1 :]]


def any_cluster(chance: random.Random) -> Cluster:
    gates = [gate for gate in ("MPSSupport", "TimeSlicingSettings", "DynamicMIG") if chance.random() < 0.5]
    return cluster(
        chance.choice(releases()),
        karpenter_dra=chance.random() < 0.5,
        operator_mode=chance.choice([DRA, DRA, DEVICE_PLUGIN]),
        **dict.fromkeys(gates, True),
    )


def check(items: list[Any], chance: random.Random) -> bool:
    """Whether it was answered; every answer is whole, and the same the second time."""
    try:
        manifests = load_manifests(encode(items), "x.yaml")
        validate(manifests, devices=False)  # As the verb does: the rest is its answer.
        asked = asked_of(manifests)
    except InvalidInput as error:
        assert error.fix.format(**error.values)
        return False
    of = any_cluster(chance)
    rows = check_support(asked, of)
    assert rows == check_support(asked, of)
    for row in rows:
        assert row.layer in LAYERS and row.verdict in VERDICTS and row.source and row.versions
        assert len(str(row.reason)) < 1_000 and (row.fix is None or len(str(row.fix)) < 1_000)
    for lang in ("en", "de"):
        assert render_support(rows, lang)  # type: ignore[arg-type]
    assert (f'"refused": {str(is_refused(rows)).lower()}') in support_text(rows, of, ("json", None))
    return True


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_with_a_swapped_value_is_answered_or_bad_input(path: Path) -> None:
    items = [manifest.raw for manifest in load_manifests(path.read_bytes(), path.name)]
    answered = 0
    for seed in range(MUTATIONS):
        chance = random.Random(f"{path.name} {seed}")
        wrong = changed(changed(items, chance), chance)
        try:
            answered += check(wrong, chance)
        except Exception as error:
            raise AssertionError(f"seed {seed} of {path.name}: {wrong!r}") from error
    assert 0 < answered < MUTATIONS


def test_a_claim_that_uses_everything_survives_swaps_of_its_parts() -> None:
    parameters = {
        "apiVersion": "resource.nvidia.com/v1beta1",
        "kind": "GpuConfig",
        "sharing": {
            "strategy": "MPS",
            "mpsConfig": {
                "defaultActiveThreadPercentage": 5,
                "defaultPerDevicePinnedMemoryLimit": {"0": "1Gi", "GPU-x": "2Gi"},
            },
            "timeSlicingConfig": {"interval": "Long"},
        },
    }
    config = {"requests": ["a", "b/x"], "opaque": {"driver": "gpu.nvidia.com", "parameters": parameters}}
    request = exactly(
        adminAccess=True,
        capacity={"requests": {"memory": "1Gi"}},
        tolerations=[{"key": "a/b", "operator": "Equal", "value": "c", "effect": "NoExecute"}],
        selectors=[{"cel": {"expression": "device.allowMultipleAllocations"}}],
        derivedAttributes=[{"name": "d.e/f", "expression": "1"}],
    )
    first = {"firstAvailable": [{"name": "x", "deviceClassName": "mig.nvidia.com", "count": 2}]}
    everything = [
        template(
            request, first, constraints=[{"requests": ["a"], "matchAttribute": "d.e/f"}], config=[config]
        ),
        device_class(extendedResourceName="nvidia.com/gpu", config=[{"opaque": config["opaque"]}]),
        pod(
            [{"name": "a", "resourceClaimTemplateName": "t"}],
            limits={"nvidia.com/gpu": 1},
            claims=[{"name": "a"}],
        ),
    ]
    answered = 0
    for seed in range(600):
        chance = random.Random(seed)
        wrong = changed(changed(everything, chance), chance)
        try:
            answered += check(wrong, chance)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {wrong!r}") from error
    assert 100 < answered < 600
