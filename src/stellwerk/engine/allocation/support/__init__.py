"""Which layer would refuse a claim: API server, scheduler, Kueue, Karpenter, operator, driver."""
