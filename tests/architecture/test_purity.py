"""Pure rooms take time, chance and the world as arguments; figures are the same bits on every machine.

import-linter (pyproject.toml) watches imports, also indirect ones; here are the calls that need no import of
their own, and a proof that the contracts of import-linter bite.
"""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import PURE_ROOMS, ROOT, Source, dotted, source_of, sources

CLOCKS = re.compile(r"\b(datetime|date)\.(now|utcnow|today)$|^time\.|\b(monotonic|perf_counter)(_ns)?$")
CHANCE = re.compile(r"^(random|secrets|uuid)\.|^(uuid[14]|urandom|os\.urandom)$")
WORLD = re.compile(
    r"^(open|input|exec|eval|os\.(environ|getenv|system|listdir))\b|\.(write_text|write_bytes|mkdir|unlink|open)$"
)
READS = re.compile(r"\.(read_text|read_bytes|iterdir|glob|rglob|exists|is_file)$")
# libm rounds these differently from system to system; sqrt, floor and ceil are exact, as IEEE 754 says.
LIBM = re.compile(
    r"^c?math\.(a?(sin|cos|tan)h?|atan2|cbrt|erfc?|exp2?|expm1|l?gamma|log(2|10|1p)?|pow|hypot|dist)$"
)
LIBM_CHANCE = re.compile(
    r"\.(gauss|(norm|lognorm|expo|beta|gamma|pareto|weibull|vonmises)(al)?variate|triangular|binomialvariate)$"
)
BIT_EQUAL_ROOMS = PURE_ROOMS | {"sim", "runtime", "ports"}
Check = Callable[[Source], Iterator[str]]


def called(source: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            yield node.lineno, dotted(node.func)
        elif isinstance(node, ast.Subscript) and dotted(node.value) == "os.environ":
            yield node.lineno, "os.environ"
        elif isinstance(node, ast.ImportFrom):  # Its names would be called without the module's.
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def impure_calls(source: Source) -> Iterator[str]:
    if source.room not in PURE_ROOMS:
        return
    # The catalog's facts are package data: it may read them, and nothing else may.
    patterns = [CLOCKS, CHANCE, WORLD] + ([] if source.room == "catalog" else [READS])
    for line, name in called(source):
        if any(pattern.search(name) for pattern in patterns):
            yield f"{source.path}:{line} calls {name}; a pure room gets it as an argument"


def inexact_calls(source: Source) -> Iterator[str]:
    if source.room not in BIT_EQUAL_ROOMS:
        return
    for line, name in called(source):
        if LIBM.search(name) or LIBM_CHANCE.search(name):
            yield f"{source.path}:{line} calls {name}, whose last bit differs between machines"


SIM = "src/stellwerk/sim/day.py"
CATALOG = "src/stellwerk/catalog/prices.py"
CASES: list[tuple[Check, Source, Source]] = [
    (impure_calls, source_of("now = datetime.datetime.now(UTC)"), source_of("datetime.now(UTC)", SIM)),
    (impure_calls, source_of("date.today()"), source_of("datetime.fromisoformat(text)")),
    (impure_calls, source_of("import time\ntime.time()"), source_of("job.time.start()")),
    (impure_calls, source_of("random.random()"), source_of("entropy.next_below(3)")),
    (impure_calls, source_of("open('x')"), source_of("reopen('x')")),
    (impure_calls, source_of("os.environ['HOME']"), source_of("environ['HOME']")),
    (impure_calls, source_of("path.read_text()"), source_of("path.read_text()", CATALOG)),
    (impure_calls, source_of("path.write_text('')", CATALOG), source_of("json.decode(b'')", CATALOG)),
    (
        inexact_calls,
        source_of("math.exp(1)", SIM),
        source_of("math.isqrt(4) + math.ceil(1) + math.prod([])", SIM),
    ),
    (inexact_calls, source_of("from math import exp", SIM), source_of("from math import ceil", SIM)),
    (inexact_calls, source_of("chance.lognormvariate(0, 1)", SIM), source_of("chance.randrange(9)", SIM)),
]


@pytest.mark.parametrize("check", [impure_calls, inexact_calls])
def test_every_module_keeps_the_rule(check: Check) -> None:
    found = [line for source in sources("src/stellwerk") for line in check(source)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("check", "bad", "good"), CASES)
def test_the_rule_bites(check: Check, bad: Source, good: Source) -> None:
    assert len(list(check(bad))) == 1
    assert not list(check(good))


PLANTED = {  # A file with a forbidden import, and the contract that must break.
    "api/a.py": ("import stellwerk.engine.decision", "rooms"),
    "attic/__init__.py": ("", "rooms"),  # A room that nobody named.
    "engine/money/bill.py": ("import stellwerk.engine.explain", "engine"),
    "engine/decision.py": ("import stellwerk.catalog.clocks", "pure"),
    "engine/money/sums.py": ("import numpy", "numpy"),
    "sim/picture.py": ("def draw() -> None:\n    import matplotlib", "matplotlib"),
}
GOOD = {
    "catalog/clocks.py": "",
    "engine/explain/__init__.py": "",
    "engine/placement/kernel.py": "import numpy",
    "report/pictures.py": "import matplotlib",
    "cli/main.py": "import time, stellwerk.report.pictures",
    "engine/advice/advise.py": "import stellwerk.engine.placement.kernel",
}


def broken_contracts(folder: Path, files: dict[str, str]) -> set[str]:
    """Which contracts of pyproject.toml lint-imports finds broken in a package of these files."""
    package = folder / "stellwerk"
    for name, text in {"__init__.py": "", "api/__init__.py": "", "engine/__init__.py": "", **files}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    for path in package.rglob("*"):
        if path.is_dir():
            (path / "__init__.py").touch()
    shutil.copy(ROOT / "pyproject.toml", folder)
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]
    output = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout
    words = " ".join(output.split())
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert all(f"{contract['name']} " in words for contract in contracts), output
    return {contract["id"] for contract in contracts if f"{contract['name']} BROKEN" in words}


def test_the_import_contracts_keep_quiet_where_all_is_well(tmp_path: Path) -> None:
    assert broken_contracts(tmp_path, GOOD) == set()


@pytest.mark.parametrize("name", PLANTED)
def test_the_import_contracts_bite(name: str, tmp_path: Path) -> None:
    text, contract = PLANTED[name]
    clocks = {"catalog/clocks.py": "import time"} if contract == "pure" else {}
    assert contract in broken_contracts(tmp_path, {**GOOD, **clocks, name: text})


def test_every_pure_room_that_exists_is_in_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    pure = next(contract for contract in contracts if contract["id"] == "pure")
    named = {module.split(".")[1] for module in pure["source_modules"]}
    assert named == PURE_ROOMS
