"""Turn a checked tree into nested Python functions.

Each takes a frame: the fields of `device`, the cost so far, then one place for each name that the expression
defines. Costs are only counted where the worst case exceeds the limit: all else stays below it anyway.
"""

from collections.abc import Callable
from typing import Any

from stellwerk.cel.check.checker import Checked
from stellwerk.cel.check.kinds import Type
from stellwerk.cel.cost.actual import call_cost, has_fixed_cost, join_cost
from stellwerk.cel.cost.estimate import is_bind
from stellwerk.cel.cost.sizes import LIST_COST, MAP_COST
from stellwerk.cel.environment import MAX_COST
from stellwerk.cel.errors import CompileError, CostExceeded, EvaluationError
from stellwerk.cel.library.conversions import CONVERSIONS
from stellwerk.cel.library.operators import has_field, index
from stellwerk.cel.run.dispatch import Function, function_for
from stellwerk.cel.run.fold import Fold, fold
from stellwerk.cel.run.logic import LOGIC, conditional, or_value
from stellwerk.cel.syntax.macros import RESULT
from stellwerk.cel.syntax.tree import Call, Comprehension, Const, Ident, ListNode, MapNode, Node, Select
from stellwerk.cel.values.equality import as_key, equal
from stellwerk.cel.values.names import MAPS
from stellwerk.cel.values.scalars import TypeValue

Frame = list[Any]
Evaluate = Callable[[Frame], Any]
DEVICE, COST, FIRST = 0, 1, 2
_ATTRIBUTES = ("_[_]", "_[?_]", "_?._")
_FOLDED = frozenset(CONVERSIONS) - {"dyn", "type"}


class Lazy:
    """A value that cel.bind named and that nothing has asked for yet."""

    __slots__ = ("evaluate",)

    def __init__(self, evaluate: Evaluate) -> None:
        self.evaluate = evaluate


class Plan:
    """Builds the functions of one expression; `places` is the length of a frame."""

    def __init__(self, checked: Checked, counted: bool) -> None:
        self.checked = checked
        self.counted = counted
        self.places = FIRST
        self.scopes: list[dict[str, tuple[int, bool]]] = []
        self.pending = 0  # What is spent for certain by the part that is being built.
        self.built: dict[
            Node, tuple[Evaluate, int]
        ] = {}  # optMap has its target twice, nested ones exponentially.

    def build(self, node: Node) -> Evaluate:
        """What evaluates `node`, whose certain cost is added to what is pending.

        Raises CompileError where a constant cannot be converted.
        """
        if node not in self.built:
            outer, self.pending = self.pending, 0
            evaluate = self.build_anew(node)
            self.built[node] = (evaluate, self.pending)
            self.pending = outer
        evaluate, cost = self.built[node]
        self.pending += cost
        return evaluate

    def block(self, node: Node) -> Evaluate:
        """What evaluates a `node` that may not be evaluated at all, or more than once, and charges for it."""
        return self.charging(lambda: self.build(node))

    def charging(self, build: Callable[[], Evaluate]) -> Evaluate:
        """What `build` makes, after its certain cost has been added to the frame's."""
        outer, self.pending = self.pending, 0
        evaluate, cost = build(), self.pending
        self.pending = outer
        if not self.counted or cost == 0:
            return evaluate

        def charge(frame: Frame) -> Any:
            frame[COST] += cost
            if frame[COST] > MAX_COST:
                raise CostExceeded
            return evaluate(frame)

        return charge

    def build_anew(self, node: Node) -> Evaluate:
        known, value = self.constant(node)
        if known:
            return lambda frame: value
        match node:
            case Ident():
                return self.charged(self.ident(node), 1)
            case Select():
                return self.select(node)
            case Call():
                return self.call(node)
            case ListNode():
                return self.charged(self.list_literal(node), LIST_COST)
            case MapNode():
                return self.charged(self.map_literal(node), MAP_COST)
            case _:
                assert isinstance(node, Comprehension)
                return self.bind(node) if is_bind(node) else self.loop(node)

    def constant(self, node: Node) -> tuple[bool, Any]:
        """Whether `node` is the same for every device, and its value: literals, and conversions of literals."""
        match node:
            case Const(value=value):
                return True, value
            case ListNode(elements=elements, optional=optional) if not optional:
                values = [self.constant(each) for each in elements]
                return all(known for known, _ in values), [value for _, value in values]
            case MapNode(entries=entries) if not any(each.optional for each in entries):
                pairs = [(self.constant(each.key), self.constant(each.value)) for each in entries]
                known = all(key[0] and value[0] for key, value in pairs)
                return known, {as_key(key[1]): value[1] for key, value in pairs} if known else None
            case Call(function=function, args=(Const(value=value),), target=None) if function in _FOLDED:
                try:
                    return True, CONVERSIONS[function](value)
                except EvaluationError as error:
                    raise CompileError(f"program instantiation failed: {error.text}") from None
            case _:
                return False, None

    def charged(self, evaluate: Evaluate, cost: int) -> Evaluate:
        """`evaluate`, for which `cost` is spent for certain."""
        self.pending += cost
        return evaluate

    def define(self, names: dict[str, bool]) -> list[int]:
        """A place in the frame for each name; true for those whose value may be lazy."""
        places = [self.places + at for at in range(len(names))]
        self.places += len(names)
        self.scopes.append(
            {name: (place, lazy) for place, (name, lazy) in zip(places, names.items(), strict=True)}
        )
        return places

    def ident(self, node: Ident) -> Evaluate:
        for scope in [] if node.absolute else reversed(self.scopes):
            if node.name in scope:
                place, lazy = scope[node.name]
                return _lazy(place) if lazy else _named(place)
        if node.name == "device":
            return lambda frame: frame[DEVICE]
        value = TypeValue({"type": "type"}.get(node.name, node.name))
        return lambda frame: value

    def select(self, node: Select) -> Evaluate:
        if node in self.checked.names:
            value = TypeValue(self.checked.names[node])
            return self.charged(lambda frame: value, 1)
        field = node.field
        if node.test_only:
            operand = self.operand(node.operand)
            return lambda frame: has_field(operand(frame), field)
        fast = None if self.counted else self.attribute(node.operand, field)
        return fast or self.charged(_selected(self.operand(node.operand), field), 1)

    def attribute(self, node: Node, name: str) -> Evaluate | None:
        """device.attributes["domain"].name in two look-ups, where nothing is counted."""
        match node:
            case Call(
                function="_[_]",
                args=(Select(operand=Ident(name="device"), field=part), Const(value=str(domain))),
            ):
                if part in ("attributes", "capacity") and not any("device" in scope for scope in self.scopes):
                    return _attribute(part, domain, name)
        return None

    def operand(self, node: Node) -> Evaluate:
        """What a field or element is taken of: one more unit where it is no variable or part of one."""
        evaluate = self.build(node)
        part = isinstance(node, Ident | Select) or (isinstance(node, Call) and node.function in _ATTRIBUTES)
        return evaluate if part else self.charged(evaluate, 1)

    def call(self, node: Call) -> Evaluate:
        name = self.checked.functions.get(node, node.function)
        if name in LOGIC:
            first, *others = node.args
            evaluate = LOGIC[name]([self.build(first), *map(self.block, others)])
            return self.charged(evaluate, 1 if name == "@not_strictly_false" else 0)
        if name == "_?_:_":
            condition, chosen, other = node.args
            return conditional([self.build(condition), self.block(chosen), self.block(other)])
        if node.target is not None and name in ("or", "orValue") and len(node.args) == 1:
            return or_value(self.build(node.target), self.block(node.args[0]), name == "or")
        if name in _ATTRIBUTES:
            return self.element(node, name)
        receiver = [node.target] if node.target is not None and node not in self.checked.functions else []
        nodes = [*receiver, *node.args]
        kinds = [self.checked.types[each] for each in nodes]
        function = function_for(name, self.checked.overloads[node], kinds)
        return self.invoke(name, function, nodes, kinds)

    def element(self, node: Call, name: str) -> Evaluate:
        container, key = node.args
        known, value = self.constant(key)
        if name == "_[_]" and known and isinstance(value, str):
            fast = None if self.counted else self.attribute(container, value)
            return fast or self.charged(_selected(self.operand(container), value), 1)
        function = function_for(name, self.checked.overloads[node], [])
        return self.charged(_binary(function, self.operand(container), self.build(key)), 1)

    def invoke(self, name: str, function: Function, nodes: list[Node], kinds: list[Type]) -> Evaluate:
        args = [self.build(each) for each in nodes]
        if self.counted:
            constants = [self.constant(each) for each in nodes]
            fixed = all(known for known, _ in constants) and name != "join"
            if not fixed and not has_fixed_cost(name, kinds):
                return _counted(name, function, args)
            self.pending += call_cost(name, [value for _, value in constants]) if fixed else 1
        if name == "_==_" and isinstance(nodes[1], Const) and isinstance(nodes[1].value, str):
            return _equal_text(args[0], nodes[1].value)
        return _called(function, args)

    def list_literal(self, node: ListNode) -> Evaluate:
        elements = [self.build(each) for each in node.elements]
        optional = node.optional
        if not optional:
            return lambda frame: [each(frame) for each in elements]

        def make(frame: Frame) -> list[Any]:
            values = [(at in optional, each(frame)) for at, each in enumerate(elements)]
            return [
                value.value if wrapped else value for wrapped, value in values if not wrapped or value.present
            ]

        return make

    def map_literal(self, node: MapNode) -> Evaluate:
        entries = [(self.build(each.key), self.build(each.value), each.optional) for each in node.entries]

        def make(frame: Frame) -> dict[Any, Any]:
            made: dict[Any, Any] = {}
            for key, value, optional in entries:
                name, each = as_key(key(frame)), value(frame)
                if not optional:
                    made[name] = each
                elif each.present:
                    made[name] = each.value
            return made

        return make

    def bind(self, node: Comprehension) -> Evaluate:
        initial = self.block(node.initial)
        (place,) = self.define({node.accumulator: True})
        result = self.build(node.result)
        self.scopes.pop()

        def evaluate(frame: Frame) -> Any:
            frame[place] = Lazy(initial)
            return result(frame)

        return evaluate

    def loop(self, node: Comprehension) -> Evaluate:
        over = self.build(node.range)
        fresh = node.accumulator == RESULT and isinstance(node.initial, ListNode | MapNode)
        initial = _fresh(node.initial) if fresh else self.build(node.initial)
        (accumulator,) = self.define({node.accumulator: False})
        names = {node.variable: False} | ({node.variable2: False} if node.variable2 else {})
        places = self.define(names)
        condition = None if isinstance(node.condition, Const) else self.block(node.condition)
        step = self.charging(lambda: self.growing(node.step, accumulator)) if fresh else self.block(node.step)
        self.scopes.pop()
        result = self.build(node.result)
        self.scopes.pop()
        return fold(Fold(over, initial, accumulator, tuple(places), condition, step, result))

    def growing(self, step: Node, accumulator: int) -> Evaluate:
        """A step that only adds to the list or map being made: nobody else can see it, so it grows in place."""
        match step:
            case Call(function="_?_:_", args=(condition, inner, _)):
                keep = self.charging(lambda: self.charged(_named(accumulator), 1))
                grow = self.charging(lambda: self.growing(inner, accumulator))
                return conditional([self.build(condition), grow, keep])
            case Call(function="_+_", args=(_, ListNode(elements=(element,)))):
                return self.charged(_append(accumulator, self.build(element)), 2 + LIST_COST)
            case Call(function="cel.@mapInsert", args=(_, key, value)):
                return self.charged(_insert(accumulator, self.build(key), self.build(value)), 2)
            case _:
                return self.build(step)


def _named(place: int) -> Evaluate:
    def read(frame: Frame) -> Any:
        value = frame[place]
        if value.__class__ is EvaluationError:
            raise value
        return value

    return read


def _lazy(place: int) -> Evaluate:
    read_named = _named(place)

    def read(frame: Frame) -> Any:
        value = frame[place]
        if value.__class__ is Lazy:
            try:
                frame[place] = value.evaluate(frame)
            except EvaluationError as error:
                frame[place] = error
        return read_named(frame)

    return read


def _selected(operand: Evaluate, field: str) -> Evaluate:
    def select(frame: Frame) -> Any:
        container = operand(frame)
        if container.__class__ in MAPS:
            try:
                return container[field]
            except KeyError:
                raise EvaluationError(f"no such key: {field}") from None
        return index(container, field)

    return select


def _attribute(part: str, domain: str, name: str) -> Evaluate:
    def read(frame: Frame) -> Any:
        try:
            return frame[DEVICE][part][domain][name]
        except KeyError:
            raise EvaluationError(f"no such key: {name}") from None

    return read


def _equal_text(operand: Evaluate, text: str) -> Evaluate:
    def compare(frame: Frame) -> bool:
        value = operand(frame)
        return value == text if value.__class__ is str else equal(value, text)

    return compare


def _binary(function: Function, one: Evaluate, other: Evaluate) -> Evaluate:
    return lambda frame: function(one(frame), other(frame))


def _called(function: Function, args: list[Evaluate]) -> Evaluate:
    if len(args) == 1:
        (only,) = args
        return lambda frame: function(only(frame))
    if len(args) == 2:
        return _binary(function, *args)
    return lambda frame: function(*[each(frame) for each in args])


def _counted(name: str, function: Function, args: list[Evaluate]) -> Evaluate:
    def call(frame: Frame) -> Any:
        values = [each(frame) for each in args]
        frame[COST] += 0 if name == "join" else call_cost(name, values)
        if frame[COST] > MAX_COST:
            raise CostExceeded
        result = function(*values)
        if name == "join":
            frame[COST] += join_cost(result)
        return result

    return call


def _fresh(node: Node) -> Evaluate:
    return (lambda frame: []) if isinstance(node, ListNode) else (lambda frame: {})


def _append(accumulator: int, element: Evaluate) -> Evaluate:
    read = _named(accumulator)

    def append(frame: Frame) -> Any:
        values, value = read(frame), element(frame)
        values.append(value)
        return values

    return append


def _insert(accumulator: int, key: Evaluate, value: Evaluate) -> Evaluate:
    read = _named(accumulator)

    def add(frame: Frame) -> Any:
        made, name, each = read(frame), as_key(key(frame)), value(frame)
        if name in made:
            raise EvaluationError(f"insert failed: key {key(frame)} already exists")
        made[name] = each
        return made

    return add
