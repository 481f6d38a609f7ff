"""What would be asked, without asking: the same functions run, and their expressions are written down.

Every answer is made up so that each question is asked once: there are pods, with owners, and they waited.
"""

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
    """Answers nothing true; `asked` has each expression once, with the time of the first.

    `pod`: the label that bears a pod's name, pod or exported_pod.
    """

    def __init__(self, pod: str = "pod") -> None:
        self.asked: list[Query] = []
        self._made_up = [
            Result(
                {"__name__": FB_USED, pod: POD, "owner_kind": kind, "owner_name": kind.upper()},
                Raw(b"[]"),
                Raw(b'[0,"1"]'),
            )
            for kind in PARENTS
        ]

    def query(self, expression: str, at_ms: int) -> Answer:
        """Write a query down."""
        self._write(Query(expression, at_ms))
        return Answer("success", Data("", self._made_up))

    def page(self, path: str) -> Page | None:
        """Write a path down."""
        self._write(Query(path=path))
        return None

    def _write(self, query: Query) -> None:
        if all((query.expression, query.path) != (known.expression, known.path) for known in self.asked):
            self.asked.append(query)


def fetch_queries(day: Stretch, renamed: bool = False) -> list[Query]:
    """What advise, bill and whatif ask about a day; `renamed`: where kube-state-metrics' labels were."""
    recorder = Recorder("exported_pod" if renamed else "pod")
    fetch_day(recorder, day)
    return recorder.asked


def probe_queries(period: Stretch) -> list[Query]:
    """What doctor asks; a search asks the same again at other times."""
    recorder = Recorder()
    probe(recorder, period)
    return recorder.asked
