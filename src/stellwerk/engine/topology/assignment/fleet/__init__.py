"""What is to be assigned: the tree of domains, what its nodes have free, and which of them a pod may have."""
