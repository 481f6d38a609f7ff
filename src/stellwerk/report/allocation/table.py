"""Allocations as text: each pod with its node and devices, or per group of nodes why not; what would help."""

from collections.abc import Iterator, Sequence
from textwrap import fill

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import DeviceAllocationResult, ResourceClaim
from stellwerk.engine.allocation.change import Change, NoChange
from stellwerk.engine.allocation.pods.places import NodesRefused
from stellwerk.engine.allocation.pods.turn import Answer, Outcome
from stellwerk.report.allocation.devices import Devices, Given, allocation, claim_label, given_devices
from stellwerk.report.allocation.document import Setting
from stellwerk.report.text import Language, number, reason_text, translator

MOST_REFUSED, MOST_GROUPS = 40, 10


def render_allocation(
    outcome: Outcome, devices: Devices, setting: Setting, shown: tuple[Language, int]
) -> str:
    """All of it in a language, at most so many characters wide where words allow."""
    lang = shown[0]
    _ = translator(lang)
    count = sum(one.allocated for one in outcome.answers)
    lines = [
        _(
            "{count} of {total} allocated by the rules of Kubernetes {release}",
            count=number(count, lang),
            total=number(len(outcome.answers), lang),
            release=setting.kubernetes,
        ),
        "",
    ]
    refused, before = 0, ""
    for answer in outcome.answers:
        if answer.allocated:
            lines += [*_allocated(answer, devices, lang), ""]
            before = ""
            continue
        refused += 1
        same, before = before, _likeness(answer)
        if refused <= MOST_REFUSED:
            lines += [*_refused(answer, shown, same == before), ""]
    if refused > MOST_REFUSED:
        more = number(refused - MOST_REFUSED, lang)
        lines += [_("... {count} more are not allocated: -o json has all", count=more), ""]
    for note in outcome.notes:
        lines += [*_wrapped(reason_text(note, lang), "", shown[1]), ""]
    return "\n".join(line.rstrip() for line in lines[:-1]) + "\n"


def _title(answer: Answer, lang: Language) -> str:
    _ = translator(lang)
    name = "/".join(answer.key)
    return _("pod {name}", name=name) if answer.kind == "Pod" else _("claim {name}", name=name)


def _allocated(answer: Answer, devices: Devices, lang: Language) -> Iterator[str]:
    _ = translator(lang)
    place = _("on {node}", node=answer.node) if answer.node else _("on any node that its selector takes")
    before = ", " + _("allocated before") if answer.before else ""
    yield f"{_title(answer, lang)}: {place}{before}"
    rows = [(claim, given_devices(claim, devices)) for claim in answer.claims]
    wide = _widths([one for _claim, found in rows for one in found])
    for claim, found in rows:
        if answer.kind == "Pod":
            yield "  " + _("claim {name}", name=claim_label(claim))
        yield from (f"    {_cells(one, wide)}" for one in found)
        yield from (f"    {text}" for text in _configs(claim, lang))
        if selector := _nodes(claim):
            yield "    " + _("nodes: {selector}", selector=selector)
    for resource, count in answer.plugin.items():
        yield "  " + _(
            "{resource}: {count} from the device plugin", resource=resource, count=number(count, lang)
        )


def _widths(found: Sequence[Given]) -> tuple[int, int, int]:
    rows = [(one.request, str(one.device), one.type) for one in found]
    columns = list(zip(*rows, strict=True)) or [("",), ("",), ("",)]
    first, second, third = (max(map(len, column)) for column in columns)
    return first, second, third


def _cells(one: Given, wide: tuple[int, int, int]) -> str:
    cells = [
        text.ljust(size) for text, size in zip((one.request, str(one.device), one.type), wide, strict=True)
    ]
    amounts = [f"{name} {amount}" for name, amount in one.capacity.items()]
    return "  ".join([*cells, one.uuid, *amounts])


def _configs(claim: ResourceClaim, lang: Language) -> Iterator[str]:
    _ = translator(lang)
    for one in given(given(allocation(claim).devices, DeviceAllocationResult()).config, ()):
        opaque = given(one.opaque, None)
        if opaque is None:
            continue
        kind = opaque.parameters.get("kind") if isinstance(opaque.parameters, dict) else None
        requests = ", ".join(given(one.requests, ())) or _("all requests")
        yield _(
            "config for {requests}: {kind} of {driver} ({source})",
            requests=requests,
            kind=str(kind or "?"),
            driver=opaque.driver,
            source=one.source,
        )


def _nodes(claim: ResourceClaim) -> str:
    """The node selector in words, for devices that are not bound to a node by its name."""
    selector = given(allocation(claim).node_selector, None)
    parts = []
    for term in selector.node_selector_terms if selector is not None else ():
        for one in (*given(term.match_expressions, ()), *given(term.match_fields, ())):
            if one.key != "metadata.name":
                values = ",".join(given(one.values, ()))
                parts.append(f"{one.key} {one.operator} {values}".strip())
    return "; ".join(parts)


def _likeness(answer: Answer) -> str:
    """The same for answers that differ in nothing but the names of their claims."""
    texts = [str(reason) for one in answer.refused for reason in one.reasons]
    texts.append(str(answer.change.reason) if isinstance(answer.change, Change) else "")
    text = "\n".join(texts)
    for claim in answer.claims:
        text = text.replace(claim_label(claim), "")
    return text


def _refused(answer: Answer, shown: tuple[Language, int], same: bool) -> Iterator[str]:
    lang, width = shown
    _ = translator(lang)
    if same:
        yield f"{_title(answer, lang)}: " + _("not allocated, for the same reasons")
        return
    yield f"{_title(answer, lang)}: " + _("not allocated")
    for one in answer.refused[:MOST_GROUPS]:
        yield from _group(one, lang, width)
    if len(answer.refused) > MOST_GROUPS:
        more = number(len(answer.refused) - MOST_GROUPS, lang)
        yield "  " + _("... {count} more groups of nodes: -o json has all", count=more)
    if answer.change is not None:
        yield from _wrapped(_change(answer.change, lang), "  ", width)


def _group(one: NodesRefused, lang: Language, width: int) -> Iterator[str]:
    _ = translator(lang)
    if one.node:
        more = number(one.nodes - 1, lang)
        text = (
            _("{node}:", node=one.node)
            if one.nodes == 1
            else _("{node} and {count} nodes more:", node=one.node, count=more)
        )
        yield f"  {text}"
    for reason in one.reasons:
        yield from _wrapped(reason_text(reason, lang), "    - ", width)


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    rest = " " * len(indent)
    clean = "".join(char if char.isprintable() else " " for char in text)
    return fill(
        clean,
        max(width, 40),
        initial_indent=indent,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ).splitlines()


def _change(change: Change | NoChange, lang: Language) -> str:
    _ = translator(lang)
    if isinstance(change, Change):
        what = reason_text(change.reason, lang)
        return _("smallest change that helps: {change}; then on {node}", change=what, node=change.node)
    count = number(change.tried, lang)
    if not change.tried:
        return _("there is no single change to try")
    if change.complete:
        return _("none of the {count} changes tried helps", count=count)
    return _("no change that helps was found among the {count} that were tried; there are more", count=count)
