"""Where a job's nodes are to each other: which domains of the network it gets, how fast its links are."""
