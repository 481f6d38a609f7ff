"""Plans by hand: what the planner must find, and what it must say where it cannot."""

from msgspec.structs import replace

from stellwerk.engine.partition.inventory import (
    Gpu,
    GpuInstance,
    Limits,
    PartitionPlan,
    PartitionRequest,
    Tenant,
)
from stellwerk.engine.partition.plan import plan_partition

GIB = 1 << 30
H100 = "H100-SXM5-80GB"


def empty(count: int, per_node: int = 4, model: str = H100) -> list[Gpu]:
    return [Gpu(node=f"n{at // per_node}", index=at % per_node, model=model) for at in range(count)]


def cut(index: int, *instances: tuple[str, int, str]) -> Gpu:
    found = tuple(GpuInstance(profile=profile, start=start, tenant=pod) for profile, start, pod in instances)
    return Gpu(node="n0", index=index, model=H100, method="mig", instances=found)


def pods_of(plan: PartitionPlan) -> list[str]:
    named = [item.tenant for gpu in plan.gpus for item in gpu.instances if item.tenant]
    return sorted(named + [tenant.name for gpu in plan.gpus for tenant in gpu.tenants])


def test_seven_small_instances_share_one_gpu() -> None:
    plan = plan_partition(empty(3), [PartitionRequest(name="small", pods=7, profile="1g.10gb")])
    assert (plan.gpus_used, plan.gap, plan.unserved) == (1, 0, ())
    assert pods_of(plan) == [f"small/{number}" for number in range(7)]


def test_double_memory_of_one_compute_slice_holds_four() -> None:
    """4 pods of 19 GiB and a seventh of the compute: 1g.20gb four times, not 2g.20gb three times."""
    request = PartitionRequest(name="r", pods=4, memory_bytes=19 * GIB, compute_milli=140, methods=("mig",))
    plan = plan_partition(empty(2), [request])
    assert plan.gpus_used == 1
    assert {item.profile for item in plan.gpus[0].instances} == {"1g.20gb"}


def test_what_was_not_measured_gets_a_whole_gpu() -> None:
    plan = plan_partition(
        empty(2), [PartitionRequest(name="unknown"), PartitionRequest(name="b", memory_bytes=GIB)]
    )
    assert [gpu.method for gpu in plan.gpus] == ["whole", "whole"]


def test_only_one_instance_of_a_gpu_has_its_media_engines() -> None:
    plan = plan_partition(empty(2), [PartitionRequest(name="media", pods=2, profile="1g.10gb+me")])
    assert plan.gpus_used == 2


def test_equal_gpus_are_served_with_isolation_rather_than_without() -> None:
    request = PartitionRequest(name="r", pods=2, memory_bytes=30 * GIB, compute_milli=300)
    plan = plan_partition(empty(2), [request])
    assert [gpu.method for gpu in plan.gpus] == ["mig", ""]


def test_mps_packs_what_mig_cannot() -> None:
    """Three pods of 25 GiB: two instances of 40 GB a GPU, but three MPS clients."""
    request = PartitionRequest(name="r", pods=3, memory_bytes=25 * GIB, compute_milli=200)
    assert plan_partition(empty(3), [replace(request, methods=("mig", "whole"))]).gpus_used == 2
    plan = plan_partition(empty(3), [request])
    assert plan.gpus_used == 1 and plan.gpus[0].method == "mps"


def test_time_slicing_keeps_to_its_replicas() -> None:
    request = PartitionRequest(
        name="r", pods=5, memory_bytes=GIB, compute_milli=10, methods=("time-slicing",)
    )
    plan = plan_partition(empty(3), [request], Limits(replicas=4))
    assert sorted(len(gpu.tenants) for gpu in plan.gpus) == [0, 1, 4]


def test_pods_of_several_gpus_get_them_on_one_node() -> None:
    fleet = [*empty(2, per_node=2), *[replace(gpu, node="big") for gpu in empty(4)]]
    plan = plan_partition(fleet, [PartitionRequest(name="train", gpus=4)])
    assert {gpu.node for gpu in plan.gpus if gpu.tenants} == {"big"}
    none = plan_partition(empty(4, per_node=2), [PartitionRequest(name="train", gpus=4)])
    assert none.unserved[0].reason.code == "NoNode"


def test_an_idle_instance_that_serves_is_left_alone() -> None:
    fleet = [cut(0, ("1g.10gb", 6, "")), *[replace(gpu, index=gpu.index + 1) for gpu in empty(1)]]
    plan = plan_partition(fleet, [PartitionRequest(name="r", profile="1g.10gb")])
    assert [step.action for step in plan.steps] == ["place"]
    assert plan.gpus[0].instances[0].tenant == "r"


def test_fragmentation_is_named_and_a_move_repairs_it() -> None:
    """A 3g needs slices 0-3 or 4-7; a small instance in each half is in its way, on both GPUs."""
    fleet = [
        cut(0, ("1g.10gb", 0, "a"), ("1g.10gb", 4, "b")),
        cut(1, ("1g.10gb", 2, "c"), ("1g.10gb", 5, "d")),
    ]
    request = PartitionRequest(name="r", profile="3g.40gb")
    stays = plan_partition(fleet, [request])
    assert stays.unserved[0].reason.code == "Fragmented" and stays.drained == ()
    moves = plan_partition(fleet, [request], Limits(drain=True))
    assert moves.unserved == () and moves.gpus_used == 1  # The other GPU comes free as well.
    actions = [(step.action, step.pod) for step in moves.steps]
    assert actions.index(("drain", moves.drained[0])) < [action for action, _ in actions].index("destroy")
    assert pods_of(moves) == ["a", "b", "c", "d", "r"]


def test_moving_a_pod_frees_a_gpu() -> None:
    fleet = [cut(0, ("1g.10gb", 0, "a")), cut(1, ("1g.10gb", 0, "b"))]
    assert plan_partition(fleet, []).gpus_used == 2
    moved = plan_partition(fleet, [], Limits(drain=True))
    assert moved.gpus_used == 1 and len(moved.drained) == 1 and moved.gap == 0


def test_who_runs_is_never_sent_away_for_another() -> None:
    fleet = [cut(0, ("7g.80gb", 0, "old"))]
    plan = plan_partition(fleet, [PartitionRequest(name="r", pods=2, profile="3g.40gb")], Limits(drain=True))
    assert pods_of(plan) == ["old"] and plan.unserved[0].pods == 2


def test_the_device_plugin_shares_a_node_in_one_way() -> None:
    requests = [
        PartitionRequest(name="mps", pods=6, memory_bytes=25 * GIB, compute_milli=100, methods=("mps",)),
        PartitionRequest(name="mig", profile="3g.40gb"),
    ]
    dra = plan_partition(empty(4, per_node=4), requests)
    assert {gpu.method for gpu in dra.gpus if gpu.busy} == {"mps", "mig"} and not dra.unserved
    one_node = plan_partition(empty(4, per_node=4), requests, Limits(executor="device-plugin"))
    assert len({gpu.method for gpu in one_node.gpus if gpu.busy}) == 1 and one_node.unserved
    two = plan_partition(empty(8, per_node=4), requests, Limits(executor="device-plugin"))
    methods = {(gpu.node, gpu.method) for gpu in two.gpus if gpu.busy}
    assert len(methods) == 2 and len({node for node, _ in methods}) == 2 and not two.unserved
    assert {gpu.replicas for gpu in two.gpus if gpu.method == "mps"} == {3}


def test_a_replica_of_the_device_plugin_is_an_equal_part() -> None:
    """50 + 20 GiB fit one GPU under DRA's limits for each client, but no half of it."""
    requests = [
        PartitionRequest(name="big", memory_bytes=50 * GIB, compute_milli=100, methods=("mps",)),
        PartitionRequest(name="small", memory_bytes=20 * GIB, compute_milli=100, methods=("mps",)),
    ]
    assert plan_partition(empty(1), requests).unserved == ()
    plugin = plan_partition(empty(1), requests, Limits(executor="device-plugin"))
    assert [item.request for item in plugin.unserved] == ["big"]


def test_mps_tenants_of_today_leave_room_for_others() -> None:
    tenant = Tenant(name="old", memory_bytes=40 * GIB, compute_milli=300)
    fleet = [Gpu(node="n0", index=0, model=H100, method="mps", tenants=(tenant,))]
    fits = PartitionRequest(name="r", memory_bytes=30 * GIB, compute_milli=300, methods=("mps",))
    assert pods_of(plan_partition(fleet, [fits])) == ["old", "r"]
    assert plan_partition(fleet, [replace(fits, memory_bytes=41 * GIB)]).unserved


def test_a_plan_is_the_same_each_time() -> None:
    requests = [
        PartitionRequest(
            name=f"r{n}", pods=n % 3 + 1, memory_bytes=(5 + 7 * n % 30) * GIB, compute_milli=40 * n
        )
        for n in range(12)
    ]
    fleet = [cut(0, ("1g.10gb", 0, "a"), ("2g.20gb", 2, "")), *[replace(g, node="n1") for g in empty(20, 20)]]
    plans = {repr(plan_partition(fleet, order)) for order in (requests, requests[::-1]) for _ in range(2)}
    assert len(plans) == 1


def test_tenants_of_one_gpu_are_of_one_namespace_under_dra() -> None:
    """A pod refers to ResourceClaims of its own namespace only; the device plugin has no claims."""
    need = {"memory_bytes": 20 * GIB, "compute_milli": 100, "methods": ("mps",)}
    requests = [PartitionRequest(name=f"{team}/chat", pods=1, **need) for team in ("a", "b")]  # type: ignore[arg-type]
    dra = plan_partition(empty(2), requests)
    assert sorted(len(gpu.tenants) for gpu in dra.gpus) == [1, 1] and dra.gap == 0
    plugin = plan_partition(empty(2), requests, Limits(executor="device-plugin"))
    assert sorted(len(gpu.tenants) for gpu in plugin.gpus) == [0, 2]


def test_many_different_tenants_are_packed_without_a_proof() -> None:
    requests = [
        PartitionRequest(
            name=f"r{n}", memory_bytes=GIB + n * 80_000_000, compute_milli=20 + n, methods=("mps",)
        )
        for n in range(300)
    ]
    plan = plan_partition(empty(300), requests)
    assert plan.unserved == () and plan.bound <= plan.gpus_used <= plan.bound * 1.1


def test_of_equal_plans_the_cheaper_gpu_is_taken() -> None:
    fleet = [*empty(1), Gpu(node="l", index=0, model="L40S")]
    request = PartitionRequest(name="r", memory_bytes=20 * GIB, compute_milli=900)
    for prices, model in (((H100, 2000), ("L40S", 700)), "L40S"), (((H100, 700), ("L40S", 2000)), H100):
        plan = plan_partition(fleet, [request], Limits(prices=prices))
        assert [gpu.model for gpu in plan.gpus if gpu.busy] == [model]
