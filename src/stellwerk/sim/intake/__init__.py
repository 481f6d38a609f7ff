"""What a replay takes besides its demand: the fleet with its prices, and what sharing costs."""
