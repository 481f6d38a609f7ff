"""Whatever is done to a file of metrics, a usage comes out that holds its promises, or one InvalidInput.

2,000 mutations of each form. The seed of a failure is in its message. And a differential: the joined series
of a random sharing of GPUs is what a slow reading of the docstring gives.
"""

import io
import json
import lzma
import random
import time
from array import array
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.adapters.metrics.load import load_usage
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.joining.join import join_series
from stellwerk.engine.joining.series import Findings, Series
from stellwerk.engine.usage import FB_USED, POWER, UTIL, Usage
from stellwerk.report.text import error_text
from tests.property.test_inputs import mutated

MUTATIONS = 2_000
LONGEST_S = 2
T0 = 1_763_900_000
LABELS = 'gpu="{0}",UUID="GPU-{0}",modelName="NVIDIA L40S",Hostname="n",pod="p{1}",namespace="a"'
LINES = [
    f"{metric}{{{LABELS.format(gpu, pod)}}} {value + at}.5 {(T0 + 30 * at) * 1000}"
    for at in range(5)
    for metric, value in ((UTIL, 10), (FB_USED, 5000))
    for gpu, pod in ((0, 0), (1, 1), (1, 2))
]
OWNER = 'kube_pod_owner{namespace="a",pod="p0",owner_kind="Job",owner_name="j"} 1'
TEXT = "\n".join([*LINES, f"{OWNER} {T0 * 1000}", "# EOF", ""])
ROWS = [
    (T0 + 30 * at, metric, f"{at}.25", f"GPU-{gpu}", "n", f"p{gpu}", "a")
    for metric in (UTIL, FB_USED)
    for gpu in (0, 1)
    for at in range(5)
]
COLUMNS = ("timestamp", "metric", "value", "UUID", "Hostname", "pod", "namespace")
CSV = "\n".join(",".join(map(str, row)) for row in [COLUMNS, *ROWS]) + "\n"
STUDY = "pod,minute,duty_pct,mem_mib\n" + "".join(f"{p},{m},{m}.5,{m}00.0\n" for p in "ab" for m in range(9))
JSON = json.dumps(
    {
        "status": "success",
        "data": {
            "resultType": "matrix",
            "result": [
                {
                    "metric": {"__name__": metric, "UUID": f"GPU-{gpu}", "pod": f"p{gpu}", "namespace": "a"},
                    "values": [[T0 + 30 * at, f"{at}.5"] for at in range(5)],
                }
                for metric in (UTIL, FB_USED, POWER)
                for gpu in (0, 1)
            ],
        },
    },
    indent=0,
)


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(dict(zip(COLUMNS, zip(*ROWS, strict=True), strict=True))), file)
    return file.getvalue()


FORMS = {
    "range.json": JSON.encode(),
    "scrapes.prom": TEXT.encode(),
    "long.csv": CSV.encode(),
    "study.csv": STUDY.encode(),
    "scrapes.prom.xz": lzma.compress(TEXT.encode()),
    "long.parquet": parquet(),
}


def keeps_its_promises(usage: Usage) -> None:
    assert [device.key for device in usage.devices] == sorted({device.key for device in usage.devices})
    assert [pod.name for pod in usage.pods] == sorted(pod.name for pod in usage.pods)
    assert usage.interval_ms > 0 and usage.devices
    keys = {device.key for device in usage.devices}
    for holder in (*usage.devices, *usage.pods):
        for samples in holder.series.values():
            assert len(samples.times_ms) == len(samples.values_milli)
            assert all(before < after for before, after in pairwise(samples.times_ms))
            assert all(usage.start_ms <= at < usage.end_ms for at in samples.times_ms)
    for pod in usage.pods:
        assert usage.start_ms <= pod.start_ms <= pod.end_ms <= usage.end_ms and keys >= set(pod.devices)
    for hole in usage.holes:
        assert usage.start_ms < hole.start_ms < hole.end_ms < usage.end_ms
    assert all(str(warning) for warning in usage.warnings)


@pytest.mark.parametrize("name", FORMS)
def test_a_mutant_is_a_sound_usage_or_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FORMS[name])
    keeps_its_promises(load_usage([str(path)]).usage)
    refused = 0
    for seed in range(MUTATIONS):
        path.write_bytes(mutated(FORMS[name], random.Random(f"{name}/{seed}")))
        started = time.process_time()
        try:
            keeps_its_promises(load_usage([str(path)]).usage)
        except InvalidInput as error:
            refused += 1
            line = error_text(error, "en")
            assert error.fix and "\n" not in line and len(line) < 2_000, f"seed {seed}: {line}"
        except Exception as error:
            pytest.fail(f"{name}, seed {seed}: {type(error).__name__}: {error}")
        assert time.process_time() - started < LONGEST_S, f"{name}, seed {seed} took too long"
    assert MUTATIONS // 10 < refused <= MUTATIONS, "mutants should be refused"


# Per device: who holds it in each of some scrapes, whether the exporter tells processes apart, and use.
shares = st.lists(
    st.tuples(
        st.booleans(), st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(1, 30)), max_size=6)
    ),
    min_size=1,
    max_size=3,
).filter(lambda devices: any(any(scrape for scrape in scrapes) for _, scrapes in devices))


@given(shares)
@settings(max_examples=200, deadline=None)
def test_devices_count_each_value_once(devices: list[tuple[bool, list[dict[str, int]]]]) -> None:
    """`dict` of pods to use: per process the values are theirs, else each shows the device's sum."""
    series = []
    truth: dict[str, dict[int, int]] = {}
    together: dict[str, set[str]] = {}
    for number, (split, scrapes) in enumerate(devices):
        rows: dict[str, dict[int, int]] = {}
        # That values are per process shows only where two pods are there at once.
        told = split and any(len(scrape) > 1 for scrape in scrapes)
        for at, scrape in enumerate(scrapes):
            # Who held the device: whoever was there before or now, and is there now or later.
            holders = {p for s in scrapes[: at + 1] for p in s} & {p for s in scrapes[at:] for p in s}
            total = sum(scrape.values())
            # Distinct values, so that what is per process can be told.
            own = {pod: 2 * use + 61 * "abc".index(pod) for pod, use in scrape.items()}
            if scrape and (not told or holders == set(scrape)):
                truth.setdefault(f"GPU-{number}", {})[at] = 1000 * (sum(own.values()) if split else total)
            for pod in holders if scrape else ():
                together.setdefault(pod, set()).update(holders - {pod})
            for pod in scrape:
                rows.setdefault(pod, {})[at] = 1000 * (own[pod] if split else total)
        for pod, values in rows.items():
            labels = {"UUID": f"GPU-{number}", "pod": pod, "namespace": "x"}
            series.append(Series(FB_USED, labels, array("q", values), array("q", values.values())))
    usage = join_series(series, Findings(), "test")
    keeps_its_promises(usage)
    found = {
        device.key: dict(
            zip(device.series[FB_USED].times_ms, device.series[FB_USED].values_milli, strict=True)
        )
        for device in usage.devices
    }
    assert found == truth
    # A pod that moved has several stays; together they shared what it shared.
    shared: dict[str, set[str]] = {}
    for pod in usage.pods:
        shared.setdefault(pod.pod, set()).update(pod.shared_with)
    for name, others in shared.items():
        assert others == {f"x/{other}" for other in together[name]}
