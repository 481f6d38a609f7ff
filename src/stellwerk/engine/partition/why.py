"""Why a pod has no place: nothing in the fleet is large enough, free slices lie apart, or all is taken."""

from collections.abc import Sequence

from stellwerk.engine.decision import Reason
from stellwerk.engine.partition.facts import mig_table
from stellwerk.engine.partition.geometry import Instance
from stellwerk.engine.partition.inventory import Gpu
from stellwerk.engine.partition.layouts import Room, cut
from stellwerk.engine.partition.program.shapes import Shape, profiles_of, split, takes_whole


def why_unserved(shape: Shape, before: Sequence[Gpu], after: Sequence[Gpu]) -> Reason:
    """The reason for a shape that the plan could not serve; `before` is the fleet today."""
    models = sorted({gpu.model for gpu in before})
    if not any(profiles_of(shape, model) or takes_whole(shape, model) for model in models):
        return Reason("TooLarge", "no GPU of the fleet offers what one pod asks for")
    if shape.gpus > 1:
        values: dict[str, str | int] = {"gpus": shape.gpus}
        return Reason("NoNode", "no node has {gpus} GPUs that nobody uses", values)
    split_up = sum(fits_if_gathered(gpu, shape) for gpu in after)
    if split_up:
        return Reason(
            "Fragmented",
            "{gpus} GPUs have enough free slices, but not side by side: pods would have to move (--drain)",
            {"gpus": split_up},
        )
    return Reason("NoRoom", "every GPU that could serve it is in use")


def fits_if_gathered(gpu: Gpu, shape: Shape) -> bool:
    """Whether only the places of the instances in use keep the shape out: this is fragmentation.

    True if it has no placement now, and would have one with the same instances at other starts.
    """
    table = mig_table(gpu.model)
    offered = profiles_of(shape, gpu.model)
    if table is None or not offered or gpu.tenants:
        return False
    kept, _ = split(gpu)
    room = Room(table, kept)
    if not kept or any(room.holds(Instance(item, start)) for item in offered for start in item.starts):
        return False
    profiles = tuple(instance.profile for instance in kept)
    return any(cut(table, (), (), (*profiles, item)) is not None for item in offered)
