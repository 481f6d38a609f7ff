"""A workload's verdict with what it saves: what advice says of one workload."""

from decimal import Decimal

from msgspec import Struct

from stellwerk.engine.advice.profile import Profile
from stellwerk.engine.advice.verdict import Verdict
from stellwerk.engine.decision import Reason


class Advised(Struct, frozen=True, kw_only=True):
    """A workload with its verdict. `held_before_milli` and `held_after_milli`: of GPUs, all its pods at once.

    `saving_month` is the difference at the price of its GPU model; None where that is unknown. `kept`: it may
    share, but stays as it is, and why.
    """

    profile: Profile
    verdict: Verdict
    held_before_milli: int
    held_after_milli: int
    saving_month: Decimal | None = None
    kept: Reason | None = None
