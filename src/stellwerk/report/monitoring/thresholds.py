"""What the rules call idle and too long, as the user gave it."""

from decimal import Decimal, InvalidOperation

from msgspec import Struct

from stellwerk.api.duration import parse_duration
from stellwerk.api.errors import InvalidInput

SECOND_NS = 1_000_000_000
# Kueue's histogram of waits has borders at 2.5 s * 2^n up to 2^14 (pkg/metrics/metrics.go): waits that are
# longer count as one. Those from the shortest target on:
WAIT_BORDERS_S = tuple(320 << n for n in range(8))
LONGEST_WAIT_S = WAIT_BORDERS_S[-1]
# increase() over less than a few scrapes and runs of the rules sees no admission.
SHORTEST_WAIT_S = 300


class Thresholds(Struct, frozen=True):
    """Use below `idle_below_percent` for `idle_after_s` is idle; a wait above `wait_target_s` is too long."""

    idle_below_percent: Decimal = Decimal(5)
    idle_after_s: int = 1_800
    wait_target_s: int = 3_600

    @property
    def idle_below(self) -> str:
        """As a ratio in PromQL: `0.05`."""
        return f"{(self.idle_below_percent / 100).normalize():f}"

    @property
    def wait_border_s(self) -> int:
        """The first border of Kueue's histogram that is not below the target, in s."""
        return next(border for border in WAIT_BORDERS_S if border >= self.wait_target_s)


def read_thresholds(idle_below: str, idle_after: str, wait_target: str) -> Thresholds:
    """From the command line's texts; raises InvalidInput naming the option."""
    target = _seconds("--wait-target", wait_target)
    if target < SHORTEST_WAIT_S:
        raise InvalidInput(
            "--wait-target {text} is shorter than what a scrape and a rule a minute can tell ({limit} s)",
            fix="name a target from it on: --wait-target 5m",
            text=wait_target[:40],
            limit=SHORTEST_WAIT_S,
        )
    if target >= LONGEST_WAIT_S:
        raise InvalidInput(
            "--wait-target {text} is longer than Kueue's histogram of waits tells apart ({limit} s)",
            fix="name a target below it: --wait-target 10h",
            text=wait_target[:40],
            limit=LONGEST_WAIT_S,
        )
    return Thresholds(_percent(idle_below), _seconds("--idle-after", idle_after), target)


def _percent(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if value.is_finite() and Decimal(0) < value <= 100 and value == round(value, 4):
        return value
    raise InvalidInput(
        "--idle-below {text} is not a percentage above 0, up to 100, with at most 4 decimals",
        fix="write it with a point: 2.5",
        text=text[:40],
    )


def _seconds(option: str, text: str) -> int:
    try:
        found, rest = divmod(parse_duration(text), SECOND_NS)
    except ValueError:
        found, rest = 0, 0
    if found > 0 and not rest:
        return found
    raise InvalidInput(
        "{option} {text} is no duration of whole seconds above 0",
        fix="write it like 30m or 1h30m",
        option=option,
        text=text[:40],
    )


def promql_duration(seconds: int) -> str:
    """`1h30m` for 5400: hours, minutes and seconds, which PromQL, MetricsQL and both operators read."""
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    parts = ((hour, "h"), (minute, "m"), (second, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)
