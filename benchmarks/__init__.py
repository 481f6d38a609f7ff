"""Speed as CPU time and as ratios against a peer in one run; never a test."""
