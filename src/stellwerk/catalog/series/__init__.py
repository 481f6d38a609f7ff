"""Series of others by name, type and labels: of Kueue and kube-state-metrics, as far as we use them."""
