"""A month of simulated GPUs, as a database would have kept it and as a file holds it."""

import time
from pathlib import Path

from msgspec import Struct

from stellwerk.engine.demand import NS_PER_S
from stellwerk.engine.partition.policy import POLICIES
from stellwerk.sim.ledger import Ledger
from stellwerk.sim.main_job import Arguments, prepare
from stellwerk.sim.observed.scrape import Scrapes, exposition
from stellwerk.sim.replay import simulate
from stellwerk.sim.slowdown import Slowdown

DAY_S = 24 * 3600


class History(Struct, frozen=True):
    """Samples in [start, start + period): exposition text with timestamps in ms, a scrape every `interval_s`.

    `ledger` is the truth behind the samples. The times are seconds since 1970.
    """

    path: Path
    ledger: Ledger
    start_s: int
    period_s: int
    interval_s: int
    samples: int

    @property
    def end_s(self) -> int:
        """The first second after the period; the last scrape is an interval before it."""
        return self.start_s + self.period_s

    @property
    def scrapes(self) -> int:
        """How many samples a series has that is always there (each GPU's, while pods come and go)."""
        return self.period_s // self.interval_s


def last_midnight_s() -> int:
    """The last midnight of UTC: VictoriaMetrics takes no future, and --days counts back from now."""
    return int(time.time()) // DAY_S * DAY_S


def write_month(
    path: Path, demand: str = "mittelstand", *, days: int = 30, interval_s: int = 30, end_s: int | None = None
) -> History:
    """Run a built-in demand on whole GPUs, and write what was scraped of it in the `days` before `end_s`.

    mittelstand has 4 GPUs; its 30 days at 30 s are 2.0 million samples (283 MB) in 3,300 series.
    """
    end_s = last_midnight_s() if end_s is None else end_s
    scenario = prepare(Arguments(demand=demand, policies=("whole",), days=days)).scenario
    ledger = simulate(scenario, POLICIES[0], Slowdown())
    assert ledger is not None
    scrapes = Scrapes(
        start_ns=(end_s - days * DAY_S) * NS_PER_S,
        period_ns=days * DAY_S * NS_PER_S,
        interval_ns=interval_s * NS_PER_S,
    )
    samples = 0
    with path.open("w", encoding="utf-8") as out:
        for line in exposition(ledger, scenario.fleet, scrapes):
            out.write(f"{line}\n")
            samples += 1
    return History(path, ledger, end_s - days * DAY_S, days * DAY_S, interval_s, samples)
