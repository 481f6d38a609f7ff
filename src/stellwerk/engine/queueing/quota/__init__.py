"""The tree of quota: ClusterQueues under Cohorts, what each may use, and its dominant resource share."""
