"""60 claims: 20 that run, 40 that one layer does not let through. A seed alters counts, names and classes."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from msgspec import Struct

from tests.cluster.claims.world import (
    ACCELERATOR,
    DRA_MODE,
    DRIVER,
    EMPTY,
    EXTENDED,
    GPU,
    HERE,
    OTHER,
    PLUGIN_MODE,
    POOL,
    QUOTA,
    SMALL_QUOTA,
    UNMAPPED,
    Json,
    dra,
    queueing,
)

API_SERVER, SCHEDULER, KUEUE, KARPENTER = "kube-apiserver", "kube-scheduler", "kueue", "karpenter"
OPERATOR, NVIDIA_DRIVER = "gpu-operator", "nvidia-dra-driver"
FINE = ""
ADMIN = {"resource.kubernetes.io/admin-access": "true"}
CHANNEL = "compute-domain-default-channel.nvidia.com"


class Case(Struct, frozen=True, kw_only=True):
    """`file`: what is checked and applied; `before`: what is there already.

    `layer`: who refuses (FINE: nobody). `mode`: of NVIDIA's operator. `shown`: the layer itself runs here;
    else it is known by read facts only.
    """

    name: str
    layer: str
    file: tuple[Json, ...]
    before: tuple[Json, ...]
    mode: str
    shown: bool = True

    @property
    def namespace(self) -> str:
        """Where it lives."""
        return self.name


class Draw:
    """What one case is made of; the same seed and name give the same."""

    def __init__(self, seed: int, name: str) -> None:
        self.random, self.space = Random(f"{seed}/{name}"), name
        self.word = self.random.choice(("train", "infer", "render", "score", "tune")) if seed else "claim"
        self.gpu = self.random.choice((GPU, OTHER)) if seed else GPU
        self.varies = bool(seed)

    def count(self, low: int, high: int) -> int:
        """A number; the lowest of the plain cases."""
        return self.random.randint(low, high) if self.varies else low

    def one(self, *choices: Any) -> Any:
        """One of them; the first of the plain cases."""
        return self.random.choice(choices) if self.varies else choices[0]

    def exactly(self, device_class: str = "", **fields: Any) -> Json:
        """A request for devices of one class."""
        name = f"{self.word}-{self.random.randint(0, 99)}" if self.varies else "gpu"
        return {"name": name, "exactly": {"deviceClassName": device_class or self.gpu, **fields}}

    def claim(self, *requests: Json, **devices: Any) -> Json:
        """A ResourceClaim."""
        spec = {"devices": {"requests": list(requests), **devices}}
        return dra("ResourceClaim", self.word, spec, namespace=self.space)

    def template(self, *requests: Json, **devices: Any) -> Json:
        """A ResourceClaimTemplate."""
        made = self.claim(*requests, **devices)
        return {**made, "kind": "ResourceClaimTemplate", "spec": {"spec": made["spec"]}}

    def spec(self, of: Json | str | None, **more: Any) -> Json:
        """A pod's spec that uses a claim, or template, or one of that name."""
        container: Json = {"name": "main", "image": "none", "resources": {"requests": {"cpu": "1"}}}
        spec: Json = {"containers": [container], "nodeSelector": HERE, **more}
        if isinstance(of, dict):
            field = "resourceClaimTemplateName" if "Template" in of["kind"] else "resourceClaimName"
            spec["resourceClaims"] = [{"name": "gpu", field: of["metadata"]["name"]}]
        elif of:
            spec["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": of}]
        if of:
            container["resources"]["claims"] = [{"name": "gpu"}]
        return {"terminationGracePeriodSeconds": 0, **spec}

    def pod(self, of: Json | str | None, **more: Any) -> Json:
        """A Pod."""
        metadata = {"name": f"{self.word}-pod", "namespace": self.space}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": self.spec(of, **more)}

    def asking(self, resource: str, count: int) -> Json:
        """A Pod that asks for an extended resource."""
        pod = self.pod(None)
        pod["spec"]["containers"][0]["resources"]["limits"] = {resource: str(count)}
        return pod

    def job(self, of: Json | str | None, queue: str = "team", **more: Any) -> Json:
        """A Job in a LocalQueue, suspended as who submits to Kueue writes it."""
        labels = {"kueue.x-k8s.io/queue-name": queue}
        spec = {**self.spec(of, **more), "restartPolicy": "Never"}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": f"{self.word}-job", "namespace": self.space, "labels": labels},
            "spec": {"suspend": True, "template": {"metadata": {"annotations": RUNS}, "spec": spec}},
        }

    def deployment(self, of: Json, replicas: int) -> Json:
        """A Deployment."""
        labels = {"app": self.word}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": f"{self.word}-set", "namespace": self.space},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": self.spec(of)},
            },
        }


RUNS = {"stellwerk.dev/run-for": "1h"}
Made = list[Json]
Build = Callable[[Draw], Made]


def cases(seed: int = 0) -> list[Case]:
    """The 60; a seed other than 0 gives others of the same kinds."""
    return [
        *_of(FINE_CASES, FINE, seed),
        *(each for layer, found in REFUSED.items() for each in _of(found, layer, seed)),
    ]


def _of(builds: dict[str, Build], layer: str, seed: int) -> Iterator[Case]:
    for name, build in builds.items():
        space = f"c{seed}-{layer or 'fine'}-{name}"[:60].rstrip("-")
        made = build(Draw(seed, space))
        labels = ADMIN if name in LABELED else {}
        before = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space, "labels": labels}}]
        before += [
            queueing("LocalQueue", name, {"clusterQueue": of}, namespace=space)
            for name, of in (("team", "wide"), ("small", "narrow"), ("held", "held"))
        ]
        before += [each for each in made if each.get("there")]
        yield Case(
            name=space,
            layer=layer,
            file=tuple(each for each in made if not each.get("there")),
            before=tuple({key: value for key, value in each.items() if key != "there"} for each in before),
            mode=DRA_MODE if name in OF_DRA or layer == NVIDIA_DRIVER else PLUGIN_MODE,
            shown=layer not in (OPERATOR, NVIDIA_DRIVER),
        )


def there(made: Json) -> Json:
    """It is in the cluster, not in the file."""
    return {**made, "there": True}


def used(draw: Draw, claim: Json) -> Made:
    """The claim with a pod."""
    return [claim, draw.pod(claim)]


def queued(draw: Draw, claim: Json, queue: str = "team") -> Made:
    """The claim with a Job in a queue."""
    return [claim, draw.job(claim, queue)]


def cel(text: str) -> Json:
    """A selector."""
    return {"cel": {"expression": text}}


def attribute(name: str) -> str:
    """The device's attribute."""
    return f'device.attributes["{DRIVER}"].{name}'


def opaque(parameters: Json, driver: str = "gpu.nvidia.com") -> list[Json]:
    """A configuration of a driver's."""
    return [{"opaque": {"driver": driver, "parameters": parameters}}]


def nvidia(kind: str, **fields: Any) -> Json:
    """A configuration of NVIDIA's."""
    return {"apiVersion": "resource.nvidia.com/v1beta1", "kind": kind, **fields}


def first(draw: Draw, *classes: str) -> Json:
    """A request with alternatives."""
    return {
        "name": "any",
        "firstAvailable": [{"name": f"a{i}", "deviceClassName": each} for i, each in enumerate(classes)],
    }


SIZE = attribute("size")
SAME_ROOT = [{"matchAttribute": f"{DRIVER}/root"}]
SICK = [{"key": "claims.test/sick", "operator": "Exists", "effect": "NoSchedule"}]
ALL_SMALL = {"allocationMode": "All"}
LABELED = frozenset({"admin-access", "queued-admin-access"})
OF_DRA = frozenset({"nvidia-gpu", "nvidia-mig", "nvidia-channel", "nvidia-queued", "nvidia-config"})

FINE_CASES: dict[str, Build] = {
    "named": lambda d: used(d, d.claim(d.exactly(count=d.count(1, 3)))),
    "template": lambda d: used(d, d.template(d.exactly(count=d.count(1, 3)))),
    "queued": lambda d: queued(d, d.template(d.exactly(count=d.count(2, 6)))),
    "alternatives": lambda d: used(d, d.template(first(d, EMPTY, d.gpu))),
    "all-of-a-node": lambda d: used(d, d.claim(d.exactly("small.claims.test", **ALL_SMALL))),
    "selector": lambda d: used(d, d.template(d.exactly(selectors=[cel(f"{SIZE} >= {d.one(80, 40)}")]))),
    "queued-selector": lambda d: queued(
        d, d.template(d.exactly(selectors=[cel(f"{SIZE} == {d.one(40, 80)}")]))
    ),
    "same-root": lambda d: used(d, d.claim(d.exactly(count=2), constraints=SAME_ROOT)),
    "queued-same-root": lambda d: queued(d, d.template(d.exactly(count=2), constraints=SAME_ROOT)),
    "admin-access": lambda d: used(d, d.claim(d.exactly(adminAccess=True))),
    "tolerates": lambda d: used(
        d, d.claim(d.exactly(tolerations=SICK, selectors=[cel(f'{attribute("model")} == "sick"')]))
    ),
    "there-already": lambda d: _there_already(d, d.template(d.exactly(count=d.count(1, 2)))),
    "extended-by-class": lambda d: [d.asking(ACCELERATOR, d.count(1, 4))],
    "implicit": lambda d: [
        d.asking(f"deviceclass.resource.kubernetes.io/{d.one(EXTENDED, GPU)}", d.count(1, 2))
    ],
    "device-plugin": lambda d: [d.asking("nvidia.com/gpu", d.count(1, 2))],
    "deployment": lambda d: _deployed(d, d.template(d.exactly()), d.count(2, 4)),
    "nvidia-gpu": lambda d: used(d, d.claim(d.exactly("gpu.nvidia.com", count=d.count(1, 2)))),
    "nvidia-mig": lambda d: used(d, d.template(d.exactly("mig.nvidia.com", count=d.count(1, 2)))),
    "nvidia-channel": lambda d: used(d, d.claim(d.exactly(CHANNEL))),
    "nvidia-queued": lambda d: queued(d, d.template(d.exactly("gpu.nvidia.com", count=d.count(1, 2)))),
}


def _there_already(draw: Draw, template: Json) -> Made:
    """The file has the Job only."""
    return [there(template), draw.job(template)]


def _deployed(draw: Draw, template: Json, replicas: int) -> Made:
    return [template, draw.deployment(template, replicas)]


def _twice(draw: Draw) -> Made:
    """The same claim name as one that is there with another count."""
    return [
        there(draw.claim(draw.exactly(count=1))),
        *used(draw, draw.claim(draw.exactly(count=draw.count(2, 5)))),
    ]


def _elsewhere(draw: Draw) -> Made:
    """In a namespace that nobody made."""
    made = used(draw, draw.claim(draw.exactly()))
    return [{**each, "metadata": {**each["metadata"], "namespace": f"{draw.space}-no"}} for each in made]


def _from_pool(draw: Draw, claim: Json) -> Made:
    pod = draw.pod(claim, nodeSelector={"karpenter.sh/nodepool": POOL})
    return [claim, pod]


REFUSED: dict[str, dict[str, Build]] = {
    API_SERVER: {
        "too-many-requests": lambda d: used(
            d, d.claim(*({**d.exactly(), "name": f"r{i}"} for i in range(d.count(33, 40))))
        ),
        "cel-of-a-wrong-type": lambda d: used(
            d, d.template(d.exactly(selectors=[cel(d.one("device.driver", "1 + 1"))]))
        ),
        "cel-that-does-not-parse": lambda d: used(
            d, d.claim(d.exactly(selectors=[cel(d.one("device.driver ==", "device..x"))]))
        ),
        "unknown-field": lambda d: used(d, d.claim(d.exactly(**{d.one("gpuCount", "memory"): 2}))),
        "no-admin-namespace": lambda d: used(d, d.claim(d.exactly(adminAccess=True))),
        "two-ways": lambda d: used(
            d, d.template({**d.exactly(), **{"firstAvailable": first(d, d.gpu)["firstAvailable"]}})
        ),
        "negative-count": lambda d: used(d, d.claim(d.exactly(count=-d.count(1, 9)))),
        "all-with-a-count": lambda d: used(d, d.claim(d.exactly(allocationMode="All", count=d.count(1, 9)))),
        "too-many-alternatives": lambda d: used(d, d.template(first(d, *[d.gpu] * d.count(9, 12)))),
        "constraint-on-nothing": lambda d: used(
            d,
            d.claim(
                d.exactly(count=2), constraints=[{**SAME_ROOT[0], "requests": [d.one("absent", "other")]}]
            ),
        ),
        "changed": _twice,
        "no-namespace": _elsewhere,
    },
    KUEUE: {
        "queued-alternatives": lambda d: queued(d, d.template(first(d, d.gpu, OTHER))),
        "queued-all": lambda d: queued(d, d.template(d.exactly(allocationMode="All"))),
        "queued-admin-access": lambda d: queued(d, d.template(d.exactly(adminAccess=True))),
        "queued-named": lambda d: queued(d, d.claim(d.exactly(count=d.count(1, 3)))),
        "unmapped": lambda d: queued(d, d.template(d.exactly(UNMAPPED, count=d.count(1, 3)))),
        "second-unmapped": lambda d: queued(
            d, d.template(d.exactly(), {**d.exactly(UNMAPPED), "name": "more"})
        ),
        "no-queue": lambda d: queued(d, d.template(d.exactly()), d.one("nobody", "teams")),
        "over-quota": lambda d: queued(d, d.template(d.exactly(count=d.count(SMALL_QUOTA + 1, 12))), "small"),
        "stopped": lambda d: queued(d, d.template(d.exactly()), "held"),
        "queued-selector-of-nothing": lambda d: queued(
            d, d.template(d.exactly(selectors=[cel(f"{SIZE} > {d.one(80, 200)}")]))
        ),
        "there-and-named": lambda d: [there(c := d.claim(d.exactly())), d.job(c)],
    },
    SCHEDULER: {
        "no-class": lambda d: used(d, d.claim(d.exactly(d.one("absent.claims.test", "gpus.claims.test")))),
        "queued-no-class": lambda d: queued(d, d.template(d.exactly("absent.claims.test"))),
        "class-of-nothing": lambda d: used(d, d.template(d.exactly(EMPTY, count=d.count(1, 3)))),
        "selector-of-nothing": lambda d: used(
            d, d.claim(d.exactly(selectors=[cel(f"{SIZE} > {d.one(80, 100)}")]))
        ),
        "more-than-a-node-has": lambda d: used(d, d.claim(d.exactly(count=d.count(17, 32)))),
        "more-than-a-claim-may": lambda d: used(d, d.claim(d.exactly(count=d.count(33, 64)))),
        "root-of-three": lambda d: used(d, d.claim(d.exactly(count=d.count(3, 5)), constraints=SAME_ROOT)),
        "tainted": lambda d: used(d, d.claim(d.exactly(selectors=[cel(f'{attribute("model")} == "sick"')]))),
        "no-template": lambda d: [d.pod(d.one("absent", "none"))],
        "no-such-node": lambda d: [
            c := d.claim(d.exactly()),
            d.pod(c, nodeSelector={"claims.test/node": d.one("no", "other")}),
        ],
        "too-much-of-the-plugin": lambda d: [d.asking("nvidia.com/gpu", d.count(9, 40))],
    },
    KARPENTER: {
        "of-its-pool": lambda d: _from_pool(d, d.claim(d.exactly(count=d.count(1, 2)))),
        "of-its-pool-by-template": lambda d: _from_pool(d, d.template(d.exactly())),
    },
    OPERATOR: {
        "under-the-plugin": lambda d: used(d, d.claim(d.exactly(d.one("gpu.nvidia.com", "mig.nvidia.com")))),
        "queued-under-the-plugin": lambda d: queued(
            d, d.template(d.exactly(d.one("mig.nvidia.com", "gpu.nvidia.com")))
        ),
    },
    NVIDIA_DRIVER: {
        "time-slicing": lambda d: used(
            d,
            d.claim(
                d.exactly("gpu.nvidia.com"),
                config=opaque(
                    nvidia(
                        "GpuConfig",
                        sharing={
                            "strategy": "TimeSlicing",
                            "timeSlicingConfig": {"interval": d.one("Long", "Short")},
                        },
                    )
                ),
            ),
        ),
        "typo": lambda d: used(
            d,
            d.claim(
                d.exactly("gpu.nvidia.com"),
                config=opaque(nvidia("GpuConfig", **{d.one("sharring", "mode"): {}})),
            ),
        ),
    },
}

assert len(FINE_CASES) == 20 and sum(map(len, REFUSED.values())) == 40 and QUOTA > SMALL_QUOTA
