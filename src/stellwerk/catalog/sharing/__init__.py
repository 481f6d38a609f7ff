"""What each way of sharing a GPU isolates, and which licences it needs."""
