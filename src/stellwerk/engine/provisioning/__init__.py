"""Which node would Karpenter buy for a pod: which NodePool lets it in, and what keeps the others from it."""
