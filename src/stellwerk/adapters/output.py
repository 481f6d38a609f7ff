"""The door to the file system for what Stellwerk writes: whole files, or nothing."""

import errno
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from stellwerk.api.errors import InvalidInput


def check_output(path: str) -> None:
    """Raise InvalidInput, before the work, where a file surely cannot be written after it."""
    target = Path(path)
    try:
        folder = target.parent
        writable = folder.is_dir() and not target.is_dir() and os.access(folder, os.W_OK)
    except (OSError, ValueError):
        writable = False
    if not writable:
        raise InvalidInput(
            "{name} cannot be written: {reason}",
            fix="name a file in a folder that you may write to",
            source=path,
            name=path,
            reason="no such folder, or no right to write in it",
        )


def write_output(path: str, content: bytes) -> None:
    """Write a file so that it is either the old one or the new one, never half of it; raises InvalidInput."""
    target = Path(path)
    # Two containers that share a folder may both be process 1.
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        partial.write_bytes(content)
        partial.replace(target)
    except (OSError, ValueError) as error:
        partial.unlink(missing_ok=True)
        raise unwritten(path, error) from None


def unwritten(path: str, error: Exception) -> InvalidInput:
    """The operating system's refusal to write a file, in its own words, and what helps against it."""
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    return InvalidInput(
        "{name} cannot be written: {reason}",
        fix="make room on that disk, or name a folder on another one, then repeat the command"
        if full
        else "name a file in a folder that you may write to",
        source=path,
        name=path,
        reason=getattr(error, "strerror", None) or str(error),
    )


def write_folder(folder: str, option: str, files: Sequence[tuple[str, str]]) -> list[tuple[str, bool]]:
    """Write (name, text) files into a folder, made if missing; a file that is the same already is left alone.

    Returns their paths, each with whether it was written. Raises InvalidInput.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise InvalidInput(
            "{name} cannot be made: {reason}",
            fix="name another folder with {option}",
            path=option,
            name=folder,
            reason=getattr(error, "strerror", None) or str(error),
            option=option,
        ) from None
    return [(str(target / name), _write_changed(target / name, text.encode())) for name, text in files]


def _write_changed(target: Path, content: bytes) -> bool:
    try:
        if target.is_file() and target.read_bytes() == content:
            return False
    except OSError:
        pass  # Not readable: writing says why, if it fails as well.
    write_output(str(target), content)
    return True


def remove_files(folder: str, names: Sequence[str]) -> None:
    """Remove files of these names where they are there; raises InvalidInput where one cannot be removed."""
    for name in names:
        path = Path(folder) / name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise unwritten(str(path), error) from None
