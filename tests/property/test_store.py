"""The store in memory against a plain dictionary, over random histories."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.ports.store import Conflict, Expired, Key, MemoryStore, key_of

STEP = st.tuples(st.sampled_from(["put", "put-stale", "delete"]), st.sampled_from("abc"), st.integers(0, 9))


def pod(name: str, **fields: object) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "n"}, **fields}


@given(st.lists(STEP, max_size=40))
def test_a_watcher_that_follows_the_log_sees_what_a_list_sees(steps: list[tuple[str, str, int]]) -> None:
    store = MemoryStore()
    for what, name, value in steps:
        key = key_of(pod(name))
        there = store.get(key)
        if what == "delete":
            if there is None:
                with pytest.raises(Conflict):
                    store.delete(key)
            else:
                store.delete(key, int(there["metadata"]["resourceVersion"]))
            continue
        item = pod(name, unknownField={"kept": value})
        if there is not None and what == "put":
            item["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"]  # type: ignore[index]
        if there is not None and what == "put-stale":
            item["metadata"]["resourceVersion"] = "0"  # type: ignore[index]
            with pytest.raises(Conflict):
                store.put(item)
            continue
        assert store.put(item)["unknownField"] == {"kept": value}
    seen: dict[Key, dict[str, object]] = {}
    for change in store.watch(0):
        if change.type == "DELETED":
            del seen[key_of(change.object)]
        else:
            assert (key_of(change.object) in seen) == (change.type == "MODIFIED")
            seen[key_of(change.object)] = change.object
    assert sorted(seen.values(), key=lambda o: str(key_of(o))) == store.list("", "Pod")[0]


def test_a_reader_cannot_change_what_is_stored() -> None:
    store = MemoryStore()
    store.put(pod("a", spec={"x": 1}))
    read = store.get(key_of(pod("a")))
    assert read is not None
    read["spec"]["x"] = 2
    assert store.get(key_of(pod("a")))["spec"] == {"x": 1}  # type: ignore[index]


def test_a_watch_from_before_the_kept_log_must_list_again() -> None:
    store = MemoryStore(keep=2)
    for name in "abcd":
        store.put(pod(name))
    assert [change.object["metadata"]["name"] for change in store.watch(2)] == ["c", "d"]
    with pytest.raises(Expired):
        store.watch(1)
    assert list(store.watch(4)) == []


def test_creating_twice_is_a_conflict() -> None:
    store = MemoryStore()
    store.put(pod("a"))
    with pytest.raises(Conflict):
        store.put(pod("a"))
