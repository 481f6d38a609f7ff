"""PartitionPlan files: the same plan comes back, today's state is read from a cluster, mistakes are named."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.api.checks import partition as checks
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.partition import policy
from stellwerk.engine.partition.inventory import EXECUTORS, Gpu, GpuInstance, Tenant
from stellwerk.report.partition.plan_file import plan_document, plan_text
from stellwerk.sim.intake.partitions import read_plan, read_state
from tests.unit.partition_sample import GIB, H100, cut, gpu, mixed, plan

VALID = Path(__file__).parent / "api_cases" / "valid"
A100 = "A100-SXM4-80GB"
POOL = {"driver": "gpu.nvidia.com", "pool": "gpu-node-1", "request": "gpu"}


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_a_plan_reads_back_to_the_same_plan(tmp_path: Path, form: str) -> None:
    file = written(tmp_path / f"plan.{form}", plan_text(mixed(), "demo", form))
    assert read_plan(file) == mixed()
    assert read_state(file) == mixed().gpus
    again = plan_text(read_plan(file), "demo", form)
    assert again == Path(file).read_text()


def test_odd_amounts_and_the_order_of_gpus_survive(tmp_path: Path) -> None:
    odd = Gpu(
        node="b",
        index=3,
        model=H100,
        method="mps",
        tenants=(
            Tenant(name="x", memory_bytes=1, compute_milli=1),
            Tenant(name="y", memory_bytes=3 * GIB + 7, compute_milli=1000),
        ),
    )
    whole = plan(odd, gpu("a", 0))
    assert read_plan(written(tmp_path / "p.yaml", plan_text(whole, "odd", "yaml"))) == whole


def test_a_plan_by_hand_needs_no_status(tmp_path: Path) -> None:
    found = read_plan(
        written(tmp_path / "p.yaml", plan_text(plan(cut("a", 0)), "p", "yaml").split("status:")[0])
    )
    assert (found.gpus_used, found.gpus_before, found.bound) == (3, 3, 0)
    assert read_plan(str(VALID / "partition-plan.yaml")).gap == 0


def test_the_words_are_those_of_the_engine() -> None:
    assert checks.EXECUTORS == EXECUTORS
    assert set(checks.METHODS) == {policy.WHOLE, policy.MIG, policy.MPS, policy.TIME_SLICING}


def change(path: str, value: Any) -> dict[str, Any]:
    """The valid example with one field changed."""
    document = yaml.safe_load((VALID / "partition-plan.yaml").read_text())
    at: Any = document
    *steps, last = path.split(".")
    for step in steps:
        at = at[int(step)] if step.isdigit() else at[step]
    at[int(last) if last.isdigit() else last] = value
    return document


BROKEN = [
    ("spec.executor", "helm", "spec.executor", "not one of dra, device-plugin"),
    ("spec.gpus", [], "spec.gpus", "no GPUs"),
    ("spec.gpus.0.method", "vgpu", "spec.gpus[0].method", "not one of whole, mig, mps, time-slicing"),
    ("spec.gpus.0.method", "mps", "spec.gpus[0].instances", "with the method mig only"),
    ("spec.gpus.0.tenants", [{"name": "x"}], "spec.gpus[0].tenants", "has no tenants"),
    ("spec.gpus.1.method", "whole", "spec.gpus[1].tenants", "a whole GPU has one tenant, not 2"),
    ("spec.gpus.1.index", 0, "spec.gpus[1].index", "GPU 0 of node gpu-0 is there twice"),
    ("spec.gpus.1.index", -1, "spec.gpus[1].index", "not between 0 and 1023"),
    ("spec.gpus.1.index", 1024, "spec.gpus[1].index", "not between 0 and 1023"),
    ("spec.gpus.1.node", "GPU 0", "spec.gpus[1].node", "not a valid name"),
    ("spec.gpus.1.tenants.1.name", "embed/0", "spec.gpus[1].tenants[1].name", "twice on one GPU"),
    ("spec.gpus.1.tenants.0.memory", "-1Gi", "spec.gpus[1].tenants[0].memory", "not an amount of memory"),
    ("spec.gpus.1.tenants.0.compute", "2", "spec.gpus[1].tenants[0].compute", "not a share of one GPU"),
    ("spec.gpus.1.tenants.0.compute", "1u", "spec.gpus[1].tenants[0].compute", "not a share of one GPU"),
    ("spec.gpus.0.model", "H100", "spec.gpus[0].model", "not in the catalog"),
    ("spec.gpus.0.model", "L4", "spec.gpus[0].method", "cannot be cut by MIG"),
    ("spec.gpus.0.model", "A30", "spec.gpus[0].instances[0].profile", "A30 has no MIG profile 3g.40gb"),
    ("spec.gpus.0.instances.0.profile", "5g.40gb", "spec.gpus[0].instances[0].profile", "no MIG profile"),
    ("spec.gpus.0.instances.0.start", 2, "spec.gpus[0].instances[0].start", "cannot start at memory slice 2"),
    ("spec.gpus.0.instances.1.start", 2, "spec.gpus[0].instances[1]", "does not fit beside"),
    ("spec.gpus.0.instanses", [], "spec.gpus[0].instanses", "no field instanses"),
    ("spec.steps.0.action", "reboot", "spec.steps[0].action", "not one of drain, destroy"),
    ("spec.steps.0.gpu", 4096, "spec.steps[0].gpu", "not between"),
    ("spec.unserved.0.pods", 0, "spec.unserved[0].pods", "not between"),
    ("spec.unserved.0.reason.text", "{gone} x", "spec.unserved[0].reason.text", "do not fill"),
    ("spec.unserved.0.reason.text", "{memory.nanos}", "spec.unserved[0].reason.text", "do not fill"),
    ("spec.unserved.0.reason.text", "{", "spec.unserved[0].reason.text", "do not fill"),
    ("status.bound", -1, "status.bound", "not between"),
]


@pytest.mark.parametrize(("field", "value", "path", "says"), BROKEN, ids=[f"{c[0]}={c[1]}" for c in BROKEN])
def test_a_mistake_is_named_with_file_document_and_field(
    tmp_path: Path, field: str, value: Any, path: str, says: str
) -> None:
    file = written(tmp_path / "plan.yaml", "---\n" + yaml.safe_dump(change(field, value)))
    for read in (read_plan, read_state):
        with pytest.raises(InvalidInput) as caught:
            read(file)
        assert (caught.value.source, caught.value.document, caught.value.path) == (file, 1, path)
        assert says in str(caught.value) and caught.value.fix


def test_no_plan_two_plans_and_neither_plan_nor_gpu_are_named(tmp_path: Path) -> None:
    one = plan_text(mixed(), "one", "yaml")
    two = written(tmp_path / "two.yaml", one + "---\n" + plan_text(mixed(), "two", "yaml"))
    for read in (read_plan, read_state):
        with pytest.raises(InvalidInput, match="2 PartitionPlans"):
            read(two)
    with pytest.raises(InvalidInput, match="0 PartitionPlans"):
        read_plan(str(VALID / "queues.yaml"))
    for name in ("queues.yaml", "resourceslice-dranet-nic.json"):
        with pytest.raises(InvalidInput, match="neither a PartitionPlan nor a GPU"):
            read_state(str(VALID / name))


def claim(
    name: str, devices: list[str], pods: list[str], sharing: dict[str, Any] | None = None
) -> dict[str, Any]:
    """An allocated ResourceClaim of NVIDIA's driver."""
    parameters = {"apiVersion": "resource.nvidia.com/v1beta1", "kind": "GpuConfig", "sharing": sharing}
    config = {"source": "FromClaim", "opaque": {"driver": "gpu.nvidia.com", "parameters": parameters}}
    results = [{**POOL, "device": device} for device in devices]
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": name, "namespace": "lab"},
        "spec": {},
        "status": {
            "allocation": {"devices": {"results": results, "config": [config] if sharing else []}},
            "reservedFor": [{"resource": "pods", "name": pod, "uid": pod} for pod in pods],
        },
    }


def state(tmp_path: Path, slices: list[Any], *claims: dict[str, Any]) -> tuple[Gpu, ...]:
    found = {"apiVersion": "v1", "kind": "List", "items": [*slices, *claims]}
    return read_state(written(tmp_path / "cluster.json", json.dumps(found)))


def slices(name: str) -> list[Any]:
    found = json.loads((VALID / f"resourceslice-{name}.json").read_text())
    return found if isinstance(found, list) else [found]


def test_static_instances_are_there_and_a_claim_says_whose(tmp_path: Path) -> None:
    [found] = state(tmp_path, slices("static-mig"), claim("c", ["gpu-0-mig-2g20gb-14-4"], ["chat-0"]))
    assert found == Gpu(
        node="gpu-node-1",
        index=0,
        model=A100,
        method="mig",
        instances=(
            GpuInstance(profile="3g.40gb", start=0),
            GpuInstance(profile="2g.20gb", start=4, tenant="lab/chat-0"),
            GpuInstance(profile="1g.10gb", start=6),
        ),
    )


def test_full_gpus_are_free_whole_or_shared_as_their_claims_say(tmp_path: Path) -> None:
    mps = {
        "strategy": "MPS",
        "mpsConfig": {"defaultActiveThreadPercentage": 50, "defaultPinnedDeviceMemoryLimit": "10Gi"},
    }
    free = state(tmp_path, slices("full-gpu"))
    assert [(each.index, each.method, each.busy) for each in free] == [(0, "", False), (1, "", False)]
    first, second = state(
        tmp_path, slices("full-gpu"), claim("a", ["gpu-0"], ["p", "q"], mps), claim("b", ["gpu-1"], ["r"])
    )
    assert first.method == "mps" and second.method == "whole"
    assert first.tenants == tuple(
        Tenant(name=f"lab/{pod}", memory_bytes=10 * GIB, compute_milli=500) for pod in ("p", "q")
    )
    shared, held = state(
        tmp_path, slices("full-gpu"), claim("a", ["gpu-0"], ["p", "q"]), claim("b", ["gpu-1"], [])
    )
    assert shared.method == "time-slicing" and [each.name for each in shared.tenants] == ["lab/p", "lab/q"]
    assert [each.name for each in held.tenants] == ["lab/b"]  # Allocated, and reserved by no pod yet.


def dynamic(name: str) -> dict[str, Any]:
    """A possible instance of dynamic MIG: a device without uuid."""
    return {
        "name": name,
        "attributes": {
            "type": {"string": "mig"},
            "profile": {"string": "1g.20gb"},
            "productName": {"string": "NVIDIA A100-SXM4-80GB"},
        },
    }


def test_an_instance_of_dynamic_mig_is_there_once_a_claim_has_it(tmp_path: Path) -> None:
    pool = slices("full-gpu")
    pool[0]["spec"]["devices"] = [
        pool[0]["spec"]["devices"][0],
        *(dynamic(f"gpu-0-mig-1g20gb-15-{start}") for start in (0, 2, 4, 6)),
    ]
    assert state(tmp_path, pool) == (Gpu(node="gpu-node-1", index=0, model=A100),)
    [found] = state(tmp_path, pool, claim("c", ["gpu-0-mig-1g20gb-15-2"], ["p"]))
    assert found.instances == (GpuInstance(profile="1g.20gb", start=2, tenant="lab/p"),)


def test_an_old_generation_is_passed_over_and_an_incomplete_pool_is_an_error(tmp_path: Path) -> None:
    old, new = slices("static-mig") + slices("full-gpu")
    new["spec"]["pool"]["generation"] = 2
    assert [each.method for each in state(tmp_path, [old, new])] == ["", ""]
    new["spec"]["pool"]["resourceSliceCount"] = 2
    with pytest.raises(InvalidInput, match="has 2 ResourceSlices, and 1 are here"):
        state(tmp_path, [old, new])


def test_a_claim_on_a_device_that_is_not_there_and_an_unknown_product_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="which no ResourceSlice has"):
        state(tmp_path, slices("full-gpu"), claim("c", ["gpu-7"], ["p"]))
    pool = slices("full-gpu")
    pool[0]["spec"]["devices"][1]["attributes"]["productName"] = {"string": "Voodoo 2"}
    with pytest.raises(InvalidInput, match="not in the catalog") as caught:
        state(tmp_path, pool)
    assert caught.value.path == "items[0].spec.devices[1].attributes.productName"
    pool = slices("static-mig")
    pool[0]["spec"]["devices"][0]["name"] = "gpu-0-mig-3g40gb"
    with pytest.raises(InvalidInput, match="not a device name"):
        state(tmp_path, pool)


def test_instances_that_overlap_in_a_cluster_are_an_error(tmp_path: Path) -> None:
    pool = slices("static-mig")
    pool[0]["spec"]["devices"][1]["name"] = "gpu-0-mig-2g20gb-14-2"
    with pytest.raises(InvalidInput, match="does not fit beside"):
        state(tmp_path, pool)


def test_a_document_is_what_the_reference_says() -> None:
    document = plan_document(mixed(), "demo")
    assert list(document) == ["apiVersion", "kind", "metadata", "spec", "status"]
    assert document["spec"]["gpus"][4] == {"node": "gpu-1", "index": 2, "model": H100}
    assert document["spec"]["gpus"][1]["tenants"][0] == {
        "name": "embed/0",
        "memory": "18Gi",
        "compute": "250m",
    }
