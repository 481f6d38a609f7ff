"""The tree of an expression, macros already expanded. Nodes are compared by identity."""

from typing import Any

from msgspec import Struct


class Node(Struct, frozen=True, eq=False, kw_only=True):
    """What all nodes have: where in the text they are (an offset), and how deeply they nest."""

    at: int = 0
    depth: int = 1


class Const(Node, frozen=True, eq=False, kw_only=True):
    """A literal: bool, int, Uint, float, str, bytes or None."""

    value: Any


class Ident(Node, frozen=True, eq=False, kw_only=True):
    """A name; `absolute` when it was written with a leading dot."""

    name: str
    absolute: bool = False


class Select(Node, frozen=True, eq=False, kw_only=True):
    """operand.field, or has(operand.field) when `test_only`."""

    operand: Node
    field: str
    test_only: bool = False


class Call(Node, frozen=True, eq=False, kw_only=True):
    """function(args) or target.function(args); operators are calls of functions named like `_+_`."""

    function: str
    args: tuple[Node, ...]
    target: Node | None = None


class ListNode(Node, frozen=True, eq=False, kw_only=True):
    """[elements]; an element whose index is in `optional` is left out when it has no value."""

    elements: tuple[Node, ...]
    optional: frozenset[int] = frozenset()


class Entry(Struct, frozen=True, eq=False):
    """One key and value of a map literal."""

    key: Node
    value: Node
    optional: bool = False


class MapNode(Node, frozen=True, eq=False, kw_only=True):
    """{key: value, ...}"""

    entries: tuple[Entry, ...]


class Message(Node, frozen=True, eq=False, kw_only=True):
    """Name{field: value, ...}: parsed only to be refused by name."""

    name: str


class Comprehension(Node, frozen=True, eq=False, kw_only=True):
    """A loop over a list or the keys of a map; all macros become this (see cel-spec, doc/langdef.md)."""

    range: Node
    variable: str
    variable2: str | None
    accumulator: str
    initial: Node
    condition: Node
    step: Node
    result: Node


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below `node`, in the order of their text."""
    match node:
        case Select(operand=operand):
            return (operand,)
        case Call(target=target, args=args):
            return args if target is None else (target, *args)
        case ListNode(elements=elements):
            return elements
        case MapNode(entries=entries):
            return tuple(each for entry in entries for each in (entry.key, entry.value))
        case Comprehension():
            return (node.range, node.initial, node.condition, node.step, node.result)
        case _:
            return ()


def descendants(root: Node) -> list[Node]:
    """`root` and all nodes below it, parents first, each once."""
    found: dict[Node, None] = {}
    pending = [root]
    while pending:
        node = pending.pop()
        if node not in found:
            found[node] = None
            pending.extend(reversed(children(node)))
    return list(found)


def depth_of(*nodes: Node | None) -> int:
    """The depth of a node that has these below it."""
    return 1 + max((node.depth for node in nodes if node is not None), default=0)
