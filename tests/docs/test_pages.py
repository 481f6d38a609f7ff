"""What the pages show works: commands, manifests, links; both READMEs show the same commands."""

import re
from pathlib import Path

import pytest

from stellwerk.api.manifests import load_manifests
from stellwerk.api.validation import validate
from stellwerk.cli.main import main
from tests.docs.pages import PAGES, ROOT, Run, blocks, name_of, prose, runs

WITH_COMMANDS = [page for page in PAGES if runs(page)]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def test_there_are_pages_and_commands() -> None:
    assert len(PAGES) > 15 and len(WITH_COMMANDS) > 5


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder that holds nothing but the examples, in English, 100 columns wide."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    return tmp_path


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_a_command_of_a_page_runs_and_prints_what_the_page_shows(
    page: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for block in blocks(page):
        if file := block.marks.get("file"):
            (folder / file).write_text(block.text, encoding="utf-8")
    for run in runs(page):
        check(run, capsys)


def check(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    program, *arguments = run.command.split()
    assert program == "stellwerk", f"only stellwerk is run, not: {run.command}"
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert ended.value.code == run.exit_code, f"{run.command}\n{err}"
    printed = (out + err).splitlines()
    if run.shown:
        assert matches(run.shown[0], printed[0]), f"{run.command}: the first line differs"
    for line in run.shown:
        assert any(matches(line, other) for other in printed), f"{run.command}: not printed: {line}"


def matches(shown: str, printed: str) -> bool:
    if shown.endswith("..."):
        return printed.startswith(shown.removesuffix("..."))
    return shown == printed


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_link_leads_to_a_file_and_a_heading_of_this_repository(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists() and there.is_relative_to(ROOT), f"{name_of(page)}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", prose(there), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, f"{name_of(page)}: {target}"


def slug(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_manifest_on_a_page_is_valid(page: Path) -> None:
    for block in blocks(page):
        if block.language == "yaml" and "apiVersion" in block.text:
            validate(load_manifests(block.text.encode(), name_of(page)))


def test_the_german_readme_shows_the_same_commands_and_files() -> None:
    english, german = ROOT / "README.md", ROOT / "README.de.md"
    assert [run.command for run in runs(german)] == [run.command for run in runs(english)]
    assert typed(german) == typed(english)
    assert shape(german) == shape(english)


def typed(page: Path) -> list[str]:
    """The lines of shell blocks, without their comments."""
    lines = [line for block in blocks(page) if block.language == "sh" for line in block.text.splitlines()]
    return [line.partition("#")[0].strip() for line in lines]


def shape(page: Path) -> list[tuple[str, str]]:
    return [(block.language, block.marks.get("file", "")) for block in blocks(page)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_an_image_is_small_and_a_page_names_no_place_of_a_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(?:^|[\s`(])/(?:work|root|home|tmp)/", text)
    for image in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text):
        assert 0 < (page.parent / image).stat().st_size < 300_000
