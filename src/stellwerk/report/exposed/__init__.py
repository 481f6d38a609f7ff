"""The report's figures as metrics: how far the replay is, what it found, and the fleet that is played."""
