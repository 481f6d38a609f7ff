"""Serve an application on loopback in the foreground until Ctrl-C or SIGTERM."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stellwerk.api.errors import Unreachable

if TYPE_CHECKING:
    from starlette.applications import Starlette

TRIES = 20
# An open connection of a browser must not hold up Ctrl-C.
GRACE_S = 1
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket on `port` or one of the 19 after it; 0: any. Raises Unreachable if none is free."""
    last = port
    for candidate in range(port, min(port + TRIES, 65_536)):
        last = candidate
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, candidate))
            # Linux lets two sockets bind with SO_REUSEADDR; only one of them may listen.
            bound.listen(128)
        except OSError:
            bound.close()
            continue
        return bound
    raise Unreachable(
        "no port from {first} to {last} on {host} is free",
        fix="end what listens there, or name a free one: --port PORT",
        first=port,
        last=last,
        host=host,
    )


def serve(
    app: "Starlette", host: str = "127.0.0.1", port: int = 8765, *, announce: Callable[[str, bool], None]
) -> None:
    """Serve until a signal; `announce(url, moved)` once it listens, `moved` if `port` was taken.

    Raises Unreachable where no port is free. Returns after Ctrl-C or SIGTERM, within two seconds.
    """
    with bind(host, port) as listening:
        taken: int = listening.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        # It listens already: who connects now waits for the moment that the server takes to load.
        announce(f"http://{shown}:{taken}/", port not in (0, taken))
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
