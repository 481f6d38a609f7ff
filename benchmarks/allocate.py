"""`python -m benchmarks.allocate`: the DRA allocator beside Kubernetes' own (Go) in one run, as CPU time.

1. ../shared/conformance/dra-bench.json.xz: 100 nodes of 8 GPUs, one claim for 8 devices with a CEL selector
   and matchAttribute; all free, and one GPU a node in use, so that nothing fits; GPUs that are equal but for
   names, and GPUs that all differ. Go's NewAllocator is in its all-nodes figure, its CEL cache is warm.
   cold: from typed objects, nothing evaluated yet. selectors: the snapshot is there, every CEL verdict is
   worked out anew. warm: the snapshot knows what its selectors say of its devices, as a scheduler's would
   between two pods. Answers are never remembered.
2. 1,000 nodes of 8 GPUs, 1,000 claims one after another, each on the first node that can have it.
"""

import json
import lzma
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from stellwerk.api.groups.core import Node
from stellwerk.api.groups.resource import DeviceClass, ResourceClaim, ResourceSlice
from stellwerk.api.mismatch import decode_hook
from stellwerk.engine.allocation.allocate import Snapshot, allocate_on
from stellwerk.engine.allocation.decision import Allocated, AllocatedState, DeviceID, Features
from stellwerk.engine.allocation.fleet import Fleet, allocate_each, allocate_first
from stellwerk.engine.allocation.pools.usage import usage_after
from tests.differential.go_allocator import MISSING, go_allocator

RECORDED = Path(__file__).parents[2] / "shared" / "conformance" / "dra-bench.json.xz"
Json = dict[str, Any]
SAMPLES = 5


class World(msgspec.Struct):
    """One variant as typed objects."""

    nodes: list[Node]
    slices: list[ResourceSlice]
    classes: list[DeviceClass]
    claims: list[ResourceClaim]
    state: AllocatedState


def world_of(raw: Json) -> World:
    """The variant's objects."""
    used = [
        DeviceID(one["driver"], one["pool"], one["device"])
        for one in raw["allocatedState"]["allocatedDevices"]
    ]

    def typed(key: str, wanted: Any) -> Any:
        return msgspec.convert(raw[key], list[wanted], dec_hook=decode_hook)

    return World(
        typed("nodes", Node),
        typed("resourceSlices", ResourceSlice),
        typed("deviceClasses", DeviceClass),
        typed("resourceClaims", ResourceClaim),
        AllocatedState(frozenset(used)),
    )


def least_ms(work: Callable[[], object], times: int) -> float:
    """The least CPU time of one call over some samples, in milliseconds."""
    best = float("inf")
    for _ in range(SAMPLES):
        started = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - started) / times)
    return best * 1000


def measure(world: World) -> dict[str, float]:
    """Our figures of one variant, in milliseconds."""
    snapshot = Snapshot(world.slices, world.classes, Features())
    fleet = Fleet(snapshot, world.nodes)

    def one_node() -> object:
        return allocate_on(world.nodes[0], snapshot.ask(world.claims), snapshot.usage(world.state))

    def all_nodes(used: Fleet = fleet) -> object:
        asked = used.snapshot.ask(world.claims)
        return list(allocate_each(used, asked, used.snapshot.usage(world.state)))

    def selectors() -> object:
        snapshot.offered.forget_columns()
        return all_nodes(Fleet(snapshot, world.nodes))

    def cold() -> object:
        return all_nodes(Fleet(Snapshot(world.slices, world.classes, Features()), world.nodes))

    return {
        "one-node": least_ms(one_node, 100),
        "all-nodes warm": least_ms(all_nodes, 10),
        "all-nodes selectors": least_ms(selectors, 5),
        "all-nodes cold": least_ms(cold, 3),
    }


def go_figures(text: bytes) -> dict[tuple[str, str], float]:
    """Go's least CPU time in milliseconds by variant and operation; empty where Go is missing."""
    oracle = go_allocator()
    if oracle is None:
        print(MISSING, file=sys.stderr)
        return {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.json"
        path.write_bytes(text)
        found = oracle.bench(path, ["incubating"], "-sample", "200ms")
    return {(one["variant"], one["operation"]): one["minCpuNs"] / 1e6 for one in found}


def in_turn(raw: Json, count: int) -> tuple[float, int]:
    """CPU seconds for 1,000 claims of `count` devices on 1,000 nodes, and how many were allocated."""
    nodes, slices = [], []
    for number in range(1_000):
        name = f"node-{number}"
        text = json.dumps(raw["resourceSlices"][0])
        slices.append(
            json.loads(
                text.replace("node-0", name)
                .replace("nvl-0", f"nvl-{number}")
                .replace("GPU-0000", f"GPU-{number}")
            )
        )
        nodes.append({**raw["nodes"][0], "metadata": {"name": name}})
    claim = json.loads(json.dumps(raw["resourceClaims"][0]))
    claim["spec"]["devices"]["requests"][0]["exactly"]["count"] = count
    claims = [{**claim, "metadata": {"name": f"claim-{number}"}} for number in range(1_000)]
    world = world_of({**raw, "nodes": nodes, "resourceSlices": slices, "resourceClaims": claims})
    started = time.process_time()
    snapshot = Snapshot(world.slices, world.classes, Features())
    fleet, usage, allocated = Fleet(snapshot, world.nodes), snapshot.usage(AllocatedState()), 0
    for one in world.claims:
        decision, _ = allocate_first(fleet, snapshot.ask([one]), usage)
        if isinstance(decision, Allocated):
            usage = usage_after(snapshot.offered, usage, decision.results)
            allocated += 1
    return time.process_time() - started, allocated


def main() -> int:
    """Print both tables."""
    if not RECORDED.is_file():
        print("this benchmark needs ../shared/conformance/dra-bench.json.xz", file=sys.stderr)
        return 1
    text = lzma.decompress(RECORDED.read_bytes())
    variants: dict[str, Json] = json.loads(text)
    theirs = go_figures(text)
    print(f"{'variant':24}{'what':22}{'ours ms':>10}{'Go ms':>10}{'ratio':>8}")
    for name, raw in variants.items():
        for what, ours in measure(world_of(raw)).items():
            go = theirs.get((name, what.split()[0]))
            beside = "" if go is None else f"{go:10.3f}{ours / go:8.3f}"
            print(f"{name:24}{what:22}{ours:10.3f}{beside}")
    for count in (1, 8):
        seconds, allocated = in_turn(variants["distinct-free"], count)
        print(f"1,000 nodes x 8 GPUs, 1,000 claims of {count}: {allocated} allocated, {seconds:.2f} s CPU")
    return 0


if __name__ == "__main__":
    sys.exit(main())
