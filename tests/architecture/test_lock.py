"""The lock files install the same bytes for everybody: pinned, hashed, no place or host of one machine."""

import re
import tomllib
from collections.abc import Iterator

import pytest

from tests.architecture.sources import ROOT

LOCKS = ("requirements.txt", "requirements-dev.txt")
PLACE = re.compile(
    r"(?:https?|ftp|git\+\w+|file)://|(?<![\w.\-$}])/(?:home|root|work|Users|mnt|workspace)/|pypi\.org|pythonhosted"
    r"|--(?:index-url|extra-index-url|find-links|trusted-host)|@ file:",
    re.IGNORECASE,
)


def requirements(text: str) -> list[str]:
    """The logical lines: comments dropped, continued lines joined."""
    joined = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [" ".join(line.split()) for line in joined.splitlines() if line.strip()]


def pins(text: str) -> dict[str, str]:
    """Version by package name."""
    return dict(line.split()[0].split("==") for line in requirements(text))


def packages(dependencies: list[str]) -> set[str]:
    """The names in `["click>=8.1"]`."""
    return {re.split(r"[<>=!~\[; ]", text)[0].lower() for text in dependencies}


def faults(text: str) -> Iterator[str]:
    """What makes a lock unfit: a place or host, a requirement without exact version or without hash."""
    yield from (f"names a place: {match.group()}" for match in PLACE.finditer(text))
    for line in requirements(text):
        if not re.fullmatch(r"[a-z0-9._-]+==[^ ]+( --hash=sha256:[0-9a-f]{64})+", line):
            yield f"not pinned with a hash: {line[:60]}"


HASH = "--hash=sha256:" + "0" * 64


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_pinned_and_hashed_and_names_no_place(lock: str) -> None:
    assert not list(faults((ROOT / lock).read_text()))


@pytest.mark.parametrize(
    "line",
    [
        "click>=8",
        "click==8.1.0",
        f"click==8.1.0 {HASH[:-1]}",
        f"click @ file:///c.whl {HASH}",
        f"--index-url=x\nclick==8.1.0 {HASH}",
        f"# from /home/me/wheels\nclick==8.1.0 {HASH}",
        "# via https:" + f"//mirror.example\nclick==8.1.0 {HASH}",
    ],
)
def test_a_lock_with_a_fault_is_found(line: str) -> None:
    assert list(faults(line))
    assert not list(faults(f"click==8.1.0 \\\n    {HASH}\n    # via rich"))


@pytest.mark.parametrize("name", ["Makefile", "pyproject.toml", ".ci/run", *sorted(
    path.relative_to(ROOT).as_posix() for path in (ROOT / "tools").glob("*.sh"))])  # fmt: skip
def test_the_tooling_names_no_place_of_one_machine(name: str) -> None:
    assert not PLACE.search((ROOT / name).read_text())


def test_the_lock_holds_every_dependency_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    runtime, dev = (pins((ROOT / lock).read_text()) for lock in LOCKS)
    assert packages(project["dependencies"]) | {"setuptools"} <= runtime.keys()
    assert packages(project["optional-dependencies"]["dev"]) <= dev.keys()
    assert runtime.items() <= dev.items()
