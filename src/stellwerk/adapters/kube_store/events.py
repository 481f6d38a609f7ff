"""What components wrote about one object: its events, the oldest first; they are kept for an hour."""

from typing import Any

from msgspec import Struct

from stellwerk.adapters.kube_store.client import Client
from stellwerk.adapters.kube_store.discovery import Resource
from stellwerk.adapters.kube_store.listing import list_all

EVENTS = Resource("", "Event", "v1", "events", namespaced=True)


class Event(Struct, frozen=True, kw_only=True):
    """Who says what; `at`: RFC 3339, the last time."""

    at: str
    component: str
    reason: str
    message: str


def events_about(client: Client, kind: str, namespace: str, name: str) -> list[Event]:
    """The events of one object. Raises Forbidden, Unreachable."""
    fields = f"involvedObject.kind={kind},involvedObject.name={name}"
    found = [_event(each) for each in list_all(client, EVENTS, namespace, fields=fields).items]
    return sorted(found, key=lambda each: (each.at, each.reason, each.message))


def _event(item: dict[str, Any]) -> Event:
    """Old events have source and lastTimestamp, those of events.k8s.io reportingComponent and eventTime."""
    series, source = item.get("series") or {}, item.get("source") or {}
    moments = (series.get("lastObservedTime"), item.get("lastTimestamp"), item.get("eventTime"))
    return Event(
        at=str(next((each for each in moments if each), "")),
        component=str(item.get("reportingComponent") or source.get("component") or ""),
        reason=str(item.get("reason") or ""),
        message=str(item.get("message") or ""),
    )
