"""What would be asked, without asking: the same functions run, and their expressions are written down.

Every answer is made up so that each question is asked once: there are pods, with owners, and they waited.
"""

from collections.abc import Callable

from msgspec import Raw, Struct

from stellwerk.adapters.prometheus.client import Answer, Data, Page, Result
from stellwerk.adapters.prometheus.day import fetch_day
from stellwerk.adapters.prometheus.probe import probe
from stellwerk.adapters.prometheus.queries import PARENTS, Stretch
from stellwerk.engine.usage import FB_USED

POD = "POD"  # Stands for the names of the pods that the database shows, by up to 200 in a query.


class Query(Struct, frozen=True):
    """An instant query (POST /api/v1/query); or, where `path` is set, a GET of it."""

    expression: str = ""
    at_ms: int = 0
    path: str = ""


class Recorder:
    """Answers nothing true; `asked` has each expression once, with the time of the first."""

    def __init__(self) -> None:
        self.asked: list[Query] = []

    def query(self, expression: str, at_ms: int) -> Answer:
        """Write a query down."""
        self._write(Query(expression, at_ms))
        return Answer("success", Data("", _MADE_UP), body=b"{}")

    def page(self, path: str) -> Page | None:
        """Write a path down."""
        self._write(Query(path=path))
        return None

    def _write(self, query: Query) -> None:
        if all((query.expression, query.path) != (known.expression, known.path) for known in self.asked):
            self.asked.append(query)


_VALUE = Raw(b'[0,"1"]')
_MADE_UP = [
    Result(
        {"__name__": FB_USED, "pod": POD, "owner_kind": kind, "owner_name": kind.upper()}, Raw(b"[]"), _VALUE
    )
    for kind in PARENTS
]


def fetch_queries(day: Stretch) -> list[Query]:
    """What advise, bill and whatif ask about a day."""
    return _written(lambda recorder: fetch_day(recorder, day))


def probe_queries(period: Stretch) -> list[Query]:
    """What doctor asks; a search asks the same again at other times."""
    return _written(lambda recorder: probe(recorder, period))


def _written(ask: Callable[[Recorder], object]) -> list[Query]:
    recorder = Recorder()
    ask(recorder)
    return recorder.asked
