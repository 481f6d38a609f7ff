"""Advice in words and tables: comparisons."""
