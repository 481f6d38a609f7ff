"""Find the type of every node, or say where and why there is none (rules of checker/checker.go of cel-go v0.29.2)."""

from collections.abc import Sequence

from msgspec import Struct

from stellwerk.cel.check.declarations import Overload, device_field, overloads_of, variable
from stellwerk.cel.check.kinds import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    ERROR,
    INT,
    NULL,
    STRING,
    UINT,
    Type,
    formatted,
    is_dyn,
    is_optional,
    list_of,
    map_of,
    optional_of,
    param,
)
from stellwerk.cel.check.unify import Substitutions, at_most_as_specific
from stellwerk.cel.environment import Environment
from stellwerk.cel.errors import CompileError
from stellwerk.cel.syntax.parser import located_error, qualified_name
from stellwerk.cel.syntax.tree import (
    Call,
    Comprehension,
    Const,
    Entry,
    Ident,
    ListNode,
    MapNode,
    Message,
    Node,
    Select,
)
from stellwerk.cel.values.scalars import Uint

_LITERALS = {bool: BOOL, int: INT, Uint: UINT, float: DOUBLE, str: STRING, bytes: BYTES, type(None): NULL}
_LOGICAL = ("_&&_", "_||_")


class Checked(Struct, frozen=True):
    """The types of all nodes, the signatures each call may have, and the names that were written with dots."""

    root: Node
    types: dict[Node, Type]
    overloads: dict[Node, tuple[Overload, ...]]
    names: dict[Node, str]  # Nodes that are one declared name, e.g. google.protobuf.Timestamp.
    functions: dict[Node, str]  # Calls without a target after all: optional.of(x).

    def type_of(self, node: Node) -> Type:
        """The type of a node of this expression."""
        return self.types[node]


def check(root: Node, text: str, environment: Environment) -> Checked:
    """The types of `root` and all below it. Raises CompileError with every fault found, in the order of the text."""
    checker = _Checker(environment)
    checker.check(root)
    if checker.errors:
        shown = [located_error(text, at, message) for at, message in sorted(checker.errors)]
        raise CompileError("compilation failed: " + "\n".join(shown))
    types = {node: checker.known.resolve(kind, to_dyn=True) for node, kind in checker.types.items()}
    return Checked(root, types, checker.overloads, checker.names, checker.functions)


class _Checker:
    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.types: dict[Node, Type] = {}
        self.overloads: dict[Node, tuple[Overload, ...]] = {}
        self.names: dict[Node, str] = {}
        self.functions: dict[Node, str] = {}
        self.errors: list[tuple[int, str]] = []
        self.known = Substitutions()
        self.scopes: list[dict[str, Type]] = []
        self.fresh = 0

    def check(self, node: Node) -> Type:
        """The type of `node`, which is also kept: a macro may use a node twice, in the same scope."""
        if node in self.types:
            return self.types[node]
        match node:
            case Const(value=value):
                kind = _LITERALS[type(value)]
            case Ident():
                kind = self.ident(node)
            case Select():
                kind = self.select(node)
            case Call():
                kind = self.call(node)
            case ListNode():
                kind = self.list_literal(node)
            case MapNode():
                kind = self.map_literal(node)
            case Comprehension():
                kind = self.comprehension(node)
            case _:
                assert isinstance(node, Message)
                kind = self.fail(node, f"undeclared reference to '{node.name}' (in container '')")
        self.types[node] = kind
        return kind

    def fail(self, node: Node, message: str) -> Type:
        self.errors.append((node.at, message))
        return ERROR

    def mismatch(self, node: Node, wanted: Type, found: Type) -> Type:
        shown = formatted(self.known.resolve(wanted)), formatted(self.known.resolve(found))
        return self.fail(node, f"expected type '{shown[0]}' but found '{shown[1]}'")

    def variable(self) -> Type:
        self.fresh += 1
        return param(f"_var{self.fresh - 1}")

    def lookup(self, name: str, absolute: bool = False) -> Type | None:
        for scope in [] if absolute else reversed(self.scopes):
            if name in scope:
                return scope[name]
        return variable(name)

    def ident(self, node: Ident) -> Type:
        kind = self.lookup(node.name, node.absolute)
        if kind is None:
            return self.fail(node, f"undeclared reference to '{node.name}' (in container '')")
        return kind

    def select(self, node: Select) -> Type:
        name = None if node.test_only else qualified_name(node)
        kind = variable(name) if name else None
        if name and kind is not None and self.lookup(name.split(".")[0]) is None:
            self.names[node] = name
            return kind
        found = self.field(node, node.operand, node.field, optional=False)
        return BOOL if node.test_only else self.known.resolve(found)

    def field(self, node: Node, operand: Node, field: str, optional: bool) -> Type:
        of = self.known.resolve(self.check(operand))
        unwrapped = of.params[0] if is_optional(of) else of
        found = self.field_of(node, unwrapped, field)
        return optional_of(found) if optional or is_optional(of) else found

    def field_of(self, node: Node, of: Type, field: str) -> Type:
        if of.kind == "map":
            return of.params[1]
        if of.kind == "struct":
            known = device_field(field, self.environment) if of.name == "kubernetes.DRADevice" else None
            return known or self.fail(node, f"undefined field '{field}'")
        if of.kind == "param":
            self.known.assignable(DYN, of)
        elif not is_dyn(of) and of.kind != "error":
            self.fail(node, f"type '{formatted(of)}' does not support field selection")
        return DYN

    def call(self, node: Call) -> Type:
        if node.function == "_?._":
            return self.optional_select(node)
        args = tuple(self.check(each) for each in node.args)
        name = node.function
        if node.target is not None:
            prefix = qualified_name(node.target)
            if prefix and overloads_of(f"{prefix}.{name}", self.environment) is not None:
                name = self.functions[node] = f"{prefix}.{name}"
            else:
                args = (self.check(node.target), *args)
        declared = overloads_of(name, self.environment)
        if declared is None:
            return self.fail(node, f"undeclared reference to '{name}' (in container '')")
        if name in _LOGICAL:
            return self.logical(node, declared, args)
        return self.resolve(node, name, declared, args)

    def optional_select(self, node: Call) -> Type:
        operand, field = node.args
        assert isinstance(field, Const)
        self.types[field] = STRING
        self.overloads[node] = overloads_of("_?._", self.environment) or ()
        return self.known.resolve(self.field(node, operand, field.value, optional=True))

    def logical(self, node: Call, declared: tuple[Overload, ...], args: tuple[Type, ...]) -> Type:
        self.overloads[node] = declared
        wrong = [each for each in args if not self.known.assignable(each, BOOL)]
        return (
            self.no_overload(node, node.function, args[:2] if len(args) == 2 else (wrong[0], BOOL))
            if wrong
            else BOOL
        )

    def resolve(self, node: Call, name: str, declared: Sequence[Overload], args: tuple[Type, ...]) -> Type:
        member = node.target is not None and node not in self.functions
        result, chosen = None, []
        for overload in declared:
            if overload.member is not member:
                continue
            wanted, returned = self.instance(overload)
            if not self.known.all_assignable(args, wanted):
                continue
            chosen.append(overload)
            returned = self.known.resolve(returned)
            if result is None:
                result = returned
            elif not is_dyn(result) and returned != result:
                result = DYN
        if result is None:
            return self.no_overload(node, name, args, member)
        self.overloads[node] = tuple(chosen)
        return result

    def no_overload(self, node: Node, name: str, args: tuple[Type, ...], member: bool = False) -> Type:
        shown = [formatted(self.known.resolve(each, to_dyn=True)) for each in args]
        signature = f"{shown[0]}.({', '.join(shown[1:])})" if member else f"({', '.join(shown)})"
        return self.fail(node, f"found no matching overload for '{name}' applied to '{signature}'")

    def instance(self, overload: Overload) -> tuple[tuple[Type, ...], Type]:
        """The signature with a new parameter for each of its own."""
        if not overload.params:
            return overload.args, overload.result
        new = {name: self.variable() for name in sorted(overload.params)}
        return tuple(_renamed(each, new) for each in overload.args), _renamed(overload.result, new)

    def list_literal(self, node: ListNode) -> Type:
        joined: Type | None = None
        for at, element in enumerate(node.elements):
            kind = self.check(element)
            joined = self.join(joined, self.unwrapped(element, kind) if at in node.optional else kind)
        return list_of(joined or self.variable())

    def map_literal(self, node: MapNode) -> Type:
        keys: Type | None = None
        values: Type | None = None
        for entry in node.entries:
            keys = self.join(keys, self.check(entry.key))
            values = self.join(values, self.entry_value(entry))
        return map_of(keys or self.variable(), values or self.variable())

    def entry_value(self, entry: Entry) -> Type:
        kind = self.check(entry.value)
        return self.unwrapped(entry.value, kind) if entry.optional else kind

    def unwrapped(self, node: Node, kind: Type) -> Type:
        kind = self.known.resolve(kind)
        if is_optional(kind):
            return kind.params[0]
        if not is_dyn(kind):
            self.mismatch(node, optional_of(kind), kind)
        return kind

    def join(self, before: Type | None, kind: Type) -> Type:
        """The type of all elements so far; that they must agree is looked at when all types are known."""
        if before is None:
            return kind
        if self.known.assignable(before, kind):
            return before if at_most_as_specific(before, kind) else kind
        return DYN

    def comprehension(self, node: Comprehension) -> Type:
        over = self.known.resolve(self.check(node.range))
        accumulator = self.check(node.initial)
        self.scopes.append({node.accumulator: accumulator})
        first, second = self.iterated(node, over)
        names = {node.variable: first} | ({node.variable2: second} if node.variable2 else {})
        self.scopes.append(names)
        for part, wanted in ((node.condition, BOOL), (node.step, accumulator)):
            kind = self.check(part)
            if not self.known.assignable(wanted, kind):
                self.mismatch(part, wanted, kind)
        self.scopes.pop()
        result = self.check(node.result)
        self.scopes.pop()
        return self.known.resolve(result)

    def iterated(self, node: Comprehension, over: Type) -> tuple[Type, Type]:
        """The types of the one or two variables of a loop over `over`."""
        if over.kind == "list":
            return (INT, over.params[0]) if node.variable2 else (over.params[0], over.params[0])
        if over.kind == "map":
            return over.params[0], over.params[1]
        if over.kind in ("dyn", "error", "param"):
            self.known.assignable(DYN, over)
            return DYN, DYN
        shown = formatted(over)
        self.fail(
            node.range,
            f"expression of type '{shown}' cannot be range of a comprehension (must be list, map, or dynamic)",
        )
        return ERROR, ERROR


def _renamed(kind: Type, new: dict[str, Type]) -> Type:
    if kind.kind == "param":
        return new[kind.name]
    return (
        Type(kind.kind, kind.name, tuple(_renamed(each, new) for each in kind.params))
        if kind.params
        else kind
    )
