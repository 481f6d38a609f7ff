"""A proxy between a client and a database that answers each request as a script says, and remembers all.

    with proxied(database.url, script=[passed, failing(503, "1"), cut()]) as proxy:
        ...  # the client reads from proxy.url
        assert [asked.path for asked in proxy.asked] == [...]

A script is a list of faults by the number of the request, after whose end all pass, or a function that gives
the fault of a request (`only(...)`, `from_request(...)`). A Door says what it asks of who comes: TLS, a
login, a prefix.
"""

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from msgspec import Struct

from tests.servers.certificates import Certificate
from tests.servers.faults import LOGIN, Answer, Asked, Fault, Forward, error, login_page, passed, refused

Chosen = Callable[[Asked], Fault]
Script = Sequence[Fault] | Chosen
# Of one connection only; the proxy sets its own.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
UPSTREAM_PATIENCE_S = 120


class Door(Struct, frozen=True):
    """What the proxy asks of a client.

    `authorization` is the header's exact value (see `basic`, `bearer`), else 401. `headers` must be there as
    well (a tenant's X-Scope-OrgID), else 401. `prefix` is the path before /api/v1 (`/select/0/prometheus`);
    another is a 404. With a `certificate` the proxy speaks TLS.
    """

    authorization: str = ""
    headers: dict[str, str] = {}
    prefix: str = ""
    certificate: Certificate | None = None


def basic(user: str, password: str) -> str:
    """The Authorization header of basic auth (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def bearer(token: str) -> str:
    """The Authorization header of a token (RFC 6750)."""
    return f"Bearer {token}"


def always(fault: Fault) -> Chosen:
    """Each request gets the fault."""
    return lambda asked: fault


def only(fault: Fault, *numbers: int) -> Chosen:
    """The requests of these numbers (from 0) get the fault."""
    return lambda asked: fault if asked.number in numbers else passed


def from_request(number: int, fault: Fault) -> Chosen:
    """That request and all after it get the fault."""
    return lambda asked: fault if asked.number >= number else passed


class Proxy:
    """A running proxy: `url` is what the client reads from, `asked` what it asked so far, refused or not."""

    def __init__(self, upstream: str, script: Script, door: Door) -> None:
        self.asked: list[Asked] = []
        self.script = script
        self.door = door
        self._lock = threading.Lock()
        self._upstream = httpx.Client(base_url=upstream, trust_env=False, timeout=UPSTREAM_PATIENCE_S)
        self._port = 0
        self._server: _Server | None = None
        self.come_back()

    @property
    def url(self) -> str:
        """With the prefix of the door."""
        scheme = "https" if self.door.certificate else "http"
        return f"{scheme}://127.0.0.1:{self._port}{self.door.prefix}"

    def vanish(self) -> None:
        """Close the port: a client's connection is refused until `come_back`."""
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def come_back(self) -> None:
        """Listen again, on the same port."""
        server = _Server(("127.0.0.1", self._port), self)
        self._port = server.server_port
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """The end; no request is answered any more."""
        self.vanish()
        self._upstream.close()

    def serves(self, server: "_Server") -> bool:
        """Whether this server is still the one that listens."""
        return server is self._server

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """What a request gets; called by the server, in a thread of the connection."""
        parts = urlsplit(target)
        query = parse_qs(parts.query, keep_blank_values=True)
        with self._lock:
            asked = Asked(len(self.asked), method, parts.path, query, headers, body)
            self.asked.append(asked)
        return self._fault(asked)(asked, self._forward(asked, parts.query))

    def _fault(self, asked: Asked) -> Fault:
        if asked.path == LOGIN:
            return login_page
        wanted = {name.lower(): value for name, value in self.door.headers.items()}
        if self.door.authorization:
            wanted["authorization"] = self.door.authorization
        if any(asked.headers.get(name) != value for name, value in wanted.items()):
            return refused(401)
        if callable(self.script):
            fault = self.script(asked)
        else:
            fault = self.script[asked.number] if asked.number < len(self.script) else passed
        if fault is passed and not asked.path.startswith(f"{self.door.prefix}/"):
            return error(404, "not_found", f"unsupported path requested: {asked.path}")
        return fault

    def _forward(self, asked: Asked, query: str) -> Forward:
        def forward() -> Answer:
            path = asked.path.removeprefix(self.door.prefix)
            # Compressed answers could not be changed; `gzipped` compresses again.
            headers = {"accept-encoding": "identity"}
            if kind := asked.headers.get("content-type"):
                headers["content-type"] = kind
            target = f"{path}?{query}" if query else path
            try:
                found = self._upstream.request(asked.method, target, headers=headers, content=asked.body)
            except httpx.TransportError as trouble:
                return Answer(502, {"content-type": "text/plain"}, f"no answer: {trouble}".encode())
            kept = {name.lower(): value for name, value in found.headers.items()}
            kept = {name: value for name, value in kept.items() if name not in HOP_BY_HOP}
            return Answer(found.status_code, kept, found.content)

        return forward


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], proxy: Proxy) -> None:
        self.proxy = proxy
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.proxy.door.certificate is not None:
            context = self.proxy.door.certificate.server_context()
            # The connection's own thread does the handshake: a client that refuses must not stop others.
            connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up, or does not trust the certificate, is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        proxy = self.server.proxy
        if not proxy.serves(self.server):
            # The connection was open before the port closed.
            self.close_connection = True
            return
        answer = proxy.answer(self.command, self.path, headers, body)
        time.sleep(answer.wait_s)
        if answer.vanishes:
            proxy.vanish()
        if answer.status:
            self._send(answer)
        if not answer.status or answer.sent_bytes is not None:
            self.close_connection = True

    do_GET = do_POST = do_HEAD = _answer

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: answer.sent_bytes])

    def log_message(self, *words: object) -> None:
        """Nothing is printed; `Proxy.asked` has it."""


@contextmanager
def proxied(upstream: str, script: Script = (), door: Door | None = None) -> Iterator[Proxy]:
    """A proxy before the database at `upstream` (http://HOST:PORT) until the block ends."""
    proxy = Proxy(upstream, script, door or Door())
    try:
        yield proxy
    finally:
        proxy.close()
