"""An API server that was away is asked again, also where it refuses at first; then its refusal counts."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.adapters.kube_store.client import Client, Forbidden, NotFound, Patience
from stellwerk.adapters.kube_store.kubeconfig import read_access
from stellwerk.api.errors import Unreachable

PODS = "/api/v1/pods"
CUT = 0


class Server:
    """Answers with the statuses that it is told, one after the other, the last one for ever; CUT hangs up."""

    def __init__(self) -> None:
        self.statuses: list[int] = [200]
        self.asked = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                status = outer.statuses.pop(0) if len(outer.statuses) > 1 else outer.statuses[0]
                if status == CUT:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.stop()


@pytest.fixture
def client(server: Server, tmp_path: Path) -> Iterator[Client]:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server.url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    access = read_access(str(tmp_path / "config"))
    with Client(access, Patience(timeout_s=5, tries=7), wait=lambda _s: None) as one:
        assert one.get("/version") == b"{}"
        server.asked = 0
        yield one


def test_a_refusal_counts_at_once_where_the_server_was_there_all_the_time(
    client: Client, server: Server
) -> None:
    server.statuses = [403]
    with pytest.raises(Forbidden):
        client.get(PODS)
    assert server.asked == 1


@pytest.mark.parametrize("refusal", [401, 403, 404])
def test_a_server_that_comes_back_may_refuse_until_it_has_read_its_roles(
    client: Client, server: Server, refusal: int
) -> None:
    server.statuses = [CUT, refusal, refusal, 200]
    assert client.get(PODS) == b"{}" and server.asked == 4


@pytest.mark.parametrize(("refusal", "error"), [(401, Unreachable), (403, Forbidden), (404, NotFound)])
def test_a_refusal_that_lasts_counts(
    client: Client, server: Server, refusal: int, error: type[Exception]
) -> None:
    server.statuses = [CUT, refusal]
    with pytest.raises(error):
        client.get(PODS)
    assert server.asked == 5


def test_once_something_was_allowed_again_a_refusal_counts_at_once(client: Client, server: Server) -> None:
    server.statuses = [CUT, 200, 403]
    assert client.get(PODS) == b"{}"
    with pytest.raises(Forbidden):
        client.get(PODS)
    assert server.asked == 3


def test_that_something_is_served_does_not_show_that_roles_are_read(client: Client, server: Server) -> None:
    server.statuses = [CUT, 200, 403, 200]
    assert client.get("/apis/batch/v1") == client.get(PODS) == b"{}"
    assert server.asked == 4


def test_a_server_that_was_waited_for_in_vain_is_not_waited_for_as_long_again(
    client: Client, server: Server
) -> None:
    server.statuses = [CUT]
    asked = []
    for _ in range(2):
        server.asked = 0
        with pytest.raises(Unreachable):
            client.get(PODS)
        asked.append(server.asked)
    assert asked == [7, 2]
