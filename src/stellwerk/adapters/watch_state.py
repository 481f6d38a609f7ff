"""What a watch told, kept in a file, so that after a restart it goes on to tell only what changes."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from stellwerk.adapters.files import EXPANDED_LIMIT, read_raw
from stellwerk.adapters.output import write_output
from stellwerk.adapters.rows import shown
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.advice.changes import Told

KIND, API_VERSION = "WatchState", "stellwerk.dev/v1alpha1"


class WatchState(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`asked` is what decides the verdicts, by option: under other options it tells nothing."""

    api_version: str = API_VERSION
    kind: str = KIND
    asked: Mapping[str, str]
    told: Told


def read_state(path: str, asked: Mapping[str, str]) -> Told:
    """What the last run told; nothing where there is no such file yet. Raises InvalidInput for any other."""
    if not Path(path).exists():
        return Told()
    try:
        found = msgspec.json.decode(read_raw(path, EXPANDED_LIMIT), type=WatchState)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(
            "{name} is no state of stellwerk watch: {words}",
            fix="name another file with --state, or remove it: all is told anew then",
            source=path,
            name=path,
            words=shown(str(error), 200),
        ) from None
    for option, value in asked.items():
        if found.asked.get(option) != value:
            raise InvalidInput(
                '{name} was written with {option} "{before}", not "{now}"',
                fix="name another file with --state, or remove it: all is told anew then",
                source=path,
                name=path,
                option=option,
                before=shown(found.asked.get(option, ""), 200),
                now=shown(value, 200),
            )
    return found.told


def write_state(path: str, asked: Mapping[str, str], told: Told) -> None:
    """Write the file, whole or not at all; raises InvalidInput."""
    write_output(path, msgspec.json.encode(WatchState(asked=asked, told=told)) + b"\n")
