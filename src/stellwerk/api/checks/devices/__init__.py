"""resource.k8s.io as the API server validates it: what it refuses, as data."""
