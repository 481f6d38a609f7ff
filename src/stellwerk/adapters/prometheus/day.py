"""One day of a database: GPUs, then the pods on them, what these are and when they waited."""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

import msgspec
from msgspec import Struct, field

from stellwerk.adapters.prometheus import queries
from stellwerk.adapters.prometheus.client import Answer, Queried, Result, TooMuch
from stellwerk.adapters.prometheus.queries import Stretch
from stellwerk.api.errors import Unreachable
from stellwerk.engine.joining.identity import (
    EXPORTER,
    NAMESPACE_LABELS,
    POD_LABELS,
    exporters_of,
    first,
    pod_name,
)

Expression = Callable[[Stretch], str]
SAMPLES_PER_ANSWER = 500_000  # About 12 MB of JSON.
SHORTEST_MS = 60_000  # A part of a day is not cut further: a minute of it is too much for the database.


class Fetched(Struct):
    """The answers of one day, one JSON text each, why any may lack something, and whether it has GPUs."""

    answers: list[bytes] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    gpus: bool = False

    def keep(self, answer: Answer) -> list[Result]:
        """Keep an answer; the series in it."""
        found = answer.data.result
        self.doubts.extend(answer.doubts)
        if found:
            self.answers.append(answer.text)
        return found


def fetch_day(client: Queried, day: Stretch) -> Fetched:
    """All that figures rest on. Raises Unreachable; what TooMuch refuses is asked for in shorter parts."""
    found = Fetched()
    holders: set[tuple[tuple[str, str], ...]] = set()
    for result in _counted(client, queries.DEVICE_METRICS, day, found):
        found.gpus = True
        named = {name: result.metric.get(name, "") for name in (*POD_LABELS, *NAMESPACE_LABELS)}
        holders.add(tuple(named.items()))
    exporters = exporters_of(map(dict, holders))
    pods = {pod_name(dict(each), exporters).partition("/")[2] for each in holders}
    asked = list(_asked(client, lambda part: queries.last(queries.GPU_REQUESTS, part), day, found))
    # kube-state-metrics may be scraped otherwise than the exporter, and in two clusters in two ways: its own
    # series say how pods are spelled.
    spelled = {_spelling(each) for each in asked} or {"pod"}
    pods.update(first(each.metric, POD_LABELS) for each in asked)
    names = {pod for pod in pods if pod and EXPORTER not in pod}
    _pods(client, sorted(spelled), names, (day, found))
    list(_counted(client, queries.NODE_METRICS, day, found))
    list(_counted(client, (queries.kueue_selector(),), day, found))
    return found


def _spelling(result: Result) -> str:
    """The label with the pod's name: where a scrape renamed it, `pod` is who told it."""
    return "exported_pod" if "exported_pod" in result.metric else "pod"


def _pods(
    client: Queried, spelled: Sequence[str], names: Collection[str], into: tuple[Stretch, Fetched]
) -> None:
    day, found = into
    owners: dict[str, set[str]] = {kind: set() for kind in queries.PARENTS}
    for label, batch in ((label, batch) for label in spelled for batch in queries.batches(names)):
        for result in _last(client, queries.facts_selector(label, batch), day, found):
            kind, owner = result.metric.get("owner_kind", ""), result.metric.get("owner_name", "")
            if kind in owners and owner:
                owners[kind].add(owner)
        waited = _asked(client, partial(queries.waited, label, batch), day, found)
        waiting = sorted({each.metric.get(label, "") for each in waited})
        if waiting:
            around = Stretch(day.start_ms - queries.MARGIN_MS, day.end_ms + queries.MARGIN_MS)
            for selector in queries.waiting_selectors(label, waiting):
                list(_raw(client, selector, around, found))
    for kind, (metric, parent) in queries.PARENTS.items():
        # Only a label that the target bears as well is renamed, which its pod is, and this one rarely is.
        for label in (parent, f"exported_{parent}")[: 1 + ("exported_pod" in spelled)]:
            for batch in queries.batches(owners[kind]):
                selector = queries.parents_selector(metric, label, batch)
                list(_last(client, selector, day, found))


def _counted(client: Queried, names: Sequence[str], day: Stretch, found: Fetched) -> Iterator[Result]:
    """The raw samples of these metrics; a doubt where the database counts other than it gives."""
    count = _count(client, names, day, found)
    if not count:
        return
    got = 0
    for part in day.parts(-(-count // SAMPLES_PER_ANSWER)):
        for result in _raw(client, queries.metrics_selector(names), part, found):
            got += samples_of(result)
            yield result
    if got < count:
        found.doubts.append(f"{names[0]}: {got} of {count} samples")


def _count(client: Queried, names: Sequence[str], day: Stretch, found: Fetched) -> int:
    """How many samples the database has of them in the day; asked in parts where a day is too much."""
    total = 0
    for part, answer in _in_parts(client, lambda part: queries.sample_count(names, part), day):
        found.doubts.extend(answer.doubts)
        values = [_number(each) for each in answer.data.result]
        if len(values) != 1:
            found.doubts.append(f"{names[0]}: no count of samples from {part.start_ms}")
        total += sum(values)
    return total


def _raw(client: Queried, selector: str, stretch: Stretch, found: Fetched) -> Iterator[Result]:
    for _, answer in _in_parts(client, lambda part: queries.raw(selector, part), stretch):
        yield from found.keep(answer)


def _in_parts(client: Queried, expression: Expression, stretch: Stretch) -> Iterator[tuple[Stretch, Answer]]:
    """The answers over the whole stretch: in halves, and halves of these, where the database refuses it."""
    try:
        answer = client.query(expression(stretch), stretch.at_ms)
    except TooMuch as error:
        if stretch.end_ms - stretch.start_ms <= SHORTEST_MS:
            raise Unreachable(
                "the database refuses even a minute of series: {words}",
                fix="raise its limits on samples and time of a query, or ask a replica with higher ones",
                words=str(error),
            ) from None
        for half in stretch.parts(2):
            yield from _in_parts(client, expression, half)
        return
    yield stretch, answer


def _asked(client: Queried, expression: Expression, day: Stretch, found: Fetched) -> Iterator[Result]:
    """The series of an answer that is not kept itself; of shorter parts of the day where it is too much."""
    for _, answer in _in_parts(client, expression, day):
        found.doubts.extend(answer.doubts)
        yield from answer.data.result


def _last(client: Queried, selector: str, day: Stretch, found: Fetched) -> Iterator[Result]:
    """The last values of series, kept: in parts of the day each part's, of which the latest counts."""
    for _, answer in _in_parts(client, lambda part: queries.last(selector, part), day):
        yield from found.keep(answer)


def samples_of(result: Result) -> int:
    """How many samples a series of a matrix has: each has its value in quotes, and nothing else has."""
    return bytes(result.values).count(b'"') // 2


def _number(result: Result) -> int:
    try:
        return int(float(msgspec.json.decode(result.value)[1]))
    except (msgspec.DecodeError, ValueError, TypeError, IndexError, OverflowError):
        return 0
