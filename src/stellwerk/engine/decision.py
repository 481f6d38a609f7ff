"""What every decision shares: the reason of a "no"."""

from collections.abc import Mapping

from msgspec import Struct


class Reason(Struct, frozen=True):
    """Why not: a stable `code` for programs, an English `text` with places, and the values for them."""

    code: str
    text: str
    values: Mapping[str, str | int] = {}

    def __str__(self) -> str:
        return self.text.format(**self.values)
