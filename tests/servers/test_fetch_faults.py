"""Whatever goes wrong between Stellwerk and a database: the same figures, or a clear word; never others.

What was fetched before a failure is kept: the next run asks only for the rest.
"""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from stellwerk.adapters.metrics.load import load_usage
from stellwerk.adapters.prometheus.endpoint import Endpoint, Patience, read_endpoint
from stellwerk.adapters.prometheus.fetch import Asked, fetch_metrics
from stellwerk.adapters.prometheus.queries import Stretch
from stellwerk.api.errors import InvalidInput, Unreachable
from stellwerk.engine.usage import Usage
from tests.servers import faults
from tests.servers.certificates import make_certificate
from tests.servers.databases import Database
from tests.servers.faults import Answer, Fault, Forward
from tests.servers.faults import Asked as Request
from tests.servers.history import History
from tests.servers.proxy import Door, Proxy, always, basic, bearer, from_request, only, proxied

DAYS = 4
DAY_MS = 86_400_000
HURRY = Patience(timeout_s=30, tries=4, first_wait_s=0.01, longest_wait_s=0.05)


class Fetcher:
    """Fetches the last days of the month into one folder; `said` is what was asked again, and why."""

    def __init__(self, month: History, folder: Path) -> None:
        self.end_ms = month.end_s * 1000
        self.folder = folder
        self.said: list[str] = []
        self.kept: list[str] = []
        self.damaged: list[tuple[str, str]] = []

    def usage(self, url: str, endpoint: Endpoint | None = None) -> Usage:
        """What the verbs read."""
        period = Stretch(self.end_ms - DAYS * DAY_MS, self.end_ms)
        asked = Asked(
            period=period,
            now_ms=self.end_ms + DAY_MS,
            folder=self.folder,
            damaged=lambda day, name: self.damaged.append((day, name)),
        )
        self.kept = []
        found = endpoint or replace(read_endpoint(url), patience=HURRY)
        path, _ = fetch_metrics(found, asked, self._hear, self.said.append)
        return load_usage([str(path)]).usage

    def _hear(self, done: int, total: int, day: str, kept: bool) -> None:
        if kept:
            self.kept.append(day)


@pytest.fixture
def fetcher(month: History, tmp_path: Path) -> Fetcher:
    return Fetcher(month, tmp_path / "kept")


@pytest.fixture
def truth(database: Database, month: History, tmp_path: Path) -> Usage:
    """What is read without a fault."""
    found = Fetcher(month, tmp_path / "truth").usage(database.url)
    assert len(found.devices) == 4 and len(found.pods) > 20
    return found


def codes(usage: Usage) -> set[str]:
    return {warning.code for warning in usage.warnings}


PASSING: list[tuple[str, Fault, str]] = [
    ("500", faults.failing(500), "upstream"),
    ("503", faults.failing(503, "1"), "upstream"),
    ("429", faults.failing(429, "0"), "upstream"),
    ("truncated", faults.truncated(), "cut off or damaged"),
    ("cut", faults.cut(), ""),
    ("hung up", faults.hung_up, ""),
]


@pytest.mark.parametrize(
    ("fault", "words"), [case[1:] for case in PASSING], ids=[case[0] for case in PASSING]
)
def test_what_passes_is_asked_again_and_changes_nothing(
    database: Database, fetcher: Fetcher, truth: Usage, fault: Fault, words: str
) -> None:
    with proxied(database.url, only(fault, 0, 4, 5, 11)) as proxy:
        assert fetcher.usage(proxy.url) == truth
    assert fetcher.said and any(words in said for said in fetcher.said)


LASTING: list[tuple[str, Fault, str]] = [
    ("500", faults.failing(500), "does not answer: .*upstream"),
    ("429", faults.failing(429, "3600"), "does not answer: .*upstream"),
    ("401", faults.refused(401), r"refuses the credentials \(401\)"),
    ("403", faults.refused(403), r"refuses the credentials \(403\)"),
    ("truncated", faults.truncated(), "cut off or damaged"),
    ("server gone", faults.gone, "does not answer"),
    ("login page", faults.login_page, "something else than JSON"),
    ("redirect", faults.redirected(), r"sends on to .* \(302\)"),
    ("400", faults.error(400, "bad_data", "parse error"), r"\(400\): parse error"),
    ("404", faults.answered(404, "404 page not found"), r"\(404\): 404 page not found"),
    ("422", faults.too_many_samples(), "refuses"),
]


@pytest.mark.parametrize(
    ("fault", "words"), [case[1:] for case in LASTING], ids=[case[0] for case in LASTING]
)
def test_what_lasts_is_told_and_the_next_run_goes_on_where_it_ended(
    database: Database, fetcher: Fetcher, truth: Usage, fault: Fault, words: str
) -> None:
    with proxied(database.url, from_request(24, fault)) as proxy:
        with pytest.raises(Unreachable) as told:
            fetcher.usage(proxy.url)
        assert re.search(words, str(told.value)) and told.value.fix
        assert fetcher.usage(healed(proxy)) == truth
    assert 1 <= len(fetcher.kept) < DAYS


def raw_only(fault: Fault) -> Fault:
    """The fault in raw samples only: counts and facts are the database's."""

    def chosen(asked: Request, forward: Forward) -> Answer:
        return (fault if asked.parameters.get("query", "").endswith("ms]") else faults.passed)(asked, forward)

    return chosen


def in_the_day(month: History) -> tuple[float, float]:
    noon = month.end_s - 2 * DAY_MS // 1000 + 43_200
    return noon, noon + 7_200


CHANGED: list[tuple[str, Callable[[History], Fault], set[str]]] = [
    ("NaN", lambda _: faults.with_value("NaN"), {"sample-blank", "answer-partial"}),
    ("+Inf", lambda _: faults.with_value("+Inf"), {"sample-blank"}),
    ("negative", lambda _: faults.with_value("-5"), {"sample-blank"}),
    ("other value twice", lambda _: faults.duplicate_samples(other_value="55"), {"values-conflict"}),
    ("a hole", lambda month: faults.holes(*in_the_day(month)), {"answer-partial"}),
    ("empty", lambda _: faults.edited(faults.no_series), {"answer-partial"}),
    ("partial", lambda _: faults.partial(), {"answer-partial"}),
    ("warned", lambda _: faults.warned(), {"answer-partial"}),
]


@pytest.mark.parametrize(
    ("make", "warned"), [case[1:] for case in CHANGED], ids=[case[0] for case in CHANGED]
)
def test_figures_from_changed_answers_come_with_a_warning(
    database: Database,
    month: History,
    fetcher: Fetcher,
    truth: Usage,
    make: Callable[[History], Fault],
    warned: set[str],
) -> None:
    fault = raw_only(make(month))
    one_day = only_day(fault, month)
    with proxied(database.url, always(one_day)) as proxy:
        found = fetcher.usage(proxy.url)
        assert codes(found) & warned and not codes(truth) & warned
        if "answer-partial" in codes(found):
            # What may lack something is not kept for good.
            assert fetcher.usage(healed(proxy)) == truth


def healed(proxy: Proxy) -> str:
    """The URL of the proxy, which has no fault any more."""
    proxy.vanish()
    proxy.script = ()
    proxy.come_back()
    return proxy.url


def only_day(fault: Fault, month: History) -> Fault:
    """The fault in queries of the last day but one."""
    end_s = month.end_s - DAY_MS // 1000

    def chosen(asked: Request, forward: Forward) -> Answer:
        asked_s = float(asked.parameters.get("time", "0"))
        return (fault if end_s - DAY_MS // 1000 < asked_s < end_s else faults.passed)(asked, forward)

    return chosen


@pytest.mark.parametrize(
    "fault",
    [faults.duplicate_samples(), faults.edited(faults.duplicate_series), faults.gzipped],
    ids=["samples twice", "series twice", "gzip"],
)
def test_what_is_said_twice_changes_nothing(
    database: Database, fetcher: Fetcher, truth: Usage, fault: Fault
) -> None:
    with proxied(database.url, always(raw_only(fault))) as proxy:
        assert fetcher.usage(proxy.url) == truth


def test_what_comes_out_of_order_is_sorted_and_told(
    database: Database, fetcher: Fetcher, truth: Usage
) -> None:
    with proxied(database.url, always(raw_only(faults.edited(faults.out_of_order)))) as proxy:
        found = fetcher.usage(proxy.url)
    assert "times-back" in codes(found)
    assert replace(found, warnings=()) == replace(truth, warnings=())


def test_days_without_an_answer_are_days_without_readings(
    database: Database, month: History, fetcher: Fetcher, truth: Usage
) -> None:
    with proxied(database.url, always(only_day(faults.edited(faults.no_series), month))) as proxy:
        found = fetcher.usage(proxy.url)
        assert codes(found) >= {"history-short", "hole"} and not codes(truth) & {"history-short", "hole"}
        assert fetcher.usage(healed(proxy)) == truth


def test_a_database_without_gpus_says_so(empty_database: Database, fetcher: Fetcher) -> None:
    with pytest.raises(InvalidInput, match="has no series of GPUs in the 4 days"):
        fetcher.usage(empty_database.url)


def test_what_is_too_much_at_once_is_asked_for_in_parts(
    database: Database, fetcher: Fetcher, truth: Usage
) -> None:
    refusals = []

    def at_most_an_hour(asked: Request, forward: Forward) -> Answer:
        found = re.search(r"\[(\d+)ms\]", asked.parameters.get("query", ""))
        if found and int(found[1]) > 6 * 3_600_000:
            refusals.append(asked.number)
            return faults.too_many_samples()(asked, forward)
        return faults.passed(asked, forward)

    with proxied(database.url, always(at_most_an_hour)) as proxy:
        assert fetcher.usage(proxy.url) == truth
    assert len(refusals) >= 3 * DAYS


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08"], ids=["empty", "cut off"])
def test_a_kept_day_that_is_damaged_is_fetched_again(
    database: Database, fetcher: Fetcher, truth: Usage, content: bytes
) -> None:
    fetcher.usage(database.url)
    damaged = sorted(fetcher.folder.glob("*.gz"))[1]
    damaged.write_bytes(content)
    assert fetcher.usage(database.url) == truth and len(fetcher.kept) == DAYS - 1
    assert fetcher.damaged == [(damaged.name.partition(".")[0], damaged.name)]


def test_runs_at_once_into_one_folder_read_the_same(
    database: Database, month: History, fetcher: Fetcher, truth: Usage
) -> None:
    runs = [fetcher, *(Fetcher(month, fetcher.folder) for _ in range(2))]
    with ThreadPoolExecutor(len(runs)) as pool:
        assert list(pool.map(lambda each: each.usage(database.url), runs)) == [truth] * len(runs)


def test_a_folder_of_another_database_is_refused(database: Database, fetcher: Fetcher, truth: Usage) -> None:
    assert fetcher.usage(database.url) == truth
    with proxied(database.url) as proxy:
        with pytest.raises(InvalidInput, match=f"holds days of another database: {database.url}"):
            fetcher.usage(proxy.url)
        assert not proxy.asked


def test_ten_seconds_of_latency_are_waited_for(database: Database, fetcher: Fetcher, truth: Usage) -> None:
    with proxied(database.url, only(faults.slow(10), 3)) as proxy:
        assert fetcher.usage(proxy.url) == truth
    assert not fetcher.said


def test_a_database_that_is_always_late_is_told(database: Database, fetcher: Fetcher) -> None:
    with proxied(database.url, always(faults.slow(2))) as proxy:
        endpoint = replace(read_endpoint(proxy.url), patience=Patience(0.2, 2, 0.01, 0.01))
        with pytest.raises(Unreachable, match=r"timed out after 0\.2 s"):
            fetcher.usage(proxy.url, endpoint)


def test_a_server_that_dies_and_comes_back_is_read_to_the_end(
    database: Database, fetcher: Fetcher, truth: Usage
) -> None:
    with proxied(database.url, from_request(10_000, faults.gone)) as proxy:
        proxy.vanish()
        with pytest.raises(Unreachable, match="does not answer"):
            fetcher.usage(proxy.url)
        proxy.come_back()
        assert fetcher.usage(proxy.url) == truth


HTTP_CONFIGS = {
    "basic": (basic("anna", "s3cret"), "basic_auth: {username: anna, password_file: secret}"),
    "bearer": (bearer("s3cret"), "authorization: {credentials_file: secret}"),
}


@pytest.mark.parametrize("way", HTTP_CONFIGS)
def test_a_tenants_path_behind_tls_and_credentials(
    database: Database, fetcher: Fetcher, truth: Usage, tmp_path: Path, way: str
) -> None:
    authorization, text = HTTP_CONFIGS[way]
    certificate = make_certificate(tmp_path)
    (tmp_path / "secret").write_text("s3cret\n")
    config = tmp_path / "http.yaml"
    config.write_text(f"{text}\ntls_config: {{ca_file: {certificate.ca.name}}}\n")
    door = Door(
        authorization=authorization,
        headers={"X-Scope-OrgID": "team"},
        prefix="/select/0/prometheus",
        certificate=certificate,
    )
    with proxied(database.url, (), door) as proxy:
        given = (str(config), ("X-Scope-OrgID: team",))
        assert fetcher.usage("", replace(read_endpoint(proxy.url, *given), patience=HURRY)) == truth
        with pytest.raises(Unreachable, match="refuses the credentials"):
            config.write_text(f"tls_config: {{ca_file: {certificate.ca.name}}}\n")
            endpoint = read_endpoint(proxy.url, *given)
            Fetcher.usage(fetcher_in(fetcher, tmp_path / "other"), "", replace(endpoint, patience=HURRY))
        with pytest.raises(Unreachable, match="certificate verify failed"):
            endpoint = replace(read_endpoint(proxy.url), patience=HURRY)
            Fetcher.usage(fetcher_in(fetcher, tmp_path / "third"), "", endpoint)


def fetcher_in(fetcher: Fetcher, folder: Path) -> Fetcher:
    """The same days into another folder."""
    fetcher.folder = folder
    return fetcher
