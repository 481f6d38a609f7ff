"""Exposition text of Prometheus and OpenMetrics, several scrapes in a row; each sample with its time.

Times are milliseconds (Prometheus) or seconds (OpenMetrics): told by size. `# EOF` may stand anywhere, and
exemplars are left out.
"""

import io
import re

from stellwerk.adapters.metrics.intake import Chunk, Intake, Place
from stellwerk.adapters.rows import shown
from stellwerk.api.errors import InvalidInput

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*+"
_TEXT = r'"(?:[^"\\]++|\\.)*+"'
_LABELS = rf"[ \t]*+\{{((?:[^\"}}]++|{_TEXT})*+)\}}[ \t]*+"
_LINE = re.compile(rf"({NAME})(?:{_LABELS}|[ \t]++)([^\s{{]\S*+)(?:[ \t]++([^\s#]\S*+))?[ \t]*+(?:#.*)?")
_LABEL = re.compile(rf"[ \t]*+({NAME})[ \t]*+=[ \t]*+({_TEXT})[ \t]*+(?:,|$)")
_ESCAPE = re.compile(r"\\(.)")
_MEANING = {"n": "\n"}


def read_exposition(content: bytes, source: str, intake: Intake, at_ms: int | None) -> None:
    """Put every sample in `content` into `intake`; one without a time is of `at_ms`."""
    place = Place(source)
    chunks: dict[str, Chunk] = {}
    number = 0
    try:
        for number, line in enumerate(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig"), start=1):
            line = line.rstrip()
            if not line or line.startswith("#"):
                continue
            place.field = f"line {number}"
            # Most lines repeat a series of an earlier scrape: their labels are not parsed again.
            parts = line.rsplit(" ", 2)
            if len(parts) == 3 and parts[0] in chunks:
                intake.add(chunks[parts[0]], intake.time_ms(parts[2], place), parts[1], place)
            else:
                _read(line, chunks, place, intake, at_ms)
    except UnicodeDecodeError:
        raise InvalidInput(
            "{name} is not UTF-8 text after line {line}",
            fix="save the scrape again",
            source=source,
            name=source,
            line=number,
        ) from None


def _read(line: str, chunks: dict[str, Chunk], place: Place, intake: Intake, at_ms: int | None) -> None:
    match = _LINE.fullmatch(line)
    if match is None:
        raise InvalidInput(
            '"{text}" is no sample',
            fix='a sample is name{{label="text"}} value time; correct {field} of {name}',
            source=place.source,
            path=place.field,
            text=shown(line, 80),
            field=place.field,
            name=place.source,
        )
    metric, labels, value, time = match.groups()
    chunk = intake.chunk(place, metric, _labels(labels or "", place))
    if time is None and at_ms is None:
        raise InvalidInput(
            "{field} has no time, so nobody knows when it was measured",
            fix="name the time with --at 2026-11-23T12:00:00Z, or save /federate, which gives times",
            source=place.source,
            path=place.field,
            field=place.field,
        )
    moment = intake.time_ms(time, place) if time is not None else at_ms or 0
    intake.add(chunk, moment, value, place)
    head, _, tail = line.rpartition(" ")
    if time is not None and tail == time and head.endswith(f" {value}"):
        chunks[head[: -len(value) - 1]] = chunk


def _labels(text: str, place: Place) -> dict[str, str]:
    labels: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _LABEL.match(text, at)
        if match is None:
            if text[at:].strip():
                raise place.refuse('"{value}" is no label', text[at:])
            break
        labels[match[1]] = _ESCAPE.sub(lambda found: _MEANING.get(found[1], found[1]), match[2][1:-1])
        at = match.end()
    return labels
