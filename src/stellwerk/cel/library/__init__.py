"""The functions: CEL's own, its extensions and those of Kubernetes, by the id of the overload."""
