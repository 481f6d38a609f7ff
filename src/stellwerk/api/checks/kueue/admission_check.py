"""AdmissionChecks and WorkloadPriorityClasses: only their CRDs refuse anything.

Source: kueue.x-k8s.io_admissionchecks.yaml and _workloadpriorityclasses.yaml.
"""

from stellwerk.api.checks.kueue.shapes import CONDITIONS, NUMBER, SUBDOMAIN
from stellwerk.api.checks.schema import Fields, Name, Text

ADMISSION_CHECK = Fields(
    of={
        "spec": Fields(
            of={
                "controllerName": Text(least=1, most=253),
                "parameters": Fields(
                    of={
                        "apiGroup": SUBDOMAIN,
                        "kind": Text(least=1, most=63, form=r"[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?"),
                        "name": Name(label=True),
                    },
                    required=("apiGroup", "kind", "name"),
                ),
            },
            required=("controllerName",),
        ),
        "status": Fields(of={"conditions": CONDITIONS}),
    }
)
PRIORITY_CLASS = Fields(of={"value": NUMBER, "description": Text(most=2048)}, required=("value",))
