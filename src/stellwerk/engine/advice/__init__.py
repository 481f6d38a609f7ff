"""Which way of sharing suits a workload, who must not share, and whether a model fits."""
