"""What differs between releases and settings of an API server, and what is wrong with an expression."""

from collections.abc import Callable

from msgspec import Struct

from stellwerk.api.checks.refusal import Refusal

MAX_EXPRESSION = 10 * 1024
EFFECTS = ("NoSchedule", "NoExecute", "None")
Judge = Callable[[str, str], Refusal | None]


def expression_refusal(path: str, expression: str) -> Refusal | None:
    """An expression that is empty, or too long to be compiled (MAX_EXPRESSION bytes)."""
    if not expression:
        return Refusal(
            code="no-expression",
            path=path,
            problem="the CEL expression is empty",
            fix="write one expression over `device`",
        )
    if len(expression.encode(errors="surrogatepass")) <= MAX_EXPRESSION:
        return None
    return Refusal(
        code="expression-too-long",
        path=path,
        problem="the CEL expression is longer than {most} bytes",
        fix="shorten it",
        values={"most": MAX_EXPRESSION},
    )


class Rules(Struct, frozen=True, kw_only=True):
    """One API server's rules; as they are here, those of the newest release with all gates on.

    `effects` of taints that it knows; `distinct`: constraints may have distinctAttribute; `selector` and
    `derived` say at a path what is wrong with an expression: CEL is compiled above this room, so that without
    it only the length counts.
    """

    effects: tuple[str, ...] = EFFECTS
    distinct: bool = True
    selector: Judge = expression_refusal
    derived: Judge = expression_refusal


NEWEST = Rules()
