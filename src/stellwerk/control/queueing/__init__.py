"""Kueue's controllers as pure ones: Jobs become Workloads, wait in queues, are admitted and evicted."""
