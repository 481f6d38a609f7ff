"""What happened in a replay, as intervals: the raw material of every figure. Integers only."""

from fractions import Fraction

from msgspec import Struct

from stellwerk.engine.decision import Reason
from stellwerk.engine.demand import Job
from stellwerk.engine.partition.policy import WHOLE
from stellwerk.engine.placement.place import Grant


class LinkUse(Struct, frozen=True):
    """The level of the link that joined a gang ("": unknown), and so many times as long it took by it."""

    level: str
    factor: Fraction


class Stay(Struct, frozen=True):
    """A job on GPUs from `start_ns` to `end_ns`; `link` is set for a gang, where the fleet has a network.

    `held_milli_ns` is the GPU-time that it held, `useful_milli_ns` the measured use that came of it.
    """

    job: Job
    start_ns: int
    end_ns: int
    grants: tuple[Grant, ...]
    held_milli_ns: int
    useful_milli_ns: int
    link: LinkUse | None = None


class Ledger:
    """Filled by the world while the replay runs; read once, by the figures."""

    def __init__(self) -> None:
        self.stays: list[Stay] = []
        self.first_start_ns: dict[str, int] = {}
        self.rejected: dict[str, Reason] = {}
        self.waits: list[tuple[int, int]] = []  # (from, to): each stretch that a job waited.
        self.finished: set[str] = set()
        self.waiting: set[str] = set()  # At the end of the period.
        self.interrupted: set[str] = set()
        self.shared: set[str] = set()
        self.slowed: set[str] = set()
        self.overflowed: set[str] = set()
        self.overflow_byte_ns = 0
        self.cuts = self.cuts_failed = self.gpu_repairs = 0
        self.cutting_ns = 0

    @property
    def all_whole(self) -> bool:
        """Whether every job had whole GPUs, so that nothing depends on what sharing costs."""
        return all(grant.method == WHOLE for stay in self.stays for grant in stay.grants)
