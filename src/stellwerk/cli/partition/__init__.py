"""Verbs on partitions of GPUs."""
