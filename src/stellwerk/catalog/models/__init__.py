"""Models by name: the fields of their Hugging Face config.json that size memory, with source and date."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import Struct

from stellwerk.catalog.data import __name__ as data_package
from stellwerk.catalog.data import read


class BuiltinModel(Struct, frozen=True, kw_only=True):
    """A model's config.json, as far as it sizes memory; `source` is the public file."""

    source: str
    date: str
    note: str = ""
    config: Mapping[str, Any]
    name: str = ""


@cache
def model_names() -> tuple[str, ...]:
    """The names that `model` knows, sorted."""
    found = (entry.name for entry in files(data_package).joinpath("models").iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in found if name.endswith(".json")))


@cache
def model(name: str) -> BuiltinModel | None:
    """The model of that name, or None: then the name is perhaps a file's."""
    if name not in model_names():
        return None
    found = msgspec.json.decode(read(f"models/{name}.json"), type=BuiltinModel)
    return msgspec.structs.replace(found, name=name)
