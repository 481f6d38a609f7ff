"""The two ways in which a CEL expression fails; their texts are those of cel-go."""


class CelError(ValueError):
    """`text` is the message as Kubernetes shows it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class CompileError(CelError):
    """The expression cannot be compiled, for any device."""


class EvaluationError(CelError):
    """The expression failed for one device."""


class CostExceeded(Exception):
    """The evaluation cost more than an expression may: nothing within the expression can catch this."""
