"""Limits of design.md, section 6: a function, a module, parameters, nesting and a folder stay small."""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import Source, functions, source_of, sources

FUNCTION_LINES, MODULE_LINES, PARAMETERS, NESTING, FOLDER_MODULES = 60, 500, 5, 3, 12
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
Check = Callable[[Source], Iterator[str]]


def long_functions(source: Source) -> Iterator[str]:
    for function in functions(source.tree):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > FUNCTION_LINES:
            yield f"{source.path}:{function.lineno} {function.name} has {lines} lines, limit {FUNCTION_LINES}"


def long_modules(source: Source) -> Iterator[str]:
    lines = source.text.count("\n")
    if lines > MODULE_LINES:
        yield f"{source.path} has {lines} lines, limit {MODULE_LINES}"


def many_parameters(source: Source) -> Iterator[str]:
    for function in functions(source.tree):
        given = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
        count = sum(parameter.arg not in ("self", "cls") for parameter in given)
        if count > PARAMETERS:
            yield f"{source.path}:{function.lineno} {function.name} takes {count}, limit {PARAMETERS}"


def depth(node: ast.AST) -> int:
    """Blocks inside blocks below a node; an `elif` is as deep as its `if`; a nested function is its own."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        is_elif = isinstance(child, ast.If) and isinstance(node, ast.If) and node.orelse == [child]
        deepest = max(deepest, depth(child) + (isinstance(child, BLOCKS) and not is_elif))
    return deepest


def deep_nesting(source: Source) -> Iterator[str]:
    for function in functions(source.tree):
        deep = depth(function)
        if deep > NESTING:
            yield f"{source.path}:{function.lineno} {function.name} nests {deep} deep, limit {NESTING}"


def full_folders(paths: list[str]) -> Iterator[str]:
    modules = Counter(str(Path(path).parent) for path in paths if Path(path).name != "__init__.py")
    for folder, count in sorted(modules.items()):
        if count > FOLDER_MODULES:
            yield f"{folder} has {count} modules, limit {FOLDER_MODULES}"


NESTED = "def f():\n for a in b:\n  if a:\n   while a:\n    {last}\n"
CASES: list[tuple[Check, str, str]] = [
    (long_functions, "def f():\n" + " x = 1\n" * 60, "def f():\n" + " x = 1\n" * 59),
    (long_modules, "x = 1\n" * 501, "x = 1\n" * 500),
    (many_parameters, "def f(a, b, c, d, *, e, f): ...", "def f(self, a, b, c, *, d, e, **f): ..."),
    (deep_nesting, NESTED.format(last="with a: pass"), NESTED.format(last="pass")),
    (
        deep_nesting,
        NESTED.format(last="try: pass\n    finally: pass"),
        NESTED.format(last="def g():\n     if a: pass"),
    ),
    (deep_nesting, NESTED.format(last="if a: pass"), "def f():\n" + " if a: pass\n" + " elif a: pass\n" * 4),
]
CHECKS = list(dict.fromkeys(check for check, _, _ in CASES))


@pytest.mark.parametrize("check", CHECKS)
def test_every_module_keeps_the_limit(check: Check) -> None:
    found = [line for source in sources("src/stellwerk", "tools", "benchmarks") for line in check(source)]
    assert not found, "\n".join(found)


def test_every_folder_keeps_the_limit() -> None:
    found = list(full_folders([source.path for source in sources("src/stellwerk", "tools", "benchmarks")]))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("check", "bad", "good"), CASES)
def test_the_limit_bites_one_above_and_not_at_it(check: Check, bad: str, good: str) -> None:
    assert len(list(check(source_of(bad)))) == 1
    assert not list(check(source_of(good)))


def test_a_folder_of_13_modules_is_found_and_one_of_12_is_not() -> None:
    assert not list(full_folders(["a/__init__.py", *(f"a/m{number}.py" for number in range(12))]))
    assert len(list(full_folders([f"a/m{number}.py" for number in range(13)]))) == 1
