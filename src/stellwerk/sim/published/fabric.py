"""What claims ask of a node's network: PCIe roots, the clique, RDMA NICs, as the drivers publish them.

Sources: kubernetes-sigs/dra-driver-nvidia-gpu (cmd/compute-domain-kubelet-plugin: channel 0 and the daemon
are the node's devices), GPU feature discovery (`nvidia.com/gpu.clique`), kubernetes-sigs/dranet (pkg/apis,
attributes; devices of a PCI address). Roots and PCI addresses are the simulated node's own.
"""

from collections.abc import Iterator
from typing import Any

from stellwerk.engine.snapshot import NodeNetwork
from stellwerk.engine.topology.link import pcie_root

Object = dict[str, Any]
COMPUTE_DOMAIN, DRANET = "compute-domain.nvidia.com", "dra.net"
CLIQUE, PCIE_ROOT = "nvidia.com/gpu.clique", "resource.kubernetes.io/pcieRoot"
# AWS publishes EFA by a driver of its own, of which the catalog knows no device.
DRANET_KINDS = ("infiniband", "roce")


def root_attribute(root: int) -> Object:
    """The attribute that GPUs and NICs of one root share: `pci<domain>:<bus>`; each root is a domain here."""
    return {PCIE_ROOT: {"string": f"pci{root:04x}:00"}}


def fabric_slices(node: str, network: NodeNetwork, generation: int) -> list[Object]:
    """The node's ResourceSlices besides its GPUs': IMEX channel and daemon in a clique, and RDMA NICs."""
    found: list[Object] = []
    if network.clique:
        found.append(_slice(node, COMPUTE_DOMAIN, generation, [_imex("channel"), _imex("daemon")]))
    if network.rdma in DRANET_KINDS:
        found.append(_slice(node, DRANET, generation, list(_nics(network))))
    return found


def _imex(kind: str) -> Object:
    return {"name": f"{kind}-0", "attributes": {"id": {"int": 0}, "type": {"string": kind}}}


def _nics(network: NodeNetwork) -> Iterator[Object]:
    """NICs are spread evenly over the roots, in order, as GPUs are."""
    on_root: dict[int, int] = {}
    for nic in range(network.rdma_nics):
        root = pcie_root(network.rdma_nics, network.pcie_roots, nic)
        on_root[root] = bus = on_root.get(root, 0) + 1
        yield {
            "name": f"pci-{root:04x}-{bus:02x}-00-0",
            "attributes": {
                "dra.net/ifName": {"string": f"rdma{nic}"},
                "dra.net/pciAddress": {"string": f"{root:04x}:{bus:02x}:00.0"},
                "dra.net/rdma": {"bool": True},
                "dra.net/state": {"string": "up"},
                "dra.net/type": {"string": "device"},
                "dra.net/virtual": {"bool": False},
                **root_attribute(root),
            },
        }


def _slice(node: str, driver: str, generation: int, devices: list[Object]) -> Object:
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {"name": f"{node}-{driver}-0"},
        "spec": {
            "driver": driver,
            "pool": {"name": node, "generation": generation, "resourceSliceCount": 1},
            "nodeName": node,
            "devices": devices,
        },
    }
