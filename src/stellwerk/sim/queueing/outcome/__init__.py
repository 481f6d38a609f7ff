"""What a simulation of queues came to: waits, shares and money, before and after a change."""
