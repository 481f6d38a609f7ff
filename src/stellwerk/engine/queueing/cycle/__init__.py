"""One scheduling cycle: of the heads of all queues, who is admitted, whom that preempts, who waits."""
