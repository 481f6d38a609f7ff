"""Which parts of the language an expression may use."""

from msgspec import Struct

MAX_COST = 1_000_000  # CELSelectorExpressionMaxCost of resource.k8s.io/v1.
MAX_LENGTH = 10 * 1024  # CELSelectorExpressionMaxLength, in bytes of UTF-8.


class Environment(Struct, frozen=True):
    """Which parts of the language are declared: the gates, and whether expressions are stored or new ones.

    For a stored expression everything is declared, whatever the gates say, so that objects stay valid when
    a gate is turned off (compile.go of k8s.io/dynamic-resource-allocation).
    """

    consumable_capacity: bool = True  # DRAConsumableCapacity: device.allowMultipleAllocations.
    list_type_attributes: bool = True  # DRAListTypeAttributes: lists, includes().
    stored: bool = True

    def has_multiple_allocations(self) -> bool:
        """Whether `device.allowMultipleAllocations` is declared."""
        return self.stored or self.consumable_capacity

    def has_lists(self) -> bool:
        """Whether attributes may be lists, and `includes` is declared."""
        return self.stored or self.list_type_attributes
