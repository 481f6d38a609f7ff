"""Run one recorded case of the CEL environment of Dynamic Resource Allocation (format: dra/README.md)."""

from typing import Any

import msgspec

from stellwerk.api.groups.resource import Device
from stellwerk.api.mismatch import decode_hook
from stellwerk.cel.device import cel_device
from stellwerk.cel.environment import Environment
from stellwerk.cel.errors import CompileError, EvaluationError
from stellwerk.cel.selector import compile_selector


def run_cel_case(case: dict[str, Any]) -> str | None:
    """None where Stellwerk decides as Kubernetes did, else what differs: kind, match, text or worst-case cost."""
    expected = case["expected"]
    try:
        selector = compile_selector(case["expression"], _environment(case))
    except CompileError as error:
        return _differs(expected, "compileError", error.text)
    if expected["kind"] == "compileError":
        return f"kind: expected compileError ({expected.get('errorContains', 'any')}), but it compiles"
    if "cost" in expected and selector.max_cost != expected["cost"]:
        return f"cost: expected {expected['cost']}, got {selector.max_cost}"
    try:
        matches = selector.matches(_device(case["device"]))
    except EvaluationError as error:
        return _differs(expected, "matchError", error.text)
    if expected["kind"] != "match":
        return f"kind: expected {expected['kind']}, got match {matches}"
    return None if matches is expected["match"] else f"match: expected {expected['match']}, got {matches}"


def _environment(case: dict[str, Any]) -> Environment:
    gates = case.get("celFeatures", {})
    return Environment(
        consumable_capacity=gates.get("EnableConsumableCapacity", False),
        list_type_attributes=gates.get("EnableListTypeAttributes", False),
        stored=case.get("envType", "StoredExpressions") == "StoredExpressions",
    )


def _device(data: dict[str, Any]) -> Any:
    parts = {name: value for name, value in data.items() if name != "driver" and value is not None}
    return cel_device(
        data.get("driver", ""), msgspec.convert({"name": "device", **parts}, Device, dec_hook=decode_hook)
    )


def _differs(expected: dict[str, Any], kind: str, text: str) -> str | None:
    if expected["kind"] != kind:
        return f"kind: expected {expected['kind']}, got {kind}: {text}"
    wanted = expected.get("errorContains", "")
    return None if wanted in text else f"errorContains: expected {wanted!r} in {text!r}"
