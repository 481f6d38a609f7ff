"""What a NodePool does for a pod: requirements as Karpenter's tests have them, limits, taints, claims."""

from typing import Any

import msgspec
import pytest

from stellwerk.api.groups.core import Node, PodSpec
from stellwerk.api.groups.karpenter import NodeClaim, NodePool
from stellwerk.api.mismatch import decode_hook
from stellwerk.engine.provisioning.provision import Buyer, provision, unasked
from stellwerk.engine.provisioning.requirement import conflict, meets, requirement, together

READY = {"conditions": [{"type": "Ready", "status": "True"}]}
POOL = "karpenter.sh/nodepool"


def as_object(raw: dict[str, Any], wanted: type[Any]) -> Any:
    return msgspec.convert(raw, wanted, dec_hook=decode_hook)


def pool(
    name: str = "p", *required: tuple[str, str, list[str]], provider: str = "kwok", **spec: Any
) -> NodePool:
    group, kind = {
        "kwok": ("karpenter.kwok.sh", "KWOKNodeClass"),
        "aws": ("karpenter.k8s.aws", "EC2NodeClass"),
    }[provider]
    template = {
        "nodeClassRef": {"group": group, "kind": kind, "name": "default"},
        "requirements": [{"key": key, "operator": how, "values": values} for key, how, values in required],
        "taints": spec.pop("taints", []),
    }
    raw = {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": name},
        "status": spec.pop("status", READY),
        "spec": {"template": {"spec": template}, **spec},
    }
    found: NodePool = as_object(raw, NodePool)
    return found


def pod(cpu: str = "1", **more: Any) -> PodSpec:
    container = {"name": "c", "image": "x", "resources": {"requests": {"cpu": cpu, **more.pop("asks", {})}}}
    found: PodSpec = as_object({"containers": [container], **more}, PodSpec)
    return found


def owned(kind: type[Any], name: str, cpu: str, **metadata: Any) -> Any:
    status = {"capacity": {"cpu": cpu}, **({"nodeName": metadata.pop("on", "")} if kind is NodeClaim else {})}
    metadata = {"name": name, "labels": {POOL: "p"}, **metadata}
    return as_object(
        {"apiVersion": "x", "kind": kind.__name__, "metadata": metadata, "spec": {}, "status": status}, kind
    )


def said(spec: PodSpec, *pools: NodePool, **seen: Any) -> list[tuple[str, str, str]]:
    answers = provision(spec, Buyer(pools=pools, **seen))
    return [(each.pool, each.verdict, each.reason.code) for each in answers]


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        (("In", ["a", "b"]), ("In", ["b"]), True),
        (("In", ["a"]), ("In", ["b"]), False),
        (("In", ["a"]), ("NotIn", ["a"]), False),
        (("NotIn", ["a"]), ("NotIn", ["b"]), True),
        (("In", ["5"]), ("Gt", ["5"]), False),
        (("In", ["5"]), ("Gte", ["5"]), True),
        (("Gt", ["5"]), ("Lt", ["6"]), False),
        (("Gte", ["5"]), ("Lte", ["5"]), True),
        (("In", ["x"]), ("Lt", ["6"]), False),
        (("Exists", []), ("In", ["a"]), True),
        (("DoesNotExist", []), ("Exists", []), False),
    ],
)
def test_two_requirements_have_a_value_in_common(
    one: tuple[str, list[str]], other: tuple[str, list[str]], common: bool
) -> None:
    first, second = (requirement("k", how, values) for how, values in (one, other))
    assert meets(first, second) is common and meets(second, first) is common


def test_requirements_of_one_label_are_taken_together() -> None:
    found = together(
        (
            requirement("k", "In", ["a", "b", "c"]),
            requirement("k", "NotIn", ["a"]),
            requirement("j", "Exists"),
        )
    )
    assert found["k"].values == {"b", "c"} and str(found["k"]) == "b, c" and str(found["j"]) == "any"
    bounds = together((requirement("n", "Gt", ["3"]), requirement("n", "Lt", ["9"])))["n"]
    assert (bounds.least, bounds.most) == (4, 8)
    assert not together((bounds, requirement("n", "Lt", ["2"])))["n"].values


def test_a_label_that_nobody_gives_is_refused_unless_its_absence_is_asked() -> None:
    asked = {"own": requirement("own", "In", ["a"])}
    found = conflict({}, asked)
    assert found is not None and found.code == "pool-label"
    assert conflict({}, {"own": requirement("own", "NotIn", ["a"])}) is None
    assert conflict({}, {"z": requirement("topology.kubernetes.io/zone", "In", ["a"])}) is not None
    zone = "topology.kubernetes.io/zone"
    assert conflict({}, {zone: requirement("failure-domain.beta.kubernetes.io/zone", "In", ["a"])}) is None


def test_pools_are_asked_by_weight_and_then_by_name_the_last_first() -> None:
    found = said(pod(), pool("a"), pool("b"), pool("heavy", weight=10))
    assert [name for name, _, _ in found] == ["heavy", "b", "a"]
    assert {verdict for _, verdict, _ in found} == {"buys"}


def test_a_pool_that_is_not_ready_static_or_of_another_shape_buys_nothing() -> None:
    assert said(pod(), pool(status={})) == [("p", "never", "pool-not-ready")]
    assert said(pod(), pool(replicas=3)) == [("p", "never", "pool-static")]
    taint = {"key": "k", "effect": "NoSchedule"}
    assert said(pod(), pool(taints=[taint])) == [("p", "never", "pool-taint")]
    assert said(pod(tolerations=[{"operator": "Exists"}]), pool(taints=[taint])) == [
        ("p", "buys", "pool-buys")
    ]
    prefer = {"key": "k", "effect": "PreferNoSchedule"}
    assert said(pod(), pool(taints=[prefer])) == [("p", "buys", "pool-buys")]


def test_limits_count_what_stays() -> None:
    full = pool(limits={"cpu": "10"})
    nodes = [owned(Node, "n1", "8")]
    assert said(pod("3"), full, nodes=nodes) == [("p", "limit", "pool-limit")]
    assert said(pod("1500m"), full, nodes=nodes) == [("p", "buys", "pool-buys")]
    # 2 CPUs are left; of a type with 2, the node itself keeps a tenth of one.
    assert said(pod("1950m"), full, nodes=nodes) == [("p", "limit", "pool-limit")]
    going = owned(NodeClaim, "c1", "8", on="n1", deletionTimestamp="2026-01-01T00:00:00Z")
    assert said(pod("3"), full, nodes=nodes, claims=[going]) == [("p", "buys", "pool-buys")]
    coming = owned(NodeClaim, "c2", "8")
    assert said(pod("3"), full, claims=[coming]) == [("p", "limit", "pool-limit")]
    assert said(pod(), pool(limits={"nodes": "1"}), nodes=nodes) == [("p", "limit", "pool-limit")]
    # A limit of none of what nothing has is no limit.
    assert said(pod(), pool(limits={"nvidia.com/gpu": "0"})) == [("p", "buys", "pool-buys")]


def test_of_a_cloud_only_types_with_gpus_are_known() -> None:
    named = ("node.kubernetes.io/instance-type", "In", ["p5.48xlarge"])
    gpus = {"nvidia.com/gpu": "8"}
    assert said(pod(), pool(provider="aws")) == [("p", "may", "pool-may")]
    assert said(pod(asks=gpus), pool("p", named, provider="aws")) == [("p", "may", "pool-may-buy")]
    too_many = {"nvidia.com/gpu": "9"}
    assert said(pod(asks=too_many), pool("p", named, provider="aws")) == [("p", "never", "type-too-small")]
    assert said(pod(asks={"amd.com/gpu": "1"}), pool("p", named, provider="aws"))[0][2] == "type-lacks"
    unknown = ("node.kubernetes.io/instance-type", "In", ["p5.48xlarge", "p99.large"])
    assert said(pod(asks=too_many), pool("p", unknown, provider="aws")) == [("p", "may", "pool-may")]


def test_claims_are_as_the_flag_says() -> None:
    claimed = pod(resourceClaims=[{"name": "gpu", "resourceClaimName": "g"}])
    assert said(claimed, pool()) == [("p", "may", "claims-flag-unseen")]
    assert said(claimed, pool(), ignores_claims=True) == [("p", "never", "claims-ignored")]
    assert said(claimed, pool(), ignores_claims=False) == [("p", "never", "claims-no-device")]
    assert said(claimed, pool(), ignores_claims=False, shared_devices=True)[0][2] == "claims-unknown"
    assert said(claimed, pool(), ignores_claims=False, allocates=False) == [("p", "buys", "pool-buys")]


def test_what_is_not_asked_is_named() -> None:
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    assert unasked(pod()) == ()
    assert unasked(pod(topologySpreadConstraints=[spread])) == ("topologySpreadConstraints",)
