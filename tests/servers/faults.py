"""What can be wrong with an answer on its way from a database, one fault a function.

A Fault takes what was asked and how to ask the database, and gives the Answer that the client gets. Those
that change samples read the database's real answer, so that the rest of it stays true.
"""

import gzip as gzip_format
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from msgspec import Struct
from msgspec.structs import replace

Json = dict[str, Any]
JSON = {"content-type": "application/json"}
LOGIN = "/login"


class Asked(Struct, frozen=True):
    """A request as it came to the proxy: `number` counts from 0, header names are lower case."""

    number: int
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes = b""

    @property
    def parameters(self) -> dict[str, str]:
        """What was asked for, from the query and from a form (POST); the last of equal names."""
        form = parse_qs(self.body.decode()) if "form" in self.headers.get("content-type", "") else {}
        return {name: values[-1] for name, values in {**self.query, **form}.items()}


class Answer(Struct, frozen=True):
    """What the client gets: after `wait_s` seconds `status`, `headers` and `body`.

    `sent_bytes` cuts the connection after so many bytes of the body, whose length is announced in full; with
    status 0 it is cut before a byte is sent. `vanishes` closes the server's port as well.
    """

    status: int = 200
    headers: dict[str, str] = {}
    body: bytes = b""
    wait_s: float = 0
    sent_bytes: int | None = None
    vanishes: bool = False


Forward = Callable[[], Answer]
Fault = Callable[[Asked, Forward], Answer]


def passed(asked: Asked, forward: Forward) -> Answer:
    """No fault: the database's own answer."""
    return forward()


def answered(status: int, body: str = "", **headers: str) -> Fault:
    """Any answer that is not the database's; `retry_after="1"` becomes the header retry-after."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda asked, forward: Answer(status, {"content-type": "text/plain", **named}, body.encode())


def failing(status: int = 500, retry_after: str = "") -> Fault:
    """500, 502, 503, 504 of a gateway, or 429: text, and Retry-After (seconds or a date) if given."""
    headers = {"retry_after": retry_after} if retry_after else {}
    return answered(status, "upstream connect error or disconnect/reset before headers", **headers)


def refused(status: int = 401) -> Fault:
    """401 or 403, as a gateway that checks who asks."""
    return answered(status, "Unauthorized\n", www_authenticate='Basic realm="monitoring"')


def error(status: int, kind: str, message: str) -> Fault:
    """An error in the API's own form: 400 bad_data, 422 execution, 503 timeout."""
    body = {"status": "error", "errorType": kind, "error": message}
    return lambda asked, forward: Answer(status, JSON, json.dumps(body).encode())


def too_many_samples() -> Fault:
    """Prometheus' answer to a query above --query.max-samples."""
    message = "query processing would load too many samples into memory in query execution"
    return error(422, "execution", message)


def truncated(share: float = 0.5) -> Fault:
    """The body ends early, and its length agrees: JSON that does not close."""

    def fault(asked: Asked, forward: Forward) -> Answer:
        whole = forward()
        return replace(whole, body=whole.body[: int(len(whole.body) * share)])

    return fault


def cut(share: float = 0.5) -> Fault:
    """The connection ends in the middle of the body."""

    def fault(asked: Asked, forward: Forward) -> Answer:
        whole = forward()
        return replace(whole, sent_bytes=int(len(whole.body) * share))

    return fault


def hung_up(asked: Asked, forward: Forward) -> Answer:
    """The connection ends before a byte of the answer."""
    return Answer(status=0)


def gone(asked: Asked, forward: Forward) -> Answer:
    """The server ends during this request: later ones find its port closed, until `Proxy.come_back()`."""
    return Answer(status=0, vanishes=True)


def slow(seconds: float) -> Fault:
    """The right answer, late."""
    return lambda asked, forward: replace(forward(), wait_s=seconds)


def gzipped(asked: Asked, forward: Forward) -> Answer:
    """The right answer, compressed."""
    whole = forward()
    headers = {**whole.headers, "content-encoding": "gzip"}
    return replace(whole, headers=headers, body=gzip_format.compress(whole.body, 1))


def login_page(asked: Asked, forward: Forward) -> Answer:
    """A single sign-on's page with status 200, where JSON was asked for."""
    page = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><form></form></body></html>"
    return Answer(200, {"content-type": "text/html; charset=utf-8"}, page.encode())


def redirected(location: str = f"{LOGIN}?next=/", status: int = 302) -> Fault:
    """Sent elsewhere; the proxy answers with the login page there, whatever its script says."""
    return lambda asked, forward: Answer(status, {"location": location})


def edited(change: Callable[[Json], object]) -> Fault:
    """The database's JSON, changed in place by `change`; what is not JSON passes."""

    def fault(asked: Asked, forward: Forward) -> Answer:
        whole = forward()
        if not whole.headers.get("content-type", "").startswith("application/json"):
            return whole
        body = json.loads(whole.body)
        change(body)
        return replace(whole, body=json.dumps(body).encode())

    return fault


def _each_series(change: Callable[[Json], object]) -> Fault:
    def all_of(body: Json) -> None:
        for series in _series(body):
            change(series)

    return edited(all_of)


def _series(body: Json) -> list[Json]:
    """The series of a matrix or a vector; none in an answer of another form (labels, for example)."""
    data = body.get("data")
    found: list[Json] = data.get("result", []) if isinstance(data, dict) else []
    return found


def with_value(value: str = "NaN", every: int = 10) -> Fault:
    """Every tenth sample of each series is NaN, +Inf, -Inf, or no number at all."""

    def change(series: Json) -> None:
        for number, sample in enumerate(series.get("values", [series.get("value")])):
            if number % every == 0:
                sample[1] = value

    return _each_series(change)


def duplicate_samples(every: int = 10, other_value: str | None = None) -> Fault:
    """Every tenth sample comes twice; the second time with another value, if one is given."""

    def change(series: Json) -> None:
        doubled = []
        for number, (stamp, value) in enumerate(series.get("values", [])):
            doubled.append([stamp, value])
            if number % every == 0:
                doubled.append([stamp, value if other_value is None else other_value])
        series["values"] = doubled

    return _each_series(change)


def duplicate_series(body: Json) -> None:
    """Each series comes twice, as from two replicas; used as `edited(duplicate_series)`."""
    _series(body).extend(json.loads(json.dumps(_series(body))))


def out_of_order(body: Json) -> None:
    """The samples of each series run backward; used as `edited(out_of_order)`."""
    for series in _series(body):
        series.get("values", []).reverse()


def no_series(body: Json) -> None:
    """An answer without a series; used as `edited(no_series)`."""
    if isinstance(body.get("data"), dict):
        body["data"]["result"] = []
    else:
        body["data"] = []


def holes(from_s: float, to_s: float) -> Fault:
    """No sample in [from, to), in seconds since 1970."""

    def change(series: Json) -> None:
        kept = [sample for sample in series.get("values", []) if not from_s <= sample[0] < to_s]
        series["values"] = kept

    return _each_series(change)


def warned(text: str = "remote read: store 10.0.0.1:10901 did not answer") -> Fault:
    """Data with `warnings`, as Thanos and Prometheus with remote read say that a part is missing."""
    return edited(lambda body: body.update(warnings=[text]))


def partial(keep_every: int = 2) -> Fault:
    """`isPartial`, as VictoriaMetrics' cluster says that a storage node is away: series are missing."""

    def change(body: Json) -> None:
        body["isPartial"] = True
        _series(body)[:] = _series(body)[::keep_every]

    return edited(change)
