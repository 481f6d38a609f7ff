"""Every sentence that a user may read is a literal template, gets its values, and exists in German."""

import ast
import string
from collections.abc import Collection, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract
from msgspec import Struct

from tests.architecture.sources import ROOT, Source, dotted, functions, source_of, sources

GERMAN = ROOT / "src/stellwerk/report/locale/de.po"
# Callee: its templates, as (position or None, keyword).
TEMPLATES: dict[str, list[tuple[int | None, str]]] = {
    "InvalidInput": [(0, "problem"), (None, "fix")],
    "Unreachable": [(0, "problem"), (None, "fix")],
    "Refusal": [(None, "problem"), (None, "fix")],
    "Reason": [(1, "text")],
    "LeftOut": [(1, "text")],
    "_": [(0, "")],
    "note": [(0, "")],
    "msg": [(0, "")],
}
ERRORS = ("InvalidInput", "Unreachable")
# At the edge a template that another room carries is translated: it was extracted where it was written.
CARRIED = frozenset({"problem", "fix", "text"})


class Found(Struct, frozen=True):
    """A template where it is written; `text` is None where it is no literal."""

    where: str
    text: str | None


Values = dict[str, list[ast.expr]]


def rows(node: ast.expr, values: Values) -> list[ast.expr]:
    """The elements of a tuple or list that is written out, perhaps under a name."""
    if isinstance(node, ast.Name):
        return [row for value in values.get(node.id, []) for row in rows(value, {})]
    return node.elts if isinstance(node, ast.Tuple | ast.List) else []


def bound(tree: ast.Module) -> Values:
    """What each name of a module may stand for: what is assigned, or a column of a table in a loop."""
    values: Values = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            values.setdefault(node.targets[0].id, []).append(node.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.comprehension):
            table = rows(node.iter, values)
            values.setdefault(dotted(node.target), []).extend(table)
            for column, name in enumerate(rows(node.target, {})):
                cells = [row.elts[column] for row in table if isinstance(row, ast.Tuple)]
                values.setdefault(dotted(name), []).extend(cells)
    return {name: found for name, found in values.items() if found}


def literals(node: ast.expr, values: Values, follow: int = 2) -> list[str | None]:
    """The texts that an argument may be; None where it is neither a literal nor a name for literals."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        return literals(node.body, values, follow) + literals(node.orelse, values, follow)
    if isinstance(node, ast.Name) and node.id in values and follow:
        return [text for value in values[node.id] for text in literals(value, values, follow - 1)]
    if isinstance(node, ast.Call) and dotted(node.func) == "msg":
        return []  # Marked where it is written.
    return [] if isinstance(node, ast.Attribute) and node.attr in CARRIED else [None]


def markers(tree: ast.AST) -> dict[str, list[tuple[int | None, str]]]:
    """The functions whose arguments are templates: the table's, and a module's own with a `template`."""
    own: dict[str, list[tuple[int | None, str]]] = {}
    for function in functions(tree):
        taken = [each for each in function.args.args if each.arg not in ("self", "cls")]
        for position, each in enumerate(taken):
            if each.arg == "template" and each.annotation and dotted(each.annotation) == "str":
                own[function.name] = [(position, "template")]
    return own | TEMPLATES


def arguments(call: ast.Call, marked: dict[str, list[tuple[int | None, str]]]) -> Iterator[ast.expr]:
    for position, keyword in marked.get(dotted(call.func).rpartition(".")[2], []):
        if position is not None and position < len(call.args):
            yield call.args[position]
        yield from (given.value for given in call.keywords if keyword and given.arg == keyword)


def calls(node: ast.AST, marked: Collection[str]) -> Iterator[ast.Call]:
    """Every call, but not those inside a function that is itself one of the marking functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef) and child.name in marked:
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from calls(child, marked)


def templates(source: Source) -> Iterator[Found]:
    """What the calls mark as a template."""
    values, marked = bound(source.tree), markers(source.tree)
    for call in calls(source.tree, marked):
        for argument in arguments(call, marked):
            for text in literals(argument, values):
                if text != "":
                    yield Found(f"{source.path}:{argument.lineno}", text)


def sentences(source: Source) -> Iterator[ast.expr]:
    """What is filled by `.format`, where no translator is at hand, and what a function `..notes` gives."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            yield node.func.value
    for function in functions(source.tree):
        for node in ast.walk(function) if function.name.endswith("notes") else []:
            if isinstance(node, ast.Yield | ast.Return) and node.value:
                yield from rows(node.value, {}) or [node.value]


def notes(source: Source) -> Iterator[Found]:
    """Finished sentences of the rooms below the report: it recognizes them by their template."""
    if source.room in ("report", "server", "cli", "tools"):
        return
    values = bound(source.tree)
    for node in sentences(source):
        for text in literals(node, values):
            if text and " " in text and "" not in places(text):  # `{}` fills what only we read.
                yield Found(f"{source.path}:{node.lineno}", text)


def html_templates(folder: Path) -> Iterator[Found]:
    """What the page's templates mark with `_` or `{% trans %}`."""
    for path in sorted(folder.rglob("*.html")):
        options = {"silent": "false"}  # A template that does not parse is an error here, not an empty list.
        for line, _function, message, _comments in babel_extract(
            path.open("rb"), ["_", "gettext"], [], options
        ):
            for text in [message] if isinstance(message, str) else message or ():
                if text:
                    yield Found(f"{path.name}:{line}", text)


def places(template: str) -> set[str]:
    """`{"gpus"}` for "{gpus} GPUs are too many"."""
    fields = (name for _, name, _, _ in string.Formatter().parse(template) if name is not None)
    return {name.split(".")[0].split("[")[0] for name in fields}


def passed(call: ast.Call) -> set[str | None] | None:
    """The values that a call gives its template; None where they are not written out."""
    if dotted(call.func).rpartition(".")[2] in ERRORS:
        given = {keyword.arg for keyword in call.keywords}
        return None if None in given else given - {"fix", "source", "document", "path"}
    values = call.args[2:] + [keyword.value for keyword in call.keywords if keyword.arg == "values"]
    if values and not isinstance(values[0], ast.Dict):
        return None
    keys = values[0].keys if values and isinstance(values[0], ast.Dict) else []
    return {str(key.value) for key in keys if isinstance(key, ast.Constant)}


def unfilled(source: Source) -> Iterator[str]:
    """Errors and reasons whose template names a place that gets no value: showing them would fail."""
    values = bound(source.tree)
    for call in calls(source.tree, TEMPLATES):
        if dotted(call.func).rpartition(".")[2] not in (*ERRORS, "Refusal", "Reason"):
            continue
        given = passed(call)
        texts = [
            text for argument in arguments(call, TEMPLATES) for text in literals(argument, values) if text
        ]
        missing = set[str]().union(*map(places, texts)) - (given or set())
        if missing and given is not None:
            yield f"{source.path}:{call.lineno} passes no value for {', '.join(sorted(missing))}"


def untranslated(found: list[Found], german: dict[str, str]) -> Iterator[str]:
    """Templates without a German entry, or whose entry names other places."""
    for each in found:
        if each.text is None:
            continue
        translation = german.get(each.text)
        if not translation:
            yield f"{each.where} is not in de.po: {each.text}"
        elif places(translation) != places(each.text):
            yield f"{each.where} names other places in German: {each.text} -> {translation}"


def read_german(path: Path) -> dict[str, str]:
    catalog = read_po(BytesIO(path.read_bytes()), locale="de", abort_invalid=True)
    return {str(entry.id): str(entry.string) for entry in catalog if entry.id and not entry.fuzzy}


def test_every_template_is_a_literal() -> None:
    found = [
        each.where for source in sources("src/stellwerk") for each in templates(source) if each.text is None
    ]
    assert not found, "not a literal template:\n" + "\n".join(found)


def test_every_error_fills_the_places_of_its_templates() -> None:
    found = [line for source in sources("src/stellwerk") for line in unfilled(source)]
    assert not found, "\n".join(found)


def test_every_template_exists_in_german_with_the_same_places() -> None:
    if not GERMAN.exists():
        pytest.skip("report/locale/de.po does not exist yet")
    found = [each for source in sources("src/stellwerk") for each in (*templates(source), *notes(source))]
    missing = list(untranslated([*found, *html_templates(ROOT / "src/stellwerk")], read_german(GERMAN)))
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('raise InvalidInput("{a} is bad", fix="set " "{b}", a=1, b=2)', ["{a} is bad", "set {b}"]),
        ('errors.Unreachable(problem="no answer")', ["no answer"]),
        ('Reason("gpu", "{free} free", {"free": 1})', ["{free} free"]),
        ('LeftOut(count=3, text="never scheduled")', ["never scheduled"]),
        ('_("one" if x else "two")', ["one", "two"]),
        ('WORDS = "a {b}"\nself.note(WORDS, b=1)', ["a {b}"]),
        ('InvalidInput(f"{a} is bad")', [None]),
        ('msg("a" + b)', [None]),
        ('Reason("gpu", template)', [None]),
        ('def f():\n text = "a {b}"\n return Reason("x", text)', ["a {b}"]),
        ('A = "cpu"\nROWS = ((1, A), (2, "gone"))\n[LeftOut(n, t) for n, t in ROWS]', ["cpu", "gone"]),
        ('TEXTS = ("a", "b")\nfor text in TEXTS:\n LeftOut(1, text)', ["a", "b"]),
        ('def _text(template: str):\n Reason("x", template)\n_text("a {b}")', ["a {b}"]),
        ('def _text(template: str):\n Reason("x", template)\n_text(word)', [None]),
        ("def _check(template: Pod): ...\n_check(word)", []),
        ('SAME = msg("same {n}")\n_(SAME, n=1)', ["same {n}"]),
        ("for text, n in counter.items():\n LeftOut(n, text)", [None]),
        ('text = "a"\ntext = text + x\nmsg(text)', ["a", None]),
        ('_(error.problem); InvalidInput("", fix="")', []),
        ("def note(template: str) -> str:\n    return _(template)", []),
    ],
)
def test_templates_are_found_and_what_is_no_literal_is_seen(code: str, expected: list[str | None]) -> None:
    assert [each.text for each in templates(source_of(code))] == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('UNKNOWN = "{n} jobs"\ndef f():\n return UNKNOWN.format(n=1)', ["{n} jobs"]),
        ('def _notes(a):\n yield "not measured"\n return ("a b", "c d")', ["not measured", "a b", "c d"]),
        ('"arrived {}, running {}".format(1, 2)\nself.text.format(a=1)\ndef f():\n return "some words"', []),
    ],
)
def test_finished_sentences_are_found_by_their_template(code: str, expected: list[str]) -> None:
    assert sorted(str(each.text) for each in notes(source_of(code))) == sorted(expected)
    assert not list(notes(source_of(code, "src/stellwerk/report/page.py")))


def test_a_missing_translation_and_one_with_other_places_are_found() -> None:
    found = [Found("x.py:1", text) for text in ("{a} of {b}", "free", "gone")]
    complete = {"{a} of {b}": "{b}: {a}", "free": "frei", "gone": "weg"}
    assert not list(untranslated(found, complete))
    assert len(list(untranslated(found, {**complete, "{a} of {b}": "{a}", "gone": ""}))) == 2


def test_what_a_template_of_the_page_marks_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text('<p title="{{ _("Wait") }}">{% trans %}Cost{% endtrans %}</p>')
    assert [each.text for each in html_templates(tmp_path)] == ["Wait", "Cost"]


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ('InvalidInput("{a} of {b}", a=1)', 'InvalidInput("{a}", fix="{b}", a=1, b=2, path="x")'),
        ('Unreachable("{a}", fix="{b}", a=1)', 'Unreachable("{a}", **given)'),
        ('Reason("x", "{a}")', 'Reason("x", "{a}", {"a": 1})'),
        ('Reason("x", text="{a} {b}", values={"a": 1})', 'Reason("x", "{a}", given)'),
    ],
)
def test_a_place_that_gets_no_value_is_found(bad: str, good: str) -> None:
    assert len(list(unfilled(source_of(bad)))) == 1
    assert not list(unfilled(source_of(good)))
