"""A partition plan in files: its own form, and the configurations of NVIDIA's tools."""
