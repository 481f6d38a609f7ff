"""Which programs run in a cluster, recognized from their Deployments and DaemonSets; GPU nodes; slices.

A program is recognized by the name of its image or by its labels, never by its own name, which whoever
installs a chart chooses. What the images, labels, arguments and variables are called was read in:

- Kueue v0.19.2: charts/kueue/templates/manager/manager.yaml, cmd/kueue/main.go (--feature-gates, or
  featureGates of the Configuration, never both), config/components/manager
- Karpenter v1.14.1: pkg/operator/options/options.go (IGNORE_DRA_REQUESTS, FEATURE_GATES; a flag wins over
  its variable); images of the charts of karpenter-provider-aws v1.14.1, -azure v1.14.2, -gcp v0.5.0
- GPU operator v26.7.0: deployments/gpu-operator/templates/operator.yaml, api/nvidia/v1/
  clusterpolicy_types.go (devicePlugin.enabled, nil is enabled), api/nvidia/v1alpha1/gpucluster_types.go,
  controllers/state_manager.go (labels of nodes), manifests/state-dra-driver/0500_daemonset.yaml,
  assets/state-dcgm-exporter
- DRA driver (main, 2026-08-07): deployments/helm/dra-driver-nvidia-gpu/templates/kubeletplugin.yaml
  (containers gpus and compute-domains, FEATURE_GATES); until v25.12 its image is k8s-dra-driver-gpu
- DCGM exporter 4.5.3: deployment/values.yaml
- kubeadm: static pods of kube-system with the label component
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from stellwerk.engine.diagnosis.live.facts import Gates, GpuNode, Installed, Slices

Object = Mapping[str, Any]
NVIDIA = "nvidia.com/"
KUEUE_CONFIGURATION = ("kueue-system", "kueue-manager-config")
_DRIVER_IMAGES = ("dra-driver-nvidia-gpu", "k8s-dra-driver-gpu")
_DRIVER_PARTS = ("gpus", "compute-domains")
_VERSION_LABEL, _NAME_LABEL = "app.kubernetes.io/version", "app.kubernetes.io/name"
_VERSION = re.compile(r"v?(\d{1,5}(?:\.\d{1,5}){1,3}(?:[-+.][0-9A-Za-z.+-]{1,60})?)")
_TRUE, _FALSE = frozenset(("1", "t", "true")), frozenset(("0", "f", "false"))


def version_in(image: str, label: str = "") -> str:
    """The version in an image's tag, else in a label; "" where neither is one (latest, a digest)."""
    last = image.partition("@")[0].rpartition("/")[2]
    for text in (last.partition(":")[2], label):
        if found := _VERSION.fullmatch(text):
            return found[1]
    return ""


def image_path(image: str) -> tuple[str, ...]:
    """The parts of an image's name, without registry's tag and digest: registry.k8s.io, kueue, kueue."""
    *path, last = image.partition("@")[0].split("/")
    return (*path, last.partition(":")[0])


def gates_in(text: str) -> dict[str, bool]:
    """Gates of A=true,B=false, as Kubernetes, Kueue, Karpenter and NVIDIA's driver write them."""
    found = {}
    for word in text.split(","):
        name, equals, value = word.strip().partition("=")
        if equals and value.strip().lower() in _TRUE | _FALSE:
            found[name.strip()] = value.strip().lower() in _TRUE
    return found


def truth_of(text: str) -> bool | None:
    """What Go's strconv.ParseBool reads; None for anything else."""
    lower = text.strip().lower()
    return True if lower in _TRUE else False if lower in _FALSE else None


def flags_in(words: Sequence[object]) -> dict[str, list[str]]:
    """Each flag of a command line with its values: --a=b, --a b, or --a alone (true)."""
    found: dict[str, list[str]] = {}
    given = [str(word) for word in words]
    for i, word in enumerate(given):
        if not word.startswith("-"):
            continue
        name, equals, value = word.lstrip("-").partition("=")
        following = given[i + 1] if i + 1 < len(given) and not given[i + 1].startswith("-") else "true"
        found.setdefault(name, []).append(value if equals else following)
    return found


def kueue_in(workloads: Iterable[Object]) -> Installed | None:
    """Kueue's manager; its gates are those of its arguments, which rule out those of its Configuration."""
    for each in workloads:
        labels = _labels(each)
        labeled = (labels.get(_NAME_LABEL), labels.get("control-plane")) == ("kueue", "controller-manager")
        for container in containers_of(each):
            if image_path(_image(container))[-1] == "kueue" or (
                labeled and container.get("name") == "manager"
            ):
                gates = _gates(container, "feature-gates", "")
                return _installed(each, container, gates=gates)
    return None


def kueue_configuration_at(workloads: Iterable[Object]) -> tuple[str, str]:
    """Namespace and name of the ConfigMap that Kueue's manager mounts as its Configuration.

    The chart names both after its release; without a Deployment they are as Kueue's manifests have them.
    """
    there = list(workloads)
    installed = kueue_in(there)
    if installed is None:
        return KUEUE_CONFIGURATION
    namespace = installed.workload.partition(" ")[2].partition("/")[0]
    for each in there:
        metadata = _dict(each.get("metadata"))
        if installed.workload == f"{each.get('kind')} {namespace}/{metadata.get('name')}":
            return namespace, _mounted(each) or KUEUE_CONFIGURATION[1]
    return namespace, KUEUE_CONFIGURATION[1]


def _mounted(workload: Object) -> str:
    """The ConfigMap of the chart's volume manager-config, else one called so, else the only one."""
    template = _dict(_dict(workload.get("spec")).get("template"))
    volumes = [
        (str(_dict(each).get("name")), str(_dict(_dict(each).get("configMap")).get("name", "")))
        for each in _list(_dict(template.get("spec")).get("volumes"))
    ]
    maps = [(volume, name) for volume, name in volumes if name]
    called = [name for volume, name in maps if volume == "manager-config"]
    called += [name for _, name in maps if "manager-config" in name]
    return next(iter([*called, *([maps[0][1]] if len(maps) == 1 else [])]), "")


def karpenter_in(workloads: Iterable[Object]) -> Installed | None:
    """Karpenter, of any provider."""
    for each in workloads:
        labeled = _labels(each).get(_NAME_LABEL) == "karpenter"
        for container in containers_of(each):
            path = image_path(_image(container))
            if "karpenter" in path or (labeled and path[-1] == "controller"):
                ignored = _flag(container, "ignore-dra-requests", "IGNORE_DRA_REQUESTS")
                flags = {} if ignored is None else {"--ignore-dra-requests": ignored}
                gates = _gates(container, "feature-gates", "FEATURE_GATES")
                return _installed(each, container, gates=gates, flags=flags)
    return None


def ignores_claims(karpenter: Installed) -> bool | None:
    """--ignore-dra-requests, true where it is not set; None where it is set to what cannot be read."""
    said = karpenter.flags.get("--ignore-dra-requests")
    return True if said is None else truth_of(said)


def operator_in(workloads: Iterable[Object]) -> Installed | None:
    """NVIDIA's GPU operator: its image runs other parts too, but only the operator as a Deployment."""
    return _by_image(workloads, "Deployment", ("gpu-operator",))


def driver_in(workloads: Iterable[Object]) -> Installed | None:
    """The kubelet plugin of NVIDIA's DRA driver; daemons of its ComputeDomains have the same image."""
    for each in workloads:
        if each.get("kind") != "DaemonSet":
            continue
        found = [c for c in containers_of(each) if c.get("name") in _DRIVER_PARTS]
        for container in found:
            if image_path(_image(container))[-1] in _DRIVER_IMAGES:
                gates = _gates(container, "feature-gates", "FEATURE_GATES")
                return _installed(each, container, gates=gates, parts=tuple(str(c["name"]) for c in found))
    return None


def exporter_in(workloads: Iterable[Object]) -> Installed | None:
    """DCGM exporter."""
    return _by_image(workloads, "DaemonSet", ("dcgm-exporter",))


def device_plugin_in(workloads: Iterable[Object]) -> Installed | None:
    """NVIDIA's device plugin; GPU feature discovery has the same image, in a container of another name."""
    for each in workloads:
        for container in containers_of(each):
            plugin = "device-plugin" in str(container.get("name"))
            if plugin and "nvidia" in _image(container) and "sandbox" not in _image(container):
                return _installed(each, container)
    return None


def static_gates(pods: Iterable[Object], component: str) -> Gates | None:
    """The gates that a part of the control plane was started with; None where no pod of it is there.

    Of several API servers all are taken: a gate that one of them changes counts as changed.
    """
    found: Gates | None = None
    for each in pods:
        if _labels(each).get("component") != component:
            continue
        for container in _list(_dict(each.get("spec")).get("containers")):
            found = {**(found or {}), **_gates(_dict(container), "feature-gates", "")}
    return found


def gpu_nodes(nodes: Iterable[Object]) -> Iterator[GpuNode]:
    """The nodes that show NVIDIA GPUs, by label (GPU feature discovery) or extended resource."""
    for each in nodes:
        labels = _labels(each)
        allocatable = _dict(_dict(each.get("status")).get("allocatable"))
        resources = {
            str(name): int(str(value))
            for name, value in allocatable.items()
            if str(name).startswith((f"{NVIDIA}gpu", f"{NVIDIA}mig-")) and str(value).isdecimal()
        }
        if resources or labels.get(f"{NVIDIA}gpu.present") == "true" or f"{NVIDIA}gpu.product" in labels:
            yield GpuNode(
                name=str(_dict(each.get("metadata")).get("name", "")),
                product=labels.get(f"{NVIDIA}gpu.product", ""),
                mig_capable=labels.get(f"{NVIDIA}mig.capable") == "true",
                mig_config=labels.get(f"{NVIDIA}mig.config", ""),
                mig_state=labels.get(f"{NVIDIA}mig.config.state", ""),
                resources=dict(sorted(resources.items())),
            )


def changed_gates(given: Gates, defaults: Gates) -> Gates:
    """Of the gates that Stellwerk knows (`defaults`) those that are given another value."""
    return {name: on for name, on in sorted(given.items()) if name in defaults and defaults[name] != on}


def gates_in_metrics(text: bytes) -> Gates:
    """Every gate, by a program's own metrics (k8s.io/component-base/metrics/prometheus/feature)."""
    found = re.finditer(rb'^kubernetes_feature_enabled{name="(\w+)",stage="\w*"} ([01])$', text, re.MULTILINE)
    return {each[1].decode(): each[2] == b"1" for each in found}


def slices_by_driver(slices: Iterable[Object]) -> dict[str, Slices]:
    """What each DRA driver publishes, by its name."""
    counted: dict[str, tuple[int, int, set[str]]] = {}
    for each in slices:
        spec = _dict(each.get("spec"))
        driver = str(spec.get("driver", ""))
        number, devices, nodes = counted.get(driver, (0, 0, set()))
        nodes = nodes | {str(spec["nodeName"])} if spec.get("nodeName") else nodes
        counted[driver] = (number + 1, devices + len(_list(spec.get("devices"))), nodes)
    return {
        driver: Slices(number, devices, len(nodes))
        for driver, (number, devices, nodes) in sorted(counted.items())
    }


def containers_of(workload: Object) -> list[Mapping[str, Any]]:
    """The containers of a Deployment's or DaemonSet's pods."""
    template = _dict(_dict(workload.get("spec")).get("template"))
    return [_dict(each) for each in _list(_dict(template.get("spec")).get("containers"))]


def _by_image(workloads: Iterable[Object], kind: str, names: Sequence[str]) -> Installed | None:
    for each in workloads:
        for container in containers_of(each) if each.get("kind") == kind else ():
            if image_path(_image(container))[-1] in names:
                return _installed(each, container)
    return None


def _installed(workload: Object, container: Object, **more: Any) -> Installed:
    metadata, status = _dict(workload.get("metadata")), _dict(workload.get("status"))
    daemon = workload.get("kind") == "DaemonSet"
    wanted = (
        status.get("desiredNumberScheduled", 0) if daemon else _dict(workload.get("spec")).get("replicas", 1)
    )
    image = _image(container)
    return Installed(
        workload=f"{workload.get('kind')} {metadata.get('namespace')}/{metadata.get('name')}",
        image=image,
        version=version_in(image, _labels(workload).get(_VERSION_LABEL, "")),
        ready=_count(status.get("numberReady" if daemon else "readyReplicas", 0)),
        wanted=_count(wanted),
        **more,
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _gates(container: Object, flag: str, variable: str) -> dict[str, bool]:
    """Gates by flag, else by variable; the same flag several times adds up."""
    values = _flags(container).get(flag)
    if values is None:
        values = [text] if variable and (text := _variable(container, variable)) is not None else []
    return {name: on for text in values for name, on in gates_in(text).items()}


def _flag(container: Object, flag: str, variable: str) -> str | None:
    values = _flags(container).get(flag)
    return values[-1] if values else _variable(container, variable)


def _flags(container: Object) -> dict[str, list[str]]:
    return flags_in([*_list(container.get("command")), *_list(container.get("args"))])


def _variable(container: Object, name: str) -> str | None:
    """A variable's value; None where it is not there, or comes from elsewhere (valueFrom)."""
    values = [
        each.get("value") for each in map(_dict, _list(container.get("env"))) if each.get("name") == name
    ]
    return None if not values or values[-1] is None else str(values[-1])


def _image(container: Object) -> str:
    return str(container.get("image", ""))


def _labels(item: Object) -> dict[str, str]:
    labels = _dict(_dict(item.get("metadata")).get("labels"))
    return {str(name): str(value) for name, value in labels.items()}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
