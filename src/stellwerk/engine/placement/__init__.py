"""Which node, and which of its GPUs, takes a pod."""
