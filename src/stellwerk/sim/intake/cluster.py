"""The objects of a cluster from several files and folders, and its claims after an earlier run."""

from collections.abc import Sequence

from stellwerk.api.checks.names import identity
from stellwerk.api.errors import InvalidInput
from stellwerk.api.generated_names import with_names
from stellwerk.api.groups.resource import ResourceClaim
from stellwerk.api.manifests import Manifest
from stellwerk.api.mismatch import shown
from stellwerk.sim.intake.manifests import read_all


def read_cluster(paths: Sequence[str], state: str | None) -> list[Manifest]:
    """The valid objects of all paths in their order; claims in `state` take the place of those of their name.

    Objects with generateName have got their names, so that the state of an earlier run finds them again.
    Raises InvalidInput.
    """
    manifests = with_names(read_all(paths, "manifests")[0])
    if state is None:
        return manifests
    claims = {identity(one): one for one in _claims_of(state)}
    merged = [claims.pop(identity(one), one) for one in manifests]
    return merged + list(claims.values())


def _claims_of(path: str) -> list[Manifest]:
    found = with_names(read_all([path], "state")[0])
    for manifest in found:
        if not isinstance(manifest.object, ResourceClaim):
            raise InvalidInput(
                "a {kind} is no state: only ResourceClaims are",
                fix="give the output of an earlier run, or of: kubectl get resourceclaims -A -o yaml",
                **manifest.at("kind"),
                kind=shown(manifest.kind),
            )
    return found
