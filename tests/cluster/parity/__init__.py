"""The same scenario decided by Stellwerk and by the real components, step by step."""
