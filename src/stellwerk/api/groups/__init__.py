"""Kubernetes-shaped objects as typed views, one module an API group; the raw JSON stays beside them.

An optional field that the object does not have is UNSET (null counts as absent), so an explicit 0, false or
[] is kept. Fields that nothing here decides on are left to the raw JSON. Field lists: k8s.io/api (2026-07),
kueue.x-k8s.io/v1beta2 (2026-08), karpenter.sh/v1 (2026-08).
"""
