"""Licences that a way of sharing needs, by use. A price that no source states is None: the user sets it."""

from functools import cache

import msgspec
from msgspec import Struct

from stellwerk.catalog.data import read
from stellwerk.catalog.gpus import gpu_model
from stellwerk.catalog.prices import Price


class Licence(Struct, frozen=True, kw_only=True):
    """A product for some `ways` and `uses` (containers, vdi): a `unit` (gpu, user) costs `price` a year.

    `product` is the word by which a GPU model's own licence text names it; `cuda`: it lets CUDA compute.
    """

    id: str
    name: str
    unit: str
    uses: tuple[str, ...]
    ways: tuple[str, ...]
    product: str
    cuda: bool
    price: Price | None = None
    included_with: tuple[str, ...] = ()
    included_note: str = ""
    source: str


class _Licences(Struct, frozen=True):
    licences: tuple[Licence, ...]


@cache
def licences() -> tuple[Licence, ...]:
    """All licences, each with its source."""
    return msgspec.json.decode(read("licences.json"), type=_Licences).licences


def licence_of(gpu: str, way: str, use: str) -> Licence | None:
    """What CUDA under `way` for `use` must buy on a model; None: no licence, or no product that serves it."""
    product = gpu_model(gpu).vgpu_licence_product or ""
    for row in licences():
        if row.cuda and way in row.ways and use in row.uses and row.product in product:
            return row
    return None
