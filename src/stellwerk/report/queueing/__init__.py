"""Admissions, preemptions and reasons, as text and as data."""
