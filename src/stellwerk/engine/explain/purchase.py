"""Whether a node is bought for a pod: what each NodePool does for it, and what Karpenter says itself."""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.engine.decision import Reason
from stellwerk.engine.provisioning.provision import BUYS, LIMIT, MAY, NEVER, PoolAnswer

NOMINATED, FAILED = "Nominated", "FailedScheduling"  # Reasons of Karpenter's events.


class Said(Struct, frozen=True, kw_only=True):
    """Karpenter's last event about the pod: its reason and message; `claim`: the NodeClaim that it names.

    `state`: how far that NodeClaim is ("": it is gone).
    """

    reason: str
    message: str
    claim: str = ""
    state: str = ""


class PurchaseAnswer(Struct, frozen=True, kw_only=True):
    """Each NodePool in Karpenter's order; `said` None: Karpenter has not spoken of the pod.

    `unasked`: fields of the pod that Karpenter heeds and the pools' answers do not.
    """

    pools: tuple[PoolAnswer, ...]
    said: Said | None = None
    unasked: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """BUYS, MAY, LIMIT or NEVER: of all pools the best, unless Karpenter has decided."""
        verdicts = {each.verdict for each in self.pools}
        return next((one for one in (BUYS, MAY, LIMIT) if one in verdicts), NEVER)

    @property
    def buyer(self) -> PoolAnswer | None:
        """The pool that buys, or may: the first one that Karpenter asks."""
        return next((each for each in self.pools if each.verdict == self.verdict), None)


def heard(answer: PurchaseAnswer) -> PurchaseAnswer:
    """The same where what is only possible is as Karpenter decided it."""
    said = answer.said
    if said is None or answer.verdict not in (BUYS, MAY):
        return answer
    if said.reason == FAILED:
        refused = Reason("pool-refused", "Karpenter refuses, whatever is known here: its words are below")
        return replace(answer, pools=_as(answer.pools, refused))
    return answer


def _as(pools: Sequence[PoolAnswer], reason: Reason) -> tuple[PoolAnswer, ...]:
    return tuple(
        PoolAnswer(each.pool, NEVER, reason) if each.verdict in (BUYS, MAY) else each for each in pools
    )


def under_way(answer: PurchaseAnswer) -> Reason | None:
    """That a node is bought already; None: none is."""
    said = answer.said
    if said is None or said.reason != NOMINATED or not said.claim or not said.state:
        return None
    return Reason(
        "node-under-way",
        "Karpenter has bought a node for it: NodeClaim {claim} is {state}",
        {"claim": said.claim, "state": said.state},
    )
