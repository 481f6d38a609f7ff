"""An operator that no label selector has is refused where the object is read."""

import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.api.manifests import load_manifests
from stellwerk.api.validation import validate

SELECTOR = "{matchExpressions: [{key: a, operator: OPERATOR, values: [b]}]}"
OBJECTS = {
    "pod": f"""
apiVersion: v1
kind: Pod
metadata: {{name: p}}
spec:
  containers: [{{name: c}}]
  affinity:
    podAntiAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
      - {{topologyKey: kubernetes.io/hostname, labelSelector: {SELECTOR}}}
""",
    "queue": f"""
apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {{name: q}}
spec: {{namespaceSelector: {SELECTOR}}}
""",
}


def read(kind: str, operator: str) -> None:
    validate(load_manifests(OBJECTS[kind].replace("OPERATOR", operator).encode(), "a.yaml"))


@pytest.mark.parametrize("kind", OBJECTS)
def test_an_operator_that_there_is_is_taken(kind: str) -> None:
    read(kind, "NotIn")


@pytest.mark.parametrize("kind", OBJECTS)
def test_an_unknown_operator_is_refused_with_its_field(kind: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(kind, "Near")
    assert "matchExpressions[0].operator" in str(refused.value.path)
