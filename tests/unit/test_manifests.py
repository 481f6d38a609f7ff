"""Manifests: what is read, what is kept, and that each wrong one gets one clear error in bounded time."""

import json
import lzma
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.batch import Job
from stellwerk.api.groups.core import Node, Pod
from stellwerk.api.groups.kueue import ClusterQueue
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import ResourceSlice
from stellwerk.api.groups.stellwerk import Fleet
from stellwerk.api.manifests import encode, load_manifests
from stellwerk.api.scheme import TYPES, type_of
from stellwerk.api.validation import validate
from stellwerk.api.yaml_events import plain_value

HERE = Path(__file__).parent
VALID = sorted(path for path in (HERE / "api_cases" / "valid").iterdir() if path.suffix in (".yaml", ".json"))
SHARED = HERE.parents[2] / "shared"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded cases (../shared) are not here")


class Broken(msgspec.Struct, forbid_unknown_fields=True):
    """A wrong manifest, the path of its error, and parts of the error's two texts."""

    name: str
    path: str
    says: str
    fix: str
    text: str


BROKEN = [
    case
    for name in ("broken.yaml", "broken-kueue.yaml")
    for case in msgspec.yaml.decode((HERE / "api_cases" / name).read_bytes(), type=list[Broken])
]
SLICE = b"a: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
BOMB = SLICE + b"".join(
    b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 12)
)
MERGE_BOMB = b"a0: &a0 {%s}\n" % b", ".join(b"k%d: 1" % i for i in range(1000)) + b"".join(
    b"a%d: &a%d {<<: *a%d, x%d: 1}\n" % (i, i, i - 1, i) for i in range(1, 3000)
)
# name, bytes, a word of the message
HOSTILE: list[tuple[str, bytes, str]] = [
    ("NUL bytes", b"apiVersion: v1\n\x00\x00kind: Pod\n", "binary"),
    ("invalid UTF-8", b"apiVersion: v1\nkind: \xff\xfe\n", "not UTF-8 text (byte 21, line 2)"),
    ("an xz archive", lzma.compress(b"x" * 100_000), "binary"),
    ("a cut xz archive", lzma.compress(bytes(range(256)) * 400)[:200], "binary"),
    ("10 MB of random-looking bytes", bytes(range(1, 256)) * 40_000, "binary"),
    ("10 MB of letters", b"a" * 10_000_000, "an object is expected"),
    ("10 MB of opening brackets", b"[" * 10_000_000, "more than 2000000 values"),
    ("10 MB of opening braces", b"{" * 10_000_000, "more than 2000000 values"),
    ("1 MB of opening brackets", b"[" * 1_000_000, "deeper than 100"),
    ("10 MB of dashes", b"- " * 5_000_000, "deeper than 100"),
    ("10 MB of question marks", b"? " * 5_000_000, "where a key is expected"),
    ("10 MB of an open quote", b'"' + b"a" * 10_000_000, "quoted scalar"),
    ("10 MB of tabs", b"\t" * 10_000_000, "not readable"),
    ("10 MB of colons", b"a: " * 3_300_000, "not readable"),
    ("10 MB of one long YAML list", b"- [" + b"a," * 5_000_000, "more than 2000000 values"),
    ("500,000 %TAG directives", b"".join(b"%%TAG !a%d! tag:x\n" % i for i in range(500_000)), "%TAG"),
    ("control characters", b"a: \x01\n", "not readable"),
    ("30 MB of JSON zeros", b"[" + b"0," * 15_000_000 + b"0]", "more than 2000000 values"),
    ("deep JSON", b"[" * 101 + b"]" * 101, "deeper than 100"),
    ("very deep JSON", b"[" * 1_000_000 + b"]" * 1_000_000, "deeper than 100"),
    ("deep YAML", b"".join(b" " * i + b"a:\n" for i in range(150)), "deeper than 100"),
    ("a YAML bomb", BOMB, "aliases repeat more than 100000"),
    ("a bomb of merge keys", MERGE_BOMB, "aliases repeat more than 100000"),
    ("65 MiB", b"#" * (65 * 1024 * 1024), "the limit is 67108864"),
    ("JSON with NaN", b'{"apiVersion": "v1", "kind": NaN}', "the kind NaN"),
    ("JSON cut off", b'{"apiVersion": "v1", "kind": "Po', "not readable"),
    ("two JSON objects", b'{"apiVersion": "v1", "kind": "Service"} {"kind": "Pod"}', "not readable"),
    ("half a surrogate pair", b'{"apiVersion": "v1", "kind": "\\ud800"}', "not readable"),
]


def failure_of(data: bytes, source: str = "broken.yaml") -> InvalidInput:
    """The error of loading and validating, within 20 s of CPU."""
    begun = time.process_time()
    with pytest.raises(InvalidInput) as caught:
        validate(load_manifests(data, source))
    assert time.process_time() - begun < 20  # Seconds of CPU: bounded, on a busy machine too.
    return caught.value


def test_there_are_at_least_forty_broken_inputs() -> None:
    assert len(BROKEN) + len(HOSTILE) >= 40
    assert len({case.name for case in BROKEN}) == len(BROKEN)


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_a_broken_manifest_gets_an_error_with_path_and_fix(case: Broken) -> None:
    error = failure_of(case.text.encode())
    assert error.path == case.path
    assert case.says in str(error)
    assert error.fix
    assert case.fix in error.fix.format(**error.values)
    assert error.source == "broken.yaml"
    assert error.document == case.text.count("\n---\n") + 1 or error.document == 1


@pytest.mark.parametrize(("name", "data", "says"), HOSTILE, ids=[name for name, _, _ in HOSTILE])
def test_hostile_bytes_get_an_error_in_bounded_time(name: str, data: bytes, says: str) -> None:
    error = failure_of(data)
    assert says in str(error)
    assert len(str(error)) < 500
    assert error.source == "broken.yaml"


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.name)
def test_a_valid_example_loads_validates_and_keeps_its_json(path: Path) -> None:
    manifests = load_manifests(path.read_bytes(), path.name)
    validate(manifests)
    assert manifests
    for manifest in manifests:
        assert manifest.object is not None or manifest.kind == "ConfigMap"
        again = load_manifests(encode(manifest.raw), "again")
        assert (again[0].raw, again[0].object) == (manifest.raw, manifest.object)


def test_documents_are_numbered_and_empty_ones_skipped() -> None:
    text = b"# words\n---\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n# end\n"
    assert [manifest.document for manifest in load_manifests(text, "x")] == [2]
    assert load_manifests(b"", "x") == load_manifests(b"\n# nothing\n", "x") == []


def test_lists_are_opened_and_typed_lists_name_their_items() -> None:
    node, pod = load_manifests((HERE / "api_cases/valid/list.json").read_bytes(), "list.json")
    assert isinstance(node.object, Node)
    assert isinstance(pod.object, Pod)
    assert (node.path_prefix, pod.path_prefix) == ("items[0]", "items[1].items[0]")
    assert pod.at("spec") == {"source": "list.json", "document": 1, "path": "items[1].items[0].spec"}
    assert pod.raw["kind"] == "Pod"


def test_unknown_fields_and_foreign_kinds_are_kept() -> None:
    text = b"apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\nspec: {new: [1, {x: z}]}\n"
    assert load_manifests(text, "x")[0].raw["spec"] == {"new": [1, {"x": "z"}]}
    carried = load_manifests(b"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: []}\n", "x")
    assert (carried[0].object, carried[0].kind) == (None, "Service")


def test_numbers_are_exact_from_their_text() -> None:
    text = (HERE / "api_cases/valid/fleet.yaml").read_bytes()
    fleet = load_manifests(text, "fleet.yaml")[0]
    assert isinstance(fleet.object, Fleet)
    owned = fleet.object.spec.nodes[2].owned
    assert not isinstance(owned, msgspec.UnsetType)
    assert owned.energy_price.amount == Decimal("0.183")
    assert owned.years == 4
    assert b'"amount":0.183' in encode(fleet.raw)
    exact = (
        b'{"apiVersion":"v1","kind":"Secret","x":[0.10,1.0,12345678901234567890,0.1234567890123456789012]}'
    )
    assert encode(load_manifests(exact, "x")[0].raw) == exact


def test_quantities_are_read_from_text_and_number() -> None:
    node = load_manifests((HERE / "api_cases/valid/list.json").read_bytes(), "x")[0].object
    assert isinstance(node, Node)
    assert not isinstance(node.status, msgspec.UnsetType)
    capacity = given(node.status.capacity, {})
    assert capacity["nvidia.com/gpu"].value() == 2
    assert capacity["memory"].value() == 512 * 2**30
    assert capacity["cpu"].milli_value() == 1500


def test_absent_null_and_zero_are_told_apart() -> None:
    queue = load_manifests((HERE / "api_cases/valid/queues.yaml").read_bytes(), "x")[3].object
    assert isinstance(queue, ClusterQueue)
    assert not isinstance(queue.spec, msgspec.UnsetType)
    groups = given(queue.spec.resource_groups, ())
    cpu = given(given(groups[0].flavors, ())[0].resources, ())[0]
    gpu = given(given(groups[1].flavors, ())[0].resources, ())[0]
    assert cpu.borrowing_limit is msgspec.UNSET
    assert not isinstance(gpu.borrowing_limit, msgspec.UnsetType)
    assert gpu.borrowing_limit.value() == 0
    null = b"apiVersion: v1\nkind: Namespace\nmetadata: {name: a, creationTimestamp: null}\n"
    assert load_manifests(null, "x")[0].object.metadata.creation_timestamp is msgspec.UNSET  # type: ignore[union-attr]


# Text, and what sigs.k8s.io/yaml (go-yaml v2) makes of it.
PLAIN: list[tuple[str, Any]] = [
    *((word, True) for word in ("y", "yes", "on", "true", "True", "ON")),
    *((word, False) for word in ("n", "no", "off", "false")),
    *((word, None) for word in ("", "~", "null")),
    *(
        (word, word)
        for word in ("2026-01-01", "2026-01-01T00:00:00Z", "1:30", "1.2.3", "-", ".", "+", "tRUE", "0o9")
    ),
    ("010", 8),
    ("0o17", 15),
    ("0x1F", 31),
    ("0b11", 3),
    ("-0x1F", -31),
    ("1_000", 1000),
    ("18446744073709551615", 2**64 - 1),
    ("18446744073709551616", Decimal(2**64)),
    ("1e3", Decimal("1e3")),
    ("08", Decimal(8)),
    ("1.50", Decimal("1.50")),
    (".5", Decimal("0.5")),
    ("1e400", "1e400"),
    ("1e99999999999", "1e99999999999"),
    ("9" * 401, "9" * 401),
]


@pytest.mark.parametrize(("text", "value"), PLAIN, ids=[text[:30] or "empty" for text, _ in PLAIN])
def test_plain_yaml_scalars_mean_what_kubernetes_says(text: str, value: Any) -> None:
    found = plain_value(text)
    assert (found, type(found)) == (value, type(value))


def test_quoted_scalars_are_text_and_keys_become_text() -> None:
    text = b"apiVersion: v1\nkind: Secret\nx: {'1': 'yes', 2: \"2026\", on: !!str 5, 1.50: '<<'}\n'<<': 1\n"
    raw = load_manifests(text, "x")[0].raw
    assert raw["x"] == {"1": "yes", "2": "2026", "true": "5", "1.50": "<<"}
    assert raw["<<"] == 1


def test_merge_keys_give_way_to_what_is_written() -> None:
    head = b"apiVersion: v1\nkind: Secret\n"
    text = head + b"a: &a {x: 1, w: 1}\nb: &b {w: 2, z: 2}\nc: {z: 3, <<: [*a, *b]}\nd: *a\n"
    raw = load_manifests(text, "x")[0].raw
    assert raw["c"] == {"x": 1, "w": 1, "z": 3}
    assert raw["d"] == {"x": 1, "w": 1}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_read(encoding: str) -> None:
    text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"
    assert load_manifests(text.encode(encoding), "x")[0].kind == "Namespace"


def test_windows_line_ends_are_read() -> None:
    job = load_manifests((HERE / "api_cases/valid/demand.yaml").read_bytes().replace(b"\n", b"\r\n"), "x")[0]
    assert isinstance(job.object, Job)


def test_a_cycle_is_reported_where_it_is_not_where_it_is_reached_from() -> None:
    head = "apiVersion: kueue.x-k8s.io/v1beta2\nkind: Cohort\n"
    cohort = head + "metadata: {name: %s}\nspec: {parentName: %s}\n---\n"
    error = failure_of(
        "".join(cohort % pair for pair in (("x", "a"), ("a", "b"), ("b", "c"), ("c", "a"))).encode()
    )
    assert (error.document, str(error)) == (2, "the cohorts form a cycle: a -> b -> c -> a")


def test_the_key_of_a_map_is_named_among_many() -> None:
    labels = ", ".join(f"k{i}: x" for i in range(500))
    text = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: a, labels: {{{labels}, bad: 1}}}}\n"
    assert failure_of(text.encode()).path == "metadata.labels.bad"


def test_the_first_of_two_errors_is_named_by_its_own_key() -> None:
    text = b"apiVersion: v1\nkind: Node\nmetadata: {name: a, labels: {good: x, bad: 1}}\nspec: 5\n"
    assert failure_of(text).path == "metadata.labels.bad"


def test_a_megabyte_of_yaml_takes_seconds_not_minutes() -> None:
    text = b"---\n".join([(HERE / "api_cases/valid/demand.yaml").read_bytes()] * 600)
    begun = time.process_time()
    load_manifests(text, "x")
    assert time.process_time() - begun < 10  # Alone it takes 0.8 s; a busy machine doubles that.


@needs_shared
@pytest.mark.parametrize("folder", ["data/catalog/examples", "cluster/test"])
def test_the_shared_manifests_load_and_validate(folder: str) -> None:
    paths = [path for path in sorted((SHARED / folder).iterdir()) if path.suffix in (".yaml", ".json")]
    assert paths
    for path in paths:
        validate(load_manifests(path.read_bytes(), path.name))


def recorded_objects() -> dict[str, dict[str, Any]]:
    """Each different object of a kind that is read, in the recorded cases of the peers."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((SHARED / "conformance").glob("*.jsonl.xz")):
        if "instance-types" in path.name or "catalogs" in path.name:
            continue
        with lzma.open(path) as lines:
            stack: list[Any] = [json.loads(line) for line in lines]
        while stack:
            item = stack.pop()
            if isinstance(item, dict):
                found.update(typed_objects(item))
                stack.extend(item.values())
            elif isinstance(item, list):
                stack.extend(item)
    return found


def typed_objects(item: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The object itself, where it names its kind; those that Karpenter's states name by kind and id."""
    named_kind = isinstance(item.get("kind"), str) and type_of(str(item.get("apiVersion")), item["kind"])
    if named_kind and item.keys() & {"metadata", "spec"}:
        return {json.dumps(item, sort_keys=True): item}
    versions = {kind: api_version for api_version, kind in TYPES if kind != "Namespace"}
    table, states = item.get("objects"), item.get("states")
    if not isinstance(table, dict) or not isinstance(states, dict):
        return {}
    named = {
        (kind, key)
        for state in states.values()
        for kind, keys in state.get("objects", {}).items()
        for key in keys
    }
    return {
        f"{kind} {key} {item.get('test')}": {"apiVersion": versions[kind], "kind": kind, **table[key]}
        for kind, key in named
        if kind in versions
    }


@needs_shared
def test_every_recorded_object_decodes() -> None:
    objects = recorded_objects().values()
    kinds = {raw["kind"] for raw in objects}
    assert {"ResourceSlice", "Workload", "ClusterQueue", "NodePool", "NodeClaim", "Pod", "Node"} <= kinds
    everything = encode({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    manifests = load_manifests(everything, "recorded")
    assert len(manifests) == len(objects) > 5_000
    slices = [item.object for item in manifests if isinstance(item.object, ResourceSlice)]
    assert any(given(item.spec.shared_counters, ()) for item in slices)
