"""What a user may have meant: the known names nearest to an unknown one, for the fix of an error."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str], limit: int = 4) -> str:
    """Up to `limit` names that contain `word`, else those spelled alike; joined with commas, never empty."""
    folded = {name.casefold(): name for name in sorted(known)}
    wanted = word.casefold()
    found = [name for name in folded if wanted and wanted in name][:limit]
    found = found or get_close_matches(wanted, folded, n=limit, cutoff=0.4) or list(folded)[:limit]
    return ", ".join(folded[name] for name in found)
