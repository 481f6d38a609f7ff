"""The same claims on many nodes: nodes that differ in nothing that the claims look at are searched once.

What claims look at on a node with ordinary devices: which devices their selectors take, which of the values
that their constraints compare are equal (together the node's kind), and which devices are in use. Two nodes
of one kind with the same places in use have the same solution at the same places; names are put in
afterwards. Every other node is searched by itself. Kinds are remembered with the fleet, answers never.
"""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct, structs

from stellwerk.api.defaults import ALL
from stellwerk.api.groups.core import Node
from stellwerk.api.groups.meta import given
from stellwerk.engine.allocation.allocate import Snapshot, allocate_on, attempt_on
from stellwerk.engine.allocation.claims.attributes import MISSING, UNKNOWN
from stellwerk.engine.allocation.claims.question import Question, Request
from stellwerk.engine.allocation.decision import Aborted, Allocated, Decision, Unallocatable
from stellwerk.engine.allocation.pools.gather import NodeView, view_of
from stellwerk.engine.allocation.pools.offered import Column
from stellwerk.engine.allocation.pools.usage import Usage
from stellwerk.engine.allocation.search.attempt import Stop
from stellwerk.engine.allocation.search.results import results_at

_VERDICTS = frozenset((True, False))
_MOST_LOOKS = 64  # Sets of columns whose kinds are remembered.
Kind = tuple[object, ...]
Picture = tuple[Kind, bytes]


class _Looks(Struct, frozen=True):
    """What a question looks at: columns of selectors, columns of attributes."""

    selectors: tuple[Column, ...]
    attributes: tuple[Column, ...]


class Fleet:
    """Nodes with their views of a snapshot, to be asked again and again."""

    def __init__(self, snapshot: Snapshot, nodes: Sequence[Node]) -> None:
        self.snapshot, self.nodes = snapshot, tuple(nodes)
        self.views = tuple(view_of(snapshot.offered, node, snapshot.features) for node in nodes)
        self._kinds: dict[_Looks, tuple[Kind | None, ...]] = {}

    def kinds(self, looks: _Looks) -> tuple[Kind | None, ...]:
        """Each node's kind; None for a node that has to be searched by itself."""
        known = self._kinds.get(looks)
        if known is None:
            if len(self._kinds) >= _MOST_LOOKS:
                self._kinds.clear()
            same: dict[Kind, Kind] = {}
            found = [_kind(looks, view) for view in self.views]
            known = tuple(None if kind is None else same.setdefault(kind, kind) for kind in found)
            self._kinds[looks] = known
        return known


class _Solved(Struct, frozen=True):
    """The answer of the first node with a picture: places of devices taken, or of those its reasons name."""

    decision: Decision
    places: tuple[tuple[int, ...], ...] = ()
    named: tuple[int, ...] = ()  # A reason each: the place, -1 without a device.


class Refusal(Struct, frozen=True):
    """Nodes that refuse the claims in the same way; `decision` is that of the first of them."""

    decision: Unallocatable | Aborted
    nodes: int


def allocate_each(
    fleet: Fleet, asked: Question, usage: Usage, stop: Stop | None = None
) -> Iterator[Decision]:
    """The decision on each node, in the nodes' order, each as if the others were not there.

    `stop` is heard at each step and says why to give up.
    """
    for position, solved in _solved_each(fleet, asked, usage, stop):
        view = fleet.views[position]
        if solved.decision.node == given(view.node.metadata.name, ""):
            yield solved.decision
        else:
            yield _renamed(solved, view, asked, usage)


def allocate_first(
    fleet: Fleet, asked: Question, usage: Usage, stop: Stop | None = None
) -> tuple[Allocated | None, tuple[Refusal, ...]]:
    """The first node that can have the claims, if one can, and how those before it refused."""
    refused: dict[int, tuple[_Solved, int]] = {}
    for position, solved in _solved_each(fleet, asked, usage, stop):
        if isinstance(solved.decision, Allocated):
            decision = _renamed(solved, fleet.views[position], asked, usage)
            assert isinstance(decision, Allocated)
            return decision, _refusals(refused.values())
        _, before = refused.get(id(solved), (solved, 0))
        refused[id(solved)] = (solved, before + 1)
    return None, _refusals(refused.values())


def _refusals(refused: Iterable[tuple[_Solved, int]]) -> tuple[Refusal, ...]:
    return tuple(
        Refusal(solved.decision, count)
        for solved, count in refused
        if not isinstance(solved.decision, Allocated)
    )


def _solved_each(
    fleet: Fleet, asked: Question, usage: Usage, stop: Stop | None = None
) -> Iterator[tuple[int, _Solved]]:
    """Each node's position and the answer to its picture, which may bear another node's name."""
    looks = _looks_of(asked) if usage.is_plain else None
    kinds = fleet.kinds(looks) if looks is not None else (None,) * len(fleet.views)
    solved: dict[Picture, _Solved] = {}
    flags = usage.flags
    for position, kind in enumerate(kinds):
        view = fleet.views[position]
        if kind is None or view.span is None:
            yield position, _Solved(allocate_on(view.node, asked, usage, stop))
            continue
        picture = (kind, flags[view.span[0] : view.span[1]])
        known = solved.get(picture)
        if known is None:
            known = solved[picture] = _solve(view, asked, usage, stop)
        yield position, known


def _looks_of(asked: Question) -> _Looks | None:
    """The columns, or None where more than columns decides."""
    selectors: dict[Column, None] = {}
    attributes: dict[Column, None] = {}
    for claim in asked.claims:
        for request in (request for choice in claim.choices for request in choice.alternatives):
            if not _is_plain(request):
                return None
            selectors |= dict.fromkeys(step.column for step in request.steps)
            attributes |= dict.fromkeys(bound.column for bound in request.bound)
    return _Looks(tuple(selectors), tuple(attributes))


def _is_plain(request: Request) -> bool:
    return not (
        request.error
        or request.mode == ALL
        or request.says_admin
        or request.asks_capacity
        or any(bound.derived for bound in request.bound)
    )


def _kind(looks: _Looks, view: NodeView) -> Kind | None:
    """What the claims see of the node's devices; None if there is more to them, or an error."""
    if view.span is None:
        return None
    parts: list[object] = [len(view.devices)]
    for column in looks.selectors:
        verdicts = tuple([column.of(device) for device in view.devices])
        if not _VERDICTS.issuperset(verdicts):
            return None
        parts.append(verdicts)
    for column in looks.attributes:
        numbered = _numbered([column.of(device) for device in view.devices])
        if numbered is None:
            return None
        parts.append(numbered)
    return tuple(parts)


def _numbered(values: Sequence[object]) -> tuple[object, ...] | None:
    """Equal values as equal numbers, in the order of their first; None for sets, which may overlap."""
    numbers: dict[object, object] = {MISSING: MISSING, UNKNOWN: UNKNOWN}
    for value in values:
        if value not in numbers:
            if isinstance(value, tuple) and isinstance(value[1], frozenset) and len(value[1]) > 1:
                return None
            numbers[value] = len(numbers)
    return tuple([numbers[value] for value in values])


def _solve(view: NodeView, asked: Question, usage: Usage, stop: Stop | None) -> _Solved:
    attempt, decision = attempt_on(view.node, asked, usage, stop)
    first = view.span[0] if view.span is not None else 0
    if isinstance(decision, Allocated) and attempt is not None:
        taken = attempt.ledger.taken
        return _Solved(decision, tuple(tuple(one.device.index - first for one in claim) for claim in taken))
    if isinstance(decision, Unallocatable):
        place_of: dict[object, int] = {str(device.id): i for i, device in enumerate(view.devices)}
        named = tuple(place_of.get(one.values.get("device"), -1) for one in decision.reasons)
        return _Solved(decision, named=named)
    return _Solved(decision)


def _renamed(known: _Solved, view: NodeView, asked: Question, usage: Usage) -> Decision:
    """The same answer with this node's names."""
    name = given(view.node.metadata.name, "")
    decision = known.decision
    if decision.node == name:
        return decision
    if isinstance(decision, Aborted):
        return allocate_on(view.node, asked, usage)  # Its text names things of that node.
    if isinstance(decision, Allocated):
        here = view.devices
        devices = [[here[place] for place in places] for places in known.places]
        return Allocated(name, results_at(asked, decision.results, devices, name), decision.steps)
    here = view.devices
    reasons = tuple(
        one if place < 0 else structs.replace(one, values={**one.values, "device": str(here[place].id)})
        for one, place in zip(decision.reasons, known.named, strict=True)
    )
    return Unallocatable(name, reasons, decision.steps)
