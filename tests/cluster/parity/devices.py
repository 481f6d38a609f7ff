"""Scenarios of devices: selectors, shared counters, prioritized lists, taints, from a seed.

One to three nodes with a pool each, sometimes one more pool that all can reach; pods with claims by name or
by template, one or two of them, also shared; Jobs with a template; extended resources. Pods and Jobs end or
are deleted in between.
"""

from random import Random
from typing import Any

from tests.cluster.parity import offers, requests
from tests.cluster.parity.scenario import (
    DEVICE,
    FAKE,
    FOR_EVER,
    RUN_FOR,
    Json,
    Scenario,
    Step,
    namespace,
    node,
    prefix_of,
)

FEATURES = ("selectors", "counters", "prioritized-list", "taints")
OF = "parity.test/of"
HOST = "kubernetes.io/hostname"
ENDS = 0.3  # Of the later steps, how many end somebody instead of creating somebody.


class _Plan:
    """What the parts of a scenario refer to."""

    def __init__(self, draw: Random, seed: int, feature: str) -> None:
        self.draw, self.feature, self.name = draw, feature, prefix_of(seed)
        self.driver = f"{self.name}.parity.test"
        self.hosts = [f"{self.name}-n{i}" for i in range(draw.choice((1, 1, 2, 3)))]
        # Whole devices that a node offers under a resource's name need no claim.
        self.extended = (
            f"{self.name}.parity.test/gpu" if feature != "counters" and draw.random() < 0.3 else ""
        )
        # Devices that several claims have a part of.
        self.shared = feature == "selectors" and draw.random() < 0.3
        self.pods: list[str] = []
        self.jobs: list[str] = []
        self.claims: list[str] = []
        self.rules: list[str] = []


def device_scenario(seed: int, feature: str) -> Scenario:
    """A scenario of one of FEATURES; the same seed gives the same one."""
    draw = Random(f"{feature}/{seed}")
    plan = _Plan(draw, seed, feature)
    slices = offers.slices(draw, (plan.driver, plan.hosts), feature, plan.shared)
    objects = [
        namespace(plan.name, {"resource.kubernetes.io/admin-access": "true"}),
        *(node(each, {OF: plan.name}, 1000) for each in plan.hosts),
        _device_class(plan),
        *slices,
    ]
    steps = [_step(plan, i) for i in range(draw.choice((6, 7, 8)))]
    return Scenario(seed=seed, feature=feature, kind=DEVICE, objects=tuple(objects), steps=tuple(steps))


def _device_class(plan: _Plan) -> Json:
    spec: Json = {"selectors": [{"cel": {"expression": f'device.driver == "{plan.driver}"'}}]}
    if plan.extended:
        spec["extendedResourceName"] = plan.extended
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "DeviceClass",
        "metadata": {"name": plan.name},
        "spec": spec,
    }


def _step(plan: _Plan, number: int) -> Step:
    draw = plan.draw
    if plan.feature == "taints" and number >= 2 and draw.random() < 0.4:
        return _rule(plan, number)
    if number >= 3 and (plan.pods or plan.jobs) and draw.random() < ENDS:
        return _end(plan)
    name = f"{plan.name}-{number}"
    if plan.feature != "taints" and draw.random() < 0.15:
        plan.jobs.append(name)
        return Step(create=tuple(_job(plan, name)))
    plan.pods.append(name)
    return Step(create=tuple(_pod(plan, name)))


def _rule(plan: _Plan, number: int) -> Step:
    """A DeviceTaintRule comes, or goes."""
    if plan.rules and plan.draw.random() < 0.4:
        return Step(delete=(("resource.k8s.io", "DeviceTaintRule", plan.rules.pop()),))
    plan.rules.append(f"{plan.name}-r{number}")
    where = plan.driver, plan.draw.choice(plan.hosts)
    return Step(create=(offers.taint_rule(plan.draw, plan.rules[-1], where),))


def _end(plan: _Plan) -> Step:
    kind = plan.draw.choice(("Pod",) * bool(plan.pods) + ("Job",) * bool(plan.jobs))
    names = plan.pods if kind == "Pod" else plan.jobs
    name = plan.draw.choice(names)
    names.remove(name)
    if plan.draw.random() < 0.5:
        return Step(delete=(("batch" if kind == "Job" else "", kind, name),))
    return Step(finish=((kind, name),))


def _pod(plan: _Plan, name: str) -> list[Json]:
    """The pod, and before it what its claims are."""
    draw, spec = plan.draw, _spec(plan)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": plan.name, "annotations": FAKE},
        "spec": spec,
    }
    if plan.extended and draw.random() < 0.4:
        spec["containers"][0]["resources"]["limits"] = {plan.extended: str(draw.choice((1, 1, 2)))}
        return [pod]
    made: list[Json] = []
    for number in range(draw.choice((1, 1, 1, 2))):
        found, entry = _claim(plan, f"{name}-c{number}", f"gpu{number}")
        made += found
        entries = spec.setdefault("resourceClaims", [])
        # Kubernetes 1.36 never binds a pod that names one claim twice, see docs/reference/fidelity.md.
        claim = entry.get("resourceClaimName")
        if claim is None or all(one.get("resourceClaimName") != claim for one in entries):
            entries.append(entry)
            spec["containers"][0]["resources"].setdefault("claims", []).append({"name": entry["name"]})
    return [*made, pod]


def _claim(plan: _Plan, name: str, entry: str) -> tuple[list[Json], Json]:
    """A claim of the pod's own, one by a template, or one that another pod has; and the pod's entry."""
    draw = plan.draw
    if plan.claims and draw.random() < 0.1:
        return [], {"name": entry, "resourceClaimName": draw.choice(plan.claims)}
    spec = {"devices": requests.devices(draw, (plan.name, plan.driver), plan.feature, plan.shared)}
    if draw.random() < 0.4:
        return [_template(plan, name, spec)], {"name": entry, "resourceClaimTemplateName": name}
    plan.claims.append(name)
    return [_object(plan, "ResourceClaim", name, spec)], {"name": entry, "resourceClaimName": name}


def _object(plan: _Plan, kind: str, name: str, spec: Json) -> Json:
    metadata = {"name": name, "namespace": plan.name}
    return {"apiVersion": "resource.k8s.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _template(plan: _Plan, name: str, spec: Json) -> Json:
    return _object(plan, "ResourceClaimTemplate", name, {"spec": spec})


def _job(plan: _Plan, name: str) -> list[Json]:
    """A Job without a queue, its pods with a claim each by a template."""
    wanted = requests.devices(plan.draw, (plan.name, plan.driver), plan.feature, plan.shared)
    spec, count = _spec(plan), plan.draw.choice((1, 2))
    spec["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": name}]
    spec["containers"][0]["resources"]["claims"] = [{"name": "gpu"}]
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": plan.name},
        "spec": {
            "parallelism": count,
            "completions": count,
            "backoffLimit": 100,
            "template": {
                "metadata": {"annotations": {**FAKE, RUN_FOR: FOR_EVER}},
                "spec": {**spec, "restartPolicy": "Never"},
            },
        },
    }
    return [_template(plan, name, {"devices": wanted}), job]


def _spec(plan: _Plan) -> dict[str, Any]:
    """Sometimes for one node only."""
    selector = {OF: plan.name}
    if len(plan.hosts) > 1 and plan.draw.random() < 0.4:
        selector[HOST] = plan.draw.choice(plan.hosts)
    resources: Json = {"requests": {"cpu": "1"}}
    return {
        "containers": [{"name": "main", "image": "none", "resources": resources}],
        "nodeSelector": selector,
        "terminationGracePeriodSeconds": 0,
    }
