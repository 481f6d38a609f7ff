"""What is offered: ResourceSlices by pool and node, their devices, counters and taints."""
