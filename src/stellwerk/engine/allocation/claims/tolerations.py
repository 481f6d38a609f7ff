"""Which taints a request tolerates.

Source: resourceclaim/devicetoleration.go of dynamic-resource-allocation (v0.37), KEP-5055.
"""

from collections.abc import Iterable

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import DeviceTaint, DeviceToleration


def tolerates(toleration: DeviceToleration, taint: DeviceTaint) -> bool:
    """Whether effect, key and value fit; an empty effect or key fits all, Exists fits every value."""
    effect, key = given(toleration.effect, ""), given(toleration.key, "")
    if (effect and effect != taint.effect) or (key and key != taint.key):
        return False
    operator = given(toleration.operator, "")
    if operator in ("", "Equal"):
        return given(toleration.value, "") == given(taint.value, "")
    return operator == "Exists"


def untolerated(
    taints: Iterable[DeviceTaint], tolerations: tuple[DeviceToleration, ...]
) -> DeviceTaint | None:
    """The first taint that no toleration fits, None if all are tolerated."""
    return next((taint for taint in taints if not any(tolerates(one, taint) for one in tolerations)), None)
