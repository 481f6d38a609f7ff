"""The tree of domains: nodes grouped by the labels that a Topology names, widest level first.

Domains of a level stand in the order of their values, so the children of a domain are a range of the next
level, and a smaller index is what Kueue means by "lexicographically first".
Source: Kueue pkg/cache/scheduler/tas_topology_tree.go, tas_nodes_cache.go (ff69552e).
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from stellwerk.api.groups.core import Node, NodeSpec, NodeStatus
from stellwerk.api.groups.meta import given
from stellwerk.engine.topology.assignment.fleet.amounts import added, amounts_of

HOSTNAME = "kubernetes.io/hostname"
Row = tuple[int, ...]


class Level(Struct, frozen=True):
    """The domains of one level by index. Children of domain d: `first[d]` to `first[d + 1]` a level lower.

    `ids`: the values joined by commas; at the lowest level, if that is the hostname, the hostname alone.
    `first` is empty at the lowest level, `parent` at the highest.
    """

    key: str
    values: tuple[tuple[str, ...], ...]
    ids: tuple[str, ...]
    parent: tuple[int, ...]
    first: tuple[int, ...]


class Tree(Struct, frozen=True):
    """Levels, widest first, and what is known of each leaf (a domain of the lowest level).

    `capacity[leaf]` aligns with `resources`. `nodes[leaf]` is the node where a leaf is one, else None.
    `places[leaf]` is all its values joined by commas, `by_hostname` whether a leaf is a node.
    """

    levels: tuple[Level, ...]
    resources: tuple[str, ...]
    capacity: tuple[Row, ...]
    nodes: tuple[Node | None, ...]
    places: tuple[str, ...]
    leaf_of: Mapping[str, int]
    leaf_of_node: Mapping[str, int]
    by_hostname: bool

    def level_of(self, key: str) -> int | None:
        """The index of the level with this node label."""
        return next((i for i, level in enumerate(self.levels) if level.key == key), None)

    def ancestor(self, leaf: int, level: int) -> int:
        """The domain of `level` that the leaf is in."""
        domain = leaf
        for lower in range(len(self.levels) - 1, level, -1):
            domain = self.levels[lower].parent[domain]
        return domain


def build_tree(
    keys: Sequence[str], nodes: Iterable[Node], node_labels: Mapping[str, str], *, with_unready: bool = False
) -> Tree:
    """The tree of the nodes that have a flavor's labels and every level's label.

    Only nodes that are Ready and schedulable count, unless `with_unready` (Kueue's gate
    SchedulerLibraryIntegration, whose own filter then decides) and the lowest level is the hostname.
    """
    by_hostname = keys[-1] == HOSTNAME
    leaves: dict[str, _Leaf] = {}
    leaf_of_node: dict[str, str] = {}
    for node in sorted(nodes, key=lambda one: given(one.metadata.name, "")):
        labels = given(node.metadata.labels, {})
        belongs = all(labels.get(k) == v for k, v in node_labels.items()) and all(k in labels for k in keys)
        if not belongs or not (is_available(node) or (with_unready and by_hostname)):
            continue
        values = tuple(labels[key] for key in keys)
        domain_id = values[-1] if by_hostname else ",".join(values)
        amounts = amounts_of(given(given(node.status, NodeStatus()).allocatable, {}))
        known = leaves.get(domain_id)
        leaves[domain_id] = (
            _Leaf(values, node if by_hostname else None, amounts)
            if known is None
            else _Leaf(known.values, known.node, added(known.capacity, amounts))
        )
        leaf_of_node[given(node.metadata.name, "")] = domain_id
    return _tree(tuple(keys), leaves, leaf_of_node)


def is_available(node: Node) -> bool:
    """Whether the node is schedulable and its first condition Ready is True."""
    if given(given(node.spec, NodeSpec()).unschedulable, False):
        return False
    conditions = given(given(node.status, NodeStatus()).conditions, ())
    return next((one.status == "True" for one in conditions if one.type == "Ready"), False)


class _Leaf(Struct, frozen=True):
    values: tuple[str, ...]
    node: Node | None
    capacity: dict[str, int]


def _tree(keys: tuple[str, ...], leaves: Mapping[str, _Leaf], leaf_of_node: Mapping[str, str]) -> Tree:
    ordered = sorted(leaves, key=lambda domain_id: leaves[domain_id].values)
    index = {domain_id: i for i, domain_id in enumerate(ordered)}
    resources = tuple(sorted({name for leaf in leaves.values() for name in leaf.capacity}))
    return Tree(
        levels=_levels(keys, [leaves[domain_id].values for domain_id in ordered], ordered),
        resources=resources,
        capacity=tuple(
            tuple(leaves[domain_id].capacity.get(name, 0) for name in resources) for domain_id in ordered
        ),
        nodes=tuple(leaves[domain_id].node for domain_id in ordered),
        places=tuple(",".join(leaves[domain_id].values) for domain_id in ordered),
        leaf_of=index,
        leaf_of_node={name: index[domain_id] for name, domain_id in leaf_of_node.items()},
        by_hostname=keys[-1] == HOSTNAME,
    )


def _levels(keys: tuple[str, ...], lowest: list[tuple[str, ...]], ids: Sequence[str]) -> tuple[Level, ...]:
    """Built from the lowest level upwards; each level's values are sorted."""
    levels: list[Level] = []
    values, below = lowest, [*ids]
    first: tuple[int, ...] = ()
    for depth in range(len(keys), 0, -1):
        above = sorted({each[: depth - 1] for each in values}) if depth > 1 else []
        position = {each: i for i, each in enumerate(above)}
        parent = tuple(position[each[: depth - 1]] for each in values) if depth > 1 else ()
        levels.insert(0, Level(keys[depth - 1], tuple(values), tuple(below), parent, first))
        first = _first(parent, len(above))
        values, below = above, [",".join(each) for each in above]
    return tuple(levels)


def _first(parent: tuple[int, ...], parents: int) -> tuple[int, ...]:
    """Where the children of each parent begin, and behind the last one where they end."""
    children = [0] * parents
    for each in parent:
        children[each] += 1
    first = [0]
    for count in children:
        first.append(first[-1] + count)
    return tuple(first)
