"""Whether one type can stand where another is wanted, and what that says about types not known yet.

Facts from checker/types.go of cel-go v0.29.2.
"""

from stellwerk.cel.check.kinds import DYN, Type, is_dyn

_NULLABLE = ("opaque", "struct", "any", "duration", "timestamp")


class Substitutions:
    """What is known of each type parameter; a failed attempt leaves no trace."""

    def __init__(self) -> None:
        self._known: dict[Type, Type] = {}

    def assignable(self, given: Type, wanted: Type) -> bool:
        """Whether `given` can stand for `wanted`; if so, what follows for parameters is kept."""
        return self.all_assignable((given,), (wanted,))

    def all_assignable(self, given: tuple[Type, ...], wanted: tuple[Type, ...]) -> bool:
        """Whether each of `given` can stand for the one of `wanted` at its place."""
        before = self._known.copy()
        if self._all(given, wanted):
            return True
        self._known = before
        return False

    def resolve(self, kind: Type, to_dyn: bool = False) -> Type:
        """`kind` with all that is known put in; what is not known becomes dyn where `to_dyn` says so."""
        while kind in self._known:
            kind = self._known[kind]
        if kind.kind == "param":
            return DYN if to_dyn else kind
        if not kind.params:
            return kind
        return Type(kind.kind, kind.name, tuple(self.resolve(each, to_dyn) for each in kind.params))

    def _all(self, given: tuple[Type, ...], wanted: tuple[Type, ...]) -> bool:
        return len(given) == len(wanted) and all(map(self._one, given, wanted))

    def _one(self, given: Type, wanted: Type) -> bool:
        if wanted.kind == "param":
            valid, known = self._substitutes(given, wanted)
            if valid or known:
                return valid
        if given.kind == "param":
            return self._substitutes(wanted, given)[0]
        if is_dyn(given) or is_dyn(wanted) or "error" in (given.kind, wanted.kind):
            return True
        if given.kind == "null" or wanted.kind == "null":
            other = wanted if given.kind == "null" else given
            return other.kind == "null" or other.kind in _NULLABLE
        if given.kind == "type":
            return wanted.kind == "type"
        return (
            given.kind == wanted.kind and given.name == wanted.name and self._all(given.params, wanted.params)
        )

    def _substitutes(self, kind: Type, parameter: Type) -> tuple[bool, bool]:
        """Whether `kind` can be what `parameter` stands for, and whether that was known before."""
        if kind == parameter:
            return True, True
        known = self._known.get(parameter)
        if known is not None:
            if kind == known:
                return True, True
            if not self._one(kind, known):
                return False, True
            general = kind if at_most_as_specific(kind, known) else known
            if not self._occurs(parameter, general):
                self._known[parameter] = general
            return True, True
        if self._occurs(parameter, kind):
            return False, False
        self._known[parameter] = kind
        return True, False

    def _occurs(self, parameter: Type, within: Type) -> bool:
        if parameter == within:
            return True
        if within.kind == "param":
            known = self._known.get(within)
            return known is not None and self._occurs(parameter, known)
        return any(self._occurs(parameter, each) for each in within.params)


def at_most_as_specific(one: Type, other: Type) -> bool:
    """Whether `one` says no more than `other`."""
    if is_dyn(one) or one.kind == "param":
        return True
    if is_dyn(other) or other.kind == "param" or one.kind != other.kind:
        return False
    if one.kind == "type":
        return True
    same = one.name == other.name and len(one.params) == len(other.params)
    return same and all(map(at_most_as_specific, one.params, other.params))
