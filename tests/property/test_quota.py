"""What can never happen to quota, on random trees: over-use, lost guarantees, usage that does not go away."""

from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.engine.queueing.quota.ledger import Charges, Ledger
from stellwerk.engine.queueing.quota.share import dominant_resource_share
from stellwerk.engine.queueing.quota.tree import QuotaTree
from tests.property.quota_trees import WHATS, Forest, Step, forests, steps


def admitted(forest: Forest, moves: list[Step]) -> tuple[Ledger, list[Charges]]:
    """The usages that fit one after the other, and the ledger that holds them."""
    tree = QuotaTree(forest.cohorts, forest.queues)
    ledger, held = Ledger(tree), []
    for move in moves:
        charges = tree.charges(
            tree.queues[forest.queues[move.queue % len(forest.queues)].name], {move.what: move.amount}
        )
        if ledger.fits(charges):
            ledger.add(charges)
            held.append(charges)
    return ledger, held


def nodes(tree: QuotaTree) -> list[int]:
    return [*tree.cohorts.values(), *tree.queues.values()]


@settings(max_examples=200, deadline=None)
@given(forests(), st.lists(steps(), max_size=15))
def test_no_node_uses_more_than_its_quota_and_its_borrowing_limit(forest: Forest, moves: list[Step]) -> None:
    ledger, _ = admitted(forest, moves)
    tree = ledger.tree
    for node in nodes(tree):
        for what in WHATS:
            cell = tree.cell(node, what)
            used, limit = ledger.usage(cell), tree.borrowing_limit[cell]
            if tree.parent[node] < 0:
                assert used <= tree.subtree[cell]
            elif limit is not None:
                assert used <= tree.subtree[cell] + limit
            assert used <= max(0, tree.potential[cell])


@settings(max_examples=200, deadline=None)
@given(forests(), st.lists(steps(), max_size=15))
def test_what_a_node_does_not_lend_is_always_there_for_it(forest: Forest, moves: list[Step]) -> None:
    ledger, _ = admitted(forest, moves)
    tree = ledger.tree
    for node in tree.queues.values():
        for what in WHATS:
            cell = tree.cell(node, what)
            assert ledger.available(cell) >= tree.kept[cell] - ledger.usage(cell)


@settings(max_examples=200, deadline=None)
@given(forests(), st.lists(steps(), max_size=15), st.randoms(use_true_random=False))
def test_usage_that_goes_in_any_order_leaves_nothing_behind(
    forest: Forest, moves: list[Step], random: object
) -> None:
    ledger, held = admitted(forest, moves)
    tree = ledger.tree
    before = ledger.copy()
    order = list(held)
    random.shuffle(order)  # type: ignore[attr-defined]
    for charges in order:
        ledger.remove(charges)
    assert not any(ledger.usage(cell) for cell in range(len(tree.subtree)))
    for charges in reversed(order):
        ledger.add(charges)
    assert [ledger.usage(cell) for cell in range(len(tree.subtree))] == [
        before.usage(cell) for cell in range(len(tree.subtree))
    ]


@settings(max_examples=200, deadline=None)
@given(forests(), st.lists(steps(), max_size=15))
def test_who_borrows_nothing_has_no_share_and_who_is_within_nominal_borrows_nothing(
    forest: Forest, moves: list[Step]
) -> None:
    ledger, _ = admitted(forest, moves)
    tree = ledger.tree
    for node in nodes(tree):
        share = dominant_resource_share(ledger, node)
        assert share.borrowing == bool(share.borrowed)
        assert share.borrowing or (share.ratio == 0 and not share.dominant)
        if tree.parent[node] >= 0:
            assert share.borrowing != ledger.within_nominal(tree.declared[node])


@settings(max_examples=200, deadline=None)
@given(forests(), st.lists(steps(), max_size=10), steps())
def test_the_borrowing_level_is_0_for_what_the_queue_itself_has(
    forest: Forest, moves: list[Step], move: Step
) -> None:
    ledger, _ = admitted(forest, moves)
    tree = ledger.tree
    for node in tree.queues.values():
        cell = tree.cell(node, move.what)
        level, _ = ledger.borrowing_level(cell, move.amount)
        has = tree.subtree[cell] - ledger.usage(cell) >= move.amount
        assert (level == 0) == (has or tree.parent[node] < 0)
