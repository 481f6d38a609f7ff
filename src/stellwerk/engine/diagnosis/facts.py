"""What was found out about a database and the series in it, before anything is concluded from it.

None and "" are what the database does not tell. Times are milliseconds since 1970.
"""

from collections.abc import Mapping

from msgspec import Struct


class Series(Struct, frozen=True, kw_only=True):
    """The last samples of one series: its labels, and (time, value as text) each."""

    metric: str
    labels: Mapping[str, str]
    points: tuple[tuple[int, str], ...]


class DatabaseFacts(Struct, frozen=True, kw_only=True):
    """The database itself. `version` may be unknown where the product is known.

    `answer_ms`: how long it took to say nothing; `count_ms`: to count a day's samples of GPUs
    (`day_samples`), as a fetch begins; `count_refused`: its words where it does not count a day at once.
    `clock_ahead_s` is its clock less ours. `retention` and `limits` are as its own flags spell them.
    """

    product: str = ""
    version: str = ""
    answer_ms: int = 0
    clock_ahead_s: int | None = None
    retention: str = ""
    limits: Mapping[str, str] = {}
    day_samples: int | None = None
    count_ms: int = 0
    count_refused: str = ""
    doubts: tuple[str, ...] = ()


class HistoryFacts(Struct, frozen=True, kw_only=True):
    """How far the series of GPUs go. [start_ms, now_ms) is asked for, `newest_ms` None where it has none.

    `oldest_ms`: there are some in the day that begins then, and none in the day before. `future`: some are
    stamped more than a minute after now.
    """

    start_ms: int
    now_ms: int
    newest_ms: int | None = None
    oldest_ms: int | None = None
    future: bool = False


class ClusterFacts(Struct, frozen=True, kw_only=True):
    """What kube-state-metrics and Kueue show. `series`: metric -> how many.

    `nodes`: names by kube_node_created or kube_node_info; `running`: "namespace/pod" of pods that asked for
    GPUs, began, and have not ended; `kinds`: how many pods show the label of the workload's kind.
    """

    series: Mapping[str, int] = {}
    nodes: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    kinds: int = 0


class RuleFacts(Struct, frozen=True, kw_only=True):
    """Rules that the database evaluates, of Stellwerk alone: names, and (name, its last error)."""

    names: tuple[str, ...] = ()
    failing: tuple[tuple[str, str], ...] = ()


class Facts(Struct, frozen=True, kw_only=True):
    """All of it. `fields`: DCGM's metrics in the last hour -> series; `samples`: of some, the last minutes.

    `own`: series of Stellwerk's rules and of its own exporter.
    """

    database: DatabaseFacts
    history: HistoryFacts
    fields: Mapping[str, int] = {}
    samples: tuple[Series, ...] = ()
    cluster: ClusterFacts = ClusterFacts()
    rules: RuleFacts = RuleFacts()
    own: Mapping[str, int] = {}
