"""Which devices satisfy a claim (Dynamic Resource Allocation)."""
