"""Each fault of the proxy comes out as it should, before a real database; without one, nothing changes."""

import gzip
import json
import ssl
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import faults
from tests.servers.certificates import make_certificate
from tests.servers.databases import Database
from tests.servers.faults import Fault
from tests.servers.history import History
from tests.servers.proxy import Door, Proxy, Script, always, basic, bearer, from_request, only, proxied

Json = dict[str, Any]
USE = "DCGM_FI_DEV_GPU_UTIL"


def client_of(url: str, **options: Any) -> httpx.Client:
    return httpx.Client(base_url=url, trust_env=False, timeout=60, **options)


def hour(month: History) -> dict[str, str | int]:
    """A range query: an hour of the four GPUs' use, 121 samples each."""
    return {"query": USE, "start": month.end_s - 7200, "end": month.end_s - 3600, "step": 30}


def ask(url: str, month: History, **options: Any) -> httpx.Response:
    with client_of(url, **options) as client:
        return client.get("/api/v1/query_range", params=hour(month))


def answer_of(database: Database, month: History, fault: Fault) -> httpx.Response:
    with proxied(database.url, [fault]) as proxy:
        return ask(proxy.url, month)


def series_of(answer: httpx.Response) -> list[Json]:
    assert answer.status_code == 200
    found: list[Json] = answer.json()["data"]["result"]
    return sorted(found, key=lambda series: json.dumps(series["metric"], sort_keys=True))


@pytest.fixture
def truth(database: Database, month: History) -> list[Json]:
    """What the database itself answers."""
    found = series_of(ask(database.url, month))
    assert len(found) >= 4 and all(series["values"] for series in found)
    assert sum(len(series["values"]) for series in found) >= 4 * 100
    return found


def test_without_a_fault_the_answer_is_the_databases(
    database: Database, month: History, truth: list[Json]
) -> None:
    with proxied(database.url) as proxy, client_of(proxy.url, headers={"X-Scope-OrgID": "7"}) as client:
        assert series_of(client.get("/api/v1/query_range", params=hour(month))) == truth
        assert series_of(client.post("/api/v1/query_range", data=hour(month))) == truth
        [got, posted] = proxy.asked
    assert (got.method, posted.method) == ("GET", "POST")
    assert got.path == posted.path == "/api/v1/query_range" and got.headers["x-scope-orgid"] == "7"
    assert (got.number, posted.number) == (0, 1)
    wanted = {name: str(value) for name, value in hour(month).items()}
    assert got.parameters == posted.parameters == wanted and not posted.query


@pytest.mark.parametrize(
    ("fault", "status", "header", "text"),
    [
        (faults.failing(500), 500, ("retry-after", None), "upstream"),
        (faults.failing(503, "2"), 503, ("retry-after", "2"), "upstream"),
        (faults.failing(429, "1"), 429, ("retry-after", "1"), "upstream"),
        (faults.refused(), 401, ("www-authenticate", 'Basic realm="monitoring"'), "Unauthorized"),
        (faults.too_many_samples(), 422, ("content-type", "application/json"), '"errorType": "execution"'),
        (faults.error(400, "bad_data", "parse"), 400, ("content-type", "application/json"), '"bad_data"'),
        (faults.login_page, 200, ("content-type", "text/html; charset=utf-8"), "Sign in"),
        (faults.redirected(), 302, ("location", "/login?next=/"), ""),
    ],
)
def test_an_answer_in_place_of_the_databases(
    fault: Fault, status: int, header: tuple[str, str | None], text: str, month: History
) -> None:
    # No database is there, and none is asked.
    with proxied("http://127.0.0.1:1", always(fault)) as proxy:
        found = ask(proxy.url, month)
    assert found.status_code == status and found.headers.get(header[0]) == header[1]
    assert text in found.text


def test_a_redirect_ends_at_a_login_page(month: History) -> None:
    with proxied("http://127.0.0.1:1", [faults.redirected()]) as proxy:
        found = ask(proxy.url, month, follow_redirects=True)
        assert [asked.path for asked in proxy.asked] == ["/api/v1/query_range", "/login"]
    assert found.status_code == 200 and "Sign in" in found.text


def test_a_database_that_does_not_answer_is_a_bad_gateway(month: History) -> None:
    with proxied("http://127.0.0.1:1") as proxy:
        assert ask(proxy.url, month).status_code == 502


def test_a_body_is_cut_with_and_without_notice(database: Database, month: History) -> None:
    short = answer_of(database, month, faults.truncated(0.5))
    assert short.status_code == 200 and len(short.content) > 100
    with pytest.raises(ValueError):
        short.json()
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        answer_of(database, month, faults.cut(0.5))
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        answer_of(database, month, faults.hung_up)


def test_a_slow_answer_is_the_right_one(database: Database, month: History, truth: list[Json]) -> None:
    began = time.monotonic()
    assert series_of(answer_of(database, month, faults.slow(1.5))) == truth
    assert time.monotonic() - began >= 1.5
    with (
        proxied(database.url, [faults.slow(30)]) as proxy,
        client_of(proxy.url) as client,
        pytest.raises(httpx.ReadTimeout),
    ):
        client.get("/api/v1/query", params={"query": "1"}, timeout=0.3)


def test_a_compressed_answer_is_the_right_one(database: Database, month: History, truth: list[Json]) -> None:
    found = answer_of(database, month, faults.gzipped)
    assert found.headers["content-encoding"] == "gzip" and series_of(found) == truth
    with (
        proxied(database.url, [faults.gzipped]) as proxy,
        client_of(proxy.url) as client,
        client.stream("GET", "/api/v1/query_range", params=hour(month)) as raw,
    ):
        packed = b"".join(raw.iter_raw())
    assert json.loads(gzip.decompress(packed))["status"] == "success"


def test_samples_are_spoiled_as_asked(database: Database, month: History, truth: list[Json]) -> None:
    for word in ("NaN", "+Inf", "much"):
        for found, real in zip(
            series_of(answer_of(database, month, faults.with_value(word))), truth, strict=True
        ):
            wanted = [[at, word if i % 10 == 0 else value] for i, (at, value) in enumerate(real["values"])]
            assert found["values"] == wanted

    doubled = series_of(answer_of(database, month, faults.duplicate_samples(10, "77")))
    for found, real in zip(doubled, truth, strict=True):
        count = len(real["values"])
        assert len(found["values"]) == count + -(-count // 10)
        assert found["values"][0] == real["values"][0]
        assert found["values"][1] == [real["values"][0][0], "77"]

    turned = series_of(answer_of(database, month, faults.edited(faults.out_of_order)))
    assert [series["values"][::-1] for series in turned] == [series["values"] for series in truth]

    from_s, to_s = month.end_s - 6000, month.end_s - 5000
    holed = series_of(answer_of(database, month, faults.holes(from_s, to_s)))
    for found, real in zip(holed, truth, strict=True):
        assert found["values"] == [pair for pair in real["values"] if not from_s <= pair[0] < to_s]


def test_series_come_twice_or_not_at_all(database: Database, month: History, truth: list[Json]) -> None:
    twice = series_of(answer_of(database, month, faults.edited(faults.duplicate_series)))
    assert twice == [series for series in truth for _ in range(2)]
    assert series_of(answer_of(database, month, faults.edited(faults.no_series))) == []
    nothing = always(faults.edited(faults.no_series))
    with proxied(database.url, nothing) as proxy, client_of(proxy.url) as client:
        assert client.get("/api/v1/label/__name__/values").json()["data"] == []


def test_a_part_that_is_missing_is_marked(database: Database, month: History, truth: list[Json]) -> None:
    told = answer_of(database, month, faults.warned("one store is away"))
    assert told.json()["warnings"] == ["one store is away"] and series_of(told) == truth
    half = answer_of(database, month, faults.partial())
    assert half.json()["isPartial"] is True and len(series_of(half)) == -(-len(truth) // 2)


@pytest.mark.parametrize(
    ("script", "statuses"),
    [
        ([faults.passed, faults.failing(500), faults.failing(429)], [200, 500, 429, 200]),
        (only(faults.failing(500), 0, 2), [500, 200, 500, 200]),
        (from_request(2, faults.failing(503)), [200, 200, 503, 503]),
        (always(faults.failing(500)), [500, 500, 500, 500]),
    ],
)
def test_a_script_chooses_by_the_number_of_the_request(
    database: Database, script: Script, statuses: list[int]
) -> None:
    with proxied(database.url, script) as proxy, client_of(proxy.url) as client:
        found = [client.get("/api/v1/query", params={"query": "1"}).status_code for _ in range(4)]
    assert found == statuses


def test_a_server_goes_in_the_middle_and_comes_back(database: Database) -> None:
    def get(client: httpx.Client) -> int:
        return client.get("/api/v1/query", params={"query": "1"}).status_code

    with (
        proxied(database.url, only(faults.gone, 2)) as proxy,
        client_of(proxy.url) as first,
        client_of(proxy.url) as second,
    ):
        assert get(first) == get(second) == 200
        with pytest.raises(httpx.RemoteProtocolError):
            get(first)
        # Also the connection that the other client kept open is not served any more.
        with pytest.raises(httpx.TransportError):
            get(second)
        with pytest.raises(httpx.ConnectError):
            get(first)
        assert len(proxy.asked) == 3
        url = proxy.url
        proxy.come_back()
        assert proxy.url == url and get(first) == get(second) == 200
        assert len(proxy.asked) == 5


def test_only_who_has_the_login_comes_in(database: Database, month: History) -> None:
    for right, wrong in ((basic("anna", "s:e"), basic("anna", "x")), (bearer("t0ken"), bearer("other"))):
        with proxied(database.url, door=Door(authorization=right)) as proxy:
            assert ask(proxy.url, month, headers={"Authorization": right}).status_code == 200
            assert ask(proxy.url, month, headers={"Authorization": wrong}).status_code == 401
            assert ask(proxy.url, month).status_code == 401
            assert len(proxy.asked) == 3
    assert httpx.BasicAuth("anna", "s:e")._auth_header == basic("anna", "s:e")
    with proxied(database.url, door=Door(headers={"X-Scope-OrgID": "team"})) as proxy:
        assert ask(proxy.url, month).status_code == 401
        assert ask(proxy.url, month, headers={"x-scope-orgid": "team"}).status_code == 200


def test_a_tenants_path_is_taken_off(database: Database, month: History, truth: list[Json]) -> None:
    with proxied(database.url, door=Door(prefix="/select/0/prometheus")) as proxy:
        assert proxy.url.endswith("/select/0/prometheus")
        assert series_of(ask(proxy.url, month)) == truth
        assert proxy.asked[0].path == "/select/0/prometheus/api/v1/query_range"
        without = ask(proxy.url.removesuffix("/select/0/prometheus"), month)
    assert without.status_code == 404 and without.json()["errorType"] == "not_found"


def trusting(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca))


def test_tls_is_spoken_to_who_trusts_the_authority(
    database: Database, month: History, truth: list[Json], tmp_path: Path
) -> None:
    made = make_certificate(tmp_path / "right")
    other = make_certificate(tmp_path / "other", names="DNS:prometheus.example")

    def reads(proxy: Proxy, ca: Path) -> list[Json]:
        return series_of(ask(proxy.url, month, verify=trusting(ca)))

    with proxied(database.url, door=Door(certificate=made)) as proxy:
        assert proxy.url.startswith("https://")
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            ask(proxy.url, month)
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            reads(proxy, other.ca)
        assert proxy.asked == [] and reads(proxy, made.ca) == truth
    with (
        proxied(database.url, door=Door(certificate=other)) as proxy,
        pytest.raises(httpx.ConnectError, match="IP address mismatch"),
    ):
        reads(proxy, other.ca)
