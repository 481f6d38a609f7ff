"""The search for the first devices that fit, in Kubernetes' order, and its result."""
