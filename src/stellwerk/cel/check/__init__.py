"""Types: what an expression evaluates to, or why it cannot be compiled."""
