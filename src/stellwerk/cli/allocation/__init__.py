"""Verbs on claims and devices."""
