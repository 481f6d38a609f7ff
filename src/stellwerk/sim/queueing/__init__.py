"""Queues in simulation: Jobs arrive, wait in Kueue's queues, run, are preempted and finish, in virtual time."""
