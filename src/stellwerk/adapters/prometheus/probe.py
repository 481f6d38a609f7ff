"""Find out what a database is and what is in it, in a few small questions: the facts of a diagnosis.

Presence is asked of the last minutes or the last hour before the newest sample of a GPU, history by a search
over days: nothing here reads a month.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from stellwerk.adapters.prometheus import queries
from stellwerk.adapters.prometheus.build import build_facts, rule_facts
from stellwerk.adapters.prometheus.client import Answer, Page, Result, TooMuch
from stellwerk.adapters.prometheus.queries import DEVICE_METRICS, Stretch
from stellwerk.api.errors import Unreachable
from stellwerk.engine.diagnosis.exporter import SAMPLED
from stellwerk.engine.diagnosis.facts import (
    ClusterFacts,
    DatabaseFacts,
    Facts,
    HistoryFacts,
    Series,
)
from stellwerk.engine.joining.identity import NAMESPACE_LABELS, POD_LABELS, first
from stellwerk.engine.usage import FB_USED

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
SAMPLE_MS = 10 * MINUTE_MS
MOST_DAYS = 400  # How far back history is looked for.
NODES = ("kube_node_info", *queries.NODE_METRICS)
WAITING = ("kube_pod_status_phase", "kube_pod_status_unschedulable", "kube_pod_status_scheduled")
CLUSTER = (*queries.POD_FACTS, *WAITING, *(metric for metric, _ in queries.PARENTS.values()), *NODES)
OWN = "stellwerk[:_].+"
KIND_LABEL = "label_stellwerk_dev_workload_kind"
# A pod's name, whether or not its scrape renamed the labels.
_POD = "namespace, pod, exported_namespace, exported_pod"


class Probed(Protocol):
    """A database that is asked: its API and its own pages."""

    def query(self, expression: str, at_ms: int) -> Answer:
        """The answer to an instant query."""
        ...

    def page(self, path: str) -> Page | None:
        """What a path answers, if it does."""
        ...


class _Prober:
    """Asks, and keeps the doubts: what is refused for its size is one of them, and an empty answer."""

    def __init__(self, database: Probed) -> None:
        self._database = database
        self.doubts: list[str] = []

    def ask(self, expression: str, at_ms: int) -> list[Result]:
        """The series of an answer."""
        try:
            answer = self._database.query(expression, at_ms)
        except TooMuch as error:
            self.doubts.append(str(error))
            return []
        self.doubts.extend(answer.doubts)
        return answer.data.result

    def any(self, metric: str, stretch: Stretch) -> bool:
        """Whether a metric has a sample in a stretch."""
        found = self.ask(f"count({queries.last(metric, stretch)})", stretch.at_ms)
        return any(_number(each) > 0 for each in found)

    def names(self, pattern: str, stretch: Stretch) -> dict[str, int]:
        """The metrics of these names (a regular expression) that have a sample in a stretch -> series."""
        selector = f'{{__name__=~"{pattern}"}}'
        found = self.ask(f"count by (__name__) ({queries.last(selector, stretch)})", stretch.at_ms)
        return {each.metric.get("__name__", ""): _number(each) for each in found}


def probe(database: Probed, period: Stretch) -> Facts:
    """The facts about a database and the time in it that is asked for; raises Unreachable.

    `period.end_ms` is now.
    """
    answer_ms = _reached(database, period.end_ms)
    prober = _Prober(database)
    history, metric = _history(prober, period)
    newest_ms = period.end_ms if history.newest_ms is None else history.newest_ms
    built = build_facts(database)
    counted = _counted(database, newest_ms) if history.newest_ms is not None else DatabaseFacts()
    hour = Stretch(newest_ms + 1 - HOUR_MS, newest_ms + 1)
    minutes = Stretch(newest_ms + 1 - SAMPLE_MS, newest_ms + 1)
    fields = prober.names("DCGM_.+", hour) if metric else {}
    sampled = queries.metrics_selector(tuple(dict.fromkeys((*SAMPLED, metric)))) if metric else ""
    samples = prober.ask(queries.raw(sampled, minutes), minutes.at_ms) if sampled else []
    cluster = _cluster(prober, minutes)
    own = prober.names(OWN, Stretch(period.end_ms - SAMPLE_MS, period.end_ms))
    return Facts(
        database=msgspec.structs.replace(
            built,
            answer_ms=answer_ms,
            day_samples=counted.day_samples,
            count_ms=counted.count_ms,
            count_refused=counted.count_refused,
            doubts=tuple(dict.fromkeys(prober.doubts)),
        ),
        history=history,
        fields=fields,
        samples=tuple(map(_series, samples)),
        cluster=cluster,
        rules=rule_facts(database),
        own=own,
    )


def _reached(database: Probed, at_ms: int) -> int:
    """How long an answer takes. Raises Unreachable for who does not answer: nothing else is asked then."""
    started = time.monotonic()
    try:
        database.query("vector(1)", at_ms)
    except TooMuch as error:
        raise Unreachable(
            "the database does not answer the smallest question: {words}",
            fix="see whether it is overloaded, then repeat the command",
            words=str(error),
        ) from None
    return _since(started)


def _history(prober: _Prober, period: Stretch) -> tuple[HistoryFacts, str]:
    """How far series of GPUs go, and the metric that was looked at; "" for none."""
    now_ms = period.end_ms
    names, window = _newest_window(prober, period)
    if window is None:
        return HistoryFacts(start_ms=period.start_ms, now_ms=now_ms), ""
    metric = FB_USED if FB_USED in names else min(names)
    newest_ms = _newest(prober, metric, window)
    ahead = Stretch(now_ms + MINUTE_MS, now_ms + MINUTE_MS + HOUR_MS)
    history = HistoryFacts(
        start_ms=period.start_ms,
        now_ms=now_ms,
        newest_ms=newest_ms,
        oldest_ms=_oldest(prober, metric, newest_ms, period.start_ms),
        future=prober.any(metric, ahead),
    )
    return history, metric


def _newest_window(prober: _Prober, period: Stretch) -> tuple[Mapping[str, int], Stretch | None]:
    """The last hour, or else the last day, that has a reading of a GPU, and the metrics in it."""
    pattern = "|".join(DEVICE_METRICS)
    hour = Stretch(period.end_ms - HOUR_MS, period.end_ms)
    if names := prober.names(pattern, hour):
        return names, hour
    for end_ms in range(period.end_ms, period.start_ms, -DAY_MS):
        day = Stretch(end_ms - DAY_MS, end_ms)
        if names := prober.names(pattern, day):
            return names, day
    return {}, None


def _newest(prober: _Prober, metric: str, window: Stretch) -> int:
    """When its newest sample is, in a window that has one: looked for in the later half, then asked for."""
    while window.end_ms - window.start_ms > SAMPLE_MS:
        half = (window.start_ms + window.end_ms) // 2
        later = Stretch(half, window.end_ms)
        window = later if prober.any(metric, later) else Stretch(window.start_ms, half)
    found = prober.ask(queries.raw(metric, window), window.at_ms)
    times = [time_ms for each in found for time_ms, _ in _points(each)]
    return max(times, default=window.at_ms)


def _oldest(prober: _Prober, metric: str, newest_ms: int, start_ms: int) -> int:
    """The beginning of the first day (UTC) that has samples, if no day after it lacks them."""
    last_day = newest_ms // DAY_MS

    def there(days: int) -> bool:
        start = (last_day - days) * DAY_MS
        return prober.any(metric, Stretch(start, start + DAY_MS))

    have, lack = 0, MOST_DAYS
    asked = max(0, last_day - start_ms // DAY_MS)
    if 0 < asked < lack:
        have, lack = (asked, lack) if there(asked) else (0, asked)
    while lack - have > 1:
        middle = (have + lack) // 2
        have, lack = (middle, lack) if there(middle) else (have, middle)
    return (last_day - have) * DAY_MS


def _counted(database: Probed, newest_ms: int) -> DatabaseFacts:
    """How many samples a whole day has, and how long it takes to count them: as a fetch begins."""
    # Prometheus 2 counts both ends of a range: no sample is at the first.
    end_ms = newest_ms + 1000
    day = Stretch(end_ms - DAY_MS, end_ms)
    started = time.monotonic()
    try:
        found = database.query(queries.sample_count(DEVICE_METRICS, day), day.at_ms).data.result
    except TooMuch as error:
        return DatabaseFacts(count_refused=str(error))
    return DatabaseFacts(day_samples=sum(map(_number, found)), count_ms=_since(started))


def _cluster(prober: _Prober, minutes: Stretch) -> ClusterFacts:
    """What kube-state-metrics and Kueue show in these minutes."""
    series = prober.names("|".join((*CLUSTER, queries.kueue_selector())), minutes)
    selector = queries.metrics_selector(NODES)
    nodes = prober.ask(f"count by (node, exported_node) ({queries.last(selector, minutes)})", minutes.at_ms)
    running = prober.ask(
        f"kube_pod_start_time and on ({_POD}) {queries.GPU_REQUESTS} "
        f"unless on ({_POD}) kube_pod_completion_time",
        minutes.at_ms,
    )
    kinds = prober.ask(f'count(kube_pod_labels{{{KIND_LABEL}!=""}})', minutes.at_ms)
    return ClusterFacts(
        series=series,
        nodes=tuple(sorted({_node(each) for each in nodes} - {""})),
        running=tuple(sorted({_pod(each) for each in running})),
        kinds=sum(map(_number, kinds)),
    )


def _node(result: Result) -> str:
    return first(result.metric, ("exported_node", "node"))


def _pod(result: Result) -> str:
    return f"{first(result.metric, NAMESPACE_LABELS) or 'default'}/{first(result.metric, POD_LABELS)}"


def _series(result: Result) -> Series:
    labels = {name: value for name, value in result.metric.items() if name != "__name__"}
    return Series(metric=result.metric.get("__name__", ""), labels=labels, points=tuple(_points(result)))


def _points(result: Result) -> Iterable[tuple[int, str]]:
    """The samples of a range vector: time in ms, and the value as it was sent."""
    try:
        found = msgspec.json.decode(result.values or b"[]", type=list[tuple[float, str]])
    except msgspec.DecodeError:
        return []
    return [(round(seconds * 1000), value) for seconds, value in found]


def _number(result: Result) -> int:
    """The value of an instant vector's series, at least 0."""
    try:
        return max(0, int(float(msgspec.json.decode(result.value, type=tuple[float, str])[1])))
    except (msgspec.DecodeError, ValueError, OverflowError):
        return 0


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
