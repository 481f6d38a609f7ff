"""Each form of a file gives the same usage, exactly; what is no reading is counted, broken is refused."""

import gzip
import json
import lzma
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stellwerk.adapters.metrics import intake
from stellwerk.adapters.metrics.load import UsageOptions, load_usage
from stellwerk.api.errors import InvalidInput
from stellwerk.cli.main import main
from stellwerk.engine.usage import FB_USED, UTIL, Usage
from stellwerk.report.text import error_text

T0 = 1_763_900_000
LABELS = {
    "gpu": "0",
    "UUID": "GPU-604ac76c",
    "modelName": "NVIDIA A100-SXM4-80GB",
    "Hostname": "n1",
    "pod": "llm-0",
    "namespace": "team-a",
    "container": "vllm",
}
VALUES = {UTIL: ["87", "8.5", "0", "12.0625"], FB_USED: ["61234", "61234", "61235", "61236"]}


def exposition(scale: int = 1000) -> str:
    labels = ",".join(f'{key}="{value}"' for key, value in LABELS.items())
    lines = []
    for at in range(4):
        for metric, values in VALUES.items():
            lines += [f"# TYPE {metric} gauge", f"{metric}{{{labels}}} {values[at]} {(T0 + 30 * at) * scale}"]
    return "\n".join([*lines, "# EOF", ""])


def results() -> list[dict[str, object]]:
    return [
        {
            "metric": {"__name__": metric, **LABELS},
            "values": [[T0 + 30 * at, value] for at, value in enumerate(values)],
        }
        for metric, values in VALUES.items()
    ]


def answer(found: object, kind: str = "matrix") -> str:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": found}})


def vectors() -> str:
    """One answer of `query` a line."""
    return "\n".join(
        answer([{"metric": each["metric"], "value": each["values"][at]} for each in results()], "vector")  # type: ignore[index]
        for at in range(4)
    )


def rows() -> list[list[str]]:
    return [
        [str(T0 + 30 * at), metric, value, *LABELS.values()]
        for metric, values in VALUES.items()
        for at, value in enumerate(values)
    ]


HEADER = ["timestamp", "metric", "value", *LABELS]
CSV = "\n".join(",".join(row) for row in [HEADER, *rows()]) + "\n"


def read(tmp_path: Path, name: str, content: bytes | str, **options: int) -> Usage:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_usage([str(tmp_path / name)], UsageOptions(**options)).usage


def refusal(tmp_path: Path, name: str, content: bytes | str) -> str:
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, name, content)
    assert caught.value.fix
    return error_text(caught.value, "en").replace(str(tmp_path) + "/", "")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("range.json", answer(results())),
        ("data.json", json.dumps({"resultType": "matrix", "result": results()})),
        ("bare.json", json.dumps(results())),
        ("two.json", json.dumps([json.loads(answer([each])) for each in results()])),
        ("query.json", vectors()),
        ("scrapes.prom", exposition()),
        ("seconds.om", exposition(1)),
        ("long.csv", CSV),
        ("long.csv", CSV.replace(",", ";")),
        ("anything", exposition()),
        ("packed.json.xz", lzma.compress(answer(results()).encode())),
        ("packed.txt.gz", gzip.compress(exposition().encode())),
    ],
)
def test_every_form_gives_the_same_exact_usage(tmp_path: Path, name: str, content: bytes | str) -> None:
    usage = read(tmp_path, name, content)
    (device,), (pod,) = usage.devices, usage.pods
    assert (device.key, device.node, device.model) == ("GPU-604ac76c", "n1", "A100-SXM4-80GB")
    assert list(device.series[UTIL].values_milli) == [87_000, 8_500, 0, 12_062]
    assert list(device.series[FB_USED].values_milli) == [61_234_000, 61_234_000, 61_235_000, 61_236_000]
    assert list(device.series[UTIL].times_ms) == [(T0 + 30 * at) * 1000 for at in range(4)]
    assert (pod.name, pod.container, pod.series) == ("team-a/llm-0", "vllm", device.series)
    assert (usage.interval_ms, usage.end_ms - usage.start_ms) == (30_000, 120_000)


def test_parquet_is_read_with_times_and_numbers_of_its_own(tmp_path: Path) -> None:
    columns = dict(zip(HEADER, zip(*rows(), strict=True), strict=True))
    times = pa.array([int(time) * 1_000_000 for time in columns["timestamp"]], pa.timestamp("us", tz="UTC"))
    values = pa.array([float(value) for value in columns["value"]])
    labels = {name: pa.array(columns[name]).dictionary_encode() for name in ("metric", *LABELS)}
    pq.write_table(pa.table({"timestamp": times, "value": values, **labels}), tmp_path / "x.parquet")
    assert load_usage([str(tmp_path / "x.parquet")]).usage == read(tmp_path, "x.csv", CSV)


def test_a_folder_is_read_as_one_and_its_files_are_named(tmp_path: Path) -> None:
    for number, each in enumerate(results()):
        (tmp_path / f"{number}.json").write_text(answer([each]))
    (tmp_path / "notes.md").write_text("not metrics")
    loaded = load_usage([str(tmp_path)])
    assert [Path(file.name).name for file in loaded.inputs] == ["0.json", "1.json"]
    assert loaded.usage == read(tmp_path, "all.txt", answer(results()))


def test_answers_for_two_times_may_stand_in_any_order(tmp_path: Path) -> None:
    parts = [
        [{**each, "values": each["values"][cut]} for each in results()] for cut in (slice(2, 4), slice(0, 3))
    ]  # type: ignore[index]
    assert read(tmp_path, "a.json", "\n".join(map(answer, parts))) == read(
        tmp_path, "b.json", answer(results())
    )


def test_of_two_files_with_other_values_the_later_counts(tmp_path: Path) -> None:
    for name, value in (("1.prom", 5), ("2.prom", 7)):
        (tmp_path / name).write_text(f'{UTIL}{{UUID="GPU-a"}} {value} {T0}\n')
    paths = [str(tmp_path / name) for name in ("2.prom", "1.prom")]
    for given, kept in ((paths, 5), (paths[::-1], 7), ([str(tmp_path)], 7)):
        usage = load_usage(given).usage
        assert list(usage.devices[0].series[UTIL].values_milli) == [1000 * kept]
        assert "values-conflict" in {warning.code for warning in usage.warnings}


def test_the_pod_table_is_one_gpu_a_pod(tmp_path: Path) -> None:
    table = "pod,minute,duty_pct,mem_mib\n0,0,7.5,20618.0\n0,1,,20618.0\n1,1,3,100\n"
    usage = read(tmp_path, "use.csv", table)
    assert [pod.name for pod in usage.pods] == ["pods/pod-0", "pods/pod-1"]
    assert list(usage.pods[0].series[UTIL].times_ms) == [0]
    assert list(usage.pods[0].series[UTIL].values_milli) == [7_500]
    assert list(usage.pods[0].series[FB_USED].times_ms) == [0, 60_000]
    assert usage.interval_ms == 60_000 and len(usage.devices) == 2
    assert "study-table" in {warning.code for warning in usage.warnings}


@pytest.mark.parametrize(
    ("text", "milli"),
    [
        ("0.0005", 0),  # Half to even.
        ("0.0015", 2),
        ("0.00151", 2),
        ("6.1234e+04", 61_234_000),
        ("1e-30", 0),
        ("9007199254740993", 9_007_199_254_740_993_000),  # A double would have lost the 3.
    ],
)
def test_values_are_exact(tmp_path: Path, text: str, milli: int) -> None:
    usage = read(tmp_path, "a.prom", f'{UTIL}{{UUID="GPU-a"}} {text} {T0}\n')
    assert list(usage.devices[0].series[UTIL].values_milli) == [milli]


@pytest.mark.parametrize(
    "text",
    ["NaN", "+Inf", "-Inf", "9223372036854775794", "9.223372036854776e+18", "140737488355328", "-1", "1e300"],
)
def test_what_is_no_reading_is_left_out_and_counted(tmp_path: Path, text: str) -> None:
    usage = read(
        tmp_path, "a.prom", f'{UTIL}{{UUID="GPU-a"}} {text} {T0}\n{FB_USED}{{UUID="GPU-a"}} 5 {T0}\n'
    )
    assert UTIL not in usage.devices[0].series
    found = {warning.code: str(warning) for warning in usage.warnings}
    assert found["sample-blank"].startswith("1 samples") and found["sample-blank"].endswith(UTIL)
    assert "compute-missing" in found


def test_labels_with_quotes_braces_and_escapes_are_read(tmp_path: Path) -> None:
    line = rf'{UTIL}{{UUID="GPU-a",pod="a}} \"b\\ c",namespace="x y",}} 5 {T0} # {{trace_id="t"}} 1'
    assert read(tmp_path, "a.prom", f"{line}\n{line}\n").pods[0].pod == 'a} "b\\ c'


def test_the_name_of_an_openmetrics_counter_loses_its_total(tmp_path: Path) -> None:
    name = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
    usage = read(tmp_path, "a.om", f'{name}_total{{UUID="GPU-a"}} 5 {T0}.5\n')
    assert list(usage.devices[0].series[name].times_ms) == [T0 * 1000 + 500]


def test_text_without_times_needs_one(tmp_path: Path) -> None:
    line = f'{UTIL}{{UUID="GPU-a"}} 5\n'
    assert "line 1 has no time" in refusal(tmp_path, "a.prom", line)
    assert read(tmp_path, "a.prom", line, at_ms=7).start_ms == 7


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", "{", "a.json is no JSON answer of Prometheus"),
        ("a.json", "[" * 100_000, "a.json is no JSON answer of Prometheus"),
        ("a.json", '{"status":"error","error":"query timed out"}', "query timed out"),
        ("a.json", answer([]), "holds no result"),
        ("a.json", answer([1.5, "3"], "scalar"), "Expected `object`"),
        ("a.json", answer([{"metric": {}, "values": []}]), "result 1 has no __name__"),
        ("a.json", answer([{"metric": {"__name__": UTIL}, "values": [[1]]}]), "result 1 holds a sample"),
        ("a.json", answer([{"metric": {"__name__": UTIL}, "values": [[1, "x"]]}]), '"x" is no number'),
        ("a.json", answer([{"metric": {"__name__": UTIL}, "values": [[1e300, "1"]]}]), "is no time between"),
        ("a.json", answer([{"metric": {"__name__": UTIL}, "values": [[1, "1"]]}]), "has no reading of a GPU"),
        ("a.prom", f'{UTIL}{{UUID="GPU-a"}} 5 {T0}\n{UTIL}{{UUID=}} 5\n', "line 2"),
        ("a.prom", f'{UTIL}{{UUID="GPU-a"}} five {T0}\n', 'line 1: "five" is no number'),
        ("a.prom", f'# x\n{UTIL}{{UUID="\xff', "is no sample"),
        ("a.csv", CSV.replace("8.5", "8,5"), "row 3 of a.csv has 11 fields"),
        ("a.csv", CSV.replace("8.5", "8x5"), 'row 3: "8x5" is no number'),
        ("a.csv", CSV.replace(f"{T0 + 30}", "noon"), "row 3"),
        ("a.csv", CSV.replace("metric", "which"), "has no column metric"),
        ("a.csv", "pod,use,when\na,1,2\n", "is no table of metrics: its header is pod, use, when"),
        ("a.parquet", b"PAR1rubbish", "is not a Parquet file"),
        ("a.bin", b"\x00\x01", "is in no form that is known"),
        ("a.txt", b" \n", "a.txt is empty"),
    ],
)
def test_bad_input_is_refused_with_file_place_and_next_step(
    tmp_path: Path, name: str, content: bytes | str, words: str
) -> None:
    line = refusal(tmp_path, name, content)
    assert words in line and name in line and "Next: " in line


def test_a_folder_without_metrics_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="0 files of metrics"):
        load_usage([str(tmp_path)])
    with pytest.raises(InvalidInput, match="does not exist"):
        load_usage([str(tmp_path / "none.json")])


def test_more_samples_than_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "SAMPLES_LIMIT", 7)
    assert "more than 7 samples" in refusal(tmp_path, "a.csv", CSV)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_the_verb_prints_devices_pods_holes_and_warnings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.prom"
    path.write_text(exposition() + exposition().replace("17639000", "17639010"))
    assert run("usage", str(path), "--lang", "en") == 0
    text = capsys.readouterr().out
    assert text.startswith("1 GPUs or instances, 1 pods, 1 files: 2025-11-23 12:13 UTC to 2025-11-23")
    assert "team-a/llm-0" in text and "A100-SXM4-80GB" in text and "power-missing: 1 GPUs" in text
    assert run("usage", str(path), "--lang", "de") == 0
    assert "power-missing: 1 GPUs haben kein POWER_USAGE" in capsys.readouterr().out
    assert run("usage", str(path), "-o", "json") == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["intervalMs"] == 30_000 and plain["devices"][0]["samples"] == {UTIL: 8, FB_USED: 8}
    assert plain["pods"][0]["pod"] == "llm-0" and plain["holes"][0]["node"] == "n1"
    assert run("usage", str(path), "--interval", "soon") == 2
    assert run("usage", str(path), "--at", "soon") == 2
    assert run("usage", str(tmp_path / "none")) == 2
