"""What was allocated, and why the rest was not: table and document."""
