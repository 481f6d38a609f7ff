"""What a live cluster holds, and which layer therefore would not let a claim through."""
