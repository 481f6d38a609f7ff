"""What becomes of claims, as text and as data."""
