"""Fixtures of the tests on a real Kubernetes: one control plane a session, and what else a test asks for.

A test skips where the programs were not built (`make test-cluster` builds them); in CI it fails instead.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stellwerk.adapters.kube_store.client import Client, Patience
from stellwerk.adapters.kube_store.kubeconfig import read_access
from tools.cluster.build import missing
from tools.cluster.parts import start_karpenter, start_kueue
from tools.cluster.stack import Stack

QUICK = Patience(timeout_s=20, tries=8, first_wait_s=0.2, longest_wait_s=2)


def need_programs(*names: str) -> None:
    """Skip the test where one of the programs (none named: of all) is not there; fail it in CI."""
    lacking = [name for name in missing() if not names or name in names]
    if not lacking:
        return
    words = f"not built: {', '.join(lacking)}; make test-cluster builds them (Go, 20 minutes once)"
    if os.environ.get("CI", "").lower() in ("", "0", "false"):
        pytest.skip(words)
    pytest.fail(f"CI skips nothing: {words}", pytrace=False)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """etcd, API server, controllers, scheduler, KWOK, Kueue and Karpenter, shared by the session's tests."""
    need_programs()
    with tempfile.TemporaryDirectory(prefix="stellwerk-cluster-", ignore_cleanup_errors=True) as name:
        started = Stack(Path(name))
        try:
            started.start()
            start_kueue(started)
            start_karpenter(started)
            yield started
        finally:
            started.stop()


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """A control plane of the test's own, which it may break: no KWOK, Kueue or Karpenter."""
    need_programs("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
    started = Stack(tmp_path / "cluster")
    try:
        started.start(kwok=False)
        yield started
    finally:
        started.stop()


@pytest.fixture
def client_of() -> Iterator[Callable[..., Client]]:
    """Gives a client of a stack for one of its users, or of a kubeconfig; closed with the test."""
    opened: list[Client] = []

    def open_client(of: Stack | Path, user: str = "admin", patience: Patience = QUICK) -> Client:
        path = of.kubeconfig(user) if isinstance(of, Stack) else of
        opened.append(Client(read_access(str(path)), patience))
        return opened[-1]

    yield open_client
    for one in opened:
        one.close()
