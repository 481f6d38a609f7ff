"""Workloads with known truth: how a case is read, advised on and judged (docs/reference/advice.md)."""
