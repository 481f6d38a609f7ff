"""`--communication-share`, and what a replay that has a network says about itself."""

from decimal import Decimal, InvalidOperation

from msgspec import UnsetType

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.published.network import communication_share
from stellwerk.engine.decision import Reason
from stellwerk.engine.snapshot import Fleet
from stellwerk.sim.network.links import default_share
from stellwerk.sim.replay import Scenario

MEASURED_TEXT = (
    "Links between GPUs stretch gangs. A duration is taken as measured on the best link that the declared "
    "fleet has for the gang, unless the gang says where; {share} of each step is taken to wait for other "
    "GPUs, unless it says how much (published: {low} to {high}, see --communication-share)."
)
ALONE_TEXT = "Gangs do not slow one another: each has the links of its GPUs and nodes for itself."


def share_of(text: str, option: str) -> Decimal:
    """The share of a step, from 0 to 1; raises InvalidInput."""
    try:
        share = Decimal(text.strip())
    except InvalidOperation:
        share = Decimal(-1)
    exponent = share.as_tuple().exponent
    if share.is_finite() and 0 <= share <= 1 and isinstance(exponent, int) and exponent >= -6:
        return share
    raise InvalidInput(
        "{value} is no share of a step from 0 to 1",
        fix="give {option} a number such as 0.15, with at most six decimals",
        path=option,
        value=text[:40],
        option=option,
    )


def check_described(fleet: Fleet, option: str) -> None:
    """Raise InvalidInput where no node of the fleet says what its network is."""
    if any(not isinstance(node.network, UnsetType) for node in fleet.nodes):
        return
    raise InvalidInput(
        "no node of the fleet {name} describes its network, so {option} would change nothing",
        fix="add network: {{}} to a node group of the Fleet, for what the catalog knows",
        path=option,
        option=option,
        name=fleet.name,
    )


def network_notes(scenario: Scenario) -> tuple[str, ...]:
    """What is assumed of gangs; nothing where the fleet describes no network."""
    if scenario.network is None:
        return ()
    known = communication_share()
    values: dict[str, str | int] = {
        "share": f"{default_share(scenario.share):f}",
        "low": f"{known.low:f}",
        "high": f"{known.high:f}",
    }
    return str(Reason("Measured", MEASURED_TEXT, values)), str(Reason("NotContended", ALONE_TEXT))
