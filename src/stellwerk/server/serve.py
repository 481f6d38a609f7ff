"""Serve an application in the foreground until Ctrl-C or SIGTERM; on loopback, unless told otherwise."""

import errno
import ipaddress
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from stellwerk.api.errors import InvalidInput, Unreachable

if TYPE_CHECKING:
    from starlette.applications import Starlette

TRIES = 20
# An open connection of a browser must not hold up Ctrl-C.
GRACE_S = 1
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Listening(Struct, frozen=True, kw_only=True):
    """Where it listens; `moved`: not on the port that was asked for; `open`: not on loopback alone."""

    url: str
    moved: bool
    open: bool


def bind(host: str, port: int) -> socket.socket:
    """A listening socket on `port` or one of the 19 after it; 0: any.

    Raises Unreachable if none is free, and InvalidInput where this machine may not listen there: `host` is
    none of its addresses, or the port is for root.
    """
    family, address = _address(host)
    last = port
    for candidate in range(port, min(port + TRIES, 65_536)):
        last = candidate
        try:
            return _bound(family, (address[0], candidate, *address[2:]))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise _refused(host, candidate, error) from None
    raise Unreachable(
        "no port from {first} to {last} on {host} is free",
        fix="end what listens there, or name a free one: --port PORT",
        first=port,
        last=last,
        host=host,
    )


def _address(host: str) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """Family and socket address of a host; raises InvalidInput, also for "": that would be every address."""
    try:
        if not host:
            raise OSError(errno.EADDRNOTAVAIL, "")
        family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    except (OSError, ValueError):
        raise InvalidInput('--host: "{host}" is no address', fix=FIX, host=host[:80]) from None
    return family, address


def _bound(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        # Linux lets two sockets bind with SO_REUSEADDR; only one of them may listen.
        bound.listen(128)
    except BaseException:
        bound.close()
        raise
    return bound


def _refused(host: str, port: int, error: OSError) -> InvalidInput:
    """Why no other port would do, either."""
    if error.errno == errno.EADDRNOTAVAIL:
        return InvalidInput("--host: {host} is no address of this machine", fix=FIX, host=host[:80])
    if error.errno == errno.EACCES:
        return InvalidInput(
            "port {port} on {host} may not be listened on by this user",
            fix="name one from 1024 on: --port 8765",
            port=port,
            host=host[:80],
        )
    return InvalidInput(
        "{host} cannot be listened on: {words}", fix=FIX, host=host[:80], words=error.strerror or str(error)
    )


FIX = "name one that this machine has, 0.0.0.0 for all of them, or leave --host out for loopback"


def serve(
    app: "Starlette",
    host: str = "127.0.0.1",
    port: int = 8765,
    *,
    announce: Callable[[Listening], None],
) -> None:
    """Serve until a signal; `announce` hears once that it listens, and where.

    Raises Unreachable where no port is free, InvalidInput where `host` is not this machine's. Returns after
    Ctrl-C or SIGTERM, within two seconds.
    """
    with bind(host, port) as listening:
        taken: int = listening.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        # It listens already: who connects now waits for the moment that the server takes to load.
        announce(
            Listening(
                url=f"http://{shown}:{taken}/",
                moved=port not in (0, taken),
                open=not ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback,
            )
        )
        _run(app, listening)


def _run(app: "Starlette", listening: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
    )
    with _quiet_signals():
        uvicorn.Server(config).run(sockets=[listening])


@contextmanager
def _quiet_signals() -> Iterator[None]:
    """uvicorn stops on a signal and then raises it again: by then it has been obeyed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _obeyed) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _obeyed(_number: int, _frame: object) -> None:
    return None
