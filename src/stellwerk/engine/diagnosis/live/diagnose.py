"""Facts of a live cluster to findings: one layer after the other, and which verbs can work."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from stellwerk.catalog import versions
from stellwerk.catalog.versions import components, minor_of, releases
from stellwerk.engine.diagnosis.diagnose import Diagnosis, Layer
from stellwerk.engine.diagnosis.findings import Finding, named
from stellwerk.engine.diagnosis.live.facts import Gates, Installed, Lacking, LiveFacts, ServerFacts
from stellwerk.engine.diagnosis.live.findings import (
    DRIVER,
    EXPORTER,
    KARPENTER,
    KUEUE,
    LAYERS,
    NODES,
    OPERATOR,
    VERBS,
    finding,
)
from stellwerk.engine.diagnosis.live.recognize import KUEUE_CONFIGURATION

GPU_DRIVER = "gpu.nvidia.com"
# What is said to be served where it is: the groups that decisions read.
_GROUPS = ("resource.k8s.io", "kueue.x-k8s.io", "karpenter.sh", "nvidia.com", "resource.nvidia.com")
_BEING_CUT = ("pending", "rebooting")


# What a layer is concluded from: resource and group. Where the role may not list it, nothing is concluded.
_WORKLOADS = (("daemonsets", "apps"), ("deployments", "apps"))
_SWITCHES = (("clusterpolicies", "nvidia.com"), ("gpuclusters", "nvidia.com"))
_SEEN_IN = {
    NODES: (("nodes", ""),),
    OPERATOR: (*_WORKLOADS, *_SWITCHES, ("nodes", "")),
    DRIVER: (*_WORKLOADS, ("resourceslices", "resource.k8s.io"), ("deviceclasses", "resource.k8s.io")),
    EXPORTER: _WORKLOADS[:1],
    KUEUE: _WORKLOADS[1:],
    KARPENTER: _WORKLOADS[1:],
}


def diagnose(facts: LiveFacts, read_by: Mapping[str, Collection[tuple[str, str]]]) -> Diagnosis:
    """What the facts mean. `read_by`: verb -> (resource, group) of what it reads."""
    layers = {
        NODES: _nodes,
        OPERATOR: _operator,
        DRIVER: _driver,
        EXPORTER: _exporter,
        KUEUE: _kueue,
        KARPENTER: _karpenter,
    }
    found = [*_server(facts.server), *_role(facts, read_by)]
    for layer, conclude in layers.items():
        lacking = [each for each in facts.lacking if (each.resource, each.group) in _SEEN_IN[layer]]
        found += [finding("unread", layer, rules=rules_text(lacking))] if lacking else conclude(facts)
    return Diagnosis(
        tuple(Layer(name, tuple(each for each in found if each.layer == name)) for name in LAYERS),
        {verb: tuple(each.code for each in found if verb in each.stops) for verb in VERBS},
    )


def gates_text(gates: Gates) -> str:
    """Gates as a command line has them."""
    return ",".join(f"{name}={str(on).lower()}" for name, on in sorted(gates.items()))


def rules_text(lacking: Iterable[Lacking]) -> str:
    """Missing rules, those of one group, verb and place together, such as: list nodes."""
    by: dict[tuple[str, str, str], list[str]] = {}
    for each in sorted(lacking):
        by.setdefault((each.verb, each.group, each.place), []).append(
            f"{each.resource}{'.' * bool(each.group)}{each.group}"
        )
    return "; ".join(f"{verb} {', '.join(resources)}{place}" for (verb, _, place), resources in by.items())


def _server(server: ServerFacts) -> Iterator[Finding]:
    yield finding(
        "server-answers",
        version=server.version or "?",
        url=server.url,
        context=server.context,
        milliseconds=server.answer_ms,
    )
    served = [f"{group}/{server.groups[group][0]}" for group in _GROUPS if group in server.groups]
    yield finding("groups-served", names=", ".join(served) or "-")
    if minor_of(server.version) not in releases():
        yield finding("release-unknown", version=server.version or "?", **_known(releases(), server.version))
    dra = server.groups.get("resource.k8s.io", ())
    if "v1" not in dra:
        yield finding("dra-missing", versions=", ".join(dra) or "-")
    if server.gates is None:
        yield finding("gates-unknown", version=minor_of(server.version))
    elif server.gates:
        yield finding("gates-changed", gates=gates_text(server.gates), by=server.gates_by)
    else:
        yield finding("gates-default", by=server.gates_by)
    if server.gates is not None and server.scheduler_gates is not None:
        differing = dict(set(server.gates.items()) ^ set(server.scheduler_gates.items()))
        if differing:
            yield finding("gates-differ", gates=", ".join(sorted(differing)))


def _role(facts: LiveFacts, read_by: Mapping[str, Collection[tuple[str, str]]]) -> Iterator[Finding]:
    if not facts.lacking:
        yield finding("role-reads", kinds=facts.kinds)
        return
    missing = {(each.resource, each.group) for each in facts.lacking}
    stopped = tuple(verb for verb, read in read_by.items() if missing & set(read))
    yield replace(finding("role-lacks", rules=rules_text(facts.lacking)), stops=stopped)
    for each in facts.lacking:
        if each.resource == "configmaps" and each.name != KUEUE_CONFIGURATION[1]:
            yield finding("kueue-configuration-elsewhere", namespace=each.namespace, name=each.name)


def _nodes(facts: LiveFacts) -> Iterator[Finding]:
    if not facts.nodes:
        yield finding("gpus-none", nodes=facts.node_count)
        return
    products = Counter(node.product or "(no label)" for node in facts.nodes)
    yield finding("nodes-known", nodes=facts.node_count, gpus=len(facts.nodes), products=_counted(products))
    configs = Counter(
        f"{node.mig_config} ({node.mig_state or 'no state'})" for node in facts.nodes if node.mig_config
    )
    if configs:
        yield finding("mig-cut", configs=_counted(configs))
    if failed := [node.name for node in facts.nodes if node.mig_state == "failed"]:
        yield finding("mig-failed", **named(failed))
    if cut := [node.name for node in facts.nodes if node.mig_state in _BEING_CUT]:
        yield finding("mig-pending", **named(cut))
    bare = [node.name for node in facts.nodes if not any(node.resources.values())]
    if bare and GPU_DRIVER not in facts.slices:
        yield finding("gpus-unserved", **named(bare))


def _operator(facts: LiveFacts) -> Iterator[Finding]:
    nvidia = facts.nvidia
    plugs = nvidia.plugs or any(any(node.resources.values()) for node in facts.nodes)
    mode = "dra" if nvidia.publishes else "device-plugin" if plugs else "neither device plugin nor DRA"
    if nvidia.operator is not None:
        said = mode if mode != "dra" else f"dra ({_dra_by(facts)})"
        yield finding("operator-known", version=nvidia.operator.version or "?", mode=said)
        yield from _untold(OPERATOR, nvidia.operator, ("NVIDIA's GPU operator", "--operator"))
        yield from _unread("operator-unknown", nvidia.operator, versions.OPERATOR)
        yield from _health(OPERATOR, nvidia.operator)
    else:
        yield finding("operator-none", mode=mode)
    if nvidia.publishes and plugs:
        yield finding("operator-both")
    if not nvidia.publishes and not plugs and facts.nodes:
        yield finding("publisher-none")


def _dra_by(facts: LiveFacts) -> str:
    name = facts.nvidia.gpu_cluster
    return f"GPUCluster {name}" if name is not None else "the driver's own chart"


def _driver(facts: LiveFacts) -> Iterator[Finding]:
    driver = facts.nvidia.driver
    for name, each in facts.slices.items():
        yield finding("slices-known", driver=name, devices=each.devices, slices=each.slices)
    if driver is None:
        yield finding("driver-none")
        return
    yield finding(
        "driver-known",
        version=driver.version or "?",
        parts=", ".join(driver.parts),
        gates=gates_text(driver.gates or {}) or "-",
    )
    yield from _untold(DRIVER, driver, ("NVIDIA's DRA driver", "--driver"))
    yield from _unread("driver-unknown", driver, versions.DRIVER)
    yield from _health(DRIVER, driver)
    if "gpus" in driver.parts:
        if GPU_DRIVER not in facts.slices:
            yield finding("slices-none", **_place(driver))
        if GPU_DRIVER not in facts.device_classes:
            yield finding("classes-none")


def _exporter(facts: LiveFacts) -> Iterator[Finding]:
    exporter = facts.nvidia.exporter
    if exporter is None:
        yield finding("exporter-none")
        return
    counted = {"ready": exporter.ready, "wanted": exporter.wanted}
    yield finding("exporter-known", version=exporter.version or "?", **counted)
    yield from _health(EXPORTER, exporter)


def _kueue(facts: LiveFacts) -> Iterator[Finding]:
    queue = facts.queue
    if queue.installed is None:
        yield finding("kueue-outside" if queue.served else "kueue-none")
        return
    yield finding(
        "kueue-known",
        version=queue.installed.version or "?",
        gates=gates_text(queue.installed.gates or {}) or "-",
        classes=", ".join(sorted(queue.classes)) or "-",
    )
    yield from _untold(KUEUE, queue.installed, ("Kueue", "--kueue"))
    yield from _unread("kueue-unknown", queue.installed, versions.KUEUE)
    if queue.installed.gates is None or not queue.configured:
        yield finding("kueue-gates-unknown")
    yield from _health(KUEUE, queue.installed)


def _karpenter(facts: LiveFacts) -> Iterator[Finding]:
    buyer = facts.buyer
    if buyer.installed is None:
        yield finding("karpenter-outside" if buyer.served else "karpenter-none")
        return
    ignores = buyer.ignores_claims
    yield finding(
        "karpenter-known",
        version=buyer.installed.version or "?",
        providers=", ".join(buyer.providers) or "?",
        ignores="?" if ignores is None else str(ignores).lower(),
        gates=gates_text(buyer.installed.gates or {}) or "gates at their defaults",
    )
    yield from _untold(KARPENTER, buyer.installed, ("Karpenter", "--karpenter"))
    yield from _unread("karpenter-unknown", buyer.installed, versions.KARPENTER)
    if ignores and facts.nvidia.publishes:
        yield finding("karpenter-flag")
    yield from _health(KARPENTER, buyer.installed)


def _untold(layer: str, installed: Installed, of: tuple[str, str]) -> Iterator[Finding]:
    if not installed.version:
        yield finding("version-untold", layer, what=of[0], image=installed.image, option=of[1])


def _unread(code: str, installed: Installed, component: str) -> Iterator[Finding]:
    known = tuple(row.version for row in components(component))
    if installed.version and minor_of(installed.version) not in known:
        yield finding(code, version=installed.version, **_known(known, installed.version))


def _health(layer: str, installed: Installed) -> Iterator[Finding]:
    if installed.ready < installed.wanted:
        counted = {"ready": installed.ready, "wanted": installed.wanted}
        yield finding("not-ready", layer, workload=installed.workload, **counted, **_place(installed))


def _place(installed: Installed) -> dict[str, str | int]:
    kind, _, at = installed.workload.partition(" ")
    namespace, _, name = at.partition("/")
    return {"kind": kind.lower(), "namespace": namespace, "name": name}


def _known(versions: Sequence[str], version: str) -> dict[str, str | int]:
    """The versions that were read, and the one that is nearest."""
    at = _order(minor_of(version))
    nearest = min(versions, key=lambda each: (_distance(_order(each), at), each))
    return {"known": f"{versions[0]} to {versions[-1]}", "nearest": nearest}


def _order(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else (0, 0)


def _distance(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(abs(a - b) for a, b in zip(one, other, strict=False))


def _counted(counter: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counter.items())[:8])
