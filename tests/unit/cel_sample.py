"""A device with an attribute of every type."""

import msgspec

from stellwerk.api.groups.resource import Device
from stellwerk.api.mismatch import decode_hook


def sample(**changed: object) -> Device:
    """The device; `changed` replaces whole fields of it, as JSON has them."""
    attributes = {
        "i": {"int": 5},
        "s": {"string": "fish"},
        "b": {"bool": True},
        "v": {"version": "1.2.3"},
        "is": {"ints": [1, 2, 3]},
        "ss": {"strings": ["a", "b"]},
        "bs": {"bools": [True, False]},
        "vs": {"versions": ["1.0.0", "2.0.0-rc1"]},
        "o.com/x": {"string": "other"},
    }
    capacity = {"mem": {"value": "40Gi"}, "o.com/n": {"value": "5"}}
    data = {"name": "x", "attributes": attributes, "capacity": capacity, **changed}
    return msgspec.convert(data, Device, dec_hook=decode_hook)
