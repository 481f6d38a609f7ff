"""Any plan reads back from its file to the same plan, whatever its pods are called."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stellwerk.engine.decision import Reason
from stellwerk.engine.partition.facts import mig_table
from stellwerk.engine.partition.inventory import Gpu, GpuInstance, PartitionPlan, Step, Tenant, Unserved
from stellwerk.engine.partition.layouts import layouts
from stellwerk.report.partition.plan_file import plan_text
from stellwerk.sim.intake.partitions import read_plan

MODELS = ("A30", "H100-PCIE-80GB", "RTX-PRO-6000-BSE")
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
AMOUNTS = st.integers(0, 1 << 40)


@st.composite
def instances(draw: st.DrawFn, model: str) -> tuple[GpuInstance, ...]:
    table = mig_table(model)
    assert table is not None
    layout = draw(st.sampled_from(layouts(table)))
    kept = draw(st.lists(st.booleans(), min_size=len(layout), max_size=len(layout)))
    tenants = draw(st.lists(NAMES | st.just(""), min_size=len(layout), max_size=len(layout)))
    return tuple(
        GpuInstance(profile=each.profile.name, start=each.start, tenant=tenant)
        for each, keep, tenant in zip(layout, kept, tenants, strict=True)
        if keep
    )


@st.composite
def gpus(draw: st.DrawFn, index: int) -> Gpu:
    model = draw(st.sampled_from(MODELS))
    method = draw(st.sampled_from(["", "whole", "mig", "mps", "time-slicing"]))
    most = {"": 0, "mig": 0, "whole": 1}.get(method, 5)
    tenants = st.builds(Tenant, name=NAMES, memory_bytes=AMOUNTS, compute_milli=st.integers(0, 1000))
    return Gpu(
        node=draw(st.sampled_from(["a", "node-10", "gpu.example"])),
        index=index,
        model=model,
        method=method,
        instances=draw(instances(model)) if method == "mig" else (),
        tenants=tuple(draw(st.lists(tenants, max_size=most, unique_by=lambda tenant: tenant.name))),
        replicas=draw(st.integers(1, 48)),
    )


@st.composite
def plans(draw: st.DrawFn) -> PartitionPlan:
    count = draw(st.integers(1, 4))
    step = st.builds(
        Step,
        action=st.sampled_from(["drain", "destroy", "mode", "create", "share", "place"]),
        node=NAMES,
        gpu=st.integers(0, 1023),
        subject=NAMES,
        start=st.integers(-1, 7),
        pod=NAMES | st.just(""),
        seconds=st.none() | st.integers(0, 10_000),
    )
    reason = st.builds(
        Reason, NAMES, st.just("{a} of {b}"), st.fixed_dictionaries({"a": NAMES, "b": AMOUNTS})
    )
    unserved = st.builds(Unserved, request=NAMES, pods=st.integers(1, 10_000), reason=reason)
    return PartitionPlan(
        executor=draw(st.sampled_from(["dra", "device-plugin"])),
        gpus=tuple(draw(gpus(index)) for index in range(count)),
        steps=tuple(draw(st.lists(step, max_size=3))),
        unserved=tuple(draw(st.lists(unserved, max_size=2))),
        gpus_used=draw(st.integers(0, 99)),
        gpus_before=draw(st.integers(0, 99)),
        bound=draw(st.integers(0, 99)),
        drained=tuple(draw(st.lists(NAMES, max_size=2))),
    )


@pytest.mark.parametrize("form", ["yaml", "json"])
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=plans())
def test_a_plan_survives_its_file(
    tmp_path_factory: pytest.TempPathFactory, form: str, plan: PartitionPlan
) -> None:
    file: Path = tmp_path_factory.getbasetemp() / f"property-plan.{form}"
    file.write_text(plan_text(plan, "any", form), encoding="utf-8")
    assert read_plan(str(file)) == plan
