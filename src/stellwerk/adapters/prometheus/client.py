"""Ask the database: instant queries, again while it is busy, with words for each way in which it can fail.

An answer that is not whole (cut off, another length than announced, no JSON) counts as none. What is asked
again: 429 (after Retry-After), 500, 502, 503, 504, a connection that failed, an answer that is not whole.
"""

import json
import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import Raw, Struct

from stellwerk.adapters.rows import shown
from stellwerk.api.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stellwerk.adapters.prometheus.endpoint import Endpoint

BUSY = frozenset({429, 500, 502, 503, 504})
REFUSED = frozenset({401, 403, 407})
ANSWER_LIMIT = 255 << 20  # A line of a file: 256 MiB of it can be read again.
_REDIRECTS = range(300, 400)
_WORDS_LIMIT, _WORDS_START = 300, 60
_QUERY = re.compile(r'"(?:[^"\\]|\\.){60,}"')  # A text in quotes, with its escaped quotes.


class TooMuch(Exception):
    """The database refuses a query for its size, or does not finish it in time: ask for a shorter time."""


class Result(Struct):
    """One series of an answer; its samples are left as they came."""

    metric: dict[str, str] = {}
    values: Raw = Raw()
    value: Raw = Raw()


class Data(Struct):
    """The data of an answer: a matrix or a vector."""

    result_type: str = msgspec.field(name="resultType", default="")
    result: list[Result] = []


class Answer(Struct):
    """A whole answer. `warnings` and `is_partial`: it may lack something, by the database's own word."""

    status: str = ""
    data: Data = msgspec.field(default_factory=Data)
    warnings: list[str] = []
    is_partial: bool = msgspec.field(name="isPartial", default=False)

    @property
    def text(self) -> bytes:
        """The answer as JSON in one line, the same for the same data: how long it took is left out."""
        data = self.data
        results = sorted(_result_text(each) for each in data.result)
        rest: dict[str, object] = {"status": self.status}
        if self.warnings:
            rest["warnings"] = self.warnings
        if self.is_partial:
            rest["isPartial"] = True
        start = b'%s,"data":{"resultType":%s,"result":[' % (
            msgspec.json.encode(rest)[:-1],
            msgspec.json.encode(data.result_type),
        )
        return b"%s%s]}}" % (start, b",".join(results))

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the answer may lack something."""
        return (*self.warnings, *(("isPartial",) if self.is_partial else ()))


class Queried(Protocol):
    """What answers instant queries: a Client, or what only writes down what is asked."""

    def query(self, expression: str, at_ms: int) -> Answer:
        """The answer to an instant query."""
        ...


class Page(Struct, frozen=True):
    """What a path answers with 200; `date` is the server's clock (RFC 9110, 6.6.1), "" where it says none."""

    content: bytes
    date: str


class Client:
    """The API of one endpoint. `wait` sleeps for seconds; `on_retry` hears why something is asked again.

    Safe to use from several threads.
    """

    def __init__(self, endpoint: "Endpoint", wait: "Callable[[float], None]" = time.sleep) -> None:
        self._endpoint, self._wait = endpoint, wait
        patience = endpoint.patience
        self._http = httpx.Client(
            base_url=endpoint.url,
            headers=dict(endpoint.headers),
            auth=endpoint.basic,
            verify=endpoint.tls if endpoint.tls is not None else True,
            proxy=endpoint.proxy,
            trust_env=not endpoint.loopback,
            timeout=httpx.Timeout(patience.timeout_s, connect=min(10.0, patience.timeout_s)),
        )
        self.on_retry: Callable[[str], None] = lambda _words: None

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def query(self, expression: str, at_ms: int) -> Answer:
        """The answer to an instant query. Raises TooMuch, or Unreachable with the database's words."""
        form = {"query": expression, "time": f"{at_ms // 1000}.{at_ms % 1000:03d}"}
        return self._asked("/api/v1/query", form)

    def page(self, path: str) -> Page | None:
        """What a path answers to one GET; None for any other status than 200, and for no answer at all."""
        response = self._sent("GET", path, {})
        if isinstance(response, str) or response.status_code != 200:
            return None
        return Page(response.content, response.headers.get("date", ""))

    def _asked(self, path: str, form: dict[str, str]) -> Answer:
        words = ""
        patience = self._endpoint.patience
        late = False
        for attempt in range(patience.tries):
            if attempt:
                self.on_retry(words)
            found = self._sent("POST", path, form)
            if isinstance(found, str):
                words, pause, late = found, None, "timed out" in found
            elif found.status_code in BUSY:
                words, pause = _said(found), _retry_after(found)
                late = "timed out" in words or found.status_code == 504
            else:
                self._check(found)
                answer = self._decoded(found)
                if isinstance(answer, Answer):
                    return answer
                words, pause, late = answer, None, False
            if attempt + 1 < patience.tries and not late:
                doubled = patience.first_wait_s * 2**attempt
                self._wait(min(doubled if pause is None else max(pause, doubled), patience.longest_wait_s))
            elif late:
                break
        # What is late for the little query as well is not late for the size of this one.
        if late and not isinstance(self._sent("POST", path, {"query": "vector(1)"}), str):
            raise TooMuch(words)
        raise self._gone(words)

    def _sent(self, method: str, path: str, form: dict[str, str]) -> httpx.Response | str:
        """The response, read whole; or in words why there is none."""
        try:
            with self._http.stream(method, path, data=form or None) as response:
                return httpx.Response(
                    response.status_code,
                    headers=[(k, v) for k, v in response.headers.items() if k in _KEPT_HEADERS],
                    content=_whole(response.iter_bytes()),
                )
        except httpx.TimeoutException as error:
            if isinstance(error, httpx.ConnectTimeout):
                return "no connection within 10 s"
            return f"timed out after {self._endpoint.patience.timeout_s:g} s"
        except httpx.HTTPError as error:
            return shown(str(error) or type(error).__name__, _WORDS_LIMIT)

    def _check(self, response: httpx.Response) -> None:
        """Raise for what asking again does not change."""
        status, words = response.status_code, _said(response)
        if status in REFUSED:
            raise Unreachable(
                "{url} refuses the credentials ({status}): {words}",
                fix="give them in a file: --http-config FILE with basic_auth or authorization",
                url=self._endpoint.url,
                status=status,
                words=words,
            )
        if status in _REDIRECTS:
            raise Unreachable(
                "{url} sends on to {other} ({status}): a login page, or another address",
                fix="name the address of the API itself, or give credentials: --http-config FILE",
                url=self._endpoint.url,
                status=status,
                other=_host(response.headers.get("location", "")),
            )
        if status == 422:
            raise TooMuch(words)
        if status != 200:
            raise Unreachable(
                "{url} has no answer for a query ({status}): {words}",
                fix="name the URL before /api/v1, such as http://vmselect:8481/select/0/prometheus",
                url=self._endpoint.url,
                status=status,
                words=words,
            )

    def _decoded(self, response: httpx.Response) -> Answer | str:
        """The answer, or in words what is wrong with its body."""
        body = response.content
        if body.lstrip()[:1] != b"{":
            if not body.strip():
                return "an empty answer"
            raise self._strange(response)
        try:
            answer = _ANSWERS.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            return f"an answer that is cut off or damaged ({shown(str(error), 100)})"
        if answer.status != "success":
            return _said(response)
        # VictoriaMetrics shows its staleness marks in raw samples, as NaN; it keeps no other NaN.
        if _VICTORIAMETRICS in response.headers and b'"NaN"' in body:
            body = _STALE.sub(b"", body)
            answer = _ANSWERS.decode(body)
        return answer

    def _strange(self, response: httpx.Response) -> Unreachable:
        return Unreachable(
            '{url} answers with something else than JSON: "{start}"',
            fix="name the URL before /api/v1; a login page needs --http-config FILE",
            url=self._endpoint.url,
            start=shown(response.content[:60].decode("utf-8", "replace")),
        )

    def _gone(self, words: str) -> Unreachable:
        return Unreachable(
            "{url} does not answer: {words}",
            fix="see whether it runs, then repeat the command: what was fetched is kept",
            url=self._endpoint.url,
            words=words,
        )


_ANSWERS = msgspec.json.Decoder(Answer)
_SORTED = msgspec.json.Encoder(order="sorted")
_VICTORIAMETRICS = "x-server-hostname"  # The header by which each of its answers is known.
_KEPT_HEADERS = frozenset({"content-type", "date", "location", "retry-after", _VICTORIAMETRICS})
_STALE = re.compile(rb',\[[0-9.]+,"NaN"\]|\[[0-9.]+,"NaN"\],?')


def _result_text(result: Result) -> bytes:
    metric = _SORTED.encode(result.metric)
    samples = [(b"values", result.values), (b"value", result.value)]
    told = b"".join(b',"%s":%s' % (name, bytes(raw)) for name, raw in samples if raw)
    return (b'{"metric":%s%s}' % (metric, told)).replace(b"\n", b"").replace(b"\r", b"")


def _whole(parts: "Iterable[bytes]") -> bytes:
    """All of a body; a proxy that never ends must not fill the memory."""
    size, kept = 0, []
    for part in parts:
        size += len(part)
        if size > ANSWER_LIMIT:
            raise TooMuch(f"the answer is larger than {ANSWER_LIMIT >> 20} MiB")
        kept.append(part)
    return b"".join(kept)


def _said(response: httpx.Response) -> str:
    """The error in the database's own words, else the start of what it sent."""
    try:
        found = json.loads(response.content)
        words = found.get("error") or found.get("message") or ""
    except (ValueError, AttributeError, RecursionError):
        words = response.content[:_WORDS_LIMIT].decode("utf-8", "replace").strip()
    return shown(_short(str(words)), _WORDS_LIMIT) or f"status {response.status_code}"


def _short(words: str) -> str:
    """VictoriaMetrics says the whole query first, perhaps twice, and then what is wrong with it."""
    plain = _QUERY.sub('"..."', words)
    if len(plain) <= _WORDS_LIMIT:
        return plain
    return f"{plain[:_WORDS_START]} ... {plain[_WORDS_START + 5 - _WORDS_LIMIT :]}"


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the database asks to wait: a number, or a date (RFC 9110, 10.2.3)."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:6])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _host(location: str) -> str:
    """Host and path of a redirect: its query may hold a token."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "?"
    return shown(f"{parts.netloc.rpartition('@')[2]}{parts.path}", 200) or "?"
