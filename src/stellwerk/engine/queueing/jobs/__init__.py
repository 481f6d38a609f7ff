"""The Workload that stands for a Job in its queue."""
