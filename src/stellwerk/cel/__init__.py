"""The CEL environment of Dynamic Resource Allocation, as Kubernetes v1.37 evaluates it."""
