"""What is looked at when all types are known: elements of literals agree, and constants can be read."""

from stellwerk.cel.check.checker import Checked
from stellwerk.cel.check.kinds import Type, formatted
from stellwerk.cel.errors import CompileError, EvaluationError
from stellwerk.cel.library.texts import pattern_of
from stellwerk.cel.library.times import parse_duration, parse_timestamp
from stellwerk.cel.syntax.parser import located_error
from stellwerk.cel.syntax.tree import Call, Const, ListNode, MapNode, Node, children, descendants

_READERS = {"duration": parse_duration, "timestamp": parse_timestamp, "matches": pattern_of}


def validate(checked: Checked, text: str) -> None:
    """Raises CompileError with every fault found (cel/validator.go of cel-go v0.29.2)."""
    errors = _unreadable(checked) or []
    exempt = _within_format(checked.root)
    for node in descendants(checked.root):
        if node in exempt:
            continue
        if isinstance(node, ListNode):
            errors += _mixed(checked, [(each, at in node.optional) for at, each in enumerate(node.elements)])
        elif isinstance(node, MapNode):
            errors += _mixed(checked, [(each.key, False) for each in node.entries])
            errors += _mixed(checked, [(each.value, each.optional) for each in node.entries])
    if errors:
        shown = [located_error(text, at, message) for at, message in sorted(set(errors))]
        raise CompileError("compilation failed: " + "\n".join(shown))


def _unreadable(checked: Checked) -> list[tuple[int, str]]:
    errors = []
    for node in descendants(checked.root):
        if not isinstance(node, Call) or node.function not in _READERS or not node.args:
            continue
        argument = node.args[0]
        if isinstance(argument, Const) and isinstance(argument.value, str):
            try:
                _READERS[node.function](argument.value)
            except EvaluationError:
                errors.append((argument.at, f"invalid {node.function} argument"))
    return errors


def _mixed(checked: Checked, elements: list[tuple[Node, bool]]) -> list[tuple[int, str]]:
    """The first element whose type differs from that of the first one."""
    kinds = [
        (node, _unwrapped(checked.types[node]) if optional else checked.types[node])
        for node, optional in elements
    ]
    for node, kind in kinds[1:]:
        first = kinds[0][1]
        if not _equivalent(first, kind):
            return [(node.at, f"expected type '{formatted(first)}' but found '{formatted(kind)}'")]
    return []


def _unwrapped(kind: Type) -> Type:
    return kind.params[0] if kind.params else kind


def _equivalent(one: Type, other: Type) -> bool:
    same = one.kind == other.kind and one.name == other.name and len(one.params) == len(other.params)
    return same and all(map(_equivalent, one.params, other.params))


def _within_format(root: Node) -> set[Node]:
    """The arguments of `format` may be of different types."""
    found: set[Node] = set()
    for node in descendants(root):
        if isinstance(node, Call) and node.function == "format":
            found.update(each for below in children(node) for each in descendants(below))
    return found
