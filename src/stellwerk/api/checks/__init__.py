"""Checks of single objects, one module a subject; api/validation calls them."""
