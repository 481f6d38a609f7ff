"""The wire: Kubernetes-shaped objects, one module an API group, and what reads them."""
