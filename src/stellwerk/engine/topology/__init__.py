"""How fast the GPUs that a gang got reach one another, and what that does to its steps."""
