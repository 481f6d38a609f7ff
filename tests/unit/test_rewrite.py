"""The smallest rewrite that every layer lets through: checked by the same rules, and none smaller passes."""

import json
from typing import Any

import pytest

from stellwerk.api.manifests import Manifest, load_manifests
from stellwerk.catalog.versions import KUEUE, component_version
from stellwerk.engine.allocation.support.check import check_support, is_refused
from stellwerk.engine.allocation.support.rewrite import Judge, Rewrite, _passing, smallest_rewrite
from stellwerk.engine.allocation.support.row import Cluster
from stellwerk.engine.allocation.support.subject import asked_of
from tests.unit.support_sample import claim, cluster, exactly, template

OLD = component_version(KUEUE, "0.16")
SELECTOR = {"cel": {"expression": 'device.driver == "gpu.nvidia.com"'}}
FIRST = {
    "firstAvailable": [
        {"name": "big", "deviceClassName": "gpu.nvidia.com"},
        {"name": "small", "deviceClassName": "mig.nvidia.com"},
    ]
}


def manifests(*objects: dict[str, Any]) -> list[Manifest]:
    return load_manifests("\n---\n".join(json.dumps(each) for each in objects).encode(), "test")


def judge(under: Cluster) -> Judge:
    return lambda asked: check_support(asked_of(asked), under)


def codes(found: Rewrite | None) -> list[str]:
    return [] if found is None else [edit.says.code for edit in found.edits]


def job(name: str) -> dict[str, Any]:
    container = {"name": "c", "image": "x", "resources": {"claims": [{"name": "gpu"}]}}
    spec = {
        "restartPolicy": "Never",
        "containers": [container],
        "resourceClaims": [{"name": "gpu", "resourceClaimName": name}],
    }
    labels = {"kueue.x-k8s.io/queue-name": "team"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "labels": labels},
        "spec": {"template": {"spec": spec}},
    }


def test_of_alternatives_the_first_that_passes_is_kept() -> None:
    found = smallest_rewrite(manifests(template(FIRST)), judge(cluster()))
    assert codes(found) == ["one-alternative"] and found is not None
    [made] = found.documents
    assert made["spec"]["spec"]["devices"]["requests"] == [
        {"name": "a", "exactly": {"deviceClassName": "gpu.nvidia.com"}}
    ]


def test_a_named_claim_becomes_a_template_and_its_pods_name_it() -> None:
    found = smallest_rewrite(manifests(claim(exactly()), job("t")), judge(cluster()))
    assert codes(found) == ["as-template"] and found is not None
    made, pods = found.documents
    assert made["kind"] == "ResourceClaimTemplate" and made["metadata"]["name"] == "t"
    assert pods["spec"]["template"]["spec"]["resourceClaims"] == [
        {"name": "gpu", "resourceClaimTemplateName": "t"}
    ]


CASES = [
    ((template(exactly(allocationMode="All")),), cluster()),
    ((template(exactly(selectors=[SELECTOR])),), cluster(kueue=OLD, DynamicResourceAllocation=True)),
    (
        (template(exactly(selectors=[SELECTOR], allocationMode="All")),),
        cluster(kueue=OLD, DynamicResourceAllocation=True),
    ),
    ((template(FIRST, exactly(allocationMode="All")),), cluster()),
    ((claim(FIRST), job("t")), cluster()),
]


@pytest.mark.parametrize(("objects", "under"), CASES)
def test_it_passes_the_same_rules_and_none_smaller_does(
    objects: tuple[dict[str, Any], ...], under: Cluster
) -> None:
    before = manifests(*objects)
    assert is_refused(check_support(asked_of(before), under))
    found = smallest_rewrite(before, judge(under))
    assert found is not None
    rewritten = {each["metadata"]["name"]: each for each in found.documents}
    after = manifests(*(rewritten.get(each["metadata"]["name"], each) for each in objects))
    assert not is_refused(check_support(asked_of(after), under))
    if len(found.edits) > 1:
        for each in found.edits:
            assert _passing(before, [each], judge(under)) is None


def test_the_original_is_not_changed() -> None:
    before = manifests(template(FIRST))
    text = json.dumps(before[0].raw)
    smallest_rewrite(before, judge(cluster()))
    assert json.dumps(before[0].raw) == text


def test_where_no_edit_helps_there_is_none() -> None:
    broken = template(exactly(selectors=[{"cel": {"expression": "device.driver =="}}], count=-1))
    assert smallest_rewrite(manifests(broken), judge(cluster())) is None
