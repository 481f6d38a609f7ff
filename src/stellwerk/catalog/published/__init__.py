"""What others measured, with sources and conditions: sharing, memory, networks."""
