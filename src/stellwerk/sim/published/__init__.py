"""What the simulated fleet shows of itself: ResourceSlices and Nodes, as in a cluster.

It lies in the simulated world because in a cluster NVIDIA's DRA driver and device plugin publish, not we.
"""
