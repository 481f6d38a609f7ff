"""How the domains of one PodSet, or of a leader and its workers, are found."""
