"""What an expression costs: the worst case before it runs, and the actual cost while it runs."""
