"""Quantities, durations and times: exact, as Kubernetes and Go read them."""

import pytest

from stellwerk.api.duration import parse_duration, parse_time
from stellwerk.api.quantity import INT64_MAX, parse_quantity

HOUR = 3_600_000_000_000
# text, canonical text, whole units, thousandths: by the rules of apimachinery's quantity.go
QUANTITIES = [
    ("0", "0", 0, 0),
    ("1", "1", 1, 1000),
    ("+3", "3", 3, 3000),
    ("5.", "5", 5, 5000),
    (".5", "500m", 1, 500),
    ("1.5", "1500m", 2, 1500),
    ("100m", "100m", 1, 100),
    ("0.1m", "100u", 1, 1),
    ("0.0000000001", "1n", 1, 1),
    ("-0.0000000001", "-1n", -1, -1),
    ("1e-100", "1e-9", 1, 1),
    ("1n", "1n", 1, 1),
    ("12e6", "12e6", 12_000_000, 12_000_000_000),
    ("1E3", "1e3", 1000, 1_000_000),
    ("1E", "1E", 10**18, INT64_MAX),
    ("1000000", "1M", 1_000_000, 1_000_000_000),
    ("1Ki", "1Ki", 1024, 1_024_000),
    ("0.5Ki", "512", 512, 512_000),
    ("1.5Gi", "1536Mi", 1_610_612_736, 1_610_612_736_000),
    ("-1.5Gi", "-1536Mi", -1_610_612_736, -1_610_612_736_000),
    ("1.3Ki", "1331200m", 1332, 1_331_200),
    ("966367641600m", "966367641600m", 966_367_642, 966_367_641_600),
    ("20Ei", str(INT64_MAX), INT64_MAX, INT64_MAX),
    ("-20Ei", f"-{INT64_MAX}", -INT64_MAX, -INT64_MAX),
    ("1000000000000000000000", "1000E", INT64_MAX, INT64_MAX),
]
MALFORMED = [
    "",
    " ",
    "Ki",
    ".",
    "-",
    "1i",
    "1Kii",
    "1kI",
    "1e",
    "1e+",
    "1.1.1",
    "1 ",
    "1_000",
    "0x1",
    "1,5",
    "٣",
    "1mm",
]


@pytest.mark.parametrize(("text", "canonical", "value", "milli"), QUANTITIES, ids=lambda item: str(item))
def test_a_quantity_has_the_value_and_the_canonical_text_of_kubernetes(
    text: str, canonical: str, value: int, milli: int
) -> None:
    quantity = parse_quantity(text)
    assert (str(quantity), quantity.value(), quantity.milli_value()) == (canonical, value, milli)


@pytest.mark.parametrize("text", [text for text, _, _, _ in QUANTITIES])
def test_the_canonical_text_names_the_same_quantity(text: str) -> None:
    assert parse_quantity(str(parse_quantity(text))) == parse_quantity(text)


def test_equal_amounts_are_equal_whatever_their_form() -> None:
    assert parse_quantity("1Ki") == parse_quantity("1024") == parse_quantity("1.024k")
    assert len({parse_quantity("1Gi"), parse_quantity("1024Mi")}) == 1


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["1e65", "1e999999999999999999", "9" * 65, "1" + "0" * 10_000_000])
def test_hostile_sizes_are_refused_before_they_cost_anything(text: str) -> None:
    with pytest.raises(ValueError, match="too large"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("3h30m", 7 * HOUR // 2),
        ("168h", 168 * HOUR),
        ("1.5h", 3 * HOUR // 2),
        (".5s", 500_000_000),
        ("1m0.000000001s", 60_000_000_001),
        ("-1h", -HOUR),
        ("10us", 10_000),
        ("10µs", 10_000),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    "text", ["", "1", "h", "1d", "1h 30m", "1hh", "--1h", "1e3s", "2562048h", "1" * 70 + "h"]
)
def test_a_wrong_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"malformed|too large"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-01T00:00:00Z", 1_767_225_600_000_000_000),
        ("2026-01-01T01:00:00.5+01:00", 1_767_225_600_500_000_000),
        ("1969-12-31T23:59:59.25Z", -750_000_000),
        ("2026-01-01T00:00:00.123456789Z", 1_767_225_600_123_456_789),
    ],
)
def test_a_time_is_nanoseconds_since_1970(text: str, ns: int) -> None:
    assert parse_time(text) == ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:01Z",
        "0000-01-01T00:00:00Z",
    ],
)
def test_a_wrong_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        parse_time(text)
