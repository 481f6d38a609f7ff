"""A plan over all layers: its files, its differences from the cluster, its receipt, and how it is shown."""
