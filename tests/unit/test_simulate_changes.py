"""Change files: what is merged, added, removed, the same, and what is refused with file and field."""

import re
from pathlib import Path

import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.kueue import ClusterQueue
from stellwerk.api.manifests import Manifest, load_manifests
from stellwerk.api.validation import validate
from stellwerk.sim.queueing.changes import (
    ADDED,
    CHANGED,
    REMOVED,
    SAME,
    Changed,
    apply_changes,
    has_no_effect,
    read_changes,
)
from stellwerk.sim.queueing.patch import Difference

BASE = """apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {name: cq}
spec:
  cohortName: company
  namespaceSelector: {}
  fairSharing: {weight: "500m"}
  resourceGroups:
  - coveredResources: [nvidia.com/gpu]
    flavors:
    - {name: h100, resources: [{name: nvidia.com/gpu, nominalQuota: 4}]}
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: LocalQueue
metadata: {name: gpus}
spec: {clusterQueue: cq}
"""
HEAD = "apiVersion: kueue.x-k8s.io/v1beta2\nkind: ClusterQueue\nmetadata: {name: NAME}\n"


def base() -> list[Manifest]:
    found = load_manifests(BASE.encode(), "base.yaml")
    validate(found)
    return found


def changed(folder: Path, text: str) -> Changed:
    path = folder / "change.yaml"
    path.write_text(text)
    return apply_changes(base(), read_changes(str(path))[0])


def cluster_queue(found: Changed, name: str = "cq") -> ClusterQueue:
    by_name = {
        one.object.metadata.name: one.object
        for one in found.manifests
        if isinstance(one.object, ClusterQueue)
    }
    return by_name[name]


def named(name: str, rest: str = "") -> str:
    return HEAD.replace("NAME", name) + rest


def removed(text: str, value: str = '"true"') -> str:
    return re.sub("name: ([a-z]+)}", rf"name: \1, annotations: {{stellwerk.dev/remove: {value}}}}}", text)


def test_a_patch_says_only_what_changes_and_lists_are_replaced_whole(tmp_path: Path) -> None:
    flavor = "{name: h100, resources: [{name: nvidia.com/gpu, nominalQuota: 6}]}"
    groups = f"[{{coveredResources: [nvidia.com/gpu], flavors: [{flavor}]}}]"
    found = changed(tmp_path, named("cq", f"spec: {{resourceGroups: {groups}}}"))
    (edit,) = found.edits
    path = "spec.resourceGroups[0].flavors[0].resources[0].nominalQuota"
    assert (edit.kind, edit.name, edit.action) == ("ClusterQueue", "cq", CHANGED)
    assert edit.fields == (Difference(path, "4", "6"),)
    assert cluster_queue(found).spec.cohort_name == "company"


def test_null_takes_a_field_away(tmp_path: Path) -> None:
    found = changed(tmp_path, named("cq", "spec: {cohortName: null}"))
    assert found.edits[0].fields == (Difference("spec.cohortName", "company", None),)


def test_the_same_amount_in_another_form_is_no_change(tmp_path: Path) -> None:
    found = changed(tmp_path, named("cq", 'spec: {fairSharing: {weight: "0.5"}}'))
    assert [edit.action for edit in found.edits] == [SAME] and has_no_effect(found.edits)


def test_what_a_server_adds_to_a_copied_object_is_no_change(tmp_path: Path) -> None:
    copied = named("cq", "spec: {cohortName: company}\nstatus: {pendingWorkloads: 3}\n")
    metadata = '{name: cq, uid: x, resourceVersion: "7", generation: 2, annotations: {example.com/a: b}}'
    found = changed(tmp_path, copied.replace("{name: cq}", metadata))
    assert [(edit.action, edit.fields) for edit in found.edits] == [(SAME, ())]


def test_an_object_that_is_not_there_is_added(tmp_path: Path) -> None:
    found = changed(tmp_path, named("other", "spec: {cohortName: company, namespaceSelector: null}"))
    assert [(edit.name, edit.action) for edit in found.edits] == [("other", ADDED)]
    assert cluster_queue(found, "other").spec.cohort_name == "company"
    assert not has_no_effect(found.edits)


def test_an_annotation_takes_an_object_away(tmp_path: Path) -> None:
    text = removed(named("gpus").replace("ClusterQueue", "LocalQueue"))
    found = changed(tmp_path, text)
    assert [(edit.kind, edit.name, edit.action) for edit in found.edits] == [
        ("LocalQueue", "default/gpus", REMOVED)
    ]
    assert [one.kind for one in found.manifests] == ["ClusterQueue"]


def test_edits_come_in_the_order_of_the_change(tmp_path: Path) -> None:
    found = changed(tmp_path, named("b") + "---\n" + named("cq", "spec: {cohortName: x}\n---\n") + named("a"))
    assert [edit.name for edit in found.edits] == ["b", "cq", "a"]


@pytest.mark.parametrize(
    ("text", "problem", "path"),
    [
        ("apiVersion: batch/v1\nkind: Job\nmetadata: {name: x}", "is demand", "kind"),
        ("apiVersion: stellwerk.dev/v1alpha1\nkind: Fleet\nmetadata: {name: x}", "changes nothing", "kind"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}", "changes nothing", "kind"),
        ("apiVersion: example.com/v1\nkind: ClusterQueue\nmetadata: {name: x}", "changes nothing", "kind"),
        ("apiVersion: kueue.x-k8s.io/v1beta2\nkind: Cohort", "names no object", "metadata.name"),
        (named("cq") + "---\n" + named("cq"), "twice", "metadata.name"),
        ("# nothing\n", "no document", ""),
    ],
)
def test_what_is_no_change_of_queues_is_refused(tmp_path: Path, text: str, problem: str, path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        changed(tmp_path, text)
    assert problem in str(caught.value) and caught.value.path == path
    assert caught.value.source == str(tmp_path / "change.yaml")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (named("cq", "spec: {stopPolicy: Perhaps}"), "spec.stopPolicy"),
        (named("cq", "spec: {resourceGroups: 4}"), "spec.resourceGroups"),
        (named("cq", 'spec: {fairSharing: {weight: "-1"}}'), "spec.fairSharing.weight"),
        (named("Big_Name"), "metadata.name"),
        (named("cq").replace("v1beta2", "v1beta1"), "apiVersion"),
        (removed(named("cq"), "yes"), "metadata.annotations[stellwerk.dev/remove]"),
        (removed(named("gone")), "metadata.name"),
    ],
)
def test_the_result_is_checked_as_any_manifest_and_the_change_is_named(
    tmp_path: Path, text: str, path: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        changed(tmp_path, text)
    assert (caught.value.source, caught.value.document) == (str(tmp_path / "change.yaml"), 1)
    assert caught.value.path == path


def test_an_error_elsewhere_names_the_change_too(tmp_path: Path) -> None:
    text = removed(named("cq"))
    with pytest.raises(InvalidInput) as caught:
        changed(tmp_path, text + "---\n" + named("new"))
    assert caught.value.source == f"base.yaml ({tmp_path / 'change.yaml'})"
    assert caught.value.path == "spec.clusterQueue"


def test_a_folder_is_one_change(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(named("cq", "spec: {cohortName: x}"))
    (tmp_path / "b.yaml").write_text(named("other"))
    documents, inputs = read_changes(str(tmp_path))
    assert len(documents) == 2 and [one.role for one in inputs] == ["change", "change"]
