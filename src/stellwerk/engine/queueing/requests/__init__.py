"""What a workload asks for, or holds: the requests of its pods, transformed and counted."""
