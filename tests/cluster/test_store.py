"""The Store port on a real API server: it does what the store in memory does, and lasts through faults."""

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from stellwerk.adapters.kube_store.client import Client, Forbidden
from stellwerk.adapters.kube_store.discovery import discover
from stellwerk.adapters.kube_store.following import follow_kind
from stellwerk.adapters.kube_store.listing import PAGE, list_all
from stellwerk.adapters.kube_store.store import KubeStore
from stellwerk.adapters.kube_store.watching import Cuts, watch_kind
from stellwerk.api.errors import Unreachable
from stellwerk.ports.store import Change, Conflict, Expired, Key, Object
from tests.cluster.relay import Relay
from tools.cluster.stack import HOST, Stack

MAPS = ("", "ConfigMap")
Opened = Callable[..., Client]


def config_map(name: str, value: str = "1") -> Object:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"x": value}}


def key(name: str) -> Key:
    return Key("", "ConfigMap", "default", name)


def changes_of(store: KubeStore, since: int, prefix: str) -> Iterator[tuple[str, str]]:
    for each in store.watch(since):
        name = each.object["metadata"]["name"]
        if name.startswith(prefix):
            yield each.type, name


def compact(stack: Stack) -> None:
    """Make etcd forget all versions before the newest, as it does after five minutes."""
    found = json.loads(ask_etcd(stack, "/v3/kv/range", {"key": "AA=="}))
    ask_etcd(stack, "/v3/kv/compaction", {"revision": found["header"]["revision"], "physical": True})


def ask_etcd(stack: Stack, path: str, body: dict[str, object]) -> bytes:
    request = urllib.request.Request(
        f"http://{HOST}:{stack.ports['etcd']}{path}", data=json.dumps(body).encode(), method="POST"
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        content: bytes = answer.read()
        return content


def test_objects_are_made_changed_and_deleted_with_optimistic_concurrency(
    stack: Stack, client_of: Opened
) -> None:
    store = KubeStore(client_of(stack), [MAPS])
    made = store.put(config_map("opt"))
    changed = store.put({**made, "data": {"x": "2"}})
    assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    for stale in ({**made, "data": {"x": "3"}}, config_map("opt")):
        with pytest.raises(Conflict):
            store.put(stale)
    with pytest.raises(Conflict):
        store.delete(key("opt"), int(made["metadata"]["resourceVersion"]))
    found = store.get(key("opt"))
    assert found is not None and found["data"] == {"x": "2"} and "managedFields" not in found["metadata"]
    store.delete(key("opt"), int(changed["metadata"]["resourceVersion"]))
    assert store.get(key("opt")) is None
    with pytest.raises(Conflict):
        store.delete(key("opt"))
    with pytest.raises(Conflict):
        store.put(changed)


def test_a_list_in_pages_holds_everything_in_order(stack: Stack, client_of: Opened) -> None:
    count = PAGE + 7
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "pages"}}
    maps = [
        {**config_map(f"m{i:04}"), "metadata": {"name": f"m{i:04}", "namespace": "pages"}}
        for i in range(count)
    ]
    stack.apply([namespace, *maps])
    client = client_of(stack)
    asked: list[str] = []
    once = client._once

    def counted(what: tuple[str, str, bytes, str], *rest: object) -> object:
        asked.append(what[1])
        return once(what, *rest)

    client._once = counted
    items, version = KubeStore(client).list(*MAPS)
    mine = [each["metadata"]["name"] for each in items if each["metadata"]["namespace"] == "pages"]
    assert mine == sorted(mine) and len([name for name in mine if name.startswith("m")]) == count
    assert {each["apiVersion"] for each in items} == {"v1"} and version > 0
    assert asked.count("/api/v1/configmaps") == 2


def test_a_watch_gives_each_change_after_its_version(stack: Stack, client_of: Opened) -> None:
    store = KubeStore(client_of(stack), [MAPS])
    _, since = store.list(*MAPS)
    made = store.put(config_map("seen-a"))
    store.put({**made, "data": {"x": "2"}})
    store.delete(key("seen-a"))
    found = list(islice(changes_of(store, since, "seen-"), 3))
    assert found == [("ADDED", "seen-a"), ("MODIFIED", "seen-a"), ("DELETED", "seen-a")]


def test_a_watch_from_a_forgotten_version_is_expired(own_stack: Stack, client_of: Opened) -> None:
    store = KubeStore(client_of(own_stack), [MAPS])
    _, since = store.list(*MAPS)
    for i in range(5):
        store.put(config_map(f"old-{i}"))
    own_stack.kill("kube-apiserver")  # Its cache of changes goes with it.
    compact(own_stack)
    own_stack.again("kube-apiserver")
    with pytest.raises(Expired):
        next(store.watch(since))


def test_a_kind_is_followed_where_the_api_server_was_killed(own_stack: Stack, client_of: Opened) -> None:
    """No difference is lost, none comes twice; what went while nobody watched is told as DELETED."""
    client = client_of(own_stack)
    store = KubeStore(client)
    resource = discover(client).find(*MAPS)
    assert resource is not None
    store.put(config_map("kept-0"))
    cuts, seen = Cuts(), list[tuple[str, str]]()
    done = threading.Event()

    def follow() -> None:
        for each in follow_kind(client, resource, cuts):
            if (name := each.object["metadata"]["name"]).startswith("kept-"):
                seen.append((each.type, name))
            if name == "kept-2":
                done.set()
                return

    threading.Thread(target=follow, daemon=True).start()
    store.put(config_map("kept-1"))
    wait_for(lambda: len(seen) == 2)
    own_stack.kill("kube-apiserver")
    own_stack.again("kube-apiserver")
    store.delete(key("kept-0"))
    store.put(config_map("kept-2"))
    assert done.wait(60)
    assert seen[:2] == [("ADDED", "kept-0"), ("ADDED", "kept-1")]
    assert sorted(seen[2:]) == [("ADDED", "kept-2"), ("DELETED", "kept-0")]
    assert cuts.made >= 2


def test_a_watch_goes_on_after_its_connection_was_cut(
    own_stack: Stack, client_of: Opened, tmp_path: Path
) -> None:
    """From the version that it had reached: it is not begun anew, and nothing is listed."""
    with Relay(own_stack.ports["api"]) as relay:
        kubeconfig = own_stack.kubeconfig("admin")
        text = kubeconfig.read_text().replace(f":{own_stack.ports['api']}", f":{relay.port}")
        (tmp_path / "through").write_text(text)
        store, straight = KubeStore(client_of(tmp_path / "through")), KubeStore(client_of(own_stack))
        client = client_of(tmp_path / "through")
        resource = discover(client).find(*MAPS)
        assert resource is not None
        _, since = store.list(*MAPS)
        cuts, seen = Cuts(), list[str]()

        def follow() -> None:
            for each in watch_kind(client, resource, since, cuts):
                if isinstance(each, Change):
                    seen.append(each.object["metadata"]["name"])
                if len(seen) == 6:
                    return

        threading.Thread(target=follow, daemon=True).start()
        for i in range(6):
            straight.put(config_map(f"cut-{i}"))
            wait_for(lambda count=i + 1: len(seen) == count)
            if i in (1, 3):
                relay.cut()
        assert seen == [f"cut-{i}" for i in range(6)]
        assert cuts.cut == 2


def wait_for(reached: Callable[[], bool], most_s: float = 60) -> None:
    until = time.monotonic() + most_s
    while not reached():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def test_a_list_waits_for_an_api_server_that_restarts(own_stack: Stack, client_of: Opened) -> None:
    client = client_of(own_stack)
    told: list[str] = []
    client.on_retry = told.append
    resource = discover(client).find("", "Namespace")
    assert resource is not None
    own_stack.kill("kube-apiserver")
    again = threading.Timer(1.0, own_stack.again, ["kube-apiserver"])
    again.start()
    names = {each["metadata"]["name"] for each in list_all(client, resource).items}
    again.join()
    assert "kube-system" in names
    assert told


def test_a_slow_api_server_is_waited_for(own_stack: Stack, client_of: Opened, tmp_path: Path) -> None:
    """Each part of an answer comes two seconds late; nothing is asked twice, and nothing is missing."""
    with Relay(own_stack.ports["api"], delay_s=2.0) as relay:
        text = own_stack.kubeconfig("admin").read_text()
        (tmp_path / "slow").write_text(text.replace(f":{own_stack.ports['api']}", f":{relay.port}"))
        client = client_of(tmp_path / "slow")
        told: list[str] = []
        client.on_retry = told.append
        resource = discover(client).find("", "Namespace")
        assert resource is not None
        names = {each["metadata"]["name"] for each in list_all(client, resource).items}
    assert "kube-system" in names and told == []


def test_an_api_server_that_never_answers_is_named(own_stack: Stack, client_of: Opened) -> None:
    own_stack.kill("kube-apiserver")
    began = time.monotonic()
    with pytest.raises(Unreachable) as error:
        discover(client_of(own_stack))
    assert own_stack.server in str(error.value) and time.monotonic() - began < 5


def test_a_role_that_may_not_list_is_told_so(stack: Stack, client_of: Opened) -> None:
    with pytest.raises(Forbidden, match="pods"):
        KubeStore(client_of(stack, "stellwerk")).list("", "Pod")
