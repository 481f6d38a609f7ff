"""`stellwerk doctor` against real databases: what it says of what is in them, and what it asks for that."""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stellwerk.adapters.prometheus.endpoint import Patience
from stellwerk.cli.main import main
from stellwerk.engine.diagnosis.exporter import ALERTED, COMPUTE, FIELDS
from tests.servers.databases import KINDS, PROMETHEUS, VICTORIAMETRICS, Database, backfill, running
from tests.servers.faults import Asked, Fault, partial, passed, refused, slow, too_many_samples
from tests.servers.fixtures import need
from tests.servers.history import History
from tests.servers.proxy import Door, always, basic, proxied

DAY_S = 24 * 3600
DCGM = tuple(dict.fromkeys((*COMPUTE, *(name for names in FIELDS.values() for name in names), *ALERTED)))
FB, GR = "DCGM_FI_DEV_FB_USED", "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
OWN_POD = 'pod="nvidia-dcgm-exporter-7",namespace="gpu-operator",container="exporter"'
KUBE_POD = 'pod="kube-state-metrics-1",namespace="monitoring"'


def sampled(series: Sequence[str], days: int = 3, until_s: int | None = None) -> Iterator[str]:
    """Each series every 60 s for so many days of UTC: the last, until now, is not whole."""
    end_s = int(time.time()) // 60 * 60 if until_s is None else until_s
    for at_s in range(end_s // DAY_S * DAY_S - (days - 1) * DAY_S, end_s + 1, 60):
        for number, each in enumerate(series):
            yield f"{each} {number + at_s // 60 % 7} {at_s * 1000}"


def gpu_series(metrics: Sequence[str] = DCGM, pods: str = "pod", extra: str = "") -> list[str]:
    """Two GPUs of a node, each with a pod; `pods` is how the exporter's pod label is spelled."""
    space = pods.replace("pod", "namespace")
    return [
        f'{metric}{{gpu="{gpu}",UUID="GPU-{gpu}",modelName="NVIDIA L40S",Hostname="n1",{extra}'
        f'{pods}="{pod}",{space}="web"}}'
        for metric in metrics
        for gpu, pod in ((0, "llm-0"), (1, "train-1"))
    ]


def pod_series(pods: str = "pod", extra: str = "") -> list[str]:
    """kube-state-metrics' series of these pods; train-1 is of a Job, and waits."""
    found = []
    for pod, kind, owner in (("llm-0", "ReplicaSet", "llm"), ("train-1", "Job", "train")):
        names = f'{extra}{pods}="{pod}",{pods.replace("pod", "namespace")}="web"'
        found += [
            f'kube_pod_owner{{{names},owner_kind="{kind}",owner_name="{owner}"}}',
            f'kube_pod_info{{{names},node="n1"}}',
            f'kube_pod_labels{{{names},label_stellwerk_dev_workload_kind="batch"}}',
            f'kube_pod_container_resource_requests{{{names},resource="nvidia_com_gpu"}}',
            f"kube_pod_start_time{{{names}}}",
            f'kube_pod_status_phase{{{names},phase="Pending"}}',
            f'kube_pod_status_scheduled{{{names},condition="true"}}',
        ]
    return found


CLUSTER = [
    'kube_replicaset_owner{replicaset="llm",namespace="web",owner_kind="Deployment",owner_name="llm"}',
    'kube_job_owner{job_name="train",namespace="web",owner_kind="CronJob",owner_name="train"}',
    'kube_pod_completion_time{pod="done-0",namespace="web"}',
    'kube_node_created{node="n1"}',
    'kube_node_spec_unschedulable{node="n1"}',
    'kueue_pending_workloads{cluster_queue="gpus",status="active"}',
]
ALL = [*gpu_series(), *pod_series(), *CLUSTER]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Database]]:
    """A database of a kind with ALL in it, started once."""
    started: dict[str, Database] = {}
    with ExitStack() as stack:

        def one(kind: str) -> Database:
            need(kind)
            if kind not in started:
                folder = tmp_path_factory.mktemp(kind)
                backfill(kind, folder, sampled(ALL))
                started[kind] = stack.enter_context(running(kind, folder))
            return started[kind]

        yield one


@pytest.fixture(params=KINDS)
def whole(request: pytest.FixtureRequest, serve: Callable[[str], Database]) -> Database:
    return serve(request.param)


Doctor = Callable[..., tuple[int, str, str]]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Runs `stellwerk ARGUMENTS`: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["doctor", *arguments, "--lang", "en"])
        said = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), said.out, said.err

    return run


def found(doctor: Doctor, url: str, *arguments: str) -> tuple[int, dict[str, Any], set[str]]:
    """Exit code, the document, and the codes of what is not fine."""
    exit_code, text, _ = doctor("--prometheus", url, "-o", "json", "--days", "2", *arguments)
    document = json.loads(text)
    wrong = {
        each["code"] for layer in document["layers"] for each in layer["findings"] if each["verdict"] != "ok"
    }
    return exit_code, document, wrong


def test_where_all_is_there_every_layer_is_fine(whole: Database, doctor: Doctor) -> None:
    exit_code, document, wrong = found(doctor, whole.url)
    assert (exit_code, wrong, document["works"]) == (0, set(), True)
    assert [layer["layer"] for layer in document["layers"]] == [
        "database",
        "exporter",
        "kube-state-metrics",
        "kueue",
        "stellwerk",
    ]
    facts = document["facts"]
    assert (
        facts["database"]["product"]
        == {PROMETHEUS: "Prometheus", VICTORIAMETRICS: "VictoriaMetrics"}[whole.kind]
    )
    assert facts["database"]["retention"] == "10y"
    assert facts["database"]["daySamples"] == 9 * 2 * 1440
    assert abs(facts["database"]["clockAheadS"]) <= 1
    assert set(facts["fields"]) == set(DCGM) and facts["nodes"] == ["n1"]
    age_s = time.time() - datetime.fromisoformat(facts["newestSample"]).timestamp()
    assert 0 <= age_s < 180
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    assert datetime.fromisoformat(facts["oldestDay"]).timestamp() in (today - 2 * DAY_S, today - 3 * DAY_S)


def test_each_database_tells_its_limits(whole: Database, doctor: Doctor) -> None:
    _, document, _ = found(doctor, whole.url)
    assert (
        document["facts"]["database"]["limits"]
        == {
            PROMETHEUS: {"query.max-samples": "50000000", "query.timeout": "2m"},
            VICTORIAMETRICS: {
                "search.maxSamplesPerQuery": "1000000000",
                "search.maxQueryLen": "16384",
                "search.maxQueryDuration": "30s",
            },
        }[whole.kind]
    )


def test_more_days_than_there_are_is_said_with_how_many_there_are(whole: Database, doctor: Doctor) -> None:
    exit_code, document, wrong = found(doctor, whole.url, "--days", "30")
    assert (exit_code, wrong) == (0, {"history-short"})
    assert "2 of the 30 days" in json.dumps(document) or "3 of the 30 days" in json.dumps(document)


def test_an_empty_database_stops_every_verb(empty_database: Database, doctor: Doctor) -> None:
    exit_code, document, wrong = found(doctor, empty_database.url)
    assert (exit_code, wrong) == (1, {"history-none", "kube-missing", "kueue-missing"})
    assert [each["stoppedBy"] for each in document["verbs"]] == [["history-none"]] * 3
    assert [each["verdict"] for each in document["layers"]] == ["ok", "missing", "missing", "warning", "ok"]


def test_a_month_is_enough_for_every_verb(database: Database, month: History, doctor: Doctor) -> None:
    exit_code, document, wrong = found(doctor, database.url, "--days", "30")
    assert exit_code == 0 and document["works"]
    since = datetime.fromtimestamp(month.start_s, UTC)
    assert document["facts"]["oldestDay"] == f"{since:%Y-%m-%dT%H:%M:%SZ}"
    measured = next(e for e in document["layers"][1]["findings"] if e["code"] == "gpus-measured")
    assert (measured["values"]["gpus"], measured["values"]["seconds"]) == (4, month.interval_s)
    for code, metrics in FIELDS.items():
        assert (code in wrong) is not any(metric in document["facts"]["fields"] for metric in metrics)
    assert not {"pods-missing", "pods-repeated", "pods-unnamed", "history-short"} & wrong


@pytest.mark.parametrize("kind", KINDS)
def test_without_memory_there_is_no_advice(kind: str, tmp_path: Path, doctor: Doctor) -> None:
    need(kind)
    lines = sampled([*gpu_series([each for each in DCGM if each != FB]), *pod_series(), *CLUSTER])
    backfill(kind, tmp_path, lines)
    with running(kind, tmp_path) as database:
        exit_code, document, wrong = found(doctor, database.url)
    assert (exit_code, wrong) == (1, {"memory-missing"})
    works = {each["verb"]: each["works"] for each in document["verbs"]}
    assert works == {"advise": False, "bill": True, "whatif": True}


@pytest.mark.parametrize("kind", KINDS)
def test_labels_that_scrapes_renamed_are_read_all_the_same(
    kind: str, tmp_path: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    need(kind)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    series = [
        *gpu_series(pods="exported_pod", extra=f"{OWN_POD},"),
        *pod_series("exported_pod", f"{KUBE_POD},"),
        *CLUSTER,
    ]
    backfill(kind, tmp_path, sampled(series))
    with running(kind, tmp_path) as database:
        exit_code, document, wrong = found(doctor, database.url)
        sent, printed = fetched_and_printed(database.url, doctor, "fetchRenamed")
    assert sent == printed
    assert len(printed) == 17
    assert (exit_code, wrong) == (0, {"labels-renamed"})
    known = next(e for e in document["layers"][2]["findings"] if e["code"] == "pods-known")
    assert known["values"] == {"pods": 2, "nodes": 1, "kinds": 2}


@pytest.mark.parametrize("kind", KINDS)
def test_an_exporter_that_maps_no_pods_stops_every_verb(kind: str, tmp_path: Path, doctor: Doctor) -> None:
    need(kind)
    bare = [each.partition(",pod=")[0] + f",{OWN_POD}}}" for each in gpu_series()]
    backfill(kind, tmp_path, sampled([*bare, *pod_series(), *CLUSTER]))
    with running(kind, tmp_path) as database:
        exit_code, _, wrong = found(doctor, database.url)
    assert (exit_code, wrong) == (1, {"pods-missing"})


@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_yesterday_and_of_tomorrow_are_seen(kind: str, tmp_path: Path, doctor: Doctor) -> None:
    need(kind)
    now_s = int(time.time()) // 60 * 60
    stopped_s = now_s - 30 * 3600
    ahead = [f"{each} 1 {(now_s + 1800) * 1000}" for each in gpu_series()]
    backfill(kind, tmp_path / "old", sampled(ALL, days=2, until_s=stopped_s))
    backfill(kind, tmp_path / "ahead", [*sampled(ALL, days=1), *ahead])
    with running(kind, tmp_path / "old") as database:
        exit_code, document, wrong = found(doctor, database.url)
        assert exit_code == 0 and {"samples-old"} <= wrong <= {"samples-old", "history-short"}
        newest_s = datetime.fromisoformat(document["facts"]["newestSample"]).timestamp()
        assert newest_s == stopped_s
    with running(kind, tmp_path / "ahead") as database:
        assert "samples-future" in found(doctor, database.url)[2]


def test_rules_that_run_and_rules_that_fail_are_told(tmp_path: Path, doctor: Doctor) -> None:
    need(PROMETHEUS)
    twice = f"{FB} * on () group_left () {FB}"
    rules = [
        {"record": "stellwerk:gpu:pods", "expr": f"count({FB})"},
        {"record": "stellwerk:gpu:use_ratio", "expr": twice},
        {"record": "another:rule", "expr": twice},
    ]
    groups = {"groups": [{"name": "stellwerk", "interval": "1s", "rules": rules}]}
    (tmp_path / "rules.json").write_text(json.dumps(groups))
    backfill(PROMETHEUS, tmp_path / "data", sampled(ALL))
    config = json.dumps({"rule_files": [str(tmp_path / "rules.json")]})
    with running(PROMETHEUS, tmp_path / "data", config) as database:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            _, document, wrong = found(doctor, database.url)
            if wrong == {"rules-failing"} and document["facts"]["own"]:
                break
            time.sleep(0.5)
    assert wrong == {"rules-failing"}
    assert document["facts"]["rules"] == ["stellwerk:gpu:pods", "stellwerk:gpu:use_ratio"]
    assert document["facts"]["own"] == {"stellwerk:gpu:pods": 1}
    failing = next(e for e in document["layers"][4]["findings"] if e["code"] == "rules-failing")
    assert failing["values"]["names"] == "stellwerk:gpu:use_ratio"
    assert "duplicate series" in failing["text"]


def test_a_tenants_path_hides_flags_and_nothing_else(whole: Database, doctor: Doctor) -> None:
    """Behind vmselect or a gateway only the API is there."""
    with proxied(whole.url, door=Door(prefix="/select/0/prometheus")) as proxy:
        exit_code, document, wrong = found(doctor, proxy.url)
        assert document["url"] == proxy.url
        paths = {asked.path for asked in proxy.asked}
    assert (exit_code, wrong) == (0, set())
    assert {path.startswith("/select/0/prometheus/") for path in paths} == {True}


def test_nobody_who_answers_is_exit_code_3(doctor: Doctor) -> None:
    started = time.monotonic()
    exit_code, text, error = doctor("--prometheus", "http://127.0.0.1:1")
    assert (exit_code, text) == (3, "")
    assert "does not answer" in error and "Next:" in error
    assert time.monotonic() - started < 10


def test_an_answer_that_takes_too_long_is_exit_code_3(
    whole: Database, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellwerk.cli.doctor.PATIENCE", Patience(timeout_s=0.5, tries=2, first_wait_s=0.1))
    with proxied(whole.url, always(slow(2))) as proxy:
        exit_code, text, error = doctor("--prometheus", proxy.url)
        # Then a smaller question, which is not answered either.
        assert len(proxy.asked) == 2
    assert (exit_code, text) == (3, "")
    assert "timed out after 0.5 s" in error


def test_what_the_database_refuses_for_its_size_is_told_and_the_rest_is_answered(
    whole: Database, doctor: Doctor
) -> None:
    def big(asked: Asked) -> Fault:
        query = asked.parameters.get("query", "")
        return too_many_samples() if "count_over_time" in query or "DCGM_.+" in query else passed

    with proxied(whole.url, big) as proxy:
        exit_code, document, wrong = found(doctor, proxy.url)
    assert {"count-refused", "answers-partial"} <= wrong
    # What was not answered is not known to be there.
    assert exit_code == 1 and "memory-missing" in wrong
    assert document["facts"]["nodes"] == ["n1"]


def test_a_database_that_says_it_gave_a_part_is_told(whole: Database, doctor: Doctor) -> None:
    with proxied(whole.url, always(partial(1))) as proxy:
        assert found(doctor, proxy.url)[2] == {"answers-partial"}


def test_refused_credentials_are_exit_code_3_and_nothing_more_is_asked(
    whole: Database, doctor: Doctor
) -> None:
    with proxied(whole.url, always(refused(401))) as proxy:
        exit_code, text, error = doctor("--prometheus", proxy.url)
        assert len(proxy.asked) == 1
    assert (exit_code, text) == (3, "")
    assert "refuses the credentials (401)" in error and "--http-config" in error


def test_credentials_reach_every_question(whole: Database, doctor: Doctor) -> None:
    with proxied(whole.url, door=Door(authorization=basic("a", "b"))) as proxy:
        url = proxy.url.replace("http://", "http://a:b@")
        exit_code, document, wrong = found(doctor, url)
    assert (exit_code, wrong) == (0, set())
    assert document["facts"]["database"]["product"] in ("Prometheus", "VictoriaMetrics")
    assert "a:b" not in json.dumps(document)


def anonymous(query: str) -> str:
    """A query with placeholders for names, as doctor prints it."""
    for label, name in (("pod", "POD"), ("replicaset", "REPLICASET"), ("job_name", "JOB")):
        query = re.sub(rf'\b((?:exported_)?{label})=~"[^"]*"', rf'\1=~"{name}"', query)
    return query


def fetched_and_printed(
    url: str, doctor: Doctor, key: str
) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """What a fetch of yesterday asked through a proxy, and what doctor printed before: times and queries."""
    with proxied(url) as proxy:
        _, text, _ = doctor("--prometheus", proxy.url, "--queries", "-o", "json", "--days", "1")
        assert proxy.asked == []
        until = json.loads(text)["day"]["endTime"]
        with pytest.raises(SystemExit) as ended:
            main(["usage", "--prometheus", proxy.url, "--days", "1", "--until", until, "-o", "json"])
        assert ended.value.code == 0
        assert {each.path for each in proxy.asked} == {"/api/v1/query"}
        sent = {(each.parameters["time"], anonymous(each.parameters["query"])) for each in proxy.asked}
    return sent, {(seconds(each["time"]), each["query"]) for each in json.loads(text)[key]}


def test_a_fetch_asks_exactly_what_doctor_printed(
    whole: Database, doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sent, printed = fetched_and_printed(whole.url, doctor, "fetch")
    assert sent == printed
    assert len(printed) == 15


def seconds(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).timestamp():.3f}"


def test_doctor_asks_what_it_printed(whole: Database, doctor: Doctor) -> None:
    with proxied(whole.url) as proxy:
        _, text, _ = doctor("--prometheus", proxy.url, "--queries", "-o", "json", "--days", "2")
        assert proxy.asked == []
        found(doctor, proxy.url)
        gets = {each.path for each in proxy.asked if each.method == "GET"}
        sent = {lengths(each.parameters["query"]) for each in proxy.asked if each.method == "POST"}
        assert len(sent) + len(gets) <= len(proxy.asked) < 45
    printed = json.loads(text)["doctor"]
    assert sent <= {lengths(each["query"]) for each in printed if "query" in each}
    assert gets <= {each["path"] for each in printed if "path" in each}
    assert len(sent) >= 12 and len(gets) >= 4


def lengths(query: str) -> str:
    """A query whatever the time that it looks back over."""
    return re.sub(r"\[\d+ms\]", "[]", query)


def test_the_printed_queries_are_for_a_reader_too(doctor: Doctor) -> None:
    exit_code, text, error = doctor("--prometheus", "http://127.0.0.1:1", "--queries", "--days", "1")
    assert (exit_code, error) == (0, "")
    assert '  last_over_time(kube_job_owner{job_name=~"JOB"}[86400000ms])\n' in text
    assert "  GET /api/v1/status/buildinfo\n" in text and "each of 2 days" in text


def test_without_a_database_the_next_command_is_named(doctor: Doctor) -> None:
    exit_code, text, error = doctor()
    assert (exit_code, text) == (2, "")
    assert "stellwerk doctor --prometheus http" in error


def test_the_yaml_is_the_json(whole: Database, doctor: Doctor) -> None:
    import yaml

    _, document, _ = found(doctor, whole.url)
    _, text, _ = doctor("--prometheus", whole.url, "-o", "yaml", "--days", "2")
    other = yaml.safe_load(text)
    assert list(other) == list(document)
    assert other["layers"][1:] == document["layers"][1:]
