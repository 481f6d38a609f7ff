"""From the objects of a cluster to a plan over all layers, proven by a replay of its measured demand."""
