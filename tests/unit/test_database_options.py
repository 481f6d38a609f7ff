"""How a database is named and asked: URL, credentials, days, and the folder that keeps them."""

import json
import pwd
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stellwerk.adapters.metrics.fetched import FetchedFile, FetchedMetrics, fetched_bytes
from stellwerk.adapters.metrics.load import load_usage
from stellwerk.adapters.prometheus.endpoint import read_endpoint
from stellwerk.adapters.prometheus.origin import Origin
from stellwerk.adapters.prometheus.queries import Stretch, alternatives, batches
from stellwerk.adapters.prometheus.store import (
    DAY_MS,
    SETTLED_MS,
    Answers,
    Day,
    Store,
    days_of,
    default_folder,
)
from stellwerk.api.errors import InvalidInput
from stellwerk.cli.advice.bill import billed_days
from stellwerk.cli.live import asked_period, folder_of
from stellwerk.cli.main import main
from stellwerk.report.bill.period import check_over, last_days

ANSWER = json.dumps(
    {
        "status": "success",
        "data": {
            "resultType": "matrix",
            "result": [
                {
                    "metric": {
                        "__name__": "DCGM_FI_DEV_GPU_UTIL",
                        "UUID": "GPU-1",
                        "modelName": "NVIDIA L40S",
                    },
                    "values": [[1793145600, "1"], [1793145630, "2"]],
                }
            ],
        },
    }
).encode()


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://db:9090", "http://db:9090"),
        ("http://db:9090/", "http://db:9090"),
        ("https://db/select/0/prometheus/", "https://db/select/0/prometheus"),
        ("http://db:9090/api/v1", "http://db:9090"),
        ("http://db/prometheus/api/v1/query", "http://db/prometheus"),
        ("http://db/a%40b", "http://db/a%40b"),
        ("http://[::1]:9090", "http://[::1]:9090"),
        ("http://anna:s3cret@db", "http://db"),
    ],
)
def test_the_url_is_what_stands_before_the_api(given: str, url: str) -> None:
    assert read_endpoint(given).url == url


def test_credentials_of_a_url_are_used_and_not_shown() -> None:
    endpoint = read_endpoint("https://an%40na:s3%3Acret@db:1")
    assert endpoint.basic == ("an@na", "s3:cret") and "cret" not in endpoint.url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "db:9090",
        "ftp://db",
        "http://",
        "http://db:99999",
        "http://dä",
        "x" * 999,
        "http://xn--/",
        "http://xn--a.com",
        "http://ex_ample..com",
        f"http://{'a' * 64}.com",
        "http://256.1.1.1",
        "http://db/\x01",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="is no URL of a database"):
        read_endpoint(url)


def test_a_password_in_a_wrong_url_is_not_shown() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_endpoint("htp://anna:s3cret@db")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://bob:8/s3cret@db",
        "http://bob:8?s3cret@db",
        "http://bob:8#s3cret@db",
        "http://db/?extra_filters[]={team='s3cret'}",
        "http://db:9090/prometheus/api/v1/query?dedup=s3cret",
        "http://db#s3cret",
    ],
)
def test_what_would_not_be_sent_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"has an @|would not be sent") as refused:
        read_endpoint(url)
    assert "s3cret" not in str(refused.value) and refused.value.fix


PROXIES = ["socks5://u:s3cret@p:1", "socks4://p", "ftp://p", "http://xn--/", "http://p:99999", "http://", "p"]


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_proxy_that_cannot_be_used_is_refused(proxy: str, tmp_path: Path) -> None:
    config = tmp_path / "http.yaml"
    config.write_text(f"proxy_url: '{proxy}'")
    with pytest.raises(InvalidInput, match="proxy_url is no URL of a proxy") as refused:
        read_endpoint("http://127.0.0.1:9090", str(config))
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("variable", ["ALL_PROXY", "HTTPS_PROXY", "http_proxy"])
@pytest.mark.parametrize("proxy", PROXIES[:-2])
def test_a_proxy_of_the_environment_that_cannot_be_used_is_refused(
    proxy: str, variable: str, clean: pytest.MonkeyPatch
) -> None:
    clean.setenv(variable, proxy)
    with pytest.raises(InvalidInput, match=f"{variable.upper()} is no URL of a proxy") as refused:
        read_endpoint("http://db:9090")
    assert "s3cret" not in str(refused.value)
    assert read_endpoint("http://127.0.0.1:9090").loopback, "none is between"


@pytest.mark.parametrize(("variable", "value"), [("NO_PROXY", "fd00::/8"), ("SSL_CERT_FILE", "/none.pem")])
def test_what_else_of_the_environment_cannot_be_used_is_refused(
    variable: str, value: str, clean: pytest.MonkeyPatch
) -> None:
    clean.setenv("HTTPS_PROXY", "proxy:3128")
    assert read_endpoint("http://db:9090").proxy is None
    clean.setenv(variable, value)
    with pytest.raises(InvalidInput, match="what the environment says"):
        read_endpoint("http://db:9090")


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without the proxies and certificates of who runs the tests."""
    for name in ("all_proxy", "http_proxy", "https_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_an_http_config_is_read_as_prometheus_reads_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(" s3cret\n")
    (tmp_path / "org").write_text("team-2\n")
    config = tmp_path / "http.yaml"
    config.write_text(
        "authorization: {credentials_file: token}\n"
        "http_headers: {X-Scope-OrgID: {values: [team-1], files: [org]}}\n"
        "tls_config: {insecure_skip_verify: true, min_version: TLS13}\n"
        "proxy_url: http://proxy:3128\n"
    )
    endpoint = read_endpoint("https://db", str(config), ("X-Other: a: b",))
    assert endpoint.headers == {
        "X-Other": "a: b",
        "X-Scope-OrgID": "team-1,team-2",
        "Authorization": "Bearer s3cret",
    }
    assert endpoint.tls is not None and endpoint.tls.verify_mode == ssl.CERT_NONE
    assert endpoint.tls.minimum_version == ssl.TLSVersion.TLSv1_3 and endpoint.proxy == "http://proxy:3128"
    assert endpoint.tenant == "team-1,team-2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("basic_auth: [", "it is no YAML"),
        ("basic_auth: s3cret", "basic_auth"),
        ("oauth2: {}", "oauth2"),
        ("basic_auth: {user: anna}", "user"),
        ("- 1", "object"),
        ("tls_config: {ca_file: none.pem}", "none.pem cannot be used"),
        ("tls_config: {ca: s3cret}", "cannot be used"),
        ("tls_config: {min_version: TLS10}", "TLS10 cannot be used"),
        ("authorization: {credentials_file: none}", "does not exist"),
        ("authorization: {credentials: 's3\\ncret'}", "no credentials"),
        ("http_headers: {'X Y': {values: ['s3\\tcret']}}", "X Y"),
    ],
)
def test_a_wrong_http_config_is_refused_without_its_secrets(tmp_path: Path, text: str, words: str) -> None:
    config = tmp_path / "http.yaml"
    config.write_text(
        text.replace("\\n", "\n").replace("\\t", "\t") if "'" not in text else text.replace("'", '"')
    )
    with pytest.raises(InvalidInput) as refused:
        read_endpoint("https://db", str(config))
    assert "s3" not in str(refused.value)
    if words != "no credentials":
        assert words in str(refused.value)


@pytest.mark.parametrize("header", ["X-Scope-OrgID", ": team", "X: a\nY: b", "X: ä"])
def test_a_wrong_header_is_refused(header: str) -> None:
    with pytest.raises(InvalidInput):
        read_endpoint("https://db", None, (header,))


NOW = ms("2026-11-27T14:30:45")


@pytest.mark.parametrize(
    ("days", "until", "first", "last"),
    [
        (None, None, "2026-10-28T00:00:00", "2026-11-27T14:30:00"),
        (1, None, "2026-11-26T00:00:00", "2026-11-27T14:30:00"),
        (30, "2026-11-01T00:00:00Z", "2026-10-02T00:00:00", "2026-11-01T00:00:00"),
        (1, "2026-11-01T00:00:01Z", "2026-10-31T00:00:00", "2026-11-01T00:00:01"),
        (1, "2027-01-01T00:00:00Z", "2026-11-26T00:00:00", "2026-11-27T14:30:45"),
        (1, "2026-11-01T01:00:00+02:00", "2026-10-30T00:00:00", "2026-10-31T23:00:00"),
    ],
)
def test_days_are_whole_and_end_when_asked(
    days: int | None, until: str | None, first: str, last: str
) -> None:
    assert asked_period(days, until, NOW, None) == Stretch(ms(first), ms(last))


def test_a_bills_days_are_those_around_it_up_to_now() -> None:
    billed = Stretch(ms("2026-11-01T00:00:00") - 3_600_000, ms("2026-12-01T00:00:00") - 3_600_000)
    assert asked_period(None, None, NOW, billed) == Stretch(
        ms("2026-10-31T00:00:00"), ms("2026-11-27T14:30:00")
    )


@pytest.mark.parametrize(
    ("days", "until"), [(0, None), (401, None), (None, "yesterday"), (None, "1969-01-01T00:00:00Z")]
)
def test_wrong_days_are_refused(days: int | None, until: str | None) -> None:
    with pytest.raises(InvalidInput):
        asked_period(days, until, NOW, None)


def test_a_time_that_has_not_begun_is_refused() -> None:
    with pytest.raises(InvalidInput, match="has not begun yet"):
        asked_period(None, None, NOW, Stretch(ms("2027-01-01T00:00:00"), ms("2027-02-01T00:00:00")))


def test_the_last_days_of_a_bill_are_those_of_its_time_zone() -> None:
    night = ms("2026-11-26T23:30:00")
    assert last_days(30, night, "UTC") == ("2026-10-27", "2026-11-26")
    assert last_days(30, night, "Europe/Berlin") == ("2026-10-28", "2026-11-27")


def test_a_day_is_over_an_hour_after_its_end() -> None:
    start = ms("2026-11-01T00:00:00")
    end = start + 2 * DAY_MS
    before, after = (days_of(Stretch(start, end), end + SETTLED_MS + off) for off in (-1, 0))
    assert [day.settled for day in before] == [True, False] and [day.settled for day in after] == [True, True]
    assert [day.name for day in after] == ["2026-11-01", "2026-11-02"]
    [part] = days_of(Stretch(start, start + 52_245_000), end)
    assert part.name == "2026-11-01-to-143045"


def test_tenants_and_urls_have_folders_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    one = read_endpoint("http://db:9090")
    others = [
        one,
        read_endpoint("http://db:9091"),
        read_endpoint("http://db:9090/other"),
        read_endpoint("http://db:9090", None, ("x-scope-orgid: team",)),
    ]
    folders = [default_folder(each) for each in others]
    assert len(set(folders)) == len(others) and default_folder(one) == folders[0]
    assert str(folders[0]).startswith("/cache/stellwerk/metrics/db-9090-")


def test_a_list_stands_for_its_files_and_what_they_lack_is_told(tmp_path: Path) -> None:
    store, start = Store(tmp_path, Origin("http://db", "")), ms("2026-10-28T00:00:00")
    [file] = store.keep(Day(Stretch(start, start + DAY_MS), settled=True), Answers([ANSWER]))
    found = FetchedMetrics(
        url="http://db",
        start_ms=start,
        end_ms=start + 2 * DAY_MS,
        files=(file,),
        empty_days=("2026-10-29",),
        doubtful_days=("2026-10-28",),
    )
    path = store.write_list(found)
    loaded = load_usage([str(path)])
    assert [device.uuid for device in loaded.usage.devices] == ["GPU-1"]
    assert {"history-short", "answer-partial"} <= {warning.code for warning in loaded.usage.warnings}
    assert [Path(each.name).name for each in loaded.inputs] == [path.name, file.name]
    (tmp_path / file.name).write_bytes(b"")
    with pytest.raises(InvalidInput, match="is not what was fetched"):
        load_usage([str(path)])


@pytest.mark.parametrize("name", ["../x.jsonl.gz", "/etc/passwd", "", ".."])
def test_a_list_names_no_file_elsewhere(tmp_path: Path, name: str) -> None:
    listed = FetchedMetrics(url="", start_ms=0, end_ms=1, files=(FetchedFile(name, ""),))
    (tmp_path / "a.fetched").write_bytes(fetched_bytes(listed))
    with pytest.raises(InvalidInput, match="is not beside it"):
        load_usage([str(tmp_path / "a.fetched")])


def test_names_of_pods_are_meant_literally() -> None:
    assert alternatives(["a.b", 'q"', "x|y"]) == 'a\\\\.b|q\\"|x\\\\|y'
    many = [f"pod-{number:05d}" for number in range(1000)]
    assert [name for batch in batches(many) for name in batch] == many


BILL = ["bill", "--prometheus", "http://127.0.0.1:9", "--fleet", "demo"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["advise"],
        ["advise", "x.prom", "--prometheus", "http://db"],
        ["advise", "x.prom", "--days", "3"],
        ["advise", "x.prom", "--days", "0"],
        ["advise", "x.prom", "--save", ""],
        ["usage", "x.prom", "--http-config", ""],
        ["usage", "x.prom", "--until", ""],
        ["usage", "--prometheus", "http://127.0.0.1:9", "--http-config", ""],
        ["usage", "--prometheus", "http://127.0.0.1:9", "--save", ""],
        ["watch", "--prometheus", "http://127.0.0.1:9", "--save", ""],
        ["doctor", "--prometheus", "http://127.0.0.1:9", "--http-config", ""],
        *([*BILL, "--days", days] for days in ("0", "-5", "500", "99999999999")),
        [*BILL, "--days", "0", "--from", "2024-10-01", "--to", "2024-10-02"],
        [*BILL, "--from", "2024-10-01", "--to", "9998-10-01"],
        [*BILL, "--from", "9998-10-01", "--to", "9998-10-02"],
        [*BILL, "--from", "1969-10-01", "--to", "1969-10-02"],
        ["bill", "x.prom", "--fleet", "demo", "--from", "1969-12-31", "--to", "2024-10-02"],
        ["usage", "x.prom", "--fresh"],
        ["bill", "x.prom", "--fleet", "demo"],
        ["bill", "--prometheus", "http://db", "--fleet", "demo", "--from", "2026-10-01"],
        [
            "bill",
            "--prometheus",
            "http://db",
            "--fleet",
            "demo",
            "--from",
            "2026-10-01",
            "--to",
            "2026-10-02",
            "--days",
            "1",
        ],
        ["whatif", "--save", "x"],
    ],
)
def test_options_that_do_not_fit_are_bad_input(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and "Next:" in capsys.readouterr().err


def test_the_last_days_of_a_bill_end_now_at_the_latest() -> None:
    options = {"days": 2, "prometheus": "http://db", "until": "2099-01-01T00:00:00Z", "timezone": "UTC"}
    future = billed_days(None, None, dict(options))
    assert future == billed_days(None, None, {**options, "until": None})
    past = billed_days(None, None, {**options, "until": "2024-10-03T12:00:00Z"})
    assert past == ("2024-10-01", "2024-10-03")


def test_a_bill_may_end_today_and_not_later() -> None:
    check_over("2026-11-27", NOW, "UTC")
    check_over("2026-11-27T14:30:45Z", NOW, "UTC")
    for end in ("2026-11-28", "2026-12", "2026-11-27T14:30:46Z"):
        with pytest.raises(InvalidInput, match="is still to come") as refused:
            check_over(end, NOW, "UTC")
        assert refused.value.values["today"] == "2026-11-27"


@pytest.mark.parametrize(
    ("measured", "end", "code"), [(2098, "2098-01-03", 0), (2098, "2098-01-04", 2), (2024, "2098-01-02", 2)]
)
def test_files_are_not_billed_beyond_now_and_what_they_hold(
    measured: int, end: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = 'gpu="0",UUID="GPU-1",modelName="NVIDIA H100 PCIe",Hostname="gpu-1"'
    start = ms(f"{measured}-01-02T00:00:00")
    (tmp_path / "x.prom").write_text(
        "".join(f"DCGM_FI_DEV_GPU_UTIL{{{labels}}} 1 {start + 30_000 * step}\n" for step in range(9))
    )
    period = ["--from", f"{measured}-01-02", "--to", end]
    with pytest.raises(SystemExit) as ended:
        main(["bill", str(tmp_path / "x.prom"), "--fleet", "demo", *period])
    assert ended.value.code == code
    assert ("is still to come" in capsys.readouterr().err) == bool(code)


def test_without_a_home_a_folder_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_uid: int) -> None:
        raise KeyError

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    endpoint = read_endpoint("http://127.0.0.1:9")
    with pytest.raises(InvalidInput, match="no home folder"):
        folder_of(None, endpoint)
    assert folder_of("kept", endpoint) == Path("kept")


def test_a_database_that_is_not_there_is_exit_code_3(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--prometheus", "http://anna:s3cret@127.0.0.1:9"])
    said = capsys.readouterr()
    assert ended.value.code == 3 and "s3cret" not in said.err + said.out
