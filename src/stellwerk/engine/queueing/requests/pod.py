"""What one pod asks for in Kueue's amounts, and a template whose limits count as requests.

Source: kueue pkg/workload/resources.go (limits as requests).
"""

from msgspec.structs import replace

from stellwerk.api.groups.core import Container, PodSpec, ResourceRequirements
from stellwerk.api.groups.meta import given
from stellwerk.api.quantity import Quantity
from stellwerk.engine.queueing.amounts import request_amount
from stellwerk.engine.topology.assignment.fleet.pod import pod_requests

_NOTHING: dict[str, Quantity] = {}


def pod_amounts(spec: PodSpec) -> dict[str, int]:
    """The same in Kueue's amounts."""
    return {resource: request_amount(resource, q) for resource, q in pod_requests(spec).items()}


def with_limits_as_requests(spec: PodSpec) -> PodSpec:
    """The template with a request for each resource that has a limit only."""
    changes: dict[str, object] = {"containers": tuple(map(_filled, spec.containers))}
    if given(spec.init_containers, ()):
        changes["init_containers"] = tuple(map(_filled, given(spec.init_containers, ())))
    if given(spec.resources, None) is not None:
        changes["resources"] = _requirements(given(spec.resources, ResourceRequirements()))
    return replace(spec, **changes)


def _filled(container: Container) -> Container:
    if given(container.resources, None) is None:
        return container
    return replace(container, resources=_requirements(given(container.resources, ResourceRequirements())))


def _requirements(resources: ResourceRequirements) -> ResourceRequirements:
    limits, requests = given(resources.limits, _NOTHING), given(resources.requests, _NOTHING)
    return replace(resources, requests={**limits, **requests}) if limits else resources
