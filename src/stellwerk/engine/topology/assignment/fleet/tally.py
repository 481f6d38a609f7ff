"""What domains hold for one kind of pod, as a snapshot remembers it from one question to the next."""

from collections.abc import Hashable, Sequence

from msgspec import Struct, structs

from stellwerk.engine.topology.assignment.fleet.tree import Row

MOST_TALLIES = 64


class LevelCounts(Struct):
    """By domain of one level what it holds; the second phase of a search turns it into what it gets.

    `led`: pods, and slices, that fit beside a leader. `leaders`: 1 if a leader fits. `affinity`: how much the
    domain's nodes are preferred.
    """

    pods: list[int]
    slices: list[int]
    led_pods: list[int]
    led_slices: list[int]
    leaders: list[int]
    affinity: list[int]

    def copy(self) -> "LevelCounts":
        """The same, to be changed on its own."""
        return LevelCounts(*(list(column) for column in structs.astuple(self)))


class Tally(Struct, frozen=True):
    """Counts of all levels, widest first, for leaves that have `rows`; nobody changes them.

    `scarce`: by leaf the resource that is scarcest, if not one pod fits; else "".
    """

    rows: Sequence[Row]
    levels: list[LevelCounts]
    scarce: list[str]


def remember(tallies: dict[Hashable, Tally], key: Hashable, tally: Tally) -> None:
    """Keep the tally as the newest; the oldest one goes when there are too many."""
    tallies.pop(key, None)
    tallies[key] = tally
    if len(tallies) > MOST_TALLIES:
        del tallies[next(iter(tallies))]
