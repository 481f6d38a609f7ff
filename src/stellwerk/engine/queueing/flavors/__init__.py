"""Which ResourceFlavor each PodSet gets for each resource, or why none."""
