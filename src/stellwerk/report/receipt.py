"""The proof of a run: canonical bytes that anybody can make again, and what differs if they do not match.

Canonical: JSON with sorted keys, no spaces, UTF-8, one line end; integers, strings, booleans and null only.
A float is refused, since its digits are not the same on every machine.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from stellwerk import __version__
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.demand import Demand
from stellwerk.engine.snapshot import Fleet
from stellwerk.report.export import to_plain
from stellwerk.sim.result import Replay

API_VERSION, KIND = "stellwerk.dev/v1alpha1", "Receipt"
MAX_BYTES = 64 << 20
MAX_DEPTH = 40
LONGEST_SHOWN = 80
PICTURES = ("samples", "busiest")
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class InputFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file (or built-in) that was read: `role` (demand, fleet, ...), name as given, SHA-256."""

    role: str
    name: str
    sha256: str


class Evidence(Struct, frozen=True, kw_only=True):
    """What a receipt says beside the result: how to run again, on which bytes, and what was decided on."""

    arguments: Mapping[str, Any]
    inputs: tuple[InputFile, ...]
    hashes: Mapping[str, str]


class Job(Struct, frozen=True):
    """A run that has a receipt: what was read for it, and how to compute the receipt's plain data."""

    inputs: tuple[InputFile, ...]
    receipt: Callable[[], dict[str, Any]]


class Receipt(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A receipt as read from a file; `result` is plain data: of a replay without samples and slice maps.

    `seed`: of a replay; a bill and advice have none, and their `arguments` name the `verb`.
    """

    api_version: str
    kind: str
    stellwerk: str
    seed: int | UnsetType = UNSET
    arguments: dict[str, Any]
    inputs: tuple[InputFile, ...]
    hashes: dict[str, str]
    result: dict[str, Any]
    result_sha256: str


class Difference(Struct, frozen=True):
    """One place where two receipts differ; a missing value is shown as "-"."""

    path: str
    old: str
    new: str


def canonical(value: object) -> bytes:
    """Canonical JSON of plain data or Structs. Asserts that no float is in it."""
    plain = to_plain(value)
    place = _float_in(plain)
    assert place is None, f"a receipt holds no float: {place}"
    return msgspec.json.encode(plain, order="deterministic")


def sha256_of(value: object) -> str:
    """SHA-256 of the canonical JSON of plain data or Structs."""
    return hashlib.sha256(canonical(value)).hexdigest()


def hashes_of(demand: Demand, fleet: Fleet, policies: object) -> dict[str, str]:
    """The four hashes of a run: demand, fleet (without prices), prices, policies (plain data or Structs)."""
    return {"demand": sha256_of(demand), **fleet_hashes(fleet), "policy": sha256_of(policies)}


def fleet_hashes(fleet: Fleet) -> dict[str, str]:
    """The hashes of a fleet: `fleet` (without prices) and `prices`."""
    prices = [[node.name, node.cost] for node in fleet.nodes]
    bare = to_plain(fleet)
    for node in bare["nodes"]:
        del node["cost"]
    return {"fleet": sha256_of(bare), "prices": sha256_of([fleet.currency, prices])}


def input_files(items: Sequence[Any], role: str = "") -> tuple[InputFile, ...]:
    """Files that were read (each with name and sha256), under `role` or their own."""
    return tuple(InputFile(role=role or item.role, name=item.name, sha256=item.sha256) for item in items)


def make_receipt(replay: Replay, evidence: Evidence) -> dict[str, Any]:
    """The receipt as plain data; what pictures show is represented by its hash only."""
    pictures: list[dict[str, Any]] = []
    result = to_plain(replay)
    for outcome in result["outcomes"]:
        runs = [*outcome["runs"], *((outcome["sized"] or {}).get("runs", []))]
        pictures.extend({name: run.pop(name) for name in PICTURES} for run in runs)
    result["picturesSha256"] = sha256_of(pictures)
    return {**receipt_of_result(result, evidence), "seed": replay.seed}


def receipt_of_result(result: Mapping[str, Any], evidence: Evidence) -> dict[str, Any]:
    """The receipt of any result as plain data: integers, decimal strings, booleans and null."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "stellwerk": __version__,
        "arguments": to_plain(dict(evidence.arguments)),
        "inputs": to_plain(list(evidence.inputs)),
        "hashes": dict(evidence.hashes),
        "result": dict(result),
        "resultSha256": sha256_of(result),
    }


def receipt_bytes(receipt: Mapping[str, Any]) -> bytes:
    """What is written to `receipt.json`: canonical JSON and a line end."""
    return canonical(dict(receipt)) + b"\n"


def read_receipt(data: bytes, source: str) -> Receipt:
    """The receipt in `data`. Raises InvalidInput, naming `source` and field, for anything else."""
    if len(data) > MAX_BYTES:
        raise InvalidInput(
            "the file is larger than a receipt can be ({limit} bytes)",
            fix="write a new receipt with: stellwerk replay DEMAND",
            source=source,
            limit=MAX_BYTES,
        )
    plain = _decode(data, source)
    if not isinstance(plain, dict) or plain.get("kind") != KIND or plain.get("apiVersion") != API_VERSION:
        raise InvalidInput(
            "this is not a Receipt of stellwerk.dev/v1alpha1",
            fix="write a new receipt with: stellwerk replay DEMAND",
            source=source,
        )
    place = _float_in(plain)
    if place is not None:
        raise InvalidInput(
            "a receipt holds integers and strings only, no float",
            fix="write a new receipt with: stellwerk replay DEMAND",
            source=source,
            path=place,
        )
    try:
        receipt = msgspec.convert(plain, Receipt)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        raise InvalidInput(
            "the receipt is malformed: {detail}",
            fix="write a new receipt with: stellwerk replay DEMAND",
            source=source,
            path=path.strip("`."),
            detail=problem,
        ) from None
    _check_hashes(receipt, source)
    return receipt


def _decode(data: bytes, source: str) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidInput(
            "the receipt is not JSON: {detail}",
            fix="write a new receipt with: stellwerk replay DEMAND",
            source=source,
            detail=problem,
        ) from None


def _check_hashes(receipt: Receipt, source: str) -> None:
    named = {f"hashes.{name}": value for name, value in receipt.hashes.items()}
    named |= {f"inputs[{index}].sha256": file.sha256 for index, file in enumerate(receipt.inputs)}
    for path, value in {**named, "resultSha256": receipt.result_sha256}.items():
        if not _SHA256.fullmatch(value):
            raise InvalidInput(
                "not a SHA-256 in hexadecimal",
                fix="write a new receipt with: stellwerk replay DEMAND",
                source=source,
                path=path,
            )


def _float_in(value: Any) -> str | None:
    """Where a float stands (or where the data is nested too deeply to be ours), else None."""
    waiting: list[tuple[str, Any, int]] = [("", value, 0)]
    while waiting:
        path, item, depth = waiting.pop()
        if isinstance(item, float) or depth > MAX_DEPTH:
            return path or "$"
        if isinstance(item, dict):
            waiting.extend(
                (f"{path}.{key}" if path else str(key), child, depth + 1) for key, child in item.items()
            )
        elif isinstance(item, list):
            waiting.extend((f"{path}[{index}]", child, depth + 1) for index, child in enumerate(item))
    return None


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """Every place where two receipts (plain data) differ, in the order of the fields; empty: the same.

    A result that does not match its own hash is a difference too: somebody changed the file.
    """
    found = list(_differences("", dict(old), dict(new)))
    for receipt in (old, new):
        stated, actual = str(receipt.get("resultSha256")), sha256_of(receipt.get("result"))
        if stated != actual:
            found.append(Difference("resultSha256", stated, actual))
    return list(dict.fromkeys(found))


def _differences(path: str, old: Any, new: Any) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _differences(
                f"{path}.{key}" if path else key, old.get(key, _MISSING), new.get(key, _MISSING)
            )
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            left = old[index] if index < len(old) else _MISSING
            right = new[index] if index < len(new) else _MISSING
            yield from _differences(f"{path}[{_name(left, right, index)}]", left, right)
    # 1 == True in Python, not in JSON.
    elif old != new or type(old) is not type(new):
        yield Difference(path, _shown(old), _shown(new))


_MISSING = object()


def _name(left: Any, right: Any, index: int) -> str:
    """An element by its own name where both have the same, else by its place."""
    for key in ("policy", "name", "team", "slowdown", "role"):
        names = [item.get(key) if isinstance(item, dict) else None for item in (left, right)]
        if isinstance(names[0], str) and names[0] == names[1]:
            return names[0]
    return str(index)


def _shown(value: Any) -> str:
    if value is _MISSING:
        return "-"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


def plain_receipt(receipt: Receipt) -> dict[str, Any]:
    """A receipt that was read, as plain data for `compare`."""
    plain: dict[str, Any] = msgspec.to_builtins(receipt)
    plain["inputs"] = list(plain["inputs"])
    return plain
