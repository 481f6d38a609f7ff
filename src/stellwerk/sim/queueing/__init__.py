"""Queues in simulation: Jobs arrive, wait as in Kueue, run, are preempted and finish, in virtual time."""
