"""A partition planned from files: what is asked at once, on which GPUs, at what price."""
