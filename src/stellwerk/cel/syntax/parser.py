"""Parse an expression: lark's LALR parser, which needs no recursion, builds the tree while it reads."""

from functools import cache
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from msgspec.structs import replace

from stellwerk.cel.errors import CompileError
from stellwerk.cel.syntax import literals
from stellwerk.cel.syntax.grammar import grammar
from stellwerk.cel.syntax.macros import MacroError, expand
from stellwerk.cel.syntax.tree import (
    Call,
    Const,
    Entry,
    Ident,
    ListNode,
    MapNode,
    Message,
    Node,
    Select,
    depth_of,
    descendants,
)

MAX_DEPTH = 250  # cel-go's limit on recursion.
_RESERVED = frozenset(
    "as break const continue else false for function if import in let loop package namespace null return true var "
    "void while".split()
)


def parse(text: str) -> Node:
    """The tree of `text`. Raises CompileError where it is no expression, with cel-go's position and kind of error."""
    try:
        node: Node = _lark().parse(text)  # type: ignore[assignment]
    except UnexpectedInput as error:
        raise CompileError(_syntax_error(text, error)) from None
    except MacroError as error:
        raise CompileError(located(text, error.at, error.text)) from None
    if node.depth > MAX_DEPTH:
        raise CompileError(
            f"compilation failed: ERROR: <input>:-1:0: expression recursion limit exceeded: {MAX_DEPTH}"
        )
    for each in descendants(node):
        if isinstance(each, Const) and type(each.value) is int and each.value == 2**63:
            raise CompileError(located(text, each.at, "invalid int literal"))
    return node


def located(text: str, at: int, message: str) -> str:
    """`message` with its place in `text`, the line and a mark below it."""
    return f"compilation failed: {located_error(text, at, message)}"


def located_error(text: str, at: int, message: str) -> str:
    """One error of a list of errors, as cel-go shows it."""
    start = text.rfind("\n", 0, at) + 1
    line = text[start:].split("\n", 1)[0]
    column, row = at - start, text.count("\n", 0, at) + 1
    return f"ERROR: <input>:{row}:{column + 1}: {message}\n | {line}\n | {'.' * column}^"


def _syntax_error(text: str, error: UnexpectedInput) -> str:
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        what = f"mismatched input '{error.token}'"
        at = error.token.start_pos or 0
    elif isinstance(error, UnexpectedCharacters):
        at = error.pos_in_stream or 0
        what = f"token recognition error at: '{text[at : at + 2]}'"
    else:
        at, what = len(text), "mismatched input '<EOF>'"
    return located(text, at, f"Syntax error: {what}")


@cache
def _lark() -> Lark:
    return Lark(
        grammar(),
        parser="lalr",
        lexer="basic",
        maybe_placeholders=True,
        transformer=_Build(),
        propagate_positions=False,
    )


def _at(token: Token) -> int:
    return token.start_pos or 0


def _literal(token: Token, value: Any) -> Node:
    return Const(at=_at(token), value=value)


def _read(token: Token, read: Any) -> Node:
    try:
        return _literal(token, read(str(token)))
    except ValueError as error:
        raise MacroError(_at(token), str(error)) from None


class _Build(Transformer[Token, Any]):
    """One method a rule of the grammar; each gets the list of what was read for it."""

    def conditional(self, parts: list[Any]) -> Node:
        condition, mark, chosen, other = parts
        args = (condition, chosen, other)
        return Call(at=_at(mark), depth=depth_of(*args), function="_?_:_", args=args)

    def or_chain(self, parts: list[Any]) -> Node:
        return Call(at=parts[1].at, depth=depth_of(*parts), function="_||_", args=tuple(parts))

    def and_chain(self, parts: list[Any]) -> Node:
        return Call(at=parts[1].at, depth=depth_of(*parts), function="_&&_", args=tuple(parts))

    def binary(self, parts: list[Any]) -> Node:
        left, operator, right = parts
        name = "@in" if operator == "in" else f"_{operator}_"
        return Call(at=_at(operator), depth=depth_of(left, right), function=name, args=(left, right))

    def logical_not(self, parts: list[Any]) -> Node:
        return self._prefixed("!_", parts)

    def negate(self, parts: list[Any]) -> Node:
        operand = parts[-1]
        literal = isinstance(operand, Const) and type(operand.value) in (int, float) and operand.depth == 1
        if len(parts) == 2 and literal:  # The minus belongs to the literal, so that -2^63 can be written.
            return Const(at=_at(parts[0]), depth=2, value=-operand.value)
        return self._prefixed("-_", parts)

    def not_negative(self, parts: list[Any]) -> Node:
        number = self.negate(parts[-2:])
        if not isinstance(number, Const):
            raise MacroError(_at(parts[-2]), "Syntax error: mismatched input '-'")
        return self._prefixed("!_", [*parts[:-2], number])

    def _prefixed(self, function: str, parts: list[Any]) -> Node:
        operand: Node = parts[-1]
        if len(parts) % 2:  # Two of a kind cancel each other, before any type is known.
            return operand
        return Call(at=_at(parts[0]), depth=depth_of(operand), function=function, args=(operand,))

    def select(self, parts: list[Any]) -> Node:
        operand, dot, field = parts
        return Select(at=_at(dot), depth=depth_of(operand), operand=operand, field=str(field).strip("`"))

    def optional_select(self, parts: list[Any]) -> Node:
        operand, dot, _, field = parts
        name = Const(at=_at(field), value=str(field).strip("`"))
        return Call(at=_at(dot), depth=depth_of(operand), function="_?._", args=(operand, name))

    def member_call(self, parts: list[Any]) -> Node:
        target, _, name, paren, args = parts
        return _call_or_macro(target, str(name), args or (), _at(paren))

    def index(self, parts: list[Any]) -> Node:
        operand, bracket, key = parts
        return Call(at=_at(bracket), depth=depth_of(operand, key), function="_[_]", args=(operand, key))

    def optional_index(self, parts: list[Any]) -> Node:
        operand, bracket, _, key = parts
        return Call(at=_at(bracket), depth=depth_of(operand, key), function="_[?_]", args=(operand, key))

    def message(self, parts: list[Any]) -> Node:
        name = qualified_name(parts[0])
        if name is None:
            raise MacroError(_at(parts[1]), "Syntax error: mismatched input '{'")
        return Message(at=_at(parts[1]), depth=parts[0].depth, name=name)

    def ident(self, parts: list[Any]) -> Node:
        return Ident(at=_at(parts[0]), name=_unreserved(parts[0]))

    def absolute_ident(self, parts: list[Any]) -> Node:
        return Ident(at=_at(parts[0]), name=_unreserved(parts[1]), absolute=True)

    def global_call(self, parts: list[Any]) -> Node:
        name, paren, args = parts
        return _call_or_macro(None, _unreserved(name), args or (), _at(paren))

    def absolute_call(self, parts: list[Any]) -> Node:
        return self.global_call(parts[1:])

    def nested(self, parts: list[Any]) -> Node:
        return _deeper(parts[0])

    def list_literal(self, parts: list[Any]) -> Node:
        elements = tuple(_unwrapped(each) for each in parts[1] or ())
        optional = frozenset(at for at, each in enumerate(parts[1] or ()) if isinstance(each, _Optional))
        return ListNode(at=_at(parts[0]), depth=depth_of(*elements), elements=elements, optional=optional)

    def map_literal(self, parts: list[Any]) -> Node:
        entries = tuple(parts[1] or ())
        inside = [each for entry in entries for each in (entry.key, entry.value)]
        return MapNode(at=_at(parts[0]), depth=depth_of(*inside), entries=entries)

    def int_literal(self, parts: list[Any]) -> Node:
        return _read(parts[0], literals.integer)

    def uint_literal(self, parts: list[Any]) -> Node:
        return _read(parts[0], literals.unsigned)

    def float_literal(self, parts: list[Any]) -> Node:
        return _read(parts[0], literals.floating)

    def string_literal(self, parts: list[Any]) -> Node:
        return _read(parts[0], literals.string)

    def bytes_literal(self, parts: list[Any]) -> Node:
        return _read(parts[0], literals.binary)

    def true(self, parts: list[Any]) -> Node:
        return _literal(parts[0], True)

    def false(self, parts: list[Any]) -> Node:
        return _literal(parts[0], False)

    def null(self, parts: list[Any]) -> Node:
        return _literal(parts[0], None)

    def args(self, parts: list[Any]) -> tuple[Node, ...]:
        return tuple(parts)

    def elements(self, parts: list[Any]) -> list[Any]:
        return parts

    def optional(self, parts: list[Any]) -> "_Optional":
        return _Optional(parts[0])

    def entries(self, parts: list[Any]) -> list[Any]:
        return parts

    def entry(self, parts: list[Any]) -> Entry:
        return Entry(_unwrapped(parts[0]), parts[1], isinstance(parts[0], _Optional))


class _Optional:
    """An element or key that was written with a question mark."""

    def __init__(self, node: Node) -> None:
        self.node = node


def _unwrapped(each: "Node | _Optional") -> Node:
    return each.node if isinstance(each, _Optional) else each


def _unreserved(token: Token) -> str:
    if str(token) in _RESERVED:
        raise MacroError(_at(token), f"reserved identifier: {token}")
    return str(token)


def _deeper(node: Node) -> Node:
    """The same node as if it were one level deeper: parentheses leave no trace in the tree but their depth."""
    return replace(node, depth=node.depth + 1)


def _call_or_macro(target: Node | None, function: str, args: tuple[Node, ...], at: int) -> Node:
    expanded = expand(target, function, args, at)
    if expanded is not None:
        return expanded
    return Call(at=at, depth=depth_of(target, *args), target=target, function=function, args=args)


def qualified_name(node: Node | None) -> str | None:
    """a.b.c as one name, where `node` is nothing but names and dots."""
    names = []
    while isinstance(node, Select) and not node.test_only:
        names.append(node.field)
        node = node.operand
    return ".".join([node.name, *reversed(names)]) if isinstance(node, Ident) else None
