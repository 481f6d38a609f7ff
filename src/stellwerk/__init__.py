"""Stellwerk decides how GPUs on Kubernetes are shared, queued and bought, and proves it by replay."""

__version__ = "0.1.0"
