"""How large the parts of `device` can be.

Limits: types.go of k8s.io/api/resource/v1, and compile.go of k8s.io/dynamic-resource-allocation.
"""

from stellwerk.cel.cost.sizes import Range

DRIVER = DOMAIN = 63
NAME = 32
ATTRIBUTES = 32
VALUE = 64  # Of a string, which is more than a list can have elements.
LIST_VALUES = 48


def device_size(path: tuple[str, ...]) -> Range | None:
    """The size of what `path` leads to from a variable; None where no limit is declared.

    Steps are names of fields, @keys, @values and @items.
    """
    if not path or path[0] != "device":
        return None
    match path[1:]:
        case () | ("allowMultipleAllocations",):
            return Range(0, len(path) - 1)
        case ("driver",):
            return Range(0, DRIVER)
        case ("attributes" | "capacity",):
            return Range(0, ATTRIBUTES)
        case (_, "@keys"):
            return Range(0, DOMAIN)
        case (_, "@values" | "@items"):
            return Range(0, ATTRIBUTES)
        case (_, "@values" | "@items", "@keys"):
            return Range(0, NAME)
        case ("attributes", "@values" | "@items", _):
            return Range(0, VALUE)
        case ("capacity", "@values" | "@items", "@values" | "@items"):
            return Range(0, 0)
        case _:
            return None


def is_attribute(path: tuple[str, ...]) -> bool:
    """Whether `path` leads to an attribute's value."""
    return path[:2] == ("device", "attributes") and len(path) == 4 and path[3] != "@keys"
