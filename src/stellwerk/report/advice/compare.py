"""A comparison of the ways of sharing, as tables with their reasons, or as data for programs."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from textwrap import fill
from typing import Any

import msgspec
from msgspec import Struct

from stellwerk.catalog.sharing.ways import Answer, sharing_ways
from stellwerk.engine.advice.comparison import Compared, Comparison, Cost, LicenceNeed, Option, SetOption
from stellwerk.engine.decision import Reason
from stellwerk.engine.money.exact import plain
from stellwerk.report.tables import GAP, Grid, fold, term_name
from stellwerk.report.text import Language, day, money, number, reason_text, say, translator


def to_document(comparison: Comparison) -> dict[str, Any]:
    """The comparison for JSON and YAML: English, camelCase, exact figures as decimal text."""
    setup = comparison.setup
    price = setup.node.per_hour
    return {
        "gpuModel": setup.facts.model,
        "use": setup.use,
        "latency": setup.latency,
        "replicas": setup.replicas,
        "currency": setup.node.currency,
        "nodePerHour": None if price is None else plain(price),
        "nodeGpus": setup.node_gpus,
        "nodePrice": [_plain(term) for term in setup.node.terms],
        "unknownPrice": setup.node.unknown,
        "workloads": [_workload(each) for each in comparison.workloads],
        "together": [_plain(option) for option in comparison.together],
        "notes": list(comparison.notes),
    }


def _workload(each: Compared) -> dict[str, Any]:
    job = each.job
    return {
        "name": job.name,
        "team": job.team,
        "kind": job.kind,
        "tenants": each.tenants,
        "gpus": job.gpus,
        "memoryBytes": job.memory_bytes,
        "computeMilli": job.compute_milli,
        "options": [_plain(option) for option in each.options],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Reason):
        return {"code": value.code, "text": str(value)}
    if isinstance(value, Struct):
        return {_camel(name): _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return plain(value) if isinstance(value, Decimal) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def to_json(comparison: Comparison) -> str:
    """Indented JSON with a line end."""
    return msgspec.json.format(msgspec.json.encode(to_document(comparison)), indent=2).decode() + "\n"


def to_yaml(comparison: Comparison) -> str:
    """The same as YAML."""
    import yaml

    return str(yaml.safe_dump(to_document(comparison), sort_keys=False, allow_unicode=True, width=110))


def render_comparison(comparison: Comparison, lang: Language, width: int = 80) -> str:
    """For each workload a table and its reasons, then all together, then prices, sources and notes."""
    lines: list[str] = []
    for each in comparison.workloads:
        lines += [_heading(each, comparison, lang), "", *_table(option_grid(each, comparison, lang), width)]
        lines += [*_bullets(_reasons(each, lang), width), ""]
    if comparison.together:
        lines += [_words(lang)["together"], "", *_table(_set_grid(comparison, lang), width)]
        lines += [*_bullets(_set_reasons(comparison, lang), width), ""]
    lines += _bullets(_notes(comparison, lang), width)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _words(lang: Language) -> dict[str, str]:
    """Short words that stand in cells."""
    _ = translator(lang)
    return {
        "yes": _("yes"),
        "no": _("no"),
        "partly": _("partly"),
        "unknown": _("unknown"),
        "recommended": _("recommended"),
        "possible": _("possible"),
        "together": _("All workloads together"),
        "exact": _("no sharing"),
        "apart": _("each workload apart"),
        "best fit": _("best fit"),
    }


def _heading(each: Compared, comparison: Comparison, lang: Language) -> str:
    _ = translator(lang)
    job, unknown = each.job, _("unknown")
    memory = (
        unknown if not job.memory_bytes else f"{number(Decimal(job.memory_bytes) / 2**30, lang, 0, 1)} GiB"
    )
    compute = (
        unknown if job.compute_milli is None else f"{number(Decimal(job.compute_milli) / 10, lang, 0, 1)} %"
    )
    values = {
        "name": job.name,
        "kind": job.kind,
        "tenants": number(each.tenants, lang),
        "memory": memory,
        "compute": compute,
        "model": comparison.setup.facts.model,
    }
    if each.tenants == 1:
        return _("{name} ({kind}): 1 tenant with {memory} and {compute} of a GPU, on {model}", **values)
    return _(
        "{name} ({kind}): {tenants} tenants with {memory} and {compute} of a GPU each, on {model}", **values
    )


def option_grid(each: Compared, comparison: Comparison, lang: Language) -> Grid:
    """The ways as rows; what they isolate as words, costs in the fleet's currency."""
    _, words = translator(lang), _words(lang)
    currency = comparison.setup.node.currency
    head = (
        *(_("Way"), _("Verdict"), _("Fits"), _("A GPU takes"), "GPUs"),
        *(_("{currency} a month", currency=currency), _("Times as long")),
        *(_("Memory apart"), _("Faults apart"), _("Speed apart")),
    )
    rows = tuple(_row(option, words, lang) for option in each.options)
    return Grid("", head, rows)


def _row(option: Option, words: Mapping[str, str], lang: Language) -> tuple[str, ...]:
    slow = option.slowdown
    return (
        option.way,
        words[option.verdict],
        words[option.fits],
        "" if option.tenants_per_gpu is None else number(option.tenants_per_gpu, lang),
        "" if option.gpus is None else number(option.gpus, lang),
        _total(option.cost, words, lang),
        " - ".join(dict.fromkeys(number(end, lang, 0, 2) for end in (slow.low, slow.high))) if slow else "",
        *(words[answer.answer] for answer in (option.memory, option.faults, option.performance)),
    )


def _total(cost: Cost | None, words: Mapping[str, str], lang: Language) -> str:
    if cost is None:
        return ""
    return words["unknown"] if cost.total is None else number(cost.total, lang, 2)


def _set_grid(comparison: Comparison, lang: Language) -> Grid:
    _, words = translator(lang), _words(lang)
    currency = comparison.setup.node.currency
    head = (
        _("Way"),
        _("Fits"),
        "GPUs",
        _("Packed"),
        _("{currency} a month", currency=currency),
        _("Verdict"),
    )
    rows = tuple(
        (
            option.way,
            words[option.fits],
            "" if option.gpus is None else number(option.gpus, lang),
            words.get(option.packing, ""),
            _total(option.cost, words, lang),
            words[option.verdict],
        )
        for option in comparison.together
    )
    return Grid("", head, rows)


def _table(grid: Grid, width: int) -> Iterator[str]:
    """Columns of text, folded to the width; the first column left, figures and words right."""
    for part in fold(grid, width):
        lines = (part.head, *part.rows)
        wide = [max(len(line[index]) for line in lines) for index in range(len(part.head))]
        for at, line in enumerate(lines):
            cells = [line[0].ljust(wide[0]), *(text.rjust(w) for text, w in zip(line, wide, strict=True))]
            yield (" " * GAP).join([cells[0], *cells[2:]])
            if at == 0:
                yield "-" * (sum(wide) + GAP * (len(wide) - 1))
        yield ""


def _bullets(texts: Iterator[str], width: int) -> Iterator[str]:
    for text in dict.fromkeys(texts):
        yield fill(
            text,
            width,
            initial_indent="- ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )


def _reasons(each: Compared, lang: Language) -> Iterator[str]:
    _ = translator(lang)
    for option in each.options:
        yield f"{option.way}: {_why(option, lang)}"
        if option.fits != "yes" or option.way == "whole":
            continue
        against = "; ".join(say(text, lang) for text in option.against)
        yield _("{way}, what speaks against it: {against}", way=option.way, against=against)
        for found in option.published:
            yield _published(option.way, found, lang)
    for option in each.options:
        if option.licence is not None:
            yield _licence(option.way, option.licence, lang)


def _why(option: Option, lang: Language) -> str:
    _, words = translator(lang), _words(lang)
    if option.because == option.reason:
        return f"{words[option.fits]}, {_sentence(option.reason, lang)}"
    return f"{_sentence(option.reason, lang)}; {words[option.verdict]}, {_sentence(option.because, lang)}"


def _sentence(reason: Reason, lang: Language) -> str:
    """A reason in the reader's language, also where one of its values is a sentence."""
    values = {
        name: say(value, lang) if isinstance(value, str) else value for name, value in reason.values.items()
    }
    return reason_text(Reason(reason.code, reason.text, values), lang)


def _published(way: str, found: Any, lang: Language) -> str:
    _ = translator(lang)
    figures = ", ".join(
        f"{name} " + " / ".join(f"{key} {plain(value)}" for key, value in values.items())
        for name, values in found.figures.items()
    )
    return _(
        "{way}, published on {gpu}: {figures} ({method}; {workload}; {source})",
        way=way,
        gpu=found.gpu,
        figures=figures,
        method=found.method,
        workload=found.workload,
        source=found.source,
    )


def _licence(way: str, licence: LicenceNeed, lang: Language) -> str:
    _ = translator(lang)
    units = {"gpu": _("for each GPU"), "user": _("for each concurrent user")}
    price = licence.per_year
    if price is None or licence.unknown:
        cost = _("price unknown: set {option}", option=licence.unknown)
    else:
        cost = _(
            "{price} a year, as of {date} ({source})",
            price=money(price.amount, price.currency, lang),
            date=day(price.date, lang),
            source=price.source,
        )
    text = _(
        "{way} needs {count} licences of {name}, {unit}: {cost}",
        way=way,
        count=number(licence.count, lang),
        name=licence.name,
        unit=units[licence.unit],
        cost=cost,
    )
    return f"{text}; {say(licence.note, lang)}" if licence.note else text


def _set_reasons(comparison: Comparison, lang: Language) -> Iterator[str]:
    _ = translator(lang)
    for option in comparison.together:
        yield f"{option.way}: {_sentence(option.because, lang)}{_whole(option, lang)}"


def _whole(option: SetOption, lang: Language) -> str:
    _ = translator(lang)
    if not option.whole:
        return ""
    return "; " + _("whole GPUs for {names}", names=", ".join(option.whole))


def _notes(comparison: Comparison, lang: Language) -> Iterator[str]:
    """Where every figure and every answer comes from."""
    _ = translator(lang)
    setup = comparison.setup
    if any(each.options for each in comparison.workloads):
        yield _(
            "Times as long: from no cost of sharing to one of n tenants getting 1/n of the GPU (MIG: its "
            "compute slices); a file for --slowdown replaces it. A month has 730 hours."
        )
    if setup.use == "containers":
        yield _("Containers need no licence for whole GPUs, time-slicing, MPS and MIG.")
    for term in setup.node.terms:
        yield _(
            "{term}: {price} per node and hour; as of {date}, {source}.",
            term=term_name(term.name, lang),
            price=money(term.per_hour, setup.node.currency, lang, 2, 6),
            date=day(term.date, lang),
            source=term.source,
        )
    if setup.node.unknown:
        yield _("Price unknown: set it with {option}.", option=setup.node.unknown)
    yield from (say(note, lang) for note in comparison.notes)
    for way in sharing_ways():
        parts = {_("memory"): way.memory, _("faults"): way.faults, _("speed"): way.performance}
        yield _("Isolation of {way}: {answers}.", way=way.name, answers=_answers(parts, lang))
        for condition in way.conditions:
            yield _("{way} asks for: {condition}.", way=way.name, condition=say(condition, lang))


def _answers(parts: Mapping[str, Answer], lang: Language) -> str:
    """Every answer with its reason, then their sources, each once."""
    words = _words(lang)
    texts = (f"{name} {words[each.answer]}, {say(each.why, lang)}" for name, each in parts.items())
    sources = dict.fromkeys(answer.source for answer in parts.values())
    return f"{'; '.join(texts)} ({', '.join(sources)})"
