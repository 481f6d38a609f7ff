"""Macros: calls that the parser replaces by loops (parser/macro.go and ext/ of cel-go v0.29.2)."""

from collections.abc import Callable

from stellwerk.cel.errors import CompileError
from stellwerk.cel.syntax.tree import (
    Call,
    Comprehension,
    Const,
    Ident,
    ListNode,
    MapNode,
    Node,
    Select,
    depth_of,
)

RESULT = "@result"  # No expression can name it.
UNUSED = "#unused"


class MacroError(CompileError):
    """A macro cannot be expanded; `at` is the offset of the argument at fault."""

    def __init__(self, at: int, text: str) -> None:
        super().__init__(text)
        self.at = at


def expand(target: Node | None, function: str, args: tuple[Node, ...], at: int) -> Node | None:
    """What the macro of this name stands for, or None when it is an ordinary call.

    Raises MacroError when an argument cannot be what the macro needs.
    """
    if target is None:
        return _has(args[0], at) if function == "has" and len(args) == 1 else None
    if function == "bind" and len(args) == 3 and isinstance(target, Ident) and target.name == "cel":
        name = _name(args[0], "cel.bind() variable names must be simple identifiers")
        return bind(name, args[1], args[2], at)
    macro = _MACROS.get((function, len(args)))
    return None if macro is None else macro(target, args, at)


def bind(name: str, value: Node, body: Node, at: int) -> Node:
    """`body` in which `name` is `value`: a loop over nothing whose accumulator has the name."""
    empty = ListNode(at=at, elements=())
    return _comprehension(empty, (UNUSED, None), (name, value), (_const(False, at), _ident(name, at), body))


def _comprehension(
    over: Node,
    variables: tuple[str, str | None],
    accumulator: tuple[str, Node],
    body: tuple[Node, Node, Node],
) -> Comprehension:
    condition, step, result = body
    return Comprehension(
        at=over.at,
        depth=depth_of(over, accumulator[1], *body),
        range=over,
        variable=variables[0],
        variable2=variables[1],
        accumulator=accumulator[0],
        initial=accumulator[1],
        condition=condition,
        step=step,
        result=result,
    )


def _has(argument: Node, at: int) -> Node:
    if not isinstance(argument, Select):
        raise MacroError(argument.at, "invalid argument to has() macro")
    return Select(at=at, depth=argument.depth, operand=argument.operand, field=argument.field, test_only=True)


def _name(node: Node, text: str) -> str:
    if not isinstance(node, Ident) or node.absolute:
        raise MacroError(node.at, text)
    return node.name


def _variable(node: Node, text: str = "argument must be a simple name") -> str:
    name = _name(node, text)
    if name in (RESULT, "__result__"):
        raise MacroError(node.at, "iteration variable overwrites accumulator variable")
    return name


def _variables(args: tuple[Node, ...], count: int) -> tuple[str, str | None]:
    if count == 1:
        return _variable(args[0]), None
    first, second = (
        _name(args[0], "argument must be a simple name"),
        _name(args[1], "argument must be a simple name"),
    )
    if first == second:
        raise MacroError(args[1].at, f"duplicate variable name: {first}")
    return _variable(args[0]), _variable(args[1])


def _const(value: object, at: int) -> Node:
    return Const(at=at, value=value)


def _ident(name: str, at: int) -> Node:
    return Ident(at=at, name=name)


def _call(function: str, at: int, *args: Node) -> Node:
    return Call(at=at, depth=depth_of(*args), function=function, args=args)


def _quantifier(kind: str, count: int) -> Callable[[Node, tuple[Node, ...], int], Node]:
    def macro(target: Node, args: tuple[Node, ...], at: int) -> Node:
        variables, predicate, result = _variables(args, count), args[-1], _ident(RESULT, at)
        if kind == "all":
            initial = _const(True, at)
            body = (_call("@not_strictly_false", at, result), _call("_&&_", at, result, predicate), result)
        elif kind == "exists":
            initial, negated = _const(False, at), _call("!_", at, result)
            body = (_call("@not_strictly_false", at, negated), _call("_||_", at, result, predicate), result)
        else:
            initial, one = _const(0, at), _const(1, at)
            step = _call("_?_:_", at, predicate, _call("_+_", at, result, one), result)
            body = (_const(True, at), step, _call("_==_", at, result, one))
        return _comprehension(target, variables, (RESULT, initial), body)

    return macro


def _transform(kind: str, count: int) -> Callable[[Node, tuple[Node, ...], int], Node]:
    def macro(target: Node, args: tuple[Node, ...], at: int) -> Node:
        if count == 1:
            variables: tuple[str, str | None] = (_variable(args[0], "argument is not an identifier"), None)
        else:
            variables = _variables(args, count)
        result, value = _ident(RESULT, at), args[0] if kind == "filter" else args[-1]
        filtered = args[count] if kind == "filter" or len(args) == count + 2 else None
        initial: Node = (
            MapNode(at=at, entries=()) if kind in ("map", "entry") else ListNode(at=at, elements=())
        )
        if kind == "map":
            step = _call("cel.@mapInsert", at, result, _ident(variables[0], at), value)
        elif kind == "entry":
            step = _call("cel.@mapInsert", at, result, value)
        else:
            step = _call("_+_", at, result, ListNode(at=at, depth=depth_of(value), elements=(value,)))
        if filtered is not None:
            step = _call("_?_:_", at, filtered, step, result)
        return _comprehension(target, variables, (RESULT, initial), (_const(True, at), step, result))

    return macro


def _optional(flat: bool) -> Callable[[Node, tuple[Node, ...], int], Node]:
    function = "optFlatMap" if flat else "optMap"

    def macro(target: Node, args: tuple[Node, ...], at: int) -> Node:
        name = _name(args[0], f"{function}() variable name must be a simple identifier")
        value = Call(at=at, depth=depth_of(target), target=target, function="value", args=())
        bound = bind(name, value, args[1], at)
        present = Call(at=at, depth=depth_of(target), target=target, function="hasValue", args=())
        mapped = bound if flat else _call("optional.of", at, bound)
        return _call("_?_:_", at, present, mapped, _call("optional.none", at))

    return macro


def _sort_by(target: Node, args: tuple[Node, ...], at: int) -> Node:
    if isinstance(target, Const | MapNode):
        raise MacroError(
            target.at,
            "sortBy can only be applied to a list, identifier, comprehension, call or select expression",
        )
    over = _ident("@__sortBy_input__", at)
    keys = _transform("list", 1)(over, args, at)
    ordered = Call(at=at, depth=depth_of(keys), target=over, function="@sortByAssociatedKeys", args=(keys,))
    return bind("@__sortBy_input__", target, ordered, at)


_MACROS: dict[tuple[str, int], Callable[[Node, tuple[Node, ...], int], Node]] = {
    ("all", 2): _quantifier("all", 1),
    ("exists", 2): _quantifier("exists", 1),
    ("exists_one", 2): _quantifier("one", 1),
    ("all", 3): _quantifier("all", 2),
    ("exists", 3): _quantifier("exists", 2),
    ("exists_one", 3): _quantifier("one", 2),
    ("existsOne", 3): _quantifier("one", 2),
    ("map", 2): _transform("list", 1),
    ("map", 3): _transform("list", 1),
    ("filter", 2): _transform("filter", 1),
    ("transformList", 3): _transform("list", 2),
    ("transformList", 4): _transform("list", 2),
    ("transformMap", 3): _transform("map", 2),
    ("transformMap", 4): _transform("map", 2),
    ("transformMapEntry", 3): _transform("entry", 2),
    ("transformMapEntry", 4): _transform("entry", 2),
    ("optMap", 2): _optional(False),
    ("optFlatMap", 2): _optional(True),
    ("sortBy", 2): _sort_by,
}
