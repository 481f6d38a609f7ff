"""The flat tree of quota and its ledger answer as the recursive twin does, on random trees and usages."""

from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.engine.queueing.amounts import UNLIMITED
from stellwerk.engine.queueing.quota.ledger import Ledger
from stellwerk.engine.queueing.quota.tree import QuotaTree
from tests.differential.quota_twin import twins
from tests.property.quota_trees import WHATS, Forest, Step, forests, steps


def _same(forest: Forest, moves: list[Step]) -> None:
    tree = QuotaTree(forest.cohorts, forest.queues)
    ledger, known = Ledger(tree), twins(forest.cohorts, forest.queues)
    for move in moves:
        queue = forest.queues[move.queue % len(forest.queues)].name
        charges = tree.charges(tree.queues[queue], {move.what: move.amount})
        if move.remove:
            ledger.remove(charges)
            known[queue].remove(move.what, move.amount)
        else:
            ledger.add(charges)
            known[queue].add(move.what, move.amount)
    for name, node in {**tree.cohorts, **tree.queues}.items():
        twin = known[name]
        for what in WHATS:
            cell = tree.cell(node, what)
            assert ledger.usage(cell) == twin.usage.get(what, 0)
            assert tree.subtree[cell] == twin.subtree(what)
            assert tree.potential[cell] == twin.potential(what)
            assert ledger.available(cell) == twin.available(what)
            assert ledger.kept_room(cell) == twin.room(what)
    for name, node in tree.queues.items():
        for what in WHATS:
            for amount in (0, 1, 7, 40):
                ours = ledger.borrowing_level(tree.cell(node, what), amount)
                assert ours == known[name].borrowing_level(what, amount)
    for name, node in tree.cohorts.items():
        assert tree.lendable(node) == known[name].lendable()


@settings(max_examples=150, deadline=None)
@given(forests(), st.lists(steps(), max_size=12))
def test_the_ledger_answers_as_its_twin(forest: Forest, moves: list[Step]) -> None:
    _same(forest, moves)


@settings(max_examples=100, deadline=None)
@given(forests(largest=UNLIMITED), st.lists(steps(largest=UNLIMITED), max_size=8))
def test_the_ledger_answers_as_its_twin_near_the_end_of_int64(forest: Forest, moves: list[Step]) -> None:
    _same(forest, moves)
