"""The worst-case cost of an expression before it runs (rules of checker/cost.go of cel-go v0.29.2)."""

from typing import NamedTuple

from stellwerk.cel.check.checker import Checked
from stellwerk.cel.check.declarations import Overload
from stellwerk.cel.check.kinds import Type, is_optional
from stellwerk.cel.cost.calls import Argument, Estimate, builtin_estimate, kubernetes_estimate
from stellwerk.cel.cost.device_sizes import device_size
from stellwerk.cel.cost.sizes import EMPTY, LIST_COST, MAP_COST, NOTHING, ONE, UNKNOWN, Range, fixed
from stellwerk.cel.syntax.macros import RESULT
from stellwerk.cel.syntax.tree import Call, Comprehension, Const, Ident, ListNode, MapNode, Node, Select

_SCALARS = ("bool", "double", "duration", "int", "timestamp", "uint")
Path = tuple[str, ...]


class _Entries(NamedTuple):
    """The sizes of the keys and values of a collection."""

    kind: str
    key: Range
    value: Range


class _Local(NamedTuple):
    path: Path
    size: Range | None
    entries: _Entries | None


def estimate(checked: Checked) -> int:
    """The largest number of cost units that evaluating `checked` can take, as far as declared limits bound it."""
    return _Coster(checked).cost(checked.root).high


def is_bind(node: Comprehension) -> bool:
    """Whether it is cel.bind: a loop over nothing that only names a value."""
    nothing = isinstance(node.range, ListNode) and not node.range.elements
    never = isinstance(node.condition, Const) and node.condition.value is False
    return nothing and never and node.accumulator != RESULT


class _Coster:
    def __init__(self, checked: Checked) -> None:
        self.checked = checked
        self.paths: dict[Node, Path] = {}
        self.sizes: dict[Node, Range] = {}
        self.entries: dict[Node, _Entries] = {}
        self.locals: dict[str, list[_Local]] = {}
        self.costs: dict[Node, Range] = {}  # A node that is there twice costs as much each time.

    def cost(self, node: Node) -> Range:
        if node not in self.costs:
            self.costs[node] = self.cost_anew(node)
        return self.costs[node]

    def cost_anew(self, node: Node) -> Range:
        match node:
            case Const():
                return NOTHING
            case Ident(name=name):
                local = self.local(node)
                self.paths[node] = local.path if local else (name,)
                return ONE
            case Select():
                return self.select(node)
            case Call():
                return self.call(node)
            case ListNode():
                return self.list_literal(node)
            case MapNode():
                return self.map_literal(node)
            case _:
                assert isinstance(node, Comprehension)
                return self.bind(node) if is_bind(node) else self.loop(node)

    def local(self, node: Node) -> _Local | None:
        known = self.locals.get(node.name) if isinstance(node, Ident) else None
        return known[-1] if known else None

    def path(self, node: Node) -> Path:
        local = self.local(node)
        return local.path if local else self.paths.get(node, ())

    def size(self, node: Node) -> Range | None:
        """The size of what `node` evaluates to, as far as it is known."""
        if node in self.sizes:
            return self.sizes[node]
        literal = _literal_size(node)
        if literal is not None:
            return literal
        declared = device_size(self.path(node))
        if declared is not None:
            self.sizes[node] = declared
            return declared
        if _is_scalar(self.checked.types[node]):
            return ONE
        local = self.local(node)
        return local.size if local else None

    def known_size(self, node: Node) -> Range:
        return self.size(node) or UNKNOWN

    def entry_sizes(self, node: Node) -> _Entries | None:
        if node in self.entries:
            return self.entries[node]
        local = self.local(node)
        return local.entries if local else None

    def select(self, node: Select) -> Range:
        if node in self.checked.names:
            self.paths[node] = (self.checked.names[node],)
            return ONE
        cost = self.cost(node.operand)
        if node.test_only:
            return cost
        self.paths[node] = (*self.path(node.operand), node.field)
        counted = self.checked.types[node.operand].kind in ("map", "struct", "param")
        return cost.plus(ONE) if counted else cost

    def call(self, node: Call) -> Range:
        if node.function == "dyn":
            cost = self.cost(node.args[0]).plus(ONE)
            self.copy_sizes(node, node.args[0])
            return cost
        costs = [self.cost(each) for each in node.args]
        total, target = NOTHING, None
        if node.target is not None and node not in self.checked.functions:
            total = self.cost(node.target)
            target = self.argument(node.target)
        args = [self.argument(each) for each in node.args]
        union, size = EMPTY, None
        for overload in self.checked.overloads[node]:
            found = self.overload(node, overload, target, args, costs)
            union = union.union(found.cost)
            if found.size is not None:
                size = found.size if size is None else size.union(found.size)
            size = self.indexed(node, overload, size)
            if size is None:
                size = self.size(node)
        if size is not None:
            self.sizes[node] = size
        return total.plus(union)

    def indexed(self, node: Call, overload: Overload, size: Range | None) -> Range | None:
        """The size of an element, and the path to it, where a list or map is indexed."""
        if overload.id not in ("index_list", "index_map"):
            return size
        entries = self.entry_sizes(node.args[0])
        step = "@items" if overload.id == "index_list" else "@values"
        self.paths[node] = (*self.path(node.args[0]), step)
        return entries.value if entries else None

    def overload(
        self,
        node: Call,
        overload: Overload,
        target: Argument | None,
        args: list[Argument],
        costs: list[Range],
    ) -> Estimate:
        function = self.checked.functions.get(node, node.function)
        spent = NOTHING
        for each in costs:
            spent = spent.plus(each)
        special = self.special(node, overload.id, costs, spent)
        if special is not None:
            return special
        found = kubernetes_estimate(function, overload.id, target, args) or builtin_estimate(
            overload.id, target, args
        )
        return Estimate(found.cost.plus(spent), found.size)

    def special(self, node: Call, overload: str, costs: list[Range], spent: Range) -> Estimate | None:
        """Where not all arguments are evaluated, or sizes of entries have to be kept."""
        if overload in ("logical_and", "logical_or"):
            return Estimate(Range(costs[0].low, spent.high), None)
        if overload == "conditional":
            chosen, other = node.args[1], node.args[2]
            self.join_entries(node, chosen, other)
            size = self.known_size(chosen).union(self.known_size(other))
            return Estimate(costs[0].plus(costs[1].union(costs[2])), size)
        if overload in ("add_string", "add_bytes", "add_list"):
            self.join_entries(node, *node.args)
            size = self.known_size(node.args[0]).plus(self.known_size(node.args[1]))
            own = ONE if overload == "add_list" else size.scaled(0.1)
            return Estimate(own.plus(spent), size)
        return None

    def join_entries(self, node: Node, one: Node, other: Node) -> None:
        first, second = self.entry_sizes(one), self.entry_sizes(other)
        if first and second:
            key, value = first.key.union(second.key), first.value.union(second.value)
            self.entries[node] = _Entries(first.kind, key, value)

    def argument(self, node: Node) -> Argument:
        path = self.path(node)
        path = () if path and path[0] in (RESULT, "__result__") else path
        return Argument(node, self.checked.types[node], path, self.size(node))

    def copy_sizes(self, node: Node, source: Node) -> None:
        size, entries = self.size(source), self.entry_sizes(source)
        if size is not None:
            self.sizes[node] = size
        if entries is not None:
            self.entries[node] = entries

    def list_literal(self, node: ListNode) -> Range:
        cost, sizes = NOTHING, EMPTY if node.elements else NOTHING
        for each in node.elements:
            cost = cost.plus(self.cost(each))
            sizes = sizes.union(self.known_size(each))
        self.entries[node] = _Entries("list", ONE, sizes)
        return cost.plus(fixed(LIST_COST))

    def map_literal(self, node: MapNode) -> Range:
        cost = NOTHING
        keys = values = EMPTY if node.entries else NOTHING
        for entry in node.entries:
            cost = cost.plus(self.cost(entry.key)).plus(self.cost(entry.value))
            keys, values = keys.union(self.known_size(entry.key)), values.union(self.known_size(entry.value))
        self.entries[node] = _Entries("map", keys, values)
        return cost.plus(fixed(MAP_COST))

    def bind(self, node: Comprehension) -> Range:
        cost = self.cost(node.range).plus(self.cost(node.initial))
        self.push(node.accumulator, self.variable(node.initial))
        cost = cost.plus(self.cost(node.result))
        self.locals[node.accumulator].pop()
        self.copy_sizes(node, node.result)
        return cost

    def loop(self, node: Comprehension) -> Range:
        cost = self.cost(node.range).plus(self.cost(node.initial))
        self.push(node.accumulator, self.variable(node.initial))
        for name, local in self.iterated(node):
            self.push(name, local)
        each = self.cost(node.condition).plus(self.cost(node.step))
        for name in (node.variable, node.variable2):
            if name is not None:
                self.locals[name].pop()
        cost = cost.plus(self.cost(node.result))
        self.locals[node.accumulator].pop()
        rounds = self.known_size(node.range)
        self.loop_size(node, rounds)
        return cost.plus(rounds.times(each))

    def loop_size(self, node: Comprehension, rounds: Range) -> None:
        if isinstance(node.initial, Const):
            self.sizes[node] = self.known_size(node.initial)
        elif isinstance(node.initial, ListNode | MapNode):
            self.sizes[node] = rounds
            entries = self.entry_sizes(node.step)
            if entries is not None:
                self.entries[node] = entries

    def push(self, name: str, local: _Local) -> None:
        self.locals.setdefault(name, []).append(local)

    def variable(self, value: Node) -> _Local:
        return _Local(self.path(value), self.size(value), self.entry_sizes(value))

    def iterated(self, node: Comprehension) -> list[tuple[str, _Local]]:
        """The variables of a loop: where their values are in the range, and how large they can be."""
        entries, path = self.entry_sizes(node.range), self.path(node.range)
        is_list = (entries.kind if entries else self.checked.types[node.range].kind) == "list"
        key, value = (entries.key, entries.value) if entries else (None, None)
        if node.variable2 is not None:
            keys = _Local((*path, "@indices" if is_list else "@keys"), key, None)
            values = _Local((*path, "@items" if is_list else "@values"), value, None)
            return [(node.variable, keys), (node.variable2, values)]
        one = _Local((*path, "@items"), value, None) if is_list else _Local((*path, "@keys"), key, None)
        return [(node.variable, one)]


def _literal_size(node: Node) -> Range | None:
    match node:
        case Const(value=str() | bytes() as text):
            return fixed(len(text))
        case Const():
            return ONE
        case ListNode(elements=elements):
            return fixed(len(elements))
        case MapNode(entries=entries):
            return fixed(len(entries))
        case _:
            return None


def _is_scalar(kind: Type) -> bool:
    return _is_scalar(kind.params[0]) if is_optional(kind) else kind.kind in _SCALARS
