"""What the devices count as that a Workload claims: DRA device classes as quota (KEP-2941)."""
