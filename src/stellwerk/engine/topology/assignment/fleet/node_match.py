"""Which leaves pods of a shape may have: taints, node selector, node affinity, and how much one is preferred.

Only a leaf that is a node can be out; in a tree whose lowest level is not the hostname every leaf is in.
Source: Kueue pkg/cache/scheduler/scheduling_simulator_default.go, was/scheduling_simulator.go (ff69552e).
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from stellwerk.api.groups.core import (
    Node,
    NodeSelectorTerm,
    NodeSpec,
    PreferredSchedulingTerm,
    Taint,
    Toleration,
)
from stellwerk.api.groups.meta import given
from stellwerk.api.selection import readable_terms, taint_text, term_matches, untolerated
from stellwerk.engine.topology.assignment.decision import Excluded
from stellwerk.engine.topology.assignment.fleet.tree import Tree

_UNSCHEDULABLE = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")


class PodShape(Struct, frozen=True):
    """All that says which nodes a pod may have. `required` None asks for nothing, () matches no node.

    `by_plugins`: the scheduler's own filters decide (gate SchedulerLibraryIntegration).
    """

    tolerations: tuple[Toleration, ...]
    selector: tuple[tuple[str, str], ...]
    required: tuple[NodeSelectorTerm, ...] | None
    preferred: tuple[PreferredSchedulingTerm, ...]
    by_plugins: bool = False


class Matched(Struct, frozen=True):
    """The leaves that are in, how much each is preferred (absent: 0), and which are out and why."""

    leaves: Sequence[int]
    scores: Mapping[int, int]
    excluded: Excluded
    out: frozenset[int] = frozenset()


def match_leaves(tree: Tree, shape: PodShape) -> Matched:
    """The leaves that pods of this shape may have; the shape's terms must be readable."""
    if not tree.by_hostname:
        return Matched(range(len(tree.places)), {}, Excluded(total=len(tree.places)))
    leaves: list[int] = []
    scores: dict[int, int] = {}
    out: Counter[str] = Counter()
    taints: Counter[str] = Counter()
    for leaf, node in enumerate(tree.nodes):
        if node is None:
            raise AssertionError("a leaf by hostname has its node")
        why, taint = _refusal(node, shape)
        if why:
            out[why] += 1
            taints.update([taint] if taint else [])
            continue
        leaves.append(leaf)
        score = _score(node, shape)
        if score:
            scores[leaf] = score
    outside = frozenset(range(len(tree.nodes))).difference(leaves)
    return Matched(leaves, scores, _excluded(len(tree.nodes), out, taints, shape), outside)


def _excluded(total: int, out: Counter[str], taints: Counter[str], shape: PodShape) -> Excluded:
    if shape.by_plugins:
        return Excluded(total=total, library=out.total())
    return Excluded(total, node_selector=out["selector"], affinity=out["affinity"], taints=dict(taints))


def _refusal(node: Node, shape: PodShape) -> tuple[str, str]:
    """What keeps the pod away ("" if nothing does), and the taint if it is one."""
    spec = given(node.spec, NodeSpec())
    own = given(spec.taints, ())
    if shape.by_plugins and given(spec.unschedulable, False):
        own = (_UNSCHEDULABLE, *own)
    taint = untolerated(own, shape.tolerations) if own else None
    if taint is not None:
        return "taint", taint_text(taint)
    labels = given(node.metadata.labels, {})
    if not all(labels.get(key) == value for key, value in shape.selector):
        return "selector", ""
    name = given(node.metadata.name, "")
    if shape.required is not None and not any(term_matches(term, name, labels) for term in shape.required):
        return "affinity", ""
    return "", ""


def _score(node: Node, shape: PodShape) -> int:
    labels, name = given(node.metadata.labels, {}), given(node.metadata.name, "")
    return sum(one.weight for one in shape.preferred if term_matches(one.preference, name, labels))


def telling_preferences(terms: Sequence[PreferredSchedulingTerm]) -> tuple[PreferredSchedulingTerm, ...]:
    """The preferences that can change a score. Raises ValueError for one that cannot be read."""
    return tuple(one for one in terms if one.weight and readable_terms([one.preference]))
