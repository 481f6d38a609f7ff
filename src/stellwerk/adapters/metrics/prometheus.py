"""Prometheus' HTTP API as JSON: answers of query_range and query, one or several a file.

A whole answer, its `data`, or its list of results; a list of answers, or one answer a line. Each result has
`metric` with `__name__`, and `values` ([[seconds, "text"], ...]) or one `value`.
"""

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from stellwerk.adapters.metrics.intake import Intake, Place, seconds_ms
from stellwerk.adapters.rows import shown
from stellwerk.api.errors import InvalidInput


class _Answer(Struct):
    """An answer, its data, or one result: told apart by which fields are there."""

    status: str = ""
    error: str = ""
    warnings: list[str] | None = None
    is_partial: bool = msgspec.field(name="isPartial", default=False)
    data: "_Answer | list[_Answer] | None" = None
    result: "list[_Answer] | None" = None
    metric: dict[str, str] | None = None
    values: Raw = Raw()
    value: Raw = Raw()


Point = tuple[float, str | float]
_ANSWERS = msgspec.json.Decoder(_Answer | list[_Answer])
_VALUES = msgspec.json.Decoder(list[Point])
_VALUE = msgspec.json.Decoder(Point)


def read_json(content: bytes, source: str, intake: Intake) -> None:
    """Put every result of the answers in `content` into `intake`."""
    place = Place(source)
    results = 0
    for answer in _decoded(content, source):
        if answer.warnings or answer.is_partial:
            intake.findings.add("answer-partial", source.rpartition("/")[2].partition(".")[0])
        for result in _results(answer, place):
            results += 1
            place.field = f"result {results}"
            _read(result, place, intake)
    if not results:
        raise InvalidInput(
            "{name} holds no result of a query",
            fix="save the answer of /api/v1/query_range for DCGM exporter's series",
            source=source,
            name=source,
        )


def _decoded(content: bytes, source: str) -> list[_Answer]:
    """The answers; several whole ones may follow each other, one a line."""
    try:
        try:
            found = _ANSWERS.decode(content)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            lines = _ANSWERS.decode_lines(content)
            return [each for line in lines for each in (line if isinstance(line, list) else [line])]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput(
            "{name} is no JSON answer of Prometheus: {words}",
            fix="save the answer of /api/v1/query_range as it comes",
            source=source,
            name=source,
            words=shown(str(error), 200),
        ) from None
    return found if isinstance(found, list) else [found]


def _results(answer: _Answer, place: Place) -> Iterator[_Answer]:
    if answer.status == "error" or answer.error:
        raise InvalidInput(
            "{name} holds an error of Prometheus: {words}",
            fix="repeat the query, perhaps for a shorter time or with a longer step",
            source=place.source,
            name=place.source,
            words=shown(answer.error or answer.status, 200),
        )
    if answer.metric is not None:
        yield answer
    below = answer.data if isinstance(answer.data, list) else [answer.data] if answer.data else []
    for each in (*below, *(answer.result or ())):
        yield from _results(each, place)


def _read(result: _Answer, place: Place, intake: Intake) -> None:
    labels = result.metric or {}
    metric = labels.pop("__name__", "")
    if not metric:
        raise InvalidInput(
            "{field} has no __name__: the query changed the series, or summed them",
            fix="query the series themselves, such as {query}",
            source=place.source,
            path=place.field,
            field=place.field,
            query='{__name__=~"DCGM_.*|kube_pod_.*"}',
        )
    # Instant answers are one sample each: those of one file make one series.
    points = _points(result, place)
    if result.values and not result.value:
        times = [point[0] for point in points]
        texts = [value if isinstance(value, str) else repr(value) for _, value in points]
        intake.fill(intake.fresh(metric, labels), times, texts, place)
        return
    chunk = intake.fresh(metric, labels) if result.values else intake.chunk(place, metric, labels)
    for seconds, value in points:
        intake.add(chunk, seconds_ms(seconds, place), value if isinstance(value, str) else repr(value), place)


def _points(result: _Answer, place: Place) -> list[Point]:
    try:
        points = _VALUES.decode(result.values) if result.values else []
        return [*points, _VALUE.decode(result.value)] if result.value else points
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput(
            "{field} holds a sample that cannot be read: {words}",
            fix='a sample is [seconds, "value"]: export the series again',
            source=place.source,
            path=place.field,
            field=place.field,
            words=shown(str(error), 200),
        ) from None
