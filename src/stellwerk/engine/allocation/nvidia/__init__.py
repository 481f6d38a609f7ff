"""NVIDIA's DRA driver: what its opaque configuration may say."""
