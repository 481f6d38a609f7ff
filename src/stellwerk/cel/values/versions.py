"""Semantic versions 2.0 as Kubernetes reads them (github.com/blang/semver/v4, and semverlib.go for `normalize`)."""

import re
from functools import lru_cache

_DIGITS, _WORD = re.compile(r"[0-9]+"), re.compile(r"[0-9A-Za-z-]+")
_UINT64 = 2**64


class Version:
    """A version; build metadata plays no part in comparisons."""

    __slots__ = ("build", "key", "numbers")

    def __init__(
        self, numbers: tuple[int, int, int], pre: tuple[tuple[int, int, str], ...], build: str
    ) -> None:
        self.numbers, self.build = numbers, build
        self.key = (*numbers, not pre, pre)  # A version without a pre-release comes after those with one.

    def __str__(self) -> str:
        """The canonical text."""
        pre = ".".join(word or str(number) for _, number, word in self.key[4])
        return (
            ".".join(map(str, self.numbers))
            + ("-" + pre if pre else "")
            + ("+" + self.build if self.build else "")
        )


@lru_cache(maxsize=4096)
def parse_version(text: str) -> Version:
    """The version of `text`; raises ValueError with the library's message."""
    if not text:
        raise ValueError("Version string empty")
    parts = text.split(".", 2)
    if len(parts) != 3:
        raise ValueError("No Major.Minor.Patch elements found")
    major, minor = _number("major", parts[0]), _number("minor", parts[1])
    rest, plus, build = parts[2].partition("+")
    rest, dash, pre = rest.partition("-")
    patch = _number("patch", rest)
    releases = tuple(_release(each) for each in pre.split(".")) if dash else ()
    for each in build.split(".") if plus else ():
        if not each:
            raise ValueError("Build meta data is empty")
        if not _WORD.fullmatch(each):
            raise ValueError(f"Invalid character(s) found in build meta data {_quoted(each)}")
    return Version((major, minor, patch), releases, build)


def normalized(text: str) -> str:
    """`text` without a leading v and leading zeros, with missing numbers as 0; raises ValueError."""
    parts = text.removeprefix("v").split(".", 2)
    for at, part in enumerate(parts):
        if len(part) > 1:
            stripped = part.lstrip("0")
            parts[at] = stripped if stripped and stripped[0] in "0123456789" else "0" + stripped
    if len(parts) < 3:
        if "+" in parts[-1] or "-" in parts[-1]:
            raise ValueError("short version cannot contain PreRelease/Build meta data")
        parts += ["0"] * (3 - len(parts))
    return ".".join(parts)


def _number(name: str, text: str) -> int:
    if not _DIGITS.fullmatch(text):
        if text:
            raise ValueError(f"Invalid character(s) found in {name} number {_quoted(text)}")
        raise ValueError('strconv.ParseUint: parsing "": invalid syntax')
    if len(text) > 1 and text[0] == "0":
        raise ValueError(f"{name.capitalize()} number must not contain leading zeroes {_quoted(text)}")
    return _within(text)


def _release(text: str) -> tuple[int, int, str]:
    """Numbers come before words."""
    if not text:
        raise ValueError("Prerelease is empty")
    if _DIGITS.fullmatch(text):
        if len(text) > 1 and text[0] == "0":
            raise ValueError(f"Numeric PreRelease version must not contain leading zeroes {_quoted(text)}")
        return 0, _within(text), ""
    if not _WORD.fullmatch(text):
        raise ValueError(f"Invalid character(s) found in prerelease {_quoted(text)}")
    return 1, 0, text


def _within(text: str) -> int:
    if len(text) > 20 or int(text) >= _UINT64:
        raise ValueError(f"strconv.ParseUint: parsing {_quoted(text)}: value out of range")
    return int(text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
