"""Words in the reader's language: translation of templates, numbers, money, durations, dates, errors.

English is the source: a template is its own key. German comes from `locale/de.po`, read when the first German
word is asked for. JSON and YAML never pass through here: they stay English.
"""

import gettext
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from importlib import resources
from io import BytesIO
from typing import Literal, Protocol

from stellwerk.api.errors import InvalidInput, Unreachable
from stellwerk.engine.decision import Reason

Language = Literal["en", "de"]
LANGUAGES: tuple[Language, ...] = ("en", "de")
# A template with fewer letters between its places would match sentences that it did not write.
MIN_LITERAL = 8
# Values of reasons that are names, whatever they look like.
NAMED = frozenset(
    [
        "names",
        "name",
        "model",
        "instance",
        "owner",
        "profile",
        "best",
        "way",
        "release",
        "version",
        "value",
        "why",
    ]
)


class Translate(Protocol):
    """`_(template, **values)`: the template in one language, with its `{places}` filled."""

    def __call__(self, template: str, /, **values: object) -> str: ...


def msg(template: str) -> str:
    """Mark a template that is translated later, where it is shown; returns it unchanged."""
    return template


@cache
def _german() -> gettext.GNUTranslations:
    from babel.messages import mofile, pofile

    source = resources.files("stellwerk.report").joinpath("locale/de.po").read_bytes()
    compiled = BytesIO()
    mofile.write_mo(compiled, pofile.read_po(BytesIO(source), locale="de"))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def translator(lang: Language) -> Translate:
    """The function `_` of one language. A template without a German entry is shown in English."""
    look_up: Callable[[str], str] = _german().gettext if lang == "de" else str

    def translate(template: str, /, **values: object) -> str:
        # gettext keeps the catalogue's own header under the empty key.
        return look_up(template).format(**values) if template else ""

    return translate


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Templates with places as patterns, the most literal first: a finished sentence finds its template."""
    found: list[tuple[int, str, re.Pattern[str]]] = []
    for template in _german()._catalog:  # type: ignore[attr-defined]
        if not isinstance(template, str) or "{" not in template:
            continue
        parts = re.split(r"\{(\w+)[^}]*\}", template)
        literal = sum(len(part) for part in parts[::2])
        if literal < MIN_LITERAL:
            continue
        pattern, seen = "", set[str]()
        for index, part in enumerate(parts):
            if index % 2 == 0:
                pattern += re.escape(part)
            else:
                pattern += f"(?P={part})" if part in seen else f"(?P<{part}>.+?)"
                seen.add(part)
        found.append((-literal, template, re.compile(pattern, re.DOTALL)))
    return tuple((pattern, template) for _, template, pattern in sorted(found, key=lambda entry: entry[:2]))


def say(sentence: str, lang: Language) -> str:
    """A finished English sentence (a note, a reason) in `lang`: its template is known by its fixed words."""
    if lang == "en" or not sentence:
        return sentence
    exact = _german().gettext(sentence)
    if exact != sentence:
        return exact
    for pattern, template in _patterns():
        if match := pattern.fullmatch(sentence):
            values = {name: _german_value(value) for name, value in match.groupdict().items()}
            return _german().gettext(template).format(**values)
    return sentence


def _german_value(value: str) -> str:
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?|\d+\.\d+", value):
        return value.translate(str.maketrans(",.", ".,"))
    return value  # Perhaps a name: it stays as its owner wrote it.


def reason_text(reason: Reason, lang: Language) -> str:
    """A reason in the reader's language, its figures too; names stay as their owner wrote them."""
    values = {key: value if key in NAMED else _figure(value, lang) for key, value in reason.values.items()}
    return translator(lang)(reason.text, **values)


def _figure(value: str | int, lang: Language) -> str:
    """A count, or a text that begins with a decimal figure (`39.9`, `39.9 GiB`), as `lang` writes it."""
    if isinstance(value, int):
        return number(value, lang)
    if match := re.fullmatch(r"(-?\d+(?:\.(\d+))?)((?: [A-Za-z]+)?)", value):
        return number(Decimal(match[1]), lang, len(match[2] or "")) + match[3]
    return value


def resolve_language(option: str | None, env: Mapping[str, str]) -> Language:
    """`--lang` first; else the first of LC_ALL, LC_MESSAGES and LANG that is set says it; else English."""
    if option:
        if option not in LANGUAGES:
            raise InvalidInput("there is no language {lang}", fix="use --lang en or --lang de", lang=option)
        return "de" if option == "de" else "en"
    value = next((env[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if env.get(name)), "")
    return "de" if value.lower().startswith("de") else "en"


def error_text(error: InvalidInput | Unreachable, lang: Language) -> str:
    """One line: where, what was wrong, and the one next step."""
    _ = translator(lang)
    where: list[str] = []
    if isinstance(error, InvalidInput):
        where.append(error.source)
        where.append(_("document {number}", number=error.document) if error.document else "")
        where.append(error.path)
    values = {name: one_line(value) for name, value in error.values.items()}
    place = ", ".join(one_line(part) for part in where if part)
    problem = _(error.problem, **values)
    text = f"{place}: {problem}" if place else problem
    if not error.fix:
        return text
    return text.rstrip(".") + ". " + _("Next: {step}", step=_(error.fix, **values))


def one_line(value: object) -> str:
    """The value as text on one line: a terminal must not obey control characters of a user's file."""
    text = str(value)
    return "".join(char if char.isprintable() else " " for char in text) if not text.isprintable() else text


def number(value: Decimal | int, lang: Language, places: int = 0, most: int | None = None) -> str:
    """`1,234.5` or `1.234,5`, exact: rounded half up to `most` places, at least `places` are shown."""
    from babel.numbers import format_decimal

    most = places if most is None else most
    exact = Decimal(value).quantize(Decimal(1).scaleb(-most), rounding=ROUND_HALF_UP)
    pattern = "#,##0" + ("." if most else "") + "0" * places + "#" * (most - places)
    return format_decimal(exact, format=pattern, locale=lang)


def money(amount: Decimal, currency: str, lang: Language, places: int = 2, most: int | None = None) -> str:
    """`1,234.56 EUR` or `1.234,56 EUR`."""
    return f"{number(amount, lang, places, most)} {currency}"


def duration(nanoseconds: int, lang: Language) -> str:
    """`45 s`, `0 min`, `2 h 05 min`, `3 d 4 h`; in German `2 Std. 05 Min.`. Rounded half up."""
    seconds = (nanoseconds + 500_000_000) // 1_000_000_000
    if 0 < seconds < 60:
        return f"{seconds} Sek." if lang == "de" else f"{seconds} s"
    hours, minutes = divmod((seconds + 30) // 60, 60)
    if not hours:
        return f"{minutes} Min." if lang == "de" else f"{minutes} min"
    if hours < 24:
        return f"{hours} Std. {minutes:02} Min." if lang == "de" else f"{hours} h {minutes:02} min"
    days, hours = divmod((seconds + 1800) // 3600, 24)
    if lang == "de":
        return f"{days} {'Tag' if days == 1 else 'Tage'}" + (f" {hours} Std." if hours else "")
    return f"{days} d" + (f" {hours} h" if hours else "")


def moment(nanoseconds: int, lang: Language) -> str:
    """A time in UTC, from nanoseconds since 1970: `2025-03-03 09:00 UTC` or `03.03.2025 09:00 UTC`."""
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)
    return when.strftime("%d.%m.%Y %H:%M UTC" if lang == "de" else "%Y-%m-%d %H:%M UTC")


def day(date: str, lang: Language) -> str:
    """A date as facts carry it (`2025-02-28`): German turns it round, anything else stays as it is."""
    if lang == "de" and (match := re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", date)):
        return f"{match[3]}.{match[2]}.{match[1]}"
    return date
