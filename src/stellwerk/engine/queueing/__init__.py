"""Which workload may start, with which flavors, as Kueue decides it."""
