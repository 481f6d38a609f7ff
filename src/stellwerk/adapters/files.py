"""The one door to the file system for input: bounded reading, and .xz and .gz unpacked on the way.

Every failure is an InvalidInput that names the file as the user named it. Nothing is trusted: a file may be
missing, a directory, a device, too large, cut off, or a decompression bomb.
"""

import hashlib
import lzma
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from stellwerk.api.errors import InvalidInput

MIB = 1 << 20
FILE_LIMIT = 64 * MIB
EXPANDED_LIMIT = 256 * MIB
FILES_LIMIT = 1_000
_STREAMS_LIMIT = 100
_XZ_MEMORY_LIMIT = 80 * MIB  # What `xz -9` needs for unpacking (65 MiB), and a little more.
_XZ_MAGIC, _GZ_MAGIC = b"\xfd7zXZ\x00", b"\x1f\x8b"
_MANIFEST_SUFFIXES = (".yaml", ".yml", ".json")


def read_input(path: str | Path, limit_bytes: int = FILE_LIMIT) -> bytes:
    """The content of a file of at most `limit_bytes`, unpacked if it is .xz or .gz (to at most 256 MiB)."""
    return expand(read_raw(path, limit_bytes), str(path))


def read_raw(path: str | Path, limit_bytes: int = FILE_LIMIT) -> bytes:
    """The bytes of a file as they lie there, at most `limit_bytes`: what a receipt hashes."""
    place, source = Path(path), str(path)
    try:
        mode = place.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InvalidInput(
                "{name} is a directory, a file is needed", fix="name a file in it", source=source, name=source
            )
        if not stat.S_ISREG(mode):
            raise InvalidInput(
                "{name} is not a regular file",
                fix="save its content to a file first",
                source=source,
                name=source,
            )
        with place.open("rb") as file:
            content = file.read(limit_bytes + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(source, error) from None
    if len(content) > limit_bytes:
        raise InvalidInput(
            "{name} is larger than {limit} MiB",
            fix="split it, or keep only the rows or objects that are to be replayed",
            source=source,
            name=source,
            limit=limit_bytes // MIB,
        )
    return content


def sha256(raw: bytes) -> str:
    """The SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(raw).hexdigest()


def list_manifest_files(directory: str | Path) -> list[Path]:
    """The *.yaml, *.yml and *.json files of a directory, sorted by name; hidden files are left out."""
    place, source = Path(directory), str(directory)
    try:
        names = sorted(
            entry.name
            for entry in place.iterdir()
            if entry.suffix in _MANIFEST_SUFFIXES and not entry.name.startswith(".") and not entry.is_dir()
        )
    except (OSError, ValueError) as error:
        raise _unreadable(source, error) from None
    if not names:
        raise InvalidInput(
            "{name} has no *.yaml, *.yml or *.json file",
            fix="name the directory that holds the manifests",
            source=source,
            name=source,
        )
    if len(names) > FILES_LIMIT:
        raise InvalidInput(
            "{name} has {count} manifest files, more than {limit}",
            fix="put several objects into one file, with a line --- between them",
            source=source,
            name=source,
            count=len(names),
            limit=FILES_LIMIT,
        )
    return [place / name for name in names]


def expand(raw: bytes, source: str) -> bytes:
    """`raw` unpacked, to at most 256 MiB, if it is xz or gzip (by name or first bytes); else as it is."""
    try:
        if raw.startswith(_XZ_MAGIC) or source.endswith(".xz"):
            return _unpack(raw, source, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY_LIMIT))
        if raw.startswith(_GZ_MAGIC) or source.endswith(".gz"):
            return _unpack(raw, source, lambda: zlib.decompressobj(wbits=31))
    except (lzma.LZMAError, zlib.error) as error:
        if "memory" in str(error).lower():
            raise InvalidInput(
                "{name} wants more than {limit} MiB of memory to be unpacked",
                fix="compress it again with `xz -9` or less",
                source=source,
                name=source,
                limit=_XZ_MEMORY_LIMIT // MIB,
            ) from None
        raise _corrupt(source) from None
    return raw


class _Stream(Protocol):
    """What lzma's and zlib's decompressors have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _unpack(raw: bytes, source: str, open_stream: Callable[[], _Stream]) -> bytes:
    """All streams of a file, one after the other; what follows the last may be padding of zero bytes."""
    parts: list[bytes] = []
    size, rest = 0, raw
    # The limit on streams bounds the copying of `rest`: a file may hold millions of empty ones.
    while (rest or not parts) and len(parts) < _STREAMS_LIMIT:
        stream = open_stream()
        parts.append(stream.decompress(rest, EXPANDED_LIMIT - size + 1))
        size += len(parts[-1])
        _check_stream(size, stream.eof, source)
        rest = stream.unused_data.lstrip(b"\0")
    if rest:
        raise InvalidInput(
            "{name} has more than {limit} compressed parts",
            fix="unpack it and compress it again as one",
            source=source,
            name=source,
            limit=_STREAMS_LIMIT,
        )
    return b"".join(parts)


def _check_stream(size: int, ended: bool, source: str) -> None:
    """Refuse what is too large, and what is cut off before its end."""
    if size > EXPANDED_LIMIT:
        raise InvalidInput(
            "{name} unpacks to more than {limit} MiB",
            fix="split it into smaller files",
            source=source,
            name=source,
            limit=EXPANDED_LIMIT // MIB,
        )
    if not ended:
        raise _corrupt(source)


def _corrupt(source: str) -> InvalidInput:
    return InvalidInput(
        "{name} is cut off or damaged: it cannot be unpacked",
        fix="copy or download it again; `xz -t` or `gzip -t` tells whether it is whole",
        source=source,
        name=source,
    )


def _unreadable(source: str, error: Exception) -> InvalidInput:
    """The operating system's refusal in its own words."""
    if isinstance(error, FileNotFoundError):
        return InvalidInput(
            "{name} does not exist", fix="name a file or directory that is there", source=source, name=source
        )
    words = getattr(error, "strerror", None) or str(error)
    return InvalidInput(
        "{name} cannot be read: {words}",
        fix="make it readable, or name another file",
        source=source,
        name=source,
        words=words,
    )
