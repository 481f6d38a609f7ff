"""From what the user typed to advice and its receipt; run again, it gives the same bytes."""

from typing import Any

from msgspec import Struct

from stellwerk.adapters.metrics.load import load_usage
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.advice.rules import Margins
from stellwerk.engine.money.exchange import parse_rate
from stellwerk.engine.snapshot import Fleet
from stellwerk.engine.usage import Usage
from stellwerk.report.advice.verdicts import advice_plain
from stellwerk.report.export import to_plain
from stellwerk.report.receipt import Evidence, InputFile, Job, fleet_hashes, input_files, receipt_of_result
from stellwerk.sim.advice import Advice, advise_usage, check_model
from stellwerk.sim.intake.fleets import named_fleet

MOST_HEADROOM = 1000


class AdviseArguments(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What decides advice, as typed; a receipt holds it, and verify runs it again."""

    verb: str = "advise"
    paths: tuple[str, ...]
    fleet: str | None = None
    rates: tuple[str, ...] = ()
    headroom_percent: int = 10


class PreparedAdvice(Struct, frozen=True, kw_only=True):
    """Everything read and checked: what is left is computing."""

    arguments: AdviseArguments
    usage: Usage
    fleet: Fleet | None
    inputs: tuple[InputFile, ...]

    def advice(self) -> Advice:
        """The verdicts, and what they save together."""
        return advise_usage(self.usage, self.fleet, Margins(self.arguments.headroom_percent))


def prepare_advice(arguments: AdviseArguments) -> PreparedAdvice:
    """Read and check all input; raises InvalidInput with option, or file and place."""
    check_headroom(arguments.headroom_percent)
    rates = tuple(parse_rate(rate) for rate in arguments.rates)
    found = named_fleet(arguments.fleet, rates) if arguments.fleet else None
    loaded = load_usage(arguments.paths)
    check_model(loaded.usage, found.fleet if found else None, ", ".join(arguments.paths))
    return PreparedAdvice(
        arguments=arguments,
        usage=loaded.usage,
        fleet=found.fleet if found else None,
        inputs=(*input_files(loaded.inputs, "metrics"), *input_files(found.inputs if found else ())),
    )


def check_headroom(headroom_percent: int) -> None:
    """Raise InvalidInput for a head-room out of bounds."""
    if not 0 <= headroom_percent <= MOST_HEADROOM:
        raise InvalidInput(
            "--headroom {value} is not between 0 and {most}",
            fix="give a percentage such as --headroom 10",
            value=headroom_percent,
            most=MOST_HEADROOM,
        )


def advice_job(arguments: AdviseArguments) -> Job:
    """The advice as a job that verify can run."""
    prepared = prepare_advice(arguments)
    return Job(prepared.inputs, lambda: advice_receipt(prepared, prepared.advice()))


def advice_receipt(prepared: PreparedAdvice, advice: Advice) -> dict[str, Any]:
    """The receipt as plain data: the advice as with `-o json`."""
    evidence = Evidence(
        arguments=to_plain(prepared.arguments),
        inputs=prepared.inputs,
        hashes=fleet_hashes(prepared.fleet) if prepared.fleet else {},
    )
    return receipt_of_result(advice_plain(advice), evidence)
