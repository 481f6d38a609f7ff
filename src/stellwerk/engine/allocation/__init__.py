"""Which devices satisfy the claim: Dynamic Resource Allocation as Kubernetes' scheduler decides it."""
