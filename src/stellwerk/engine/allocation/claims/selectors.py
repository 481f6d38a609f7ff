"""Which devices a request's selectors take: its DeviceClass's first, then its own, up to the first "no"."""

from collections.abc import Callable, Sequence

from msgspec import UNSET, Struct

from stellwerk.api.groups.resource import DeviceSelector
from stellwerk.cel.environment import Environment
from stellwerk.cel.errors import CompileError, EvaluationError
from stellwerk.cel.selector import compile_selector
from stellwerk.engine.allocation.decision import AllocationError
from stellwerk.engine.allocation.pools.offered import Column, Offered, OfferedDevice

_HINT = (
    ". consider using CEL optional chaining (.? followed by orValue()) or guarding the check with has() for "
    "optional fields"
)


class Step(Struct, frozen=True):
    """One selector: `owner` and `number` name it ("class gpu", 0); `column`: yes, no or the error's text."""

    owner: str
    number: int
    expression: str
    column: Column


def selector_steps(
    offered: Offered, selectors: Sequence[DeviceSelector], owner: str, environment: Environment
) -> tuple[Step, ...]:
    """The selectors as steps; raises AllocationError where one is of an unknown kind."""
    steps = []
    for number, selector in enumerate(selectors):
        if selector.cel is UNSET:
            raise AllocationError(
                f"{owner}, selector #{number}: CEL expression empty (unsupported selector type?)"
            )
        expression = selector.cel.expression
        column = offered.column(
            ("selector", expression, environment), _verdict(offered, expression, environment)
        )
        steps.append(Step(owner, number, expression, column))
    return tuple(steps)


def _verdict(
    offered: Offered, expression: str, environment: Environment
) -> Callable[[OfferedDevice], bool | str]:
    """Yes, no, or what CEL complains of; compiled when the first device is tried, as Kubernetes does."""

    def verdict(device: OfferedDevice) -> bool | str:
        try:
            selector = compile_selector(expression, environment)
        except CompileError as error:
            return f": CEL compile error: {error.text}"
        try:
            return selector.matches(offered.cel(device))
        except EvaluationError as error:
            hint = _HINT if "no such key:" in error.text else ""
            return f" on device {device.id}: CEL runtime error: {error.text}{hint}"

    return verdict


def selected(steps: tuple[Step, ...], device: OfferedDevice) -> Step | str | None:
    """None if all steps take the device, the first step that does not, or the text of an error."""
    index = device.index
    for step in steps:
        verdict = step.column.cells[index]
        if verdict is None:
            verdict = step.column.of(device)
        if verdict is True:
            continue
        return step if verdict is False else f"{step.owner}: selector #{step.number}{verdict}"
    return None
