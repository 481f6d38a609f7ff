"""The folder of fetched days: whose they are, what of them is taken again, and what is never written over."""

import json
import zlib
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from stellwerk.adapters.metrics.fetched import FetchedFile, FetchedMetrics
from stellwerk.adapters.metrics.load import load_usage
from stellwerk.adapters.prometheus.client import Answer
from stellwerk.adapters.prometheus.endpoint import read_endpoint
from stellwerk.adapters.prometheus.origin import Origin, origin_of
from stellwerk.adapters.prometheus.queries import Stretch
from stellwerk.adapters.prometheus.store import DAY_MS, Answers, Day, Kept, Store
from stellwerk.api.errors import InvalidInput
from stellwerk.cli.main import main

HERE, THERE = Origin("http://db", "1"), Origin("http://other", "2")
START = int(datetime(2026, 10, 28, tzinfo=UTC).timestamp()) * 1000
DAY = Day(Stretch(START, START + DAY_MS), settled=True)
PART = Day(Stretch(START, START + 52_000_000), settled=True)


def answer(number: int = 0, samples: int = 2) -> bytes:
    """One GPU for some minutes."""
    start_s = START // 1000 + 3600 * number
    series = {
        "metric": {"__name__": "DCGM_FI_DEV_GPU_UTIL", "UUID": "GPU-1", "modelName": "NVIDIA L40S"},
        "values": [[start_s + 30 * at, "1"] for at in range(samples)],
    }
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": [series]}}).encode()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.gz"))


def test_only_whole_days_that_are_over_are_kept(tmp_path: Path) -> None:
    store = Store(tmp_path, HERE)
    [doubtful] = store.keep(DAY, Answers([answer()], whole=False))
    assert doubtful.name == "2026-10-28.partial.jsonl.gz" and store.kept(DAY) == Kept()
    [early] = store.keep(replace(DAY, settled=False), Answers([answer()]))
    assert ".partial." in early.name and store.kept(DAY) == Kept()
    kept = store.keep(DAY, Answers([answer()]))
    assert store.kept(DAY) == Kept(kept) and names(tmp_path) == [kept[0].name] == ["2026-10-28.jsonl.gz"]
    assert store.kept(replace(DAY, settled=False)) == Kept()


def test_a_day_without_gpus_is_asked_for_again(tmp_path: Path) -> None:
    store = Store(tmp_path, HERE)
    files = store.keep(DAY, Answers([answer()], gpus=False))
    assert store.kept(DAY) == Kept() and store.keep(DAY, Answers([answer()])) == files
    assert store.kept(DAY) == Kept(files)


def test_a_folder_of_another_database_is_refused_and_filled_anew_where_that_is_asked_for(
    tmp_path: Path,
) -> None:
    Store(tmp_path, THERE).keep(DAY, Answers([answer(1)]))
    with pytest.raises(InvalidInput, match="holds days of another database: http://other") as refused:
        Store(tmp_path, HERE)
    assert str(tmp_path) in str(refused.value) and "--fresh" in str(refused.value.fix)
    with pytest.raises(InvalidInput, match="another tenant or user of http://other"):
        Store(tmp_path, replace(THERE, digest="3"))
    [mine] = Store(tmp_path, HERE, fresh=True).keep(DAY, Answers([answer()]))
    assert Store(tmp_path, HERE).kept(DAY) == Kept((mine,))
    # The next day is the other's still: it is not taken.
    later = Day(Stretch(START + DAY_MS, START + 2 * DAY_MS), settled=True)
    Store(tmp_path, THERE, fresh=True).keep(later, Answers([answer(25)]))
    assert Store(tmp_path, HERE, fresh=True) and Store(tmp_path, HERE).kept(later) == Kept()


def test_a_folder_of_another_database_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Store(tmp_path, THERE)
    for verb in ("usage", "advise", "watch"):
        with pytest.raises(SystemExit) as ended:
            main([verb, "--prometheus", "http://127.0.0.1:9", "--save", str(tmp_path)])
        assert ended.value.code == 2 and f"{tmp_path} holds days of another" in capsys.readouterr().err


def test_what_tells_answers_apart_is_in_the_origin_and_a_secret_is_not() -> None:
    plain = origin_of(read_endpoint("http://db"))
    others = [
        read_endpoint("http://db/other"),
        read_endpoint("http://db", None, ("x-scope-orgid: a",)),
        read_endpoint("http://db", None, ("X-Scope-OrgID: b",)),
        read_endpoint("http://anna:s3cret@db"),
    ]
    assert len({plain, *map(origin_of, others)}) == 5
    for one, other in (("http://anna:x@db", "http://anna:y@db"),):
        assert origin_of(read_endpoint(one)) == origin_of(read_endpoint(other))
    tokens = [read_endpoint("http://db", None, (f"Authorization: Bearer {token}",)) for token in "ab"]
    assert origin_of(tokens[0]) == origin_of(tokens[1])


CHANGES = {
    "other content": zlib.compress(answer(5), wbits=31),
    "cut off": zlib.compress(answer(), wbits=31)[:-9],
    "empty": b"",
}


@pytest.mark.parametrize("content", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("end", ["jsonl.gz", "day"])
def test_a_file_that_is_not_what_was_kept_is_fetched_again(tmp_path: Path, content: bytes, end: str) -> None:
    store = Store(tmp_path, HERE)
    files = store.keep(DAY, Answers([answer()]))
    (tmp_path / f"2026-10-28.{end}").write_bytes(content)
    assert store.kept(DAY) == Kept(damaged=f"2026-10-28.{end}")
    assert store.keep(DAY, Answers([answer()])) == files and store.kept(DAY) == Kept(files)
    (tmp_path / files[0].name).unlink()
    assert store.kept(DAY) == Kept()


def listed(store: Store, files: tuple[FetchedFile, ...], end_ms: int) -> Path:
    return store.write_list(FetchedMetrics(url="", start_ms=START, end_ms=end_ms, files=files))


def test_what_a_list_names_outlasts_the_whole_day_and_fetching_anew(tmp_path: Path) -> None:
    store = Store(tmp_path, HERE)
    part = listed(store, store.keep(PART, Answers([answer()])), PART.stretch.end_ms)
    store.keep(replace(PART, stretch=Stretch(START, START + 60_000), settled=False), Answers([answer()]))
    whole = listed(store, store.keep(DAY, Answers([answer(), answer(1)])), DAY.stretch.end_ms)
    assert names(tmp_path) == ["2026-10-28-to-142640.jsonl.gz", "2026-10-28.jsonl.gz"]
    anew = Store(tmp_path, HERE, fresh=True)
    assert anew.keep(DAY, Answers([answer(), answer(1)])) == store.kept(DAY).files
    [other] = anew.keep(DAY, Answers([answer(), answer(1), answer(2)]))
    assert other.name.startswith("2026-10-28.") and store.kept(DAY) == Kept((other,))
    for path in (part, whole):
        assert load_usage([str(path)]).usage.devices


def test_what_another_run_kept_in_the_meantime_is_taken(tmp_path: Path) -> None:
    one, other = Store(tmp_path, HERE), Store(tmp_path, HERE)
    first = one.keep(DAY, Answers([answer()]))
    assert other.keep(DAY, Answers([answer(3)])) == first and names(tmp_path) == [first[0].name]


def test_a_large_day_is_several_files_that_read_as_one(tmp_path: Path) -> None:
    answers = [answer(number, samples=100) for number in range(7)]
    limit = 2 * len(answers[0]) + 10
    files = Store(tmp_path / "parts", HERE, file_bytes=limit).keep(DAY, Answers(answers))
    assert [file.name for file in files] == [
        "2026-10-28.jsonl.gz",
        *(f"2026-10-28.{number}.jsonl.gz" for number in (2, 3, 4)),
    ]
    for file in files:
        assert len(zlib.decompress((tmp_path / "parts" / file.name).read_bytes(), wbits=31)) <= limit
    parts = Store(tmp_path / "parts", HERE)
    assert parts.kept(DAY) == Kept(files)
    one = Store(tmp_path / "one", HERE)
    usages = [
        load_usage([str(listed(store, store.keep(DAY, Answers(answers)), DAY.stretch.end_ms))]).usage
        for store in (parts, one)
    ]
    assert usages[0] == usages[1]


def test_equal_data_is_kept_as_equal_bytes(tmp_path: Path) -> None:
    def told(body: str) -> bytes:
        return msgspec.json.decode(body, type=Answer).text

    one, two = '{"metric":{"b":"1","a":"2"},"values":[[1.5,"1"]]}', '{"metric":{"a":"0"},"value":[2,"3"]}'
    start, end = '{"status":"success","data":{"resultType":"matrix","result":[', "]}"
    first = told(f'{start}{one},{two}{end},"stats":{{"executionTimeMsec":5}}}}')
    swapped = one.replace('"b":"1","a":"2"', '"a":"2","b":"1"')
    assert first == told(f'{start}{two},\n{swapped}{end},"isPartial":false,"infos":["x"]}}')
    assert json.loads(first)["data"]["result"] == [json.loads(two), json.loads(one)]
    doubtful = json.loads(told(f'{start}{one}{end},"isPartial":true,"warnings":["w"]}}'))
    assert doubtful["isPartial"] is True and doubtful["warnings"] == ["w"]
