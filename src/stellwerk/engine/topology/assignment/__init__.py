"""Which domains of the network a Workload's pods get: topology-aware scheduling as Kueue decides it."""
