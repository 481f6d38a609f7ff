"""Names say what a thing is, classes do not inherit, and whatever is public is typed and documented."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import Source, dotted, functions, source_of, sources

FORBIDDEN = frozenset(
    {"util", "utils", "helper", "helpers", "common", "base", "misc", "manager", "managers", "types"}
    | {"handler", "handlers", "service", "services"}
)
ALLOWED_BASES = {
    "Protocol": "a port",
    "Struct": "data",
    "Exception": "the two errors of api.errors",
    "Generic": "typing only, nothing is inherited",
    "TypedDict": "typing only, nothing is inherited",
    "click.Group": "click's own way to load a verb only when it is called",
    "click.Command": "click's own way to change how a verb is called",
    "click.ParamType": "click's own way to parse an option",
    "ValueError": "an error that its caller's rules expect as such",
    "CelError": "the two ways in which an expression fails",
    "Node": "the nodes of an expression's tree, told apart by match",
    "Transformer": "lark's own way to build a tree while it parses",
    "int": "a number of another CEL type compares and hashes like a number",
    "HTMLParser": "the standard library's only interface to parse HTML",
}
Check = Callable[[Source], Iterator[str]]


def forbidden_names(source: Source) -> Iterator[str]:
    for part in Path(source.path).with_suffix("").parts:
        if part.strip("_") in FORBIDDEN:
            yield f"{source.path}: '{part}' says nothing; take the field's word"


def inheritance(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        for base in node.bases if isinstance(node, ast.ClassDef) else []:
            name = dotted(base)
            if not {name, name.rpartition(".")[2]} & ALLOWED_BASES.keys():
                yield f"{source.path}:{base.lineno} inherits from {name}; take a function, Struct or Protocol"


def public(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from [] if node.name.startswith("_") else [node]


def undocumented(source: Source) -> Iterator[str]:
    if source.tree.body and not ast.get_docstring(source.tree):
        yield f"{source.path} has no docstring"
    for node in public(source.tree.body):
        if not ast.get_docstring(node):
            yield f"{source.path}:{node.lineno} {node.name} has no docstring"


def untyped(source: Source) -> Iterator[str]:
    for function in functions(source.tree):
        given = function.args
        parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        named = [each for each in parameters if each and each.arg not in ("self", "cls")]
        bare = [each.arg for each in named if not each.annotation]
        bare += [] if function.returns else ["its result"]
        if bare:
            yield f"{source.path}:{function.lineno} {function.name} has no type for {', '.join(bare)}"


def printing(source: Source) -> Iterator[str]:
    if source.room in ("cli", "tools", "benchmarks"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and dotted(node.func) == "print":
            yield f"{source.path}:{node.lineno} prints; only the command line does"


DOCUMENTED = '"""M."""\ndef f() -> None:\n "F."\nclass C:\n "C."\n'
CASES: list[tuple[Check, Source, Source]] = [
    (
        forbidden_names,
        source_of("", "src/stellwerk/api/_utils.py"),
        source_of("", "src/stellwerk/api/node.py"),
    ),
    (
        forbidden_names,
        source_of("", "src/stellwerk/common/a.py"),
        source_of("", "src/stellwerk/api/based.py"),
    ),
    (inheritance, source_of("class A(dict): ..."), source_of("class A(Struct, frozen=True): ...")),
    (inheritance, source_of("class A(other.Thing[int]): ..."), source_of("class A(Protocol[T]): ...")),
    (undocumented, source_of("x = 1"), source_of("")),
    (undocumented, source_of(DOCUMENTED + "def g() -> None: ..."), source_of(DOCUMENTED)),
    (undocumented, source_of(DOCUMENTED + "class D: ..."), source_of(DOCUMENTED + "class _D: ...")),
    (untyped, source_of("def f(a) -> int: ..."), source_of("def f(self, a: int) -> int: ...")),
    (untyped, source_of("def f(a: int): ..."), source_of("def f(*a: int) -> int: ...")),
    (printing, source_of("print(1)"), source_of("print(1)", "src/stellwerk/cli/main.py")),
]
CHECKS = list(dict.fromkeys(check for check, _, _ in CASES))


@pytest.mark.parametrize("check", CHECKS)
def test_every_module_keeps_the_rule(check: Check) -> None:
    found = [line for source in sources("src/stellwerk", "tools") for line in check(source)]
    assert not found, "\n".join(found)


def test_no_test_file_has_a_name_that_says_nothing() -> None:
    found = [line for source in sources("tests", "benchmarks") for line in forbidden_names(source)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("check", "bad", "good"), CASES)
def test_the_rule_bites(check: Check, bad: Source, good: Source) -> None:
    assert len(list(check(bad))) == 1
    assert not list(check(good))
