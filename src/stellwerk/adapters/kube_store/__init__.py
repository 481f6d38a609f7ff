"""A real Kubernetes API server: how it is reached, list and watch, and the Store port on it."""
