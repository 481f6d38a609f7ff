"""What a GPU-hour of a flavor costs: which nodes its labels select, and what is said where none do."""

from fractions import Fraction
from typing import Any

import pytest

from stellwerk.api.groups import stellwerk as api
from stellwerk.api.groups.core import Node
from stellwerk.api.manifests import encode, load_manifests
from stellwerk.engine.money.flavor_price import (
    FlavorPrice,
    LabeledNode,
    flavor_price,
    fleet_labels,
    node_labels,
)
from stellwerk.engine.money.fleet_cost import price_fleet
from stellwerk.engine.money.node_fleet import price_nodes

FLEET = """apiVersion: stellwerk.dev/v1alpha1
kind: Fleet
metadata: {name: f}
spec:
  nodes:
  - {name: pcie, count: 2, gpuModel: H100-PCIE-80GB, gpus: 2, price: {amount: "6", currency: EUR}}
  - {name: spot, gpuModel: H100-PCIE-80GB, gpus: 4, capacityType: spot, price: {amount: "4", currency: EUR}}
  - {name: rented, instanceType: {provider: scaleway, name: L4-1-24G}}
  - {name: own, gpuModel: A100-SXM4-80GB, gpus: 8}
"""
PRODUCT, TYPE = "nvidia.com/gpu.product", "node.kubernetes.io/instance-type"
REGION, CAPACITY = "topology.kubernetes.io/region", "karpenter.sh/capacity-type"


def nodes() -> tuple[LabeledNode, ...]:
    manifest = load_manifests(FLEET.encode(), "fleet.yaml")[0].object
    assert isinstance(manifest, api.Fleet)
    return fleet_labels(manifest, price_fleet(manifest))


def price(name: str, **labels: str) -> FlavorPrice:
    return flavor_price(name, labels, nodes())


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        # (6 + 6 + 4) EUR for 2 + 2 + 4 GPUs.
        ("h100", {PRODUCT: "NVIDIA-H100-PCIe"}, Fraction(2)),
        ("h100", {PRODUCT: "H100-PCIE-80GB"}, Fraction(2)),
        ("h100", {PRODUCT: "NVIDIA-H100-PCIe", CAPACITY: "on-demand"}, Fraction(3)),
        ("h100", {PRODUCT: "NVIDIA-H100-PCIe", CAPACITY: "spot"}, Fraction(1)),
        ("l4", {TYPE: "L4-1-24G"}, Fraction("0.792")),
        ("spot", {}, Fraction(1)),  # By the name of its group.
        ("spot", {"cloud.example.com/pool": "x"}, Fraction(1)),
    ],
)
def test_the_nodes_that_labels_select_share_their_cost_by_gpu(
    name: str, labels: dict[str, str], expected: Fraction
) -> None:
    assert flavor_price(name, labels, nodes()).per_gpu_hour == expected


@pytest.mark.parametrize(
    ("name", "labels", "text"),
    [
        ("x", {PRODUCT: "B200"}, f"no node of the fleet has the labels of flavor x: {PRODUCT}=B200"),
        ("x", {TYPE: "p5"}, f"no node of the fleet has the labels of flavor x: {TYPE}=p5"),
        ("own", {}, "a GPU-hour of flavor own has no price: set spec.nodes[3].price of Fleet f"),
        ("all", {}, "a GPU-hour of flavor all has no price: set spec.nodes[3].price of Fleet f"),
    ],
)  # fmt: skip
def test_without_a_price_it_says_what_to_add(name: str, labels: dict[str, str], text: str) -> None:
    found = flavor_price(name, labels, nodes())
    assert found.per_gpu_hour is None and str(found.reason) == text


def test_a_label_of_which_a_fleet_says_nothing_is_named() -> None:
    labels = {PRODUCT: "NVIDIA-H100-PCIe", "cloud.example.com/pool": "x"}
    assert flavor_price("h100", labels, nodes()).ignored == ("cloud.example.com/pool",)


def node(name: str, labels: dict[str, str]) -> Node:
    raw: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {TYPE: "p5.48xlarge", REGION: "us-east-1", **labels}},
        "spec": {"providerID": "aws:///x/i-1"},
        "status": {"capacity": {"nvidia.com/gpu": "8"}},
    }  # fmt: skip
    found = load_manifests(encode(raw), name)[0].object
    assert isinstance(found, Node)
    return found


def test_of_nodes_every_label_counts() -> None:
    found = [node("a", {"pool": "x"}), node("b", {})]
    labeled = node_labels(found, price_nodes(found, "USD"))
    assert flavor_price("f", {"pool": "x"}, labeled).nodes == 1
    assert flavor_price("f", {}, labeled).nodes == 2
    assert flavor_price("f", {"pool": "y"}, labeled).reason is not None
