"""From a finished job to its receipt, and from a receipt back to a job that is run again."""

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from stellwerk import __version__
from stellwerk.adapters.files import sha256
from stellwerk.api.errors import InvalidInput
from stellwerk.report.advice.job import AdviseArguments, advice_job
from stellwerk.report.bill.job import BillArguments, bill_job
from stellwerk.report.export import to_plain
from stellwerk.report.planning.job import PlanArguments, plan_of_receipt
from stellwerk.report.queueing.simulated.job import SimulateArguments, simulation_job
from stellwerk.report.receipt import (
    Difference,
    Evidence,
    Job,
    Receipt,
    compare,
    hashes_of,
    input_files,
    make_receipt,
    plain_receipt,
    receipt_bytes,
)
from stellwerk.sim.main_job import Arguments, Listener, Prepared, prepare, run
from stellwerk.sim.result import Replay

A = TypeVar("A", bound=Struct)


def receipt_of(prepared: Prepared, replay: Replay) -> dict[str, Any]:
    """The receipt of a replay as plain data."""
    scenario = prepared.scenario
    evidence = Evidence(
        arguments=to_plain(prepared.arguments),
        inputs=input_files(prepared.inputs),
        hashes=hashes_of(scenario.demand, scenario.fleet, [prepared.policies, scenario.slowdowns_plain()]),
    )
    return make_receipt(replay, evidence)


def job_of(receipt: Receipt, source: str, listen: Listener) -> Job:
    """The receipt's job, its input read again.

    Raises InvalidInput for arguments that no run can have had, and for input that is none.
    """
    match receipt.arguments.get("verb"):
        case "bill":
            return bill_job(arguments_of(receipt, source, BillArguments))
        case "advise":
            return advice_job(arguments_of(receipt, source, AdviseArguments))
        case "plan":
            return plan_of_receipt(arguments_of(receipt, source, PlanArguments))
        case "simulate":
            return simulation_job(arguments_of(receipt, source, SimulateArguments))
    prepared = prepare(arguments_of(receipt, source, Arguments))
    return Job(input_files(prepared.inputs), lambda: receipt_of(prepared, run(prepared, listen)))


def arguments_of(receipt: Receipt, source: str, kind: type[A]) -> A:
    """What the receipt's run was asked; raises InvalidInput for arguments that no run can have had."""
    try:
        return msgspec.convert(receipt.arguments, kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            "the receipt's arguments are malformed: {detail}",
            fix="write a new receipt with: stellwerk replay DEMAND",
            source=source,
            path="arguments",
            detail=str(error),
        ) from None


def run_again(receipt: Receipt, written: bytes, source: str, listen: Listener) -> list[Difference]:
    """Run a receipt's job again, and return what differs: the inputs, or else the result. Empty: the same.

    The input files are looked for where the receipt names them, from the current folder. `written` are the
    receipt's bytes: what says the same in other bytes was not written by a run.
    """
    job = job_of(receipt, source, listen)
    read = {(item.role, item.name): item.sha256 for item in job.inputs}
    changed = [
        Difference(f"inputs[{item.name}]", item.sha256, read.get((item.role, item.name), "-"))
        for item in receipt.inputs
        if read.get((item.role, item.name)) != item.sha256
    ]
    if changed:
        return changed  # Other input: running it would only show that the result is another one.
    again = job.receipt()
    found = compare(plain_receipt(receipt), again)
    if not found and written != receipt_bytes(again):
        found.append(Difference("(the file's bytes)", sha256(written), sha256(receipt_bytes(again))))
    return found


def made_by_other_version(receipt: Receipt) -> bool:
    """Whether another version of Stellwerk wrote the receipt: a difference may then be a change of ours."""
    return receipt.stellwerk != __version__
