"""Verbs that read and advise: usage, advise, bill, fit, compare."""
