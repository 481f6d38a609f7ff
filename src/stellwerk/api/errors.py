"""What a user did wrong, and what he cannot reach: the two errors that every room may raise.

The text is a template with named places (`{name}`), so that the command line can translate it; the
values are filled in at the edge. Nothing else is ever shown to a user as an error.
"""


class InvalidInput(Exception):
    """Bad input: exit code 2.

    `problem` and `fix` are English templates; `values` fills their places. `source` is the file as the
    user named it, `document` counts from 1 in a file of several, `path` is the field (`spec.nodes[0].gpus`).
    `fix` is the one next step: a changed field, or a command.
    """

    def __init__(
        self,
        problem: str,
        *,
        fix: str = "",
        source: str = "",
        document: int | None = None,
        path: str = "",
        **values: object,
    ) -> None:
        super().__init__(problem, values)
        self.problem, self.fix, self.values = problem, fix, values
        self.source, self.document, self.path = source, document, path

    def __str__(self) -> str:
        return self.problem.format(**self.values)


class Unreachable(Exception):
    """A world outside (a port, a server, a cluster) does not answer: exit code 3."""

    def __init__(self, problem: str, *, fix: str = "", **values: object) -> None:
        super().__init__(problem, values)
        self.problem, self.fix, self.values = problem, fix, values

    def __str__(self) -> str:
        return self.problem.format(**self.values)
