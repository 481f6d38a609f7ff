"""Whatever is done to a valid example, it loads and validates, or raises InvalidInput: nothing else, ever."""

import random
import time
from pathlib import Path
from typing import Any

import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.api.manifests import encode, load_manifests
from stellwerk.api.validation import validate

FOLDER = Path(__file__).parents[1] / "unit" / "api_cases" / "valid"
EXAMPLES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".yaml", ".json"))
MUTATIONS = 250
OTHERS: list[Any] = [
    None,
    True,
    -1,
    0,
    1.5,
    10**30,
    "",
    "x",
    "-1",
    "1e400",
    "Infinity",
    [],
    {},
    [[]],
    [None],
    {"a": 1},
]
VALUES = [
    *(
        b"",
        b"null",
        b"~",
        b"true",
        b"no",
        b"-1",
        b"0",
        b"1.5",
        b"1e400",
        b"9" * 30,
        b".nan",
        b"[]",
        b"{}",
        b"[[]]",
    ),
    *(
        b"{a: b}",
        b'"x"',
        b"'",
        b'"',
        b"*a",
        b"&a x",
        b"!!int x",
        b"!!binary x",
        b"<<",
        b"\xff",
        b"\x00",
        b"\t",
    ),
    *(
        b"-1Gi",
        b"1Zi",
        b"NaN",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"\xc2\x85",
        b"2026-01-01",
        b"{{ .x }}",
        b"|",
        b">",
        b"%",
    ),
]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One to three random changes: bytes, lines, values of another type."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(data) or 1)
        lines = data.split(b"\n")
        line = chance.randrange(len(lines))
        head, colon, _ = lines[line].partition(b":")
        match chance.randrange(8):
            case 0:
                data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at] + data[at + chance.randint(1, 40) :]
            case 2:
                data = data[:at] + chance.choice(VALUES) + data[at:]
            case 3:
                data = b"\n".join([*lines[:line], lines[line], *lines[line:]])
            case 4:
                data = b"\n".join([*lines[:line], *lines[line + 1 :]])
            case 5 | 6:
                data = b"\n".join(
                    [*lines[:line], head + colon + b" " + chance.choice(VALUES), *lines[line + 1 :]]
                )
            case 7:
                end = at + chance.randint(1, 8)
                data = data[:at] + data[at:end][::-1] + data[end:]
    return data


def swapped(value: Any, chance: random.Random) -> Any:
    """A copy of `value` in which one part, anywhere, is another value, or gone."""
    part = chance.choice(list(value)) if isinstance(value, dict) and value else None
    if isinstance(value, list) and value:
        part = chance.randrange(len(value))
    if part is None or chance.random() < 0.1:
        return chance.choice(OTHERS)
    copy = value.copy()
    if chance.random() < 0.1:
        del copy[part]
    else:
        copy[part] = swapped(value[part], chance)
    return copy


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_with_a_swapped_value_loads_or_raises_invalid_input(path: Path) -> None:
    items = [manifest.raw for manifest in load_manifests(path.read_bytes(), path.name)]
    refused = 0
    for seed in range(MUTATIONS):
        chance = random.Random(f"{path.name} {seed}")
        wrong = [swapped(item, chance) for item in items]
        try:
            validate(load_manifests(encode(wrong), path.name))
        except InvalidInput as error:
            refused += 1
            assert error.fix.format(**error.values) and error.document == 1 and len(str(error)) < 1_000
        except Exception as error:
            raise AssertionError(f"seed {seed} of {path.name}: {wrong!r}") from error
    assert refused, "mutations that are never refused test nothing"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_a_mutated_example_loads_or_raises_invalid_input(path: Path) -> None:
    original = path.read_bytes()
    refused = 0
    for seed in range(MUTATIONS):
        data = mutated(original, random.Random(f"{path.name} {seed}"))
        begun = time.process_time()
        try:
            validate(load_manifests(data, path.name))
        except InvalidInput as error:
            refused += 1
            text = str(error) + error.fix.format(**error.values)
            assert len(text) < 1_000, f"seed {seed}: the error is long"
            assert error.fix and error.source == path.name, f"seed {seed}: the error names no fix or file"
        except Exception as error:
            raise AssertionError(f"seed {seed} of {path.name}: {data!r}") from error
        assert time.process_time() - begun < 1, f"seed {seed} took long"
    assert 0 < refused < MUTATIONS, "mutations that are all refused, or none, test little"


def test_there_are_two_thousand_mutations() -> None:
    assert len(EXAMPLES) * MUTATIONS >= 2_000
