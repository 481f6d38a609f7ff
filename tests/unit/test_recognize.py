"""What runs in a cluster is recognized by image, label and argument, as the charts write them."""

from typing import Any

import pytest

from stellwerk.engine.diagnosis.live.recognize import (
    device_plugin_in,
    driver_in,
    gpu_nodes,
    karpenter_in,
    kueue_configuration_at,
    kueue_in,
    operator_in,
    static_gates,
    version_in,
)
from stellwerk.engine.diagnosis.live.role import plural_of


def workload(kind: str, *containers: dict[str, Any], **labels: str) -> dict[str, Any]:
    metadata = {"namespace": "n", "name": "w", "labels": {k.replace("_", "/"): v for k, v in labels.items()}}
    return {
        "kind": kind,
        "metadata": metadata,
        "spec": {"template": {"spec": {"containers": list(containers)}}},
    }


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("registry.k8s.io/kueue/kueue:v0.19.2", "0.19.2"),
        ("public.ecr.aws/karpenter/controller:1.14.1@sha256:ea73", "1.14.1"),
        ("localhost:5000/kueue", ""),
        ("nvcr.io/nvidia/k8s/dcgm-exporter:4.6.0-4.8.3-distroless", "4.6.0-4.8.3-distroless"),
        ("controller:latest", ""),
    ],
)
def test_a_version_is_the_tag_of_an_image(image: str, version: str) -> None:
    assert version_in(image) == version


def test_kueue_has_the_gates_of_its_arguments() -> None:
    container = {
        "image": "mirror.example/kueue:v0.19.2",
        "args": ["--config=/c.yaml", "--feature-gates=A=true,B=false"],
    }
    found = kueue_in([workload("Deployment", container)])
    assert found is not None and (found.version, found.gates) == ("0.19.2", {"A": True, "B": False})


def test_kueues_configuration_is_the_config_map_that_its_pod_mounts() -> None:
    manager = {"image": "registry.k8s.io/kueue/kueue:v0.19.2"}
    made = workload("Deployment", manager)
    namespace = made["metadata"]["namespace"]
    usual = "kueue-manager-config"
    assert kueue_configuration_at([]) == ("kueue-system", usual)
    assert kueue_configuration_at([made]) == (namespace, usual)

    def mounting(*volumes: tuple[str, str]) -> tuple[str, str]:
        spec = made["spec"]["template"]["spec"]
        mounted = [{"name": name, "configMap": {"name": of}} for name, of in volumes]
        return kueue_configuration_at(
            [{**made, "spec": {"template": {"spec": {**spec, "volumes": [{"name": "x"}, *mounted]}}}}]
        )

    assert mounting(("certs", "a"), ("manager-config", "own")) == (namespace, "own")
    assert mounting(("certs", "a"), ("b", "team-manager-config")) == (namespace, "team-manager-config")
    assert mounting(("b", "only")) == (namespace, "only")
    assert mounting(("b", "one"), ("c", "two")) == (namespace, usual)


def test_karpenters_flag_wins_over_its_variable() -> None:
    container = {
        "image": "public.ecr.aws/karpenter/controller:1.14.1",
        "args": ["--ignore-dra-requests=false"],
        "env": [{"name": "IGNORE_DRA_REQUESTS", "value": "true"}],
    }
    found = karpenter_in([workload("Deployment", container)])
    assert found is not None and found.flags == {"--ignore-dra-requests": "false"}


def test_parts_that_share_an_image_are_told_apart() -> None:
    validator = workload("DaemonSet", {"image": "nvcr.io/nvidia/gpu-operator:v26.7.0", "name": "validator"})
    discovery = workload("DaemonSet", {"image": "nvcr.io/nvidia/k8s-device-plugin:v0.20.0", "name": "gfd"})
    image = "nvcr.io/nvidia/dra-driver-nvidia-gpu:v0.5.0"
    daemon = workload("DaemonSet", {"image": image, "name": "compute-domain-daemon"})
    assert operator_in([validator]) is None
    assert device_plugin_in([discovery]) is None
    assert driver_in([daemon]) is None
    found = driver_in([daemon, workload("DaemonSet", {"image": image, "name": "gpus"})])
    assert found is not None and (found.version, found.parts) == ("0.5.0", ("gpus",))


def test_static_pods_tell_gates_and_no_pod_tells_nothing() -> None:
    command = ["kube-apiserver", "--feature-gates=DRAAdminAccess=false"]
    pod = {"metadata": {"labels": {"component": "kube-apiserver"}}}
    shown = {**pod, "spec": {"containers": [{"command": command}]}}
    assert static_gates([shown], "kube-apiserver") == {"DRAAdminAccess": False}
    assert static_gates([{**pod, "spec": {"containers": [{}]}}], "kube-apiserver") == {}
    assert static_gates([shown], "kube-scheduler") is None


def test_gpu_nodes_are_known_by_label_or_resource() -> None:
    labels = {"nvidia.com/gpu.present": "true", "nvidia.com/mig.config.state": "failed"}
    nodes = [
        {"metadata": {"name": "a", "labels": labels}},
        {"metadata": {"name": "b"}, "status": {"allocatable": {"nvidia.com/mig-1g.10gb": "7", "cpu": "8"}}},
        {"metadata": {"name": "c"}, "status": {"allocatable": {"cpu": "8"}}},
    ]
    found = [(node.name, node.mig_state, dict(node.resources)) for node in gpu_nodes(nodes)]
    assert found == [("a", "failed", {}), ("b", "", {"nvidia.com/mig-1g.10gb": 7})]


def test_plurals_are_those_of_the_definitions() -> None:
    kinds = ("DeviceClass", "NodeOverlay", "ClusterPolicy", "Topology", "Pod")
    wanted = ["deviceclasses", "nodeoverlays", "clusterpolicies", "topologies", "pods"]
    assert [plural_of(kind) for kind in kinds] == wanted
