"""Whom a workload may preempt, and whom it does: in its queue, in its cohort, by fair sharing."""
