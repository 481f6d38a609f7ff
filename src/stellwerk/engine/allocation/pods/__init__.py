"""Pods with their claims, one after another, on the nodes of a cluster."""
