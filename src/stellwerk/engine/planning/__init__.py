"""One plan over all layers of a cluster: partitions, quotas and node pools that go together."""
