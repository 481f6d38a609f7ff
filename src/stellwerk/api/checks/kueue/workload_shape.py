"""The shape of a Workload, as Kueue's CRD has it; of a pod template only the fields that decide something.

Source: kueue config/components/crd/bases/kueue.x-k8s.io_workloads.yaml at ff69552e.
"""

from stellwerk.api.checks.kueue.shapes import (
    AMOUNT,
    CONDITIONS,
    COUNT,
    FLAG,
    LABEL,
    LABELS,
    MESSAGE,
    MOMENT,
    NUMBER,
    SUBDOMAIN,
    TEXT,
    TOLERATIONS,
)
from stellwerk.api.checks.schema import Fields, Items, Table, Text, Whole

MOST_POD_SETS = 18
_POSITIVE = Whole(least=1)
_LEVEL = Text(most=63)
_AMOUNTS = Table(of=AMOUNT)
_RESOURCES = Fields(
    of={
        "requests": _AMOUNTS,
        "limits": _AMOUNTS,
        "claims": Items(of=Fields(of={"name": TEXT, "request": TEXT}, required=("name",)), key=("name",)),
    }
)
_CONTAINERS = Items(of=Fields(of={"name": TEXT, "resources": _RESOURCES}, required=("name",)), key=("name",))
_POD_TEMPLATE = Fields(
    of={
        "metadata": Fields(
            of={
                "name": TEXT,
                "namespace": TEXT,
                "labels": LABELS,
                "annotations": LABELS,
                "finalizers": Items(of=TEXT),
            }
        ),
        "spec": Fields(
            of={
                "containers": _CONTAINERS,
                "initContainers": _CONTAINERS,
                "resources": _RESOURCES,
                "overhead": _AMOUNTS,
                "nodeSelector": LABELS,
                "schedulingGates": Items(of=Fields(of={"name": TEXT}, required=("name",)), key=("name",)),
                "resourceClaims": Items(of=Fields(of={"name": TEXT}, required=("name",)), key=("name",)),
            },
            required=("containers",),
        ),
    }
)
_TOPOLOGY_REQUEST = Fields(
    of={
        "required": _LEVEL,
        "preferred": _LEVEL,
        "unconstrained": FLAG,
        "podIndexLabel": Text(most=317),
        "subGroupIndexLabel": Text(most=317),
        "subGroupCount": COUNT,
        "podSetGroupName": Text(most=256),
        "podSetSliceRequiredTopology": _LEVEL,
        "podSetSliceSize": _POSITIVE,
        "podsetSliceRequiredTopologyConstraints": Items(
            of=Fields(
                of={"topology": Text(least=1, most=63), "size": _POSITIVE}, required=("size", "topology")
            ),
            most=3,
        ),
    }
)
_SPEC = Fields(
    of={
        "podSets": Items(
            of=Fields(
                of={
                    "name": LABEL,
                    "template": _POD_TEMPLATE,
                    "count": COUNT,
                    "minCount": _POSITIVE,
                    "topologyRequest": _TOPOLOGY_REQUEST,
                },
                required=("template",),
            ),
            most=MOST_POD_SETS,
            least=1,
            key=("name",),
            default="main",
        ),
        "queueName": SUBDOMAIN,
        "priorityClassRef": Fields(
            of={
                "group": Text(words=("kueue.x-k8s.io", "scheduling.k8s.io")),
                "kind": Text(words=("WorkloadPriorityClass", "PriorityClass")),
                "name": SUBDOMAIN,
            },
            required=("group", "kind", "name"),
        ),
        "priority": NUMBER,
        "active": FLAG,
        "maximumExecutionTimeSeconds": _POSITIVE,
        "preemptionGates": Items(
            of=Fields(of={"name": Text(least=1, most=63)}, required=("name",)), most=8, key=("name",)
        ),
    }
)
_SLICE = Fields(
    of={
        "domainCount": _POSITIVE,
        "podCounts": Fields(
            of={"universal": _POSITIVE, "individual": Items(of=_POSITIVE, most=100_000, least=1)}
        ),
        "valuesPerLevel": Items(
            of=Fields(
                of={
                    "universal": _LEVEL,
                    "individual": Fields(
                        of={
                            "prefix": _LEVEL,
                            "suffix": _LEVEL,
                            "roots": Items(of=_LEVEL, most=100_000, least=1),
                        },
                        required=("roots",),
                    ),
                }
            ),
            most=16,
            least=1,
        ),
    },
    required=("domainCount", "podCounts", "valuesPerLevel"),
)
_ASSIGNMENT = Fields(
    of={
        "name": LABEL,
        "flavors": Table(of=SUBDOMAIN),
        "resourceUsage": _AMOUNTS,
        "count": COUNT,
        "delayedTopologyRequest": Text(words=("Pending", "Ready")),
        "topologyAssignment": Fields(
            of={"levels": Items(of=Text(most=317), most=16, least=1), "slices": Items(of=_SLICE, most=1000)},
            required=("levels", "slices"),
        ),
    }
)
_CHECK_STATE = Fields(
    of={
        "name": Text(least=1, most=316),
        "state": Text(words=("Pending", "Ready", "Retry", "Rejected")),
        "lastTransitionTime": MOMENT,
        "message": MESSAGE,
        "requeueAfterSeconds": COUNT,
        "retryCount": COUNT,
        "podSetUpdates": Items(
            of=Fields(
                of={
                    "name": LABEL,
                    "labels": LABELS,
                    "annotations": LABELS,
                    "nodeSelector": LABELS,
                    "tolerations": TOLERATIONS,
                },
                required=("name",),
            ),
            most=MOST_POD_SETS,
        ),
    },
    required=("lastTransitionTime", "message", "name", "state"),
)
_EVICTION = Fields(
    of={"reason": Text(most=316), "underlyingCause": Text(most=316), "count": COUNT},
    required=("count", "reason", "underlyingCause"),
)
_STATUS = Fields(
    of={
        "conditions": CONDITIONS,
        "admission": Fields(
            of={
                "clusterQueue": SUBDOMAIN,
                "podSetAssignments": Items(of=_ASSIGNMENT, most=MOST_POD_SETS, key=("name",), default="main"),
            }
        ),
        "requeueState": Fields(of={"count": COUNT, "requeueAt": MOMENT}),
        "reclaimablePods": Items(
            of=Fields(of={"name": LABEL, "count": COUNT}, required=("count", "name")),
            most=MOST_POD_SETS,
            key=("name",),
        ),
        "admissionChecks": Items(of=_CHECK_STATE, most=8, key=("name",)),
        "resourceRequests": Items(
            of=Fields(of={"name": LABEL, "resources": _AMOUNTS}, required=("name",)),
            most=MOST_POD_SETS,
            key=("name",),
        ),
        "accumulatedPastExecutionTimeSeconds": NUMBER,
        "schedulingStats": Fields(
            of={"evictions": Items(of=_EVICTION, most=256, key=("reason", "underlyingCause"))}
        ),
        "nominatedClusterNames": Items(of=Text(most=256), most=20),
        "clusterName": Text(most=256),
        "unhealthyNodes": Items(
            of=Fields(of={"name": Text(most=63)}, required=("name",)), most=8, key=("name",)
        ),
        "preemptionGates": Items(
            of=Fields(
                of={
                    "name": Text(least=1, most=63),
                    "position": Text(words=("Closed", "Open")),
                    "lastTransitionTime": MOMENT,
                },
                required=("lastTransitionTime", "name", "position"),
            ),
            most=8,
            key=("name",),
        ),
    }
)
WORKLOAD = Fields(of={"spec": _SPEC, "status": _STATUS})
