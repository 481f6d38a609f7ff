"""What the page shows at one moment: the state of the run, its progress, and what is already known."""

from typing import Literal

from msgspec import Struct

from stellwerk.sim.result import Replay


class Progress(Struct, frozen=True):
    """`done` of `total` steps; `what` is an English word for the step at hand, such as a policy."""

    done: int
    total: int
    what: str = ""


class PageView(Struct, frozen=True, kw_only=True):
    """`replay` may lack outcomes while running; `error` is a finished sentence in the reader's language."""

    title: str
    state: Literal["running", "done", "failed"]
    progress: Progress | None = None
    replay: Replay | None = None
    receipt_sha256: str = ""
    verify_command: str = "stellwerk verify receipt.json"
    error: str = ""
