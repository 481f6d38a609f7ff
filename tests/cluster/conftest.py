"""The fixtures of the tests on a real Kubernetes."""

from tests.cluster.fixtures import client_of, own_stack, stack

__all__ = ["client_of", "own_stack", "stack"]
