"""What is run beside the project: set-up, checks, databases and clusters for the tests."""
