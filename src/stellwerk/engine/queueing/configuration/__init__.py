"""Kueue's Configuration: what is wrong with one, and what it decides."""
