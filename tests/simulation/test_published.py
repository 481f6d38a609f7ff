"""What the simulated fleet publishes is what it has, after each event, in the form of NVIDIA's driver."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from stellwerk.api.manifests import load_manifests
from stellwerk.api.validation import validate
from stellwerk.cli.main import main
from stellwerk.engine.partition.facts import gpu_facts
from stellwerk.engine.partition.geometry import Instance
from stellwerk.engine.partition.policy import POLICIES
from stellwerk.engine.placement.cuts import Layout
from stellwerk.engine.snapshot import Faults, Fleet, NodeNetwork
from stellwerk.ports.store import MemoryStore
from stellwerk.sim.intake.fleets import price_manifests
from stellwerk.sim.published.devices import PublishedGpu, PublishedNode, node_object, resource_slices
from stellwerk.sim.published.publisher import Publisher, objects_at
from stellwerk.sim.replay import Stage, play, stage
from stellwerk.sim.slowdown import Slowdown
from stellwerk.sim.world import World

from .scenarios import GIB, demand, fleet, job, node, scenario
from .test_cuts import BY_NAME, SLOW, broken_cuts

EXAMPLES = Path(__file__).parents[1] / "unit" / "api_cases" / "valid"
SMALL = {"memory_bytes": 8 * GIB, "compute_milli": 100}


def truth(world: World, names: list[str]) -> tuple[dict[str, set[str]], dict[str, dict[str, int]]]:
    """Devices and extended resources by node, straight from the world's books; lost nodes have none."""
    devices: dict[str, set[str]] = {}
    resources: dict[str, dict[str, int]] = {}
    for gpu, site in enumerate(world.gpus.sites):
        if gpu in world.gpus.down:
            continue
        name, layout = names[site.node], world.gpus.layouts[gpu]
        here = devices.setdefault(name, set())
        counts = resources.setdefault(name, {"nvidia.com/gpu": 0})
        tenants = [grant.method for _, grant in world.gpus.tenants[gpu]]
        key, count = "nvidia.com/gpu", 1
        if tenants and tenants[0] in ("mps", "time-slicing"):
            key, count = "nvidia.com/gpu.shared", site.replicas if tenants[0][0] == "t" else len(tenants)
        if not layout.mig:
            here.add(f"{site.index}")
            counts[key] = counts.get(key, 0) + count
        for one in layout.instances:
            here.add(f"{site.index} {one.profile.name} {one.start}")
            key = f"nvidia.com/mig-{one.profile.name}"
            counts[key] = counts.get(key, 0) + 1
    return devices, resources


def published(store: MemoryStore) -> tuple[dict[str, set[str]], dict[str, dict[str, int]], dict[str, int]]:
    """The same from the store, and each pool's generation."""
    devices: dict[str, set[str]] = {}
    generations: dict[str, int] = {}
    for item in store.list("resource.k8s.io", "ResourceSlice")[0]:
        spec = item["spec"]
        here = devices.setdefault(spec["nodeName"], set())
        generations[spec["nodeName"]] = spec["pool"]["generation"]
        for device in spec["devices"]:
            index, _, rest = device["name"].removeprefix("gpu-").partition("-mig-")
            profile = device["attributes"].get("profile", {}).get("string", "")
            here.add(f"{index} {profile} {rest.rpartition('-')[2]}".rstrip())
    resources = {
        item["metadata"]["name"]: {name: int(count) for name, count in item["status"]["allocatable"].items()}
        for item in store.list("", "Node")[0]
    }
    return devices, resources, generations


def follow(staged: Stage, publisher: Publisher, store: MemoryStore, names: list[str]) -> int:
    """Play to the end, comparing after each event; returns how often a pool changed."""
    last: dict[str, tuple[int, set[str]]] = {}
    changes = 0

    def compare(world: World, now: int) -> bool:
        nonlocal changes
        publisher.update()
        devices, resources, generations = published(store)
        assert (devices, resources) == truth(world, names), f"at {now} ns"
        for name, generation in generations.items():
            before, had = last.get(name, (0, set()))
            assert generation == before if had == devices[name] and name in last else generation > before
            last[name] = generation, devices[name]
            changes += generation != before
        for name in set(last) - set(generations):
            last[name] = last[name][0], {"lost"}
        return True

    assert play(staged, compare)
    return changes


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_what_is_published_is_what_the_world_has_after_each_event(policy) -> None:  # type: ignore[no-untyped-def]
    changes = 0
    for seed in range(12):
        for found in (broken_cuts(seed), replace(broken_cuts(seed), fleet=at_once(seed))):
            staged, store = stage(found, policy, Slowdown()), MemoryStore(keep=10)
            publisher = Publisher(store, found.fleet, staged.world)
            changes += follow(staged, publisher, store, [one.name for one in found.fleet.nodes])
            raw = [item for kind in ("ResourceSlice", "Node") for item in listed(store, kind)]
            validate(load_manifests(json.dumps({"kind": "List", "items": raw}).encode(), "store"))
    assert changes > (100 if policy.name in ("mig-chosen", "mix") else 20)


def at_once(seed: int):  # type: ignore[no-untyped-def]
    from msgspec import UNSET

    return replace(broken_cuts(seed).fleet, reconfiguration=UNSET)


def listed(store: MemoryStore, kind: str) -> list[dict[str, Any]]:
    return store.list("resource.k8s.io" if kind == "ResourceSlice" else "", kind)[0]


def test_a_static_mig_slice_says_what_the_driver_says_as_far_as_the_catalog_knows() -> None:
    table = gpu_facts("A100-SXM4-80GB").mig
    assert table is not None
    wanted = [("3g.40gb", 0), ("2g.20gb", 4), ("1g.10gb", 6)]
    instances = tuple(Instance(table.profile(name), start) for name, start in wanted)  # type: ignore[arg-type]
    gpu = PublishedGpu(0, "A100-SXM4-80GB", Layout(True, instances))
    found = resource_slices(PublishedNode("gpu-node-1", (gpu,)), 1)
    example = json.loads((EXAMPLES / "resourceslice-static-mig.json").read_text())
    assert len(found) == 1 and found[0]["spec"]["pool"] == example["spec"]["pool"]
    for ours, theirs in zip(found[0]["spec"]["devices"], example["spec"]["devices"], strict=True):
        assert ours["name"] == theirs["name"] and set(ours["attributes"]) < set(theirs["attributes"])
        assert ours["capacity"] == theirs["capacity"], ours["name"]
        for name in ("profile", "type", "architecture", "cudaComputeCapability"):
            assert ours["attributes"][name] == theirs["attributes"][name]


def test_a_whole_gpu_says_what_the_driver_says_as_far_as_the_catalog_knows() -> None:
    gpus = tuple(PublishedGpu(index, "A100-SXM4-80GB", Layout()) for index in range(2))
    found = resource_slices(PublishedNode("gpu-node-1", gpus), 1)[0]["spec"]["devices"]
    example = json.loads((EXAMPLES / "resourceslice-full-gpu.json").read_text())["spec"]["devices"]
    assert [one["name"] for one in found] == [one["name"] for one in example]
    assert [one["capacity"] for one in found] == [one["capacity"] for one in example]


def test_a_pool_of_many_devices_has_several_slices_of_one_generation() -> None:
    gpus = tuple(PublishedGpu(index, "L4", Layout()) for index in range(300))
    found = resource_slices(PublishedNode("n", gpus), 7)
    assert [len(part["spec"]["devices"]) for part in found] == [128, 128, 44]
    assert {json.dumps(part["spec"]["pool"]) for part in found} == {
        '{"name": "n", "generation": 7, "resourceSliceCount": 3}'
    }
    assert node_object(PublishedNode("n", gpus))["status"]["allocatable"] == {"nvidia.com/gpu": "300"}


def test_an_instance_is_published_when_its_cut_has_ended_and_stays_when_its_job_has() -> None:
    found = scenario(
        demand(20, job("a", 1, 2, **SMALL)),
        replace(fleet(node("one", 2)), reconfiguration=SLOW),
        Slowdown(),
    )
    policies = [BY_NAME["whole"], BY_NAME["mig-chosen"]]

    def resources(time: str) -> dict[str, str]:
        return objects_at(found, policies, time)[-1]["status"]["allocatable"]  # type: ignore[no-any-return]

    assert resources("0s") == resources("2h9m") == {"nvidia.com/gpu": "2"}
    assert resources("2h10m") == resources("20h") == {"nvidia.com/gpu": "1", "nvidia.com/mig-1g.10gb": "1"}
    assert resources("1970-01-01T02:10:00Z") == resources("2h10m")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--objects-at", "1h"], "one policy"),
        (["--objects-at", "1h", "--policy", "mix", "--policy", "mps"], "one policy"),
        (["--objects-at", "soon", "--policy", "mix"], "neither a time nor a duration"),
        (["--objects-at", "999h", "--policy", "mix"], "not in the replayed period"),
        (["--objects-at", "1h", "--policy", "mix", "--size"], "--size"),
    ],
)
def test_a_wrong_moment_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["replay", "demo", *arguments])
    err = capsys.readouterr().err
    assert ended.value.code == 2 and words in err and "Next: " in err


@pytest.mark.parametrize("form", ["table", "json"])
def test_the_printed_objects_are_read_back_as_a_fleet(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["replay", "demo", "--policy", "mix", "--objects-at", "30h", "-o", form])
    assert ended.value.code == 0 and not Path("receipt.json").exists()
    Path("cluster.yaml").write_text(capsys.readouterr().out)
    with pytest.raises(SystemExit) as ended:
        main(["replay", "demo", "--policy", "mix", "--fleet", "cluster.yaml"])
    assert ended.value.code == 0


CLIQUE = NodeNetwork(
    nvlink_domain=4, clique="3143b15b-c2cd-192b-28cc-9b5473fb5b93.7", pcie_roots=2, rdma="roce", rdma_nics=4
)


def networked() -> Fleet:
    return fleet(replace(node("one", 4, model="A100-SXM4-40GB"), network=CLIQUE))


def slices_of(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item["spec"]["driver"]: item["spec"] for item in items if item["kind"] == "ResourceSlice"}


def root_of(device: dict[str, Any]) -> str:
    return str(device["attributes"]["resource.kubernetes.io/pcieRoot"]["string"])


def test_a_described_network_is_published_as_the_drivers_do() -> None:
    found = scenario(demand(20, job("a", 1, 2, **SMALL)), networked(), Slowdown())
    items = objects_at(found, [BY_NAME["whole"], BY_NAME["mig-chosen"]], "90m")
    assert items[-1]["metadata"]["labels"]["nvidia.com/gpu.clique"] == CLIQUE.clique
    slices = slices_of(items)
    assert list(slices) == ["compute-domain.nvidia.com", "dra.net", "gpu.nvidia.com"]
    domain = slices["compute-domain.nvidia.com"]["devices"]
    assert [(one["name"], one["attributes"]["type"]["string"]) for one in domain] == [
        ("channel-0", "channel"),
        ("daemon-0", "daemon"),
    ]
    gpus, nics = slices["gpu.nvidia.com"]["devices"], slices["dra.net"]["devices"]
    assert any("-mig-" in one["name"] for one in gpus)  # an instance hangs on its GPU's root
    assert [root_of(one) for one in gpus] == ["pci0000:00", "pci0000:00", "pci0001:00", "pci0001:00"]
    assert [root_of(one) for one in nics] == ["pci0000:00", "pci0000:00", "pci0001:00", "pci0001:00"]
    validate(load_manifests(json.dumps({"kind": "List", "items": items}).encode(), "objects"))


def test_a_nic_says_what_dranet_says_as_far_as_it_can_be_known() -> None:
    found = objects_at(scenario(demand(2), networked(), Slowdown()), [BY_NAME["whole"]], "0s")
    path = EXAMPLES / "resourceslice-dranet-nic.json"
    example = json.loads(path.read_text())["spec"]["devices"][0]
    for nic in slices_of(found)["dra.net"]["devices"]:
        assert set(nic["attributes"]) <= set(example["attributes"])
        for name, value in nic["attributes"].items():
            assert list(value) == list(example["attributes"][name]), name
        address = nic["attributes"]["dra.net/pciAddress"]["string"]
        assert nic["name"] == "pci-" + address.replace(":", "-").replace(".", "-")  # as in the example


def test_pools_of_a_network_change_only_with_their_node() -> None:
    lossy = replace(networked(), faults=Faults(losses_per_node_month_milli=60_000, repair_ns=3_600 * 10**9))
    found = scenario(demand(200, job("a", 1, 2, **SMALL), job("b", 9, 20, **SMALL)), lossy, Slowdown())
    staged, store = stage(found, BY_NAME["mig-chosen"], Slowdown()), MemoryStore(keep=10)
    publisher = Publisher(store, lossy, staged.world)
    seen: list[tuple[int, ...]] = []

    def look(world: World, now: int) -> bool:
        publisher.update()
        slices = slices_of(store.list("resource.k8s.io", "ResourceSlice")[0])
        assert bool(slices) == (not world.gpus.down)
        assert len(slices) in (0, 3)
        if slices:
            seen.append(
                (slices["dra.net"]["pool"]["generation"], slices["gpu.nvidia.com"]["pool"]["generation"])
            )
        return True

    assert play(staged, look)
    nics = [nic for nic, _ in seen]
    assert nics == sorted(nics) and len(set(nics)) > 1  # it came back at least once
    assert len({gpus for _, gpus in seen}) > len(set(nics))  # cuts change the GPUs' pool only


def test_the_clique_of_a_published_node_is_read_back() -> None:
    found = objects_at(scenario(demand(2), networked(), Slowdown()), [BY_NAME["whole"]], "0s")
    read = price_manifests(load_manifests(json.dumps(found[-1]).encode(), "node"), ())
    network = read.nodes[0].network
    assert isinstance(network, NodeNetwork) and network.clique == CLIQUE.clique
    assert network.nvlink_domain == 4 and network.nvlink_gb_s is not None
