"""Verbs about who may start: quota, queues, priorities."""
