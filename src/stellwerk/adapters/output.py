"""The door to the file system for what Stellwerk writes: whole files, or nothing."""

import os
from pathlib import Path

from stellwerk.api.errors import InvalidInput


def write_output(path: str, content: bytes) -> None:
    """Write a file so that it is either the old one or the new one, never half of it; raises InvalidInput."""
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(content)
        partial.replace(target)
    except (OSError, ValueError) as error:
        partial.unlink(missing_ok=True)
        raise InvalidInput(
            "{name} cannot be written: {reason}",
            fix="name a file in a folder that you may write to",
            source=path,
            name=path,
            reason=getattr(error, "strerror", None) or str(error),
        ) from None
