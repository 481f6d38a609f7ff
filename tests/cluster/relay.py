"""A relay of TCP connections to a port, which cuts, slows or refuses them; TLS goes through unread."""

import contextlib
import socket
import threading
import time

from tools.cluster.stack import HOST

_PART = 1 << 16


class Relay:
    """Listens on `port`. `delay_s` holds back each answer: what comes first after something was asked."""

    def __init__(self, target: int, delay_s: float = 0.0) -> None:
        self.delay_s, self._target = delay_s, target
        self.answers = 0
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()

    def __enter__(self) -> "Relay":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """End every connection there is; new ones are taken."""
        with self._lock:
            ending, self._open = self._open, []
        for one in ending:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((HOST, self._target))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open += [client, server]
            asked = threading.Event()
            threading.Thread(target=self._ask, args=(client, server, asked), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client, asked), daemon=True).start()

    def _ask(self, source: socket.socket, target: socket.socket, asked: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(_PART):
                asked.set()
                target.sendall(part)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _answer(self, source: socket.socket, target: socket.socket, asked: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(_PART):
                if asked.is_set():
                    asked.clear()
                    self.answers += 1
                    time.sleep(self.delay_s)
                target.sendall(part)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
