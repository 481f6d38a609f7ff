"""The documentation as data: pages, fenced blocks, tables, headings."""

import re
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda page: page.relative_to(ROOT).as_posix()
)
_MARKS = re.compile(r"<!-- (file|exit): (\S+) -->")
_CODE = re.compile(r"`([^`]+)`")


class Block(Struct, frozen=True):
    """A fenced block: its language, its text, and what the comment above it says (file, exit)."""

    language: str
    text: str
    marks: dict[str, str]


class Run(Struct, frozen=True):
    """A command that a page shows, the lines that it shows below, and the exit code that it states."""

    command: str
    shown: list[str]
    exit_code: int


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    found: list[Block] = []
    opened: tuple[str, list[str], dict[str, str]] | None = None
    marks: dict[str, str] = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        if opened is not None:
            if line.startswith("```"):
                found.append(Block(opened[0], "\n".join(opened[1]) + "\n", opened[2]))
                opened = None
            else:
                opened[1].append(line)
        elif line.startswith("```"):
            opened, marks = (line[3:].strip(), [], marks), {}
        elif mark := _MARKS.fullmatch(line.strip()):
            marks[mark[1]] = mark[2]
        elif line.strip():
            marks = {}
    assert opened is None, f"{name_of(page)}: a block is not closed"
    return found


def runs(page: Path) -> list[Run]:
    found: list[Run] = []
    for block in blocks(page):
        if block.language != "console":
            continue
        for line in block.text.splitlines():
            if line.startswith("$ "):
                found.append(Run(line[2:], [], int(block.marks.get("exit", "0"))))
            else:
                found[-1].shown.append(line)
    return found


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def sections(page: Path) -> dict[str, str]:
    """The text under each heading, by the heading, up to the next heading of any level."""
    found: dict[str, str] = {}
    title = ""
    for line in prose(page).splitlines():
        if line.startswith("#"):
            title = line.lstrip("# ")
        found[title] = found.get(title, "") + line + "\n"
    return found


def rows(text: str) -> list[list[str]]:
    """The cells of all rows of tables but their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines
    ]
    rules = [i for i, row in enumerate(cells) if all(set(cell) <= {"-"} and cell for cell in row)]
    heads = {i for rule in rules for i in (rule - 1, rule)}
    return [row for i, row in enumerate(cells) if i not in heads]


def code(text: str) -> list[str]:
    """What stands in backticks."""
    return _CODE.findall(text)


def first_column(text: str) -> set[str]:
    """The names in backticks in the first column of the tables in `text`."""
    return {name for row in rows(text) for name in code(row[0])}
