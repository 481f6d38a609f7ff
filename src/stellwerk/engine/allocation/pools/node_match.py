"""Does a node match a NodeSelector: terms are alternatives, an empty term matches nothing."""

from stellwerk.api.groups.core import Node, NodeSelector
from stellwerk.api.groups.meta import given
from stellwerk.api.selection import readable_terms, term_matches
from stellwerk.engine.allocation.decision import AllocationError


def node_matches(node: Node, name: str | None, all_nodes: bool, selector: NodeSelector | None) -> bool:
    """Whether a slice or device with these fields can be used on `node`: the first field that is set decides.

    Raises AllocationError for a selector that cannot be read, even if another of its terms would match.
    """
    if name:
        return given(node.metadata.name, "") == name
    if all_nodes:
        return True
    if selector is None:
        return False
    try:
        terms = readable_terms(selector.node_selector_terms)
    except ValueError as error:
        raise AllocationError(str(error)) from error
    labels = given(node.metadata.labels, {})
    return any(term_matches(term, given(node.metadata.name, ""), labels) for term in terms)
