"""CEL selectors of requests and classes: compiled as Kueue does, and asked of the devices that there are.

Source: kueue pkg/dra/claims.go (compileCELSelectors, resolveAndCompileDeviceClass, countMatchingDevices).
"""

import json
from collections.abc import Iterable, Sequence

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import DeviceSelector
from stellwerk.cel.device import CelDevice
from stellwerk.cel.environment import Environment
from stellwerk.cel.errors import CompileError, EvaluationError
from stellwerk.cel.selector import Selector, compile_selector
from stellwerk.engine.queueing.requests.devices.cluster import Devices, Offered
from stellwerk.engine.queueing.requests.devices.problem import INVALID, Problem, Problems, internal

# What Kueue's compiler declares: that of stored expressions, whatever the gates of the cluster.
STORED = Environment(consumable_capacity=False, list_type_attributes=False)


def compiled(
    selectors: Sequence[DeviceSelector], path: str, context: str = "CEL compilation failed"
) -> tuple[Selector, ...] | Problems:
    """The selectors that are CEL; or what is wrong with each that does not compile."""
    found: list[Selector] = []
    wrong: list[Problem] = []
    for i, one in enumerate(selectors):
        cel = given(one.cel, None)
        if cel is None:
            continue
        try:
            found.append(compile_selector(cel.expression, STORED))
        except CompileError as error:
            at = f"{path}[{i}].cel.expression"
            value = json.dumps(cel.expression, ensure_ascii=False)
            wrong.append(Problem(kind=INVALID, path=at, detail=f"{context}: {error.text}", value=value))
    return Problems(tuple(wrong)) if wrong else tuple(found)


def of_class(name: str, devices: Devices, path: str) -> tuple[Selector, ...] | Problem:
    """The selectors of a DeviceClass; none for no class. `path` is the request's."""
    if not name:
        return ()
    if name not in devices.classes:
        why = f'deviceclasses.resource.k8s.io "{name}" not found'
        return internal(path, f"failed to get DeviceClass {name}: {why}")
    selectors = given(devices.classes[name].spec.selectors, ())
    found = compiled(selectors, path, f"DeviceClass {name} has invalid CEL selector")
    return found.found[0] if isinstance(found, Problems) else found


def fits(selectors: Iterable[Selector], device: CelDevice) -> bool:
    """Whether all take the device. Raises EvaluationError with the text of the first that fails."""
    return all(one.matches(device) for one in selectors)


def taken(
    offered: Sequence[Offered], selectors: Sequence[Selector], before: set[int], needed: int
) -> int | str:
    """How many devices that no request took `before` these selectors take, up to `needed`; or what failed.

    `before` gets them.
    """
    count = 0
    for index, one in enumerate(offered):
        if index in before:
            continue
        try:
            if not fits(selectors, one.seen):
                continue
        except EvaluationError as error:
            return error.text
        before.add(index)
        count += 1
        if count >= needed:
            break
    return count
