"""What a plan over all layers decides: each change with its reason, its price and its disruption."""

from decimal import Decimal

from msgspec import Struct

from stellwerk.engine.decision import Reason
from stellwerk.engine.partition.inventory import PartitionPlan
from stellwerk.engine.planning.today import Owner


class Planning(Struct, frozen=True, kw_only=True):
    """The rules of a plan: ways of sharing it may take, and minutes in which a restarted pod does nothing.

    `replicas` of a time-sliced GPU; `cut_seconds`: (node, seconds) that cutting its GPUs was published to
    take. `spare`: how many nodes the replay of the measured demand does without (None: nothing was replayed).
    """

    methods: tuple[str, ...] = ("mig",)
    restart_minutes: int = 10
    replicas: int = 4
    cut_seconds: tuple[tuple[str, int], ...] = ()
    spare: int | None = None


class Moved(Struct, frozen=True, kw_only=True):
    """An owner whose pods get a share of a GPU: `method`, and for MIG its `profile`."""

    owner: Owner
    method: str
    profile: str
    reason: Reason


class QuotaChange(Struct, frozen=True, kw_only=True):
    """A nominalQuota; `before` None: the ClusterQueue does not cover the resource yet."""

    queue: str
    group: int
    flavor: str
    resource: str
    before: int | None
    after: int
    reason: Reason


class PoolChange(Struct, frozen=True, kw_only=True):
    """A field of a NodePool's spec: limits (GPUs), or disruption."""

    pool: str
    field: str
    before: str
    after: str
    reason: Reason


class Money(Struct, frozen=True, kw_only=True):
    """A month (730 h) of all nodes with GPUs, in the fleet's currency; None where a price is unknown.

    `after`: without nodes that Karpenter gives back; `by_hand`: also without emptied ones that somebody must
    give back. `nodes_..` counts them.
    """

    currency: str
    before: Decimal | None
    after: Decimal | None
    by_hand: Decimal | None
    nodes_before: int
    nodes_after: int
    nodes_by_hand: int


class ClusterPlan(Struct, frozen=True, kw_only=True):
    """The plan. `restarted` pods, each without work for `disruption_minutes` / restarted on average.

    `emptied` nodes have no GPU in use afterwards: Karpenter gives back `returned` ones,
    somebody `by_hand` ones, in that order.
    """

    moved: tuple[Moved, ...]
    partition: PartitionPlan
    quotas: tuple[QuotaChange, ...]
    pools: tuple[PoolChange, ...]
    money: Money
    restarted: tuple[str, ...]
    disruption_minutes: int
    emptied: tuple[str, ...]
    returned: tuple[str, ...]
    by_hand: tuple[str, ...]
    notes: tuple[Reason, ...] = ()
