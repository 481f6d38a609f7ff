"""Cycle after cycle, with their effects performed, and what became of each workload."""
