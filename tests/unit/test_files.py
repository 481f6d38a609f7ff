"""Reading input: whatever lies there, the answer is its bytes or one InvalidInput that names it."""

import gzip
import lzma
import os
import zlib
from pathlib import Path

import pytest

from stellwerk.adapters.files import MIB, expand, list_manifest_files, read_input, sha256
from stellwerk.api.errors import InvalidInput

TEXT = b"name,arrival,duration\n" * 1000


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("jobs.csv", TEXT),
        ("jobs.csv.xz", lzma.compress(TEXT)),
        ("jobs.csv.gz", gzip.compress(TEXT, mtime=0)),
        ("packed-without-suffix", lzma.compress(TEXT)),
        ("two-streams.xz", lzma.compress(TEXT[:500]) + lzma.compress(TEXT[500:])),
        ("two-members.gz", gzip.compress(TEXT[:500]) + gzip.compress(TEXT[500:])),
        ("padded.xz", lzma.compress(TEXT) + b"\0" * 8),
    ],
)
def test_plain_and_packed_files_read_the_same(tmp_path: Path, name: str, raw: bytes) -> None:
    (tmp_path / name).write_bytes(raw)
    assert read_input(tmp_path / name) == TEXT


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("cut.xz", lzma.compress(TEXT)[:-20]),
        ("cut.gz", gzip.compress(TEXT, mtime=0)[:-20]),
        ("empty.xz", b""),
        ("empty.gz", b""),
        ("garbage.xz", b"no xz at all"),
        ("flipped.xz", lzma.compress(TEXT)[:40] + b"\xff\xff" + lzma.compress(TEXT)[42:]),
        ("trailing.gz", gzip.compress(TEXT, mtime=0) + b"tail"),
    ],
)
def test_a_damaged_archive_is_named(name: str, raw: bytes) -> None:
    with pytest.raises(InvalidInput, match="cut off or damaged") as caught:
        expand(raw, name)
    assert caught.value.source == name and caught.value.fix


def test_a_bomb_is_stopped_at_the_limit() -> None:
    # 300 MiB of zeros in three streams: each alone is within the limit.
    bomb = lzma.compress(bytes(100 * MIB), preset=0) * 3
    assert len(bomb) < MIB
    with pytest.raises(InvalidInput, match="unpacks to more than 256 MiB"):
        expand(bomb, "bomb.xz")


def test_a_million_empty_streams_are_refused_at_once() -> None:
    with pytest.raises(InvalidInput, match="more than 100 compressed parts"):
        expand(gzip.compress(b"") * 1000, "many.gz")


def test_an_archive_that_wants_too_much_memory_is_refused() -> None:
    raw = bytearray(lzma.compress(TEXT))
    # The block's header begins at byte 12 and ends with its CRC32. 36 stands for a dictionary of 1 GiB.
    end = 12 + (raw[12] + 1) * 4 - 4
    raw[raw.index(b"\x21\x01") + 2] = 36
    raw[end : end + 4] = zlib.crc32(raw[12:end]).to_bytes(4, "little")
    with pytest.raises(InvalidInput, match="wants more than 80 MiB of memory"):
        expand(bytes(raw), "greedy.xz")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        read_input(tmp_path / "missing.csv")
    with pytest.raises(InvalidInput, match="is a directory"):
        read_input(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="not a regular file"):
        read_input(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_input("a\0b")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_input("x" * 5000)


def test_a_file_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large.csv").write_bytes(bytes(MIB + 1))
    with pytest.raises(InvalidInput, match=r"larger than 1 MiB"):
        read_input(tmp_path / "large.csv", MIB)
    assert len(read_input(tmp_path / "large.csv", MIB + 1)) == MIB + 1


def test_manifest_files_are_listed_by_name(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yaml", "c.json", ".hidden.yaml", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.yaml").mkdir()
    assert [path.name for path in list_manifest_files(tmp_path)] == ["a.yaml", "b.yml", "c.json"]


def test_a_directory_without_manifests_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="has no"):
        list_manifest_files(tmp_path)
    with pytest.raises(InvalidInput, match="does not exist"):
        list_manifest_files(tmp_path / "missing")


def test_the_hash_is_that_of_the_bytes() -> None:
    assert sha256(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
