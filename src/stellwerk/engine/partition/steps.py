"""The ordered steps from today's GPUs to the target: no instance in use is destroyed, each layout valid.

GPUs from which nobody moves come first, so that there is room for who moves; then each GPU that is drained;
last the pods go to their places. Within a GPU: drain, destroy, change the mode, create.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import structs

from stellwerk.engine.partition.inventory import Gpu, GpuInstance, Step
from stellwerk.engine.partition.policy import MIG, WHOLE


def steps_between(before: Sequence[Gpu], after: Sequence[Gpu]) -> tuple[Step, ...]:
    """The steps; `before` and `after` name the same GPUs in the same order. Nothing to do: no step."""
    pairs = list(zip(before, after, strict=True))
    steps: list[Step] = []
    for old, new in sorted(pairs, key=lambda pair: bool(_leaving(*pair))):
        steps += _reshape(old, new)
    for old, new in pairs:
        steps += _place(old, new)
    return tuple(steps)


def timed(
    steps: Sequence[Step], seconds: Mapping[str, int], published: Mapping[tuple[str, int], int]
) -> tuple[Step, ...]:
    """The steps with how long each takes: `seconds` by action, else what was `published` for a mode by GPU.

    A step that nobody gave a time for keeps None.
    """
    return tuple(
        structs.replace(
            step,
            seconds=seconds.get(
                step.action, published.get((step.node, step.gpu)) if step.action == "mode" else None
            ),
        )
        for step in steps
    )


def _leaving(old: Gpu, new: Gpu) -> list[GpuInstance]:
    """Instances whose pod is not there afterwards."""
    stay = {(item.start, item.profile, item.tenant) for item in new.instances}
    return [
        item for item in old.instances if item.tenant and (item.start, item.profile, item.tenant) not in stay
    ]


def _reshape(old: Gpu, new: Gpu) -> Iterator[Step]:
    if old == new:
        return
    for item in _leaving(old, new):
        yield Step(
            action="drain",
            node=old.node,
            gpu=old.index,
            subject=item.profile,
            start=item.start,
            pod=item.tenant,
        )
    have = {(item.profile, item.start) for item in old.instances}
    want = {(item.profile, item.start) for item in new.instances}
    for profile, start in sorted(have - want, key=lambda item: item[1]):
        yield Step(action="destroy", node=old.node, gpu=old.index, subject=profile, start=start)
    if (old.method == MIG) != (new.method == MIG):
        mode = "mig-enabled" if new.method == MIG else "mig-disabled"
        yield Step(action="mode", node=old.node, gpu=old.index, subject=mode)
    for profile, start in sorted(want - have, key=lambda item: item[1]):
        yield Step(action="create", node=old.node, gpu=old.index, subject=profile, start=start)
    shared = new.method not in ("", MIG, WHOLE)
    if shared and (new.method, new.replicas) != (old.method, old.replicas):
        yield Step(action="share", node=old.node, gpu=old.index, subject=new.method)


def _place(old: Gpu, new: Gpu) -> Iterator[Step]:
    there = {(item.start, item.tenant) for item in old.instances}
    for item in new.instances:
        if item.tenant and (item.start, item.tenant) not in there:
            yield Step(
                action="place",
                node=new.node,
                gpu=new.index,
                subject=item.profile,
                start=item.start,
                pod=item.tenant,
            )
    known = {tenant.name for tenant in old.tenants}
    for tenant in new.tenants:
        if tenant.name not in known:
            yield Step(action="place", node=new.node, gpu=new.index, subject=new.method, pod=tenant.name)
