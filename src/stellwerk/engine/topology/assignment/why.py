"""What Kueue writes into a condition when pods have no place: its own words, so that it can be compared.

Source: Kueue pkg/cache/scheduler/tas_flavor_snapshot.go, notFitMessage (ff69552e).
"""

from stellwerk.engine.decision import Reason
from stellwerk.engine.topology.assignment.decision import Excluded, NotFit, Unfit


def message(unfit: Unfit) -> str:
    """The message for an answer without a place."""
    if isinstance(unfit, Reason):
        return str(unfit)
    return f"{_layers(unfit) if unfit.layers else _counts(unfit)}{_exclusions(unfit.excluded)}"


def _counts(unfit: NotFit) -> str:
    unit = "pod" if unfit.slice_size == 1 else "slice"
    if unfit.fits == 0:
        return f'topology "{unfit.topology}" doesn\'t allow to fit any of {unfit.needed} {unit}(s)'
    return f'topology "{unfit.topology}" allows to fit only {unfit.fits} out of {unfit.needed} {unit}(s)'


def _layers(unfit: NotFit) -> str:
    parts = [f"{one.fits}/{one.needed} slice(s) fit on level {one.level}" for one in unfit.layers]
    return "; ".join([f'topology "{unfit.topology}" doesn\'t allow to fit', *parts])


def _exclusions(excluded: Excluded) -> str:
    reasons = {
        "nodeSelector": excluded.node_selector,
        "affinity": excluded.affinity,
        "topologyDomain": excluded.topology_domain,
        **{f'taint "{taint}"': count for taint, count in excluded.taints.items()},
        **{f'resource "{name}"': count for name, count in excluded.resources.items()},
    }
    if not any(reasons.values()):
        return ""
    reasons["schedulerLibraryNoFit"] = excluded.library
    shown = sorted(f"{reason}: {count}" for reason, count in reasons.items() if count)
    return f". Total nodes: {excluded.total}; excluded: {', '.join(shown)}"
