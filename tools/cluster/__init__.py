"""A real Kubernetes as plain processes on loopback: built from Go modules, started and stopped."""
