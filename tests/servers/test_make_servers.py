"""What `make servers` says where it cannot bring a database, and that it brings nothing that is there."""

import shutil
import subprocess
from pathlib import Path

import pytest

BRING = Path(__file__).parents[2] / "tools" / "servers" / "bring.sh"
# All that the script calls, but apt and Go.
TOOLS = ("sh", "cat", "cksum", "dirname", "id", "mktemp", "rm", "mkdir", "mv", "sed", "tail", "flock")
PROGRAMS = ("prometheus", "promtool", "victoria-metrics")


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH without apt, Go and databases."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in TOOLS:
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return folder


def bring(path: Path, kept: Path) -> tuple[int, list[str]]:
    done = subprocess.run(
        ["/bin/sh", str(BRING)],
        env={"PATH": str(path), "STELLWERK_SERVERS": str(kept)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def programs_in(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name in PROGRAMS:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)


def test_without_apt_and_go_it_says_what_is_missing_and_what_to_do(tools: Path, tmp_path: Path) -> None:
    code, said = bring(tools, tmp_path / "a cache")
    assert code == 1 and len(said) == 3
    assert said[0].startswith("stellwerk: prometheus and promtool are missing, and this is not Debian; ")
    assert said[1].startswith(
        "stellwerk: VictoriaMetrics is built with Go, and there is no go in PATH; fix: "
    )
    assert said[2] == (
        "stellwerk: tests that need prometheus victoria-metrics are skipped (with CI=true: fail)"
    )
    assert list((tmp_path / "a cache").iterdir()) == []


def test_what_is_in_the_path_is_taken(tools: Path, tmp_path: Path) -> None:
    programs_in(tools)
    assert bring(tools, tmp_path / "cache") == (
        0,
        ["stellwerk: " + ", ".join(str(tools / name) for name in PROGRAMS)],
    )
    assert not (tmp_path / "cache").exists()


def test_what_is_kept_is_taken_until_another_version_is_wanted(tools: Path, tmp_path: Path) -> None:
    kept = tmp_path / "cache"
    programs_in(kept)
    there = ["stellwerk: " + ", ".join(str(kept / name) for name in PROGRAMS)]
    assert bring(tools, kept) == (0, there)
    (kept / "victoria-metrics.stamp").write_text("of another go.mod\n")
    code, said = bring(tools, kept)
    assert code == 1 and "there is no go in PATH" in said[0] and len(said) == 2


def test_a_program_that_go_cannot_build_is_not_kept(tools: Path, tmp_path: Path) -> None:
    go = tools / "go"
    go.write_text('#!/bin/sh\n[ "$1" = version ] && { echo go1.19; exit; }\necho too old; exit 1\n')
    go.chmod(0o755)
    code, said = bring(tools, tmp_path / "cache")
    assert code == 1 and "    too old" in said
    assert any("could not be built with go1.19 (lines above); fix: Go" in line for line in said)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named_with_the_way_out(tools: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    code, said = bring(tools, tmp_path / "file" / "cache")
    assert code == 1
    assert said == [
        f"stellwerk: {tmp_path}/file/cache cannot be written; fix: STELLWERK_SERVERS=<folder> names another"
    ]
