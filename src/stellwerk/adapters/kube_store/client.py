"""Ask an API server: one request at a time, again while it is busy or away, with words for each refusal.

Asked again: 429 and 503 (after Retry-After), 500, 502, 504, and a connection that failed or was cut. What
else is refused is an answer: Forbidden names what the role lacks; NotFound, Expired (410) and Conflict (409)
are for who called. An API server that has just started refuses (401, 403, 404) until it has read roles and
definitions: after a connection failed, such a refusal counts only once it lasts. Source:
https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2
import msgspec
from lightkube.config.client_adapter import Client as connect
from lightkube.config.client_adapter import ConnectionParams
from lightkube.core.exceptions import ConfigError
from msgspec import Struct

from stellwerk.adapters.kube_store.kubeconfig import Access
from stellwerk.adapters.rows import shown
from stellwerk.api.errors import InvalidInput, Unreachable
from stellwerk.ports.store import Conflict, Expired

REFUSED = frozenset({401, 403, 404})
BUSY = frozenset({429, 500, 502, 503, 504})
ANSWER_LIMIT = 1 << 28
_WORDS_LIMIT = 300


class Patience(Struct, frozen=True):
    """How long an answer may take, how often it is asked for, and the first wait between (it doubles).

    `first_tries` holds until the server has answered once, and again once it was waited for in vain: such
    a one is not waited for as one that restarts.
    """

    timeout_s: float = 30.0
    tries: int = 7
    first_tries: int = 2
    first_wait_s: float = 0.5
    longest_wait_s: float = 10.0


# Tries of what is refused after the server was away: 0.5, 1, 2 and 4 s.
_REFUSED_TRIES = 5


class _Later(Struct, frozen=True):
    """Why there is no answer yet, and how long the server asks to wait."""

    words: str
    pause_s: float | None = None


class Forbidden(Exception):
    """The role lacks a verb on a resource; the text is the API server's."""


class NotFound(Exception):
    """There is no such object, or no such resource."""


class Client:
    """One API server. `wait` sleeps for seconds; `on_retry` hears why something is asked again.

    Safe to use from several threads.
    """

    def __init__(
        self, access: Access, patience: Patience | None = None, wait: Callable[[float], None] = time.sleep
    ) -> None:
        """Raises InvalidInput for certificates that cannot be read."""
        self.access, self._wait = access, wait
        self._patience = patience or Patience()
        self._answered = False
        self._away_at: float | None = None  # When a connection failed last, and nothing was allowed since.
        self._extensions = {"sni_hostname": access.tls_server_name} if access.tls_server_name else {}
        self.on_retry: Callable[[str], None] = lambda _words: None
        timeout = self._patience.timeout_s
        try:
            self._http: httpx2.Client = connect(
                access.config,
                ConnectionParams(
                    timeout=httpx2.Timeout(timeout, connect=min(10.0, timeout)),
                    trust_env=not access.loopback,
                    proxy=access.proxy,
                ),
            )
        except (OSError, ValueError, ssl.SSLError) as error:
            raise InvalidInput(
                "the kubeconfig's certificate or key cannot be used: {words}",
                fix="see: kubectl config view; the files are named there",
                words=shown(f"{getattr(error, 'strerror', None) or error} {_file(error)}".strip(), 200),
            ) from None

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections; a watch that waits ends."""
        self._http.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None, accept: str = "") -> bytes:
        """What a path answers. Raises Forbidden, NotFound, Expired, Unreachable."""
        return self.send("GET", path, params, accept=accept)

    def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        body: bytes = b"",
        accept: str = "",
    ) -> bytes:
        """What a path answers to any method; what was not answered is not known to have been done.

        Raises what get raises, and Conflict.
        """
        words, attempt = "", 0
        while attempt < self._tries(method):
            if attempt:
                self.on_retry(words)
            patient = attempt + 1 < min(_REFUSED_TRIES, self._tries(method))
            found = self._once((method, path, body, accept), params, patient)
            if isinstance(found, bytes):
                return found
            words = found.words
            attempt += 1
            if attempt < self._tries(method):
                self._wait(self._pause(attempt, found.pause_s))
        # Others that ask at the same time, and who asks next, do not wait as long for it once more.
        self._answered = False
        raise self.gone(words)

    @contextmanager
    def stream(self, path: str, params: Mapping[str, Any], idle_s: float) -> Iterator[Iterator[bytes]]:
        """The lines of an answer while they come; one that says nothing for `idle_s` counts as cut.

        Raises what get raises, but asks once only; a cut connection is an httpx2.TransportError.
        """
        limits = httpx2.Timeout(self._patience.timeout_s, read=idle_s)
        with self._http.stream(
            "GET", path, params=dict(params), timeout=limits, extensions=self._extensions
        ) as response:
            if response.status_code in BUSY:
                raise httpx2.ReadError(_said(response.read(), response.status_code))
            if response.status_code != 200:
                self._check(response, response.read())
            self._answered = True
            yield _lines(response.iter_bytes())

    def rest(self, attempt: int) -> None:
        """Wait before something is begun anew for the `attempt`th time in a row (from 1)."""
        self._wait(self._pause(attempt, None))

    def gone(self, words: str) -> Unreachable:
        """The error for a server that does not answer."""
        return Unreachable(
            "the API server {url} (context {context}) does not answer: {words}",
            fix="see: kubectl --context {context} version; then repeat the command",
            url=self.access.server,
            context=self.access.context,
            words=words,
        )

    def _tries(self, method: str) -> int:
        if method != "GET":
            return 1
        return self._patience.tries if self._answered else self._patience.first_tries

    def _pause(self, attempt: int, asked: float | None) -> float:
        doubled = self._patience.first_wait_s * 2.0 ** (attempt - 1)
        return min(doubled if asked is None else max(doubled, asked), self._patience.longest_wait_s)

    def _once(
        self, asked: tuple[str, str, bytes, str], params: Mapping[str, Any] | None, patient: bool
    ) -> bytes | _Later:
        """The body, or why there is none yet. `asked`: method, path, body and what is accepted.

        `patient`: a refusal of a server that was away may still change.
        """
        method, path, body, accept = asked
        began = time.monotonic()
        headers = {"Accept": accept or "application/json"}
        if body:
            headers["Content-Type"] = "application/json"
        try:
            response = self._http.request(
                method,
                path,
                params=params,
                content=body or None,
                headers=headers,
                extensions=self._extensions,
            )
            content = response.read()
        except httpx2.TimeoutException as error:
            late = "no connection" if isinstance(error, httpx2.ConnectTimeout) else "no answer"
            return _Later(f"{late} within {self._patience.timeout_s:g} s")
        except httpx2.HTTPError as error:
            self._away_at = time.monotonic()
            return _Later(self._failed(error))
        except (ConfigError, OSError, KeyError, ValueError) as error:
            raise self._plugin(error) from None
        if response.status_code in BUSY:
            pause_s = _retry_after(response.headers.get("retry-after", ""))
            return _Later(_said(content, response.status_code), pause_s)
        if response.status_code in REFUSED and patient and self._away_at is not None and method == "GET":
            return _Later(_said(content, response.status_code))
        self._check(response, content)
        self._answered = True
        if self._away_at is not None and began > self._away_at and _needs_role(path):
            self._away_at = None
        return content

    def _failed(self, error: httpx2.HTTPError) -> str:
        words = shown(str(error) or type(error).__name__, _WORDS_LIMIT)
        if "CERTIFICATE_VERIFY_FAILED" in words:
            raise Unreachable(
                "the API server {url} shows a certificate that the kubeconfig's CA did not sign: {words}",
                fix="see certificate-authority and server of context {context}: kubectl config view",
                url=self.access.server,
                context=self.access.context,
                words=words,
            )
        return words

    def _plugin(self, error: Exception) -> Unreachable:
        """A credential plugin that is not there, fails, or answers with something else."""
        return Unreachable(
            "the credentials of context {context} cannot be had: {words}",
            fix="try: kubectl --context {context} version",
            context=self.access.context,
            words=shown(str(error) or type(error).__name__, 200),
        )

    def _check(self, response: httpx2.Response, content: bytes) -> None:
        """Raise for what asking again does not change."""
        status = response.status_code
        if status < 300:
            return
        words = _said(content, status)
        if status == 401:
            raise Unreachable(
                "the API server {url} does not accept the credentials of context {context}: {words}",
                fix="log in again, then: kubectl --context {context} auth whoami",
                url=self.access.server,
                context=self.access.context,
                words=words,
            )
        known = {403: Forbidden, 404: NotFound, 409: Conflict, 410: Expired}
        if status in known:
            raise known[status](words)
        raise Unreachable(
            "the API server {url} refuses ({status}): {words}",
            fix="name the address of an API server: kubectl --context {context} cluster-info",
            url=self.access.server,
            status=status,
            words=words,
            context=self.access.context,
        )


def _needs_role(path: str) -> bool:
    """Whether only a role lets one in; what is served (/version, /api/v1, /apis/batch/v1) all may see."""
    return len(path.strip("/").split("/")) > (2 if path.startswith("/api/") else 3)


def _file(error: Exception) -> str:
    return str(getattr(error, "filename", None) or "")


def _lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines; what comes after the last line break was cut off."""
    rest = b""
    for part in parts:
        rest += part
        if len(rest) > ANSWER_LIMIT:
            raise httpx2.ReadError("a line of a watch is larger than 256 MiB")
        *whole, rest = rest.split(b"\n")
        yield from (line for line in whole if line.strip())


def _said(content: bytes, status: int) -> str:
    """The message of the Status object, else the start of what was sent."""
    try:
        found = msgspec.json.decode(content)
        words = found.get("message") or found.get("reason") or ""
    except (msgspec.DecodeError, AttributeError, RecursionError, UnicodeDecodeError):
        words = content[:_WORDS_LIMIT].decode("utf-8", "replace").strip()
    return shown(str(words), _WORDS_LIMIT) or f"status {status}"


def _retry_after(text: str) -> float | None:
    """Seconds; an API server writes a number (k8s.io/apimachinery, api/errors NewTooManyRequests)."""
    text = text.strip()
    return float(text[:6]) if text.isascii() and text.isdigit() else None
