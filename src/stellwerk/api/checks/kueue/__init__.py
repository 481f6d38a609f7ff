"""What Kueue's CRDs and webhooks refuse, one module a kind; what its CRDs say of fields is in `shapes`."""
