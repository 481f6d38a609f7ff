"""Random trees of Cohorts and ClusterQueues with all kinds of limits, and usage to put on them."""

from hypothesis import strategies as st
from msgspec import Struct

from stellwerk.engine.queueing.amounts import FlavorResource
from stellwerk.engine.queueing.quota.tree import Quota, QuotaNode

WHATS = tuple(FlavorResource(flavor, resource) for flavor in ("f", "g") for resource in ("cpu", "gpu"))


class Forest(Struct, frozen=True):
    """Nodes of a tree; a Cohort's parent comes before it. Cohorts are named c0..., queues q0..."""

    cohorts: tuple[QuotaNode, ...]
    queues: tuple[QuotaNode, ...]


class Step(Struct, frozen=True):
    """So much of a flavor and resource, for one queue."""

    queue: int
    what: FlavorResource
    amount: int
    remove: bool


def amounts(largest: int) -> st.SearchStrategy[int]:
    """Small ones, and near the largest."""
    few = st.integers(0, 20)
    return few if largest < 1000 else few | st.integers(largest - 3, largest)


def quotas(largest: int) -> st.SearchStrategy[dict[FlavorResource, Quota]]:
    """What a node declares."""
    limit = st.none() | amounts(largest)
    return st.dictionaries(
        st.sampled_from(WHATS), st.builds(Quota, amounts(largest), limit, limit), max_size=3
    )


@st.composite
def forests(draw: st.DrawFn, largest: int = 20) -> Forest:
    """Up to four Cohorts in any shape, and up to five queues."""
    cohorts: list[QuotaNode] = []
    for index in range(draw(st.integers(0, 4))):
        parent = draw(st.sampled_from([None, *(cohort.name for cohort in cohorts)]))
        weight = draw(st.sampled_from([0.0, 0.5, 1.0, 2.0]))
        cohorts.append(
            QuotaNode(name=f"c{index}", parent=parent, weight=weight, quotas=draw(quotas(largest)))
        )
    names = [None, *(cohort.name for cohort in cohorts)]
    queues = tuple(
        QuotaNode(
            name=f"q{index}",
            parent=draw(st.sampled_from(names)),
            weight=draw(st.sampled_from([0.0, 0.5, 1.0, 2.0])),
            quotas=draw(quotas(largest)),
        )
        for index in range(draw(st.integers(1, 5)))
    )
    return Forest(tuple(cohorts), queues)


def steps(largest: int = 20) -> st.SearchStrategy[Step]:
    """Usage that comes or goes."""
    return st.builds(Step, st.integers(0, 4), st.sampled_from(WHATS), amounts(largest), st.booleans())
