"""The project's Python files, parsed once, and what the checks ask of a syntax tree."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).resolve().parents[2]
PURE_ROOMS = frozenset({"api", "cel", "catalog", "engine", "control"})


class Source(Struct, frozen=True):
    """A module: its path from the project's root (`src/stellwerk/api/errors.py`), its text and its tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """`api` for src/stellwerk/api/...; the folder's name elsewhere (`tools`)."""
        parts = Path(self.path).parts
        return parts[2] if parts[:2] == ("src", "stellwerk") and len(parts) > 3 else parts[0]


def source_of(text: str, path: str = "src/stellwerk/engine/snippet.py") -> Source:
    """A module that exists in a test only."""
    return Source(path, text, ast.parse(text))


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Every module under these folders of the project, in order of paths."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    texts = [(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]
    return tuple(source_of(text, path) for path, text in texts)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function, also methods and nested ones."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def dotted(node: ast.expr) -> str:
    """`a.b.c` for a name or a chain of attributes, `Protocol` for `Protocol[T]`; "" for anything else."""
    if isinstance(node, ast.Subscript):
        return dotted(node.value)
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else node.attr
    return node.id if isinstance(node, ast.Name) else ""
