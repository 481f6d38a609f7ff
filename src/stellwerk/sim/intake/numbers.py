"""Numbers of options, and the range in which each makes sense."""

from stellwerk.api.errors import InvalidInput


def check_between(option: str, value: int, low: int, high: int) -> None:
    """Raise InvalidInput, naming the option, where the number is not in low..high."""
    if not low <= value <= high:
        raise InvalidInput(
            "{value} is not between {low} and {high}",
            fix="give {option} a number between {low} and {high}",
            path=option,
            value=value,
            low=low,
            high=high,
            option=option,
        )
