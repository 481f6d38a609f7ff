"""What is asked: requests, selectors, constraints, capacity, tolerations."""
