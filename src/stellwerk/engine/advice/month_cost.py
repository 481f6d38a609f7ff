"""What GPUs and licences cost a month (730 hours), in the currency of the node's price."""

from decimal import Decimal
from fractions import Fraction

from stellwerk.catalog.prices import Price
from stellwerk.catalog.sharing.licences import Licence, licence_of
from stellwerk.engine.advice.comparison import Cost, LicenceNeed, Setup
from stellwerk.engine.money.bill import HOURS_PER_MONTH
from stellwerk.engine.money.exact import fraction, rounded
from stellwerk.engine.money.exchange import Unknown, convert

PRICE_OPTION = '--licence-price "AMOUNT CURRENCY/{unit}/year@DATE"'


def licence_need(way: str, setup: Setup, gpus: int, users: int) -> LicenceNeed | None:
    """The licences of a way; None where it needs none. `users` are the tenants that work at once."""
    licence = licence_of(setup.facts.model, way, setup.use)
    if licence is None:
        return None
    count = gpus if licence.unit == "gpu" else users
    price = _price(licence, setup)
    unknown, per_month = PRICE_OPTION.replace("{unit}", licence.unit), None
    if price is not None:
        converted = convert(price.amount, price.currency, setup.node.currency, setup.rates)
        if isinstance(converted, Unknown):
            unknown = converted.option
        else:
            unknown, per_month = "", rounded(fraction(converted) * count / 12, 2)
    return LicenceNeed(
        name=licence.name,
        unit=licence.unit,
        count=count,
        per_year=price,
        per_month=per_month,
        unknown=unknown,
        note=licence.included_note if setup.facts.model in licence.included_with else "",
        source=licence.source,
    )


def _price(licence: Licence, setup: Setup) -> Price | None:
    """The user's price for that unit, else the catalog's."""
    own = (given.price for given in setup.licence_prices if given.unit == licence.unit)
    return next(own, licence.price)


def month_cost(setup: Setup, gpus: int, licence: LicenceNeed | None) -> Cost:
    """GPUs at their part of the node's cost, plus licences; unknown where one of the two is."""
    per_hour = setup.node.per_hour
    paid = None
    if per_hour is not None:
        paid = rounded(Fraction(per_hour) * gpus * HOURS_PER_MONTH / setup.node_gpus, 2)
    bought = Decimal(0) if licence is None else licence.per_month
    total = None if paid is None or bought is None else paid + bought
    unknown = (setup.node.unknown, "" if licence is None else licence.unknown)
    return Cost(
        currency=setup.node.currency,
        gpus=paid,
        licences=bought,
        total=total,
        unknown=tuple(option for option in unknown if option),
    )
