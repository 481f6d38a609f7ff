"""Resource transformations of Kueue's configuration: one resource counted as others, KEP-2937.

Source: kueue pkg/workload/workload.go (applyResourceTransformations).
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from stellwerk.api.groups.meta import ResourceList
from stellwerk.api.quantity import NANO, Quantity
from stellwerk.engine.topology.assignment.fleet.pod import summed


class Transformation(Struct, frozen=True, kw_only=True):
    """`input` counts as `outputs` (a factor each), times what is asked of `multiply_by` if that is asked for.

    `strategy`: Retain keeps the input beside the outputs, Replace does not.
    """

    input: str
    outputs: Mapping[str, Quantity] = {}
    strategy: str = "Retain"
    multiply_by: str = ""


def transformed(requests: ResourceList, transformations: Sequence[Transformation]) -> ResourceList:
    """The requests as they count. Outputs may cancel each other, but never an ordinary request."""
    by_input = {one.input: one for one in transformations}
    if by_input.keys().isdisjoint(requests):
        return requests
    kept: dict[str, Quantity] = {}
    made: dict[str, Quantity] = {}
    for resource, quantity in requests.items():
        rule = by_input.get(resource)
        if rule is None:
            kept[resource] = quantity
            continue
        factor = requests.get(rule.multiply_by) if rule.multiply_by else None
        value = quantity if factor is None else _times(quantity, factor)
        made = summed(made, {output: _times(value, each) for output, each in rule.outputs.items()})
        if rule.strategy == "Retain":
            kept[resource] = quantity
    return summed(kept, {name: q if q.nanos >= 0 else Quantity(0) for name, q in made.items()})


def without_prefixes(requests: ResourceList, prefixes: Sequence[str]) -> ResourceList:
    """The requests of resources that begin with none of these (`resources.excludeResourcePrefixes`)."""
    if not prefixes:
        return requests
    return {name: quantity for name, quantity in requests.items() if not name.startswith(tuple(prefixes))}


def _times(one: Quantity, other: Quantity) -> Quantity:
    """The product; finer than a billionth it is rounded away from zero."""
    product = one.nanos * other.nanos
    nanos = -(-abs(product) // NANO)
    return Quantity(nanos if product >= 0 else -nanos, one.form)
